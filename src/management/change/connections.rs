//! Connections: closed, one or all of a user.

use crate::broker::auth::User;
use crate::broker::registry::Agreed;
use crate::management::asked::{Asked, Done};
use crate::management::auth::{MONITORING, Who};
use crate::management::refusal::Refusal;
use crate::wire::{Fault, ReplyCode};

/// The reason that clients are given if the request has none.
const REASON: &str = "Closed via management plugin";

/// `DELETE /connections/:connection`.
pub(in crate::management) fn close(asked: &Asked<'_>) -> Result<Done, Refusal> {
    let name = asked.names.get("connection")?;
    let mut all = asked.view.connections().into_iter();
    let found = all.find(|(connection, _)| &*connection.peer.name == name);
    let (connection, agreed) = found.ok_or(Refusal::NotFound)?;
    check(asked.view.user, &agreed)?;
    connection.close(why(asked));
    Ok(Done::Quietly)
}

/// `DELETE /connections/username/:user`.
pub(in crate::management) fn close_of_user(asked: &Asked<'_>) -> Result<Done, Refusal> {
    let user = asked.names.get("user")?;
    if *user != *asked.view.user.name {
        asked.require(Who::Monitor)?;
    }
    asked.view.broker.registry.close_those(&why(asked), |agreed| agreed.user == user);
    Ok(Done::Quietly)
}

/// Checks that the user may close the connection: its own, or any if it has the tag `monitoring`.
fn check(user: &User, agreed: &Agreed) -> Result<(), Refusal> {
    if user.has_tag(MONITORING) || agreed.user == user.name {
        return Ok(());
    }
    Err(Refusal::NotAuthorised { reason: "User not authorised to access object" })
}

fn why(asked: &Asked<'_>) -> Fault {
    let given = asked.headers.get("x-reason").and_then(|reason| reason.to_str().ok());
    Fault::new(ReplyCode::ConnectionForced, given.unwrap_or(REASON))
}
