//! The user that a client claims to be, read from its SASL response or its certificate.

use std::borrow::Cow;

use super::state::Context;
use crate::broker::auth::{AnonymousLogin, Mechanism, Mechanisms, Origin, User};
use crate::wire::codec::Reader;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, erlang};

/// The claim of a client to be a user.
pub(super) enum Claim {
    /// By name and password.
    Credentials(Credentials),
    /// By the TLS certificate that it has shown, if it has shown one.
    Certificate,
    /// By the account that runs the broker
    Owner,
}

/// Name and password a client sent.
pub(super) struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

/// The SASL mechanisms a client may choose from.
pub(super) fn mechanisms(cx: &Context) -> String {
    let mut offered = configured(cx).offered(cx.broker.compat(), cx.connection.peer.is_tls);
    if cx.login_origin == Origin::Owner {
        offered.push(' ');
        offered.push_str(Mechanism::External.name());
    }
    offered
}

fn configured(cx: &Context) -> Cow<'_, Mechanisms> {
    cx.broker.mechanisms.get().map_or_else(Cow::default, Cow::Borrowed)
}

impl Claim {
    /// Reads the SASL response of a mechanism.
    pub(super) fn read(cx: &Context, mechanism: &str, response: &[u8]) -> Result<Self, Fault> {
        if cx.login_origin == Origin::Owner && mechanism == Mechanism::External.name() {
            return Ok(Self::Owner);
        }
        let accepted = mechanism
            .parse()
            .ok()
            .filter(|mechanism| configured(cx).has(*mechanism, cx.broker.compat()));
        let read = match accepted {
            Some(Mechanism::Plain) => plain(response),
            Some(Mechanism::AmqPlain) => amqplain(response),
            Some(Mechanism::Anonymous) => anonymous(cx),
            // The certificate says all.
            Some(Mechanism::External) => return Ok(Self::Certificate),
            None => {
                let text = format!("unknown/invalid authentication mechanism '{mechanism}'");
                return Err(Fault::new(ReplyCode::CommandInvalid, text));
            }
        };
        read.map(Self::Credentials).ok_or_else(|| {
            let text = format!("response {} invalid", erlang::binary(response));
            Fault::new(ReplyCode::SyntaxError, text)
        })
    }

    /// The user, if the claim is true.
    pub(super) fn log_in(&self, cx: &Context) -> Option<User> {
        let users = &cx.broker.users;
        match self {
            Self::Credentials(Credentials { user, password }) => {
                users.log_in(user, password, cx.login_origin)
            }
            Self::Certificate => users.log_in_proved(certified(cx)?, cx.login_origin),
            Self::Owner => users.log_in_owner(cx.login_origin),
        }
    }

    /// The name that was claimed, and the reason for the log why it was refused: clients are not told.
    pub(super) fn why_refused(&self, cx: &Context) -> (String, &'static str) {
        let certificate = cx.connection.peer.certificate.is_some();
        let user = match self {
            Self::Credentials(credentials) => &credentials.user[..],
            Self::Certificate => certified(cx).unwrap_or_default().as_bytes(),
            Self::Owner => b"",
        };
        let reason = match self {
            Self::Certificate if !certificate => "the client presented no TLS certificate",
            Self::Certificate if user.is_empty() => "its certificate has no such name",
            Self::Owner => "the broker has no administrator",
            Self::Certificate | Self::Credentials(_) => {
                cx.broker.users.why_refused(user, cx.login_origin)
            }
        };
        (String::from_utf8_lossy(user).into_owned(), reason)
    }
}

/// The user whom the certificate of a client names.
fn certified(cx: &Context) -> Option<&str> {
    cx.connection.peer.certificate.as_ref()?.login.as_deref()
}

/// `[authorization identity] NUL user NUL password` (RFC 4616).
fn plain(response: &[u8]) -> Option<Credentials> {
    let mut parts = response.splitn(3, |&byte| byte == 0);
    let (_identity, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Credentials { user: user.to_vec(), password: password.to_vec() })
}

/// The login of a client that names no user (RabbitMQ 4).
fn anonymous(cx: &Context) -> Option<Credentials> {
    match configured(cx).anonymous() {
        AnonymousLogin::As { user, password } => Some(Credentials {
            user: user.clone().into_bytes(),
            password: password.reveal().as_bytes().to_vec(),
        }),
        AnonymousLogin::Refused => None,
    }
}

/// A field table of `LOGIN` and `PASSWORD`, without its length (RabbitMQ: `rabbit_auth_mechanism_amqplain`).
fn amqplain(response: &[u8]) -> Option<Credentials> {
    let len = u32::try_from(response.len()).ok()?;
    let framed = [&len.to_be_bytes()[..], response].concat();
    let table = FieldTable::decode(&mut Reader::new(&framed)).ok()?;
    let bytes = |name: &str| match table.get(name) {
        Some(FieldValue::LongStr(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    };
    Some(Credentials { user: bytes("LOGIN")?, password: bytes("PASSWORD")? })
}
