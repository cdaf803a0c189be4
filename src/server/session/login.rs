//! User name and password of a client, read from its SASL response.

use crate::broker::compat::Compat;
use crate::wire::codec::Reader;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, erlang};

/// Name and password a client sent.
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

/// The SASL mechanisms a client may choose from.
pub(super) fn mechanisms(compat: Compat) -> &'static str {
    if compat.is_3_10() { "PLAIN AMQPLAIN" } else { "PLAIN ANONYMOUS AMQPLAIN" }
}

/// Reads the SASL response of a mechanism.
pub(super) fn credentials(
    mechanism: &str,
    response: &[u8],
    compat: Compat,
) -> Result<Credentials, Fault> {
    let read = match mechanism {
        "PLAIN" => plain(response),
        "AMQPLAIN" => amqplain(response),
        "ANONYMOUS" if !compat.is_3_10() => Some(anonymous()),
        other => {
            let text = format!("unknown/invalid authentication mechanism '{other}'");
            return Err(Fault::new(ReplyCode::CommandInvalid, text));
        }
    };
    read.ok_or_else(|| {
        let text = format!("response {} invalid", erlang::binary(response));
        Fault::new(ReplyCode::SyntaxError, text)
    })
}

/// `[authorization identity] NUL user NUL password` (RFC 4616).
fn plain(response: &[u8]) -> Option<Credentials> {
    let mut parts = response.splitn(3, |&byte| byte == 0);
    let (_identity, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Credentials { user: user.to_vec(), password: password.to_vec() })
}

/// A client that names no user is `guest`, if that user has its first password and may log in from there
/// (RabbitMQ 4: `anonymous_login_user`).
fn anonymous() -> Credentials {
    Credentials { user: b"guest".to_vec(), password: b"guest".to_vec() }
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
