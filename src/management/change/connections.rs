//! Connections: closed, one or all of a user.

use crate::management::auth::{ADMINISTRATOR, MONITORING};
use crate::management::change_request::{ChangeOutcome, ChangeRequest};
use crate::management::refusal::Refusal;
use crate::wire::{Fault, ReplyCode};

/// The reason that clients are given if the request has none.
const REASON: &str = "Closed via management plugin";

/// `DELETE /connections/:connection`.
pub(in crate::management) fn close(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let (connection, agreed) = request.view.connection(&request.names)?;
    request.view.check_own(&agreed.user, closers(request))?;
    connection.close(why(request));
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /connections/username/:user`.
pub(in crate::management) fn close_of_user(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let user = request.names.get("user")?;
    request.view.check_own(user, closers(request))?;
    request.view.broker.registry.close_those(&why(request), |agreed| agreed.user == user);
    Ok(ChangeOutcome::Quietly)
}

/// The tags of users who may close the connections of others: RabbitMQ 4 lets monitors look only.
fn closers(request: &ChangeRequest<'_>) -> &'static [&'static str] {
    if request.view.broker.compat().is_3_10() { MONITORING } else { ADMINISTRATOR }
}

fn why(request: &ChangeRequest<'_>) -> Fault {
    let given = request.headers.get("x-reason").and_then(|reason| reason.to_str().ok());
    Fault::new(ReplyCode::ConnectionForced, given.unwrap_or(REASON))
}
