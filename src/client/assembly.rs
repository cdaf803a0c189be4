//! A message that comes in on a channel, and the frame that is expected next: a method, a header, then bodies (4.2.6).
//!
//! `body` grows with the bytes that came; it is never sized by the length the peer announced.

use bytes::Bytes;

use super::error::Error;
use crate::wire::content::ContentHeader;
use crate::wire::method::basic;
use crate::wire::{Method, Properties};

/// Largest body taken, in bytes (RabbitMQ: `max_message_size` can be set no higher).
const BODY_MAX: u64 = 512 << 20;

/// The three methods that bring a message.
#[derive(Debug)]
pub(super) enum Carrier {
    Deliver(basic::Deliver),
    Return(basic::Return),
    GetOk(basic::GetOk),
}

/// A message that has come in whole.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) carrier: Carrier,
    /// Still encoded
    pub(super) properties: Bytes,
    pub(super) body: Bytes,
}

#[derive(Debug, Default)]
pub(super) enum Assembly {
    #[default]
    Idle,
    Header(Carrier),
    Body {
        carrier: Carrier,
        properties: Bytes,
        body: Vec<u8>,
        announced: u64,
    },
}

impl Assembly {
    /// Takes a method: gives back one without content, keeps one that brings a message.
    pub(super) fn on_method(&mut self, method: Method) -> Result<Option<Method>, Error> {
        if !matches!(self, Self::Idle) {
            return Err(Error::protocol(format!("{} in the middle of a message", method.name())));
        }
        let carrier = match method {
            Method::BasicDeliver(deliver) => Carrier::Deliver(deliver),
            Method::BasicReturn(returned) => Carrier::Return(returned),
            Method::BasicGetOk(got) => Carrier::GetOk(got),
            other => return Ok(Some(other)),
        };
        *self = Self::Header(carrier);
        Ok(None)
    }

    pub(super) fn on_header(&mut self, payload: &[u8]) -> Result<Option<Content>, Error> {
        let Self::Header(carrier) = std::mem::take(self) else {
            return Err(Error::protocol("a content header that belongs to no message"));
        };
        let header = ContentHeader::decode(payload)
            .map_err(|error| Error::protocol(format!("a content header: {error}")))?;
        if header.body_size > BODY_MAX {
            let size = header.body_size;
            return Err(Error::protocol(format!("a message of {size} bytes, above {BODY_MAX}")));
        }
        let properties = Bytes::copy_from_slice(header.properties);
        if header.body_size == 0 {
            return Ok(Some(Content { carrier, properties, body: Bytes::new() }));
        }
        let announced = header.body_size;
        *self = Self::Body { carrier, properties, body: Vec::new(), announced };
        Ok(None)
    }

    pub(super) fn on_body(&mut self, chunk: &[u8]) -> Result<Option<Content>, Error> {
        match std::mem::take(self) {
            Self::Body { carrier, properties, mut body, announced }
                if (body.len() + chunk.len()) as u64 <= announced =>
            {
                body.extend_from_slice(chunk);
                if (body.len() as u64) < announced {
                    *self = Self::Body { carrier, properties, body, announced };
                    return Ok(None);
                }
                Ok(Some(Content { carrier, properties, body: body.into() }))
            }
            Self::Body { .. } => Err(Error::protocol("a body longer than announced")),
            Self::Idle | Self::Header(_) => {
                Err(Error::protocol("a content body that belongs to no message"))
            }
        }
    }
}

/// Decodes the properties of a message that has come.
pub(super) fn decode_properties(encoded: &[u8]) -> Result<Properties, Error> {
    Properties::decode(encoded)
        .map_err(|error| Error::protocol(format!("a message's properties: {error}")))
}
