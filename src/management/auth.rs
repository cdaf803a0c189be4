//! Authentication: the user of a request and its rights. No other code reads the credentials of a request.
//!
//! HTTP Basic against the broker's users. `guest` may come from this machine only, as over AMQP.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::refusal::Refusal;
use super::serving::Caller;
use crate::broker::Broker;
use crate::broker::auth::{Origin, User};

/// Tags that let a user in at all (RabbitMQ: `rabbit_mgmt_util:is_mgmt_user`).
const MANAGEMENT: &[&str] = &["administrator", "monitoring", "policymaker", "management"];
/// Tags of users who see the whole broker.
pub(super) const MONITORING: &[&str] = &["administrator", "monitoring"];

/// The users that may make a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequiredRole {
    /// All who may use the API
    EveryUser,
    Monitor,
    Policymaker,
    Administrator,
}

impl RequiredRole {
    /// Checks that `user` is one of them.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthorised`] in RabbitMQ's words when not.
    pub(super) fn check(self, user: &User) -> Result<(), Refusal> {
        let (tags, reason): (&[&str], _) = match self {
            Self::EveryUser => return Ok(()),
            Self::Monitor => (MONITORING, "Not monitor user"),
            Self::Policymaker => {
                (&["administrator", "policymaker"], "User not authorised to access object")
            }
            Self::Administrator => (&["administrator"], "Not administrator user"),
        };
        if user.has_tag(tags) { Ok(()) } else { Err(Refusal::NotAuthorised { reason }) }
    }
}

/// Lets a request through when its user may use the API, and notes the user in it.
pub(super) async fn log_in(
    State(broker): State<Arc<Broker>>,
    mut request: Request,
    next: Next,
) -> Response {
    // A caller of unknown origin is a stranger.
    let caller = request.extensions().get::<ConnectInfo<Caller>>();
    let origin = caller.map_or(Origin::Remote, |ConnectInfo(Caller(origin))| *origin);
    match user(&broker, request.headers(), origin) {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn user(broker: &Broker, headers: &HeaderMap, origin: Origin) -> Result<User, Refusal> {
    let credentials = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoCredentials)?;
    let (name, password) = basic(credentials.as_bytes()).ok_or(Refusal::LoginFailed)?;
    let users = &broker.users;
    let logins = &broker.logins.http;
    let Some(user) = users.log_in(&name, &password, origin) else {
        logins.failed.add(1);
        let reason = users.why_refused(&name, origin);
        tracing::warn!(user = ?String::from_utf8_lossy(&name), reason, "login to the management API refused");
        return Err(Refusal::LoginFailed);
    };
    logins.succeeded.add(1);
    if !user.has_tag(MANAGEMENT) {
        return Err(Refusal::NotAuthorised { reason: "Not management user" });
    }
    Ok(user)
}

/// Name and password of a Basic header (RFC 7617): the name ends at the first colon.
fn basic(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let both = STANDARD.decode(encoded.trim()).ok()?;
    let colon = both.iter().position(|&byte| byte == b':')?;
    Some((both[..colon].to_vec(), both[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::basic;

    #[test]
    fn a_basic_header_splits_at_its_first_colon() {
        #[rustfmt::skip]
        let cases = [
            ("Basic Z3Vlc3Q6Z3Vlc3Q=", Some(("guest", "guest"))),
            ("basic Z3Vlc3Q6YTpi",     Some(("guest", "a:b"))),
            ("Basic Z3Vlc3Q6",         Some(("guest", ""))),
            ("Basic Z3Vlc3Q=",         None), // no colon
            ("Bearer Z3Vlc3Q6YTpi",    None),
            ("Basic ***",              None),
            ("Basic",                  None),
        ];
        for (header, expected) in cases {
            let expected = expected.map(|(name, password)| (name.into(), password.into()));
            assert_eq!(basic(header.as_bytes()), expected, "{header}");
        }
    }
}
