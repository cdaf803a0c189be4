//! An AMQP 0-9-1 client over any byte stream: TCP, TLS, a Unix socket.
//!
//! A [`Connection`] has one task ([`drive`]) that alone touches the stream. Everything else meets in [`state`]: calls
//! append frames to one outbound buffer and wait for their reply, deliveries go to their consumer, confirms to their
//! channel. Calls of one channel are answered in order, so a caller may send several before it waits for the first:
//! opening a channel, turning confirms on and publishing costs one round trip together.
//!
//! The peer may be slow, dead or hostile: everything it can make us hold is bounded, everything waited for has a time,
//! and what it should not have sent is an [`Error`]. Nothing here depends on which broker answers.
//!
//! Reading order: [`connect`] (from a place to a stream), [`handshake`], [`connection`], [`channel`], [`state`],
//! [`drive`]. A program that measures a broker uses [`blocking`] instead. [`http`] asks the management API.

#![expect(clippy::disallowed_types, reason = "the client owns its sockets")]

pub mod blocking;
pub mod channel;
pub mod connect;
pub mod connection;
pub mod error;
pub mod http;
pub mod tls;

mod assembly;
mod confirms;
mod drive;
mod handshake;
mod message;
mod options;
mod state;

pub use channel::{Channel, Inbox};
pub use confirms::{FAILED_KEPT, PublishOutcome, PublishReport};
pub use connect::{Dialed, Endpoint};
pub use connection::Connection;
pub use error::{Error, Refusal};
pub use message::{Delivery, Reply};
pub use options::{Login, Options};
pub use tls::TlsOptions;
