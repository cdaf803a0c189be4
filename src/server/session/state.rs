//! The state of a session: one connection, in one of its phases.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::channel::Channel;
use super::consumers::Consumers;
use super::exclusive::ExclusiveQueues;
use super::handshake::Handshake;
use super::heartbeat::Heartbeat;
use super::overdue::NextCheck;
use super::round::Round;
use super::waits::Waits;
use crate::broker::Broker;
use crate::broker::auth::{Origin as LoginOrigin, Rights};
use crate::broker::mailbox::Post;
use crate::broker::publish::Publisher;
use crate::broker::registry::Connection;
use crate::broker::time::Millis;
use crate::broker::vhost::Vhost;
use crate::wire::{Fault, ReplyCode, ShortStr};

/// Milliseconds that a client has to answer `connection.close`, or to close the stream after its own.
pub(super) const CLOSING_MS: Millis = 30_000;
/// Milliseconds that a refused client waits for the end of its stream.
pub(super) const SILENT_MS: Millis = 3_000;

/// One client's connection.
#[derive(Debug)]
pub struct Session {
    pub(super) cx: Context,
    pub(super) phase: Phase,
    /// Posts taken out of the mailbox and not yet turned into frames.
    pub(super) posts: VecDeque<Post>,
    /// The reason why it ends, once it does.
    pub(super) why: Option<Box<str>>,
}

/// The broker and the connection, which every part of a session needs.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) broker: Arc<Broker>,
    pub(super) connection: Arc<Connection>,
    pub(super) login_origin: LoginOrigin,
    pub(super) heartbeat: Heartbeat,
}

/// The phase of a connection between its first byte and its last.
///
/// ```text
///      Handshake ------------ connection.open ----------> Running
///          |                                                 |
///          '------------------------+------------------------'
///                                   |
///     a fault, or the broker closes | the client closes
///          .------------------------+------------------------.
///          v                                                 v
///       Closing                                           Silent
///          |                                                 |
///          '-- close-ok --------> Closed <-- broker stops ---'
///
/// Handshake --another protocol--> Closed
/// Handshake --a refused login whose client cannot be told--> Silent
/// any phase --the stream has ended--> Closed
/// any phase --time over, or the peer is lost--> Dropped
/// ```
#[derive(Debug)]
pub(super) enum Phase {
    Handshake(Handshake),
    Running(Box<Running>),
    /// `connection.close` was sent; everything but its answer is ignored until `until`.
    Closing {
        until: Millis,
    },
    /// Nothing is left to say or to hear; the peer may close the stream until `until`, then we do
    /// (RabbitMQ: `CLOSING_TIMEOUT`, and `SILENT_CLOSE_DELAY` for a refused login).
    Silent {
        until: Millis,
    },
    /// The stream is closed once all bytes have left.
    Closed,
    /// The stream is reset at once, whatever has not left yet: the peer is lost, or its time is over.
    Dropped,
}

/// A connection that is open for work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) user: ShortStr,
    /// The permissions of the user in the vhost.
    pub(super) rights: Arc<Rights>,
    pub(super) vhost: Arc<Vhost>,
    pub(super) publisher: Publisher,
    pub(super) frame_max: u32,
    pub(super) channel_max: u16,
    pub(super) message_bytes_max: u64,
    pub(super) wants_cancel_notify: bool,
    pub(super) wants_blocked: bool,
    pub(super) channels: FxHashMap<u16, Box<Channel>>,
    pub(super) consumers: Consumers,
    /// Made for the first of them, because few connections have any.
    pub(super) exclusive: Option<Box<ExclusiveQueues>>,
    pub(super) round: Round,
    pub(super) waits: Waits,
    /// The next check of channels for deliveries that are kept for too long, if that is limited.
    pub(super) next_check: Option<NextCheck>,
}

impl Session {
    /// Remembers why the connection ends; the first reason stays.
    pub(super) fn ends_because(&mut self, why: impl Into<Box<str>>) {
        self.why.get_or_insert_with(|| why.into());
    }
}

impl Running {
    /// The channel of a method that is being handled.
    pub(super) fn channel(&mut self, number: u16) -> Result<&mut Channel, Fault> {
        self.channels
            .get_mut(&number)
            .map(Box::as_mut)
            .ok_or_else(|| Fault::new(ReplyCode::ChannelError, "expected 'channel.open'"))
    }
}
