//! Authentication: the user of a request and its rights. No other code reads the credentials of a request.
//!
//! HTTP Basic against the broker's users. `guest` may come from this machine only, as over AMQP.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::failed_logins::FailedLogins;
use super::refusal::Refusal;
use super::server_info::ServerInfo;
use super::serving::Caller;
use crate::broker::Broker;
use crate::broker::auth::{PasswordHash, User, UserLimits};
use crate::broker::login_sources::LoginSource;
use crate::wire::ShortStr;

/// Tags that let a user in at all (RabbitMQ: `rabbit_mgmt_util:is_mgmt_user`).
const MANAGEMENT: &[&str] = &["administrator", "monitoring", "policymaker", "management"];
/// Tags of users who see the whole broker.
pub(super) const MONITORING: &[&str] = &["administrator", "monitoring"];
pub(super) const ADMINISTRATOR: &[&str] = &["administrator"];

/// The refusal of what other users may do.
pub(super) const NOT_YOURS: &str = "User not authorised to access object";

/// The users that may make a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequiredRole {
    /// All, without a login
    Anyone,
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
            Self::Anyone | Self::EveryUser => return Ok(()),
            Self::Monitor => (MONITORING, "Not monitor user"),
            Self::Policymaker => (&["administrator", "policymaker"], NOT_YOURS),
            Self::Administrator => (ADMINISTRATOR, "Not administrator user"),
        };
        if user.has_tag(tags) { Ok(()) } else { Err(Refusal::NotAuthorised { reason }) }
    }
}

/// The place that all logins go through.
#[derive(Debug)]
pub(super) struct LoginGate {
    broker: Arc<Broker>,
    server: ServerInfo,
    failed: FailedLogins,
}

impl LoginGate {
    pub(super) fn new(broker: Arc<Broker>, server: ServerInfo) -> Self {
        Self { broker, server, failed: FailedLogins::default() }
    }

    /// Lets a request through when its user may use the API, and notes the user in it.
    pub(super) async fn log_in(&self, mut request: Request, next: Next) -> Response {
        if request.method() == Method::OPTIONS {
            // A browser asks without credentials if its page may ask.
            return next.run(request).await;
        }
        let caller = Caller::of(request.extensions());
        match self.user(request.headers(), caller) {
            Ok(user) => {
                request.extensions_mut().insert(user);
                next.run(request).await
            }
            Err(refusal) => refusal.into_response(),
        }
    }

    fn user(&self, headers: &HeaderMap, caller: Caller) -> Result<User, Refusal> {
        let Some(credentials) = headers.get(header::AUTHORIZATION) else {
            return self.owner(caller);
        };
        let (name, password) = basic(credentials.as_bytes()).ok_or_else(|| self.login_failed())?;
        let user = self.check(&name, &password, caller)?;
        if !user.has_tag(MANAGEMENT) {
            return Err(Refusal::NotAuthorised { reason: "Not management user" });
        }
        Ok(user)
    }

    /// The user as whom the account that runs the broker asks; another one has no credentials.
    fn owner(&self, caller: Caller) -> Result<User, Refusal> {
        let owner = self.broker.users.log_in_owner(caller.origin).ok_or(Refusal::NoCredentials)?;
        self.broker.logins.http.succeeded.add(1);
        Ok(owner)
    }

    /// `POST /login`: checks the name and password of a form, and answers with a token for further requests.
    pub(super) fn token(
        &self,
        form: &[(String, String)],
        caller: Caller,
    ) -> Result<Value, Refusal> {
        let field =
            |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let both = field("username").zip(field("password"));
        let (name, password) = both.ok_or_else(|| self.login_failed())?;
        let user = self.check(name.as_bytes(), password.as_bytes(), caller)?;
        let token = STANDARD.encode(format!("{name}:{password}"));
        Ok(json!({"user": user_row(&user), "token": {"type": "basic", "value": token}}))
    }

    fn check(&self, name: &[u8], password: &[u8], caller: Caller) -> Result<User, Refusal> {
        let (now, max) = (self.server.since_start(), self.server.http.failed_logins_max);
        let wait = caller.address.and_then(|address| self.failed.wait(address, max, now));
        if let Some(wait) = wait {
            return Err(Refusal::TooManyLogins { wait });
        }
        let users = &self.broker.users;
        let (logins, sources) = (&self.broker.logins.http, &self.broker.logins.sources);
        let source = || LoginSource {
            address: caller
                .address
                .map_or_else(|| "unix".to_owned(), |address| address.to_string()),
            user: String::from_utf8_lossy(name).into_owned(),
            protocol: "http",
        };
        let Some(user) = users.log_in(name, password, caller.origin) else {
            logins.failed.add(1);
            sources.count(source, false);
            if let Some(address) = caller.address {
                self.failed.add(address, now);
            }
            let reason = users.why_refused(name, caller.origin);
            let address = caller.address.map(tracing::field::display);
            tracing::warn!(user = ?String::from_utf8_lossy(name), address, reason, "login to the management API refused");
            return Err(self.login_failed());
        };
        logins.succeeded.add(1);
        sources.count(source, true);
        Ok(user)
    }

    fn login_failed(&self) -> Refusal {
        let is_3_10 = self.broker.compat().is_3_10();
        Refusal::LoginFailed { reason: if is_3_10 { "Login failed" } else { "Not_Authorized" } }
    }
}

/// The user of a request for which no login is asked.
pub(super) fn nobody() -> User {
    User {
        name: ShortStr::empty(),
        tags: Vec::new(),
        password: PasswordHash::default(),
        limits: UserLimits::default(),
    }
}

/// A user as `GET /whoami` tells it.
pub(super) fn user_row(user: &User) -> Value {
    // All users are the broker's own, not those of another service.
    json!({"name": user.name.as_str(), "tags": user.tags, "is_internal_user": true})
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
