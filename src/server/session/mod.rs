//! One connection as a pure object: bytes in, bytes out, `now` given.
//!
//! Nothing here waits, reads a clock or touches a socket. [`Session::on_bytes`] takes bytes of a client,
//! [`Session::on_mailbox`] sends deliveries, [`Session::on_synced`] goes on when the disk has a batch, and
//! [`Session::on_timeout`] does what is due. Errors travel as [`Fault`](crate::wire::Fault)s, and only `closing` turns
//! them into frames.
//!
//! Reading order, from the top:
//!
//! | files | content |
//! |---|---|
//! | `calls`, `sound` | the public calls; the check that each of them ends with |
//! | `frames`, `methods`, `mailbox`, `timeouts`, `resume` | one file for each of these calls |
//! | `opening`, `closing` | the connection before its first channel, and the ends of channels and connections |
//! | `publish`, `tx` | messages in |
//! | `consume`, `deliver`, `settle`, `consumer_timeout`, `inquiries` | messages out |
//! | `topology`, `access` | exchanges, queues and bindings; permissions |
//! | `state` | [`Session`] with its phases, and an open connection |
//! | `channel`, `transaction`, `confirms`, `unacked`, `assembly`, `overdue` | a channel and its parts |
//! | `round`, `waits`, `consumers`, `exclusive`, `handshake`, `heartbeat`, `login` | the other parts of a connection |
//! | `payload`, `names`, `outgoing` | frames and names, read and written |

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod access;
mod assembly;
mod calls;
mod channel;
mod closing;
mod confirms;
mod consume;
mod consumer_timeout;
mod consumers;
mod deliver;
mod exclusive;
mod frames;
mod handshake;
mod heartbeat;
mod inquiries;
mod login;
mod mailbox;
mod methods;
mod names;
mod opening;
mod outgoing;
mod overdue;
mod payload;
mod publish;
mod resume;
mod round;
mod settle;
#[cfg(debug_assertions)]
mod sound;
mod state;
mod timeouts;
mod topology;
mod transaction;
mod tx;
mod unacked;
mod waits;

pub use self::closing::CLOSED_BY_CLIENT;
pub use self::frames::ROUND_BYTES;
pub use self::state::Session;
