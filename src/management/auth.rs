//! Who asks, and whether they may: the one place that looks at credentials and tags.
//!
//! HTTP Basic against the broker's users. `guest` may come from this machine only, as over AMQP.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Management;
use super::refusal::Refusal;
use super::serving::Caller;
use crate::broker::auth::{Origin, User};

/// Tags that let a user in at all (RabbitMQ: `rabbit_mgmt_util:is_mgmt_user`).
const MANAGEMENT: &[&str] = &["administrator", "monitoring", "policymaker", "management"];
pub(super) const MONITORING: &[&str] = &["administrator", "monitoring"];
pub(super) const POLICYMAKER: &[&str] = &["administrator", "policymaker"];
pub(super) const ADMINISTRATOR: &[&str] = &["administrator"];

/// Lets a request through when its user may use the API, and notes the user in it.
pub(super) async fn log_in(
    State(management): State<Arc<Management>>,
    mut request: Request,
    next: Next,
) -> Response {
    // A caller of unknown origin is a stranger.
    let caller = request.extensions().get::<ConnectInfo<Caller>>();
    let origin = caller.map_or(Origin::Remote, |ConnectInfo(Caller(origin))| *origin);
    match user(&management, request.headers(), origin) {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Lets a request through when its user may see the whole broker.
pub(super) async fn monitor(request: Request, next: Next) -> Response {
    require(MONITORING, "Not monitor user", request, next).await
}

/// Lets a request through when its user is an administrator.
pub(super) async fn administrator(request: Request, next: Next) -> Response {
    require(ADMINISTRATOR, "Not administrator user", request, next).await
}

async fn require(tags: &[&str], reason: &'static str, request: Request, next: Next) -> Response {
    match request.extensions().get::<User>() {
        Some(user) if user.has_tag(tags) => next.run(request).await,
        Some(_) | None => Refusal::NotAuthorised { reason }.into_response(),
    }
}

fn user(management: &Management, headers: &HeaderMap, origin: Origin) -> Result<User, Refusal> {
    let credentials = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoCredentials)?;
    let (name, password) = basic(credentials.as_bytes()).ok_or(Refusal::LoginFailed)?;
    let user = management.broker.users.log_in(&name, &password, origin);
    let user = user.ok_or(Refusal::LoginFailed)?;
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
