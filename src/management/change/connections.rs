//! Connections: closed, one or all of a user.

use crate::broker::auth::User;
use crate::broker::registry::NegotiatedParameters;
use crate::management::auth::{MONITORING, RequiredRole};
use crate::management::change_request::{ChangeOutcome, ChangeRequest};
use crate::management::refusal::Refusal;
use crate::wire::{Fault, ReplyCode};

/// The reason that clients are given if the request has none.
const REASON: &str = "Closed via management plugin";

/// `DELETE /connections/:connection`.
pub(in crate::management) fn close(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let name = request.names.get("connection")?;
    let mut all = request.view.connections().into_iter();
    let found = all.find(|(connection, _)| &*connection.peer.name == name);
    let (connection, agreed) = found.ok_or(Refusal::NotFound)?;
    check(request.view.user, &agreed)?;
    connection.close(why(request));
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /connections/username/:user`.
pub(in crate::management) fn close_of_user(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let user = request.names.get("user")?;
    if *user != *request.view.user.name {
        request.require(RequiredRole::Monitor)?;
    }
    request.view.broker.registry.close_those(&why(request), |agreed| agreed.user == user);
    Ok(ChangeOutcome::Quietly)
}

/// Checks that the user may close the connection: its own, or any if it has the tag `monitoring`.
fn check(user: &User, agreed: &NegotiatedParameters) -> Result<(), Refusal> {
    if user.has_tag(MONITORING) || agreed.user == user.name {
        return Ok(());
    }
    Err(Refusal::NotAuthorised { reason: "User not authorised to access object" })
}

fn why(request: &ChangeRequest<'_>) -> Fault {
    let given = request.headers.get("x-reason").and_then(|reason| reason.to_str().ok());
    Fault::new(ReplyCode::ConnectionForced, given.unwrap_or(REASON))
}
