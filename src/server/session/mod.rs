//! One connection as a pure object: bytes in, bytes out, `now` given.
//!
//! Nothing here waits, reads a clock or touches a socket. [`Session::on_bytes`] is the way in (frames, one after
//! the other), [`Session::on_mailbox`] the way of deliveries out, [`Session::on_timeout`] what time brings.
//! Errors travel as [`Fault`]s and only `closing` turns them into frames.
//!
//! Reading order: this file (phases, frames), `handshake`, `channel` (what a channel is and which method goes
//! where), `publish` and `assembly`, `confirms` and `disk` (what waits for the disk), `deliver` and `consume`,
//! `settle`, `tx`, `topology`, `closing`.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod access;
mod assembly;
mod channel;
mod closing;
mod confirms;
mod consume;
mod deliver;
mod disk;
mod handshake;
mod heartbeat;
mod patience;
mod publish;
mod routes;
mod settle;
mod topology;
mod tx;
mod unacked;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use rustc_hash::FxHashMap;

use self::channel::Channel;
use self::deliver::Sources;
use self::disk::Disk;
use self::handshake::Handshake;
use self::heartbeat::Heartbeat;
use self::patience::Looks;
use self::routes::Routes;
use crate::broker::Broker;
use crate::broker::auth::{Origin as LoginOrigin, Rights};
use crate::broker::mailbox::Post;
use crate::broker::queue::{Millis, Queue};
use crate::broker::registry::Connection;
use crate::broker::trace::Tracer;
use crate::broker::vhost::Vhost;
use crate::wire::constants::{
    FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_MAX_DEFAULT, FRAME_METHOD,
};
use crate::wire::frame::{self, Frame};
use crate::wire::{Fault, Method, ReplyCode, ShortStr};

/// Bytes a delivery run may append before the connection's task writes them out.
const DELIVERY_RUN_BYTES: usize = 256 << 10;

/// Bytes of answers after which a round of frames ends, so that no peer gets more out of us than it takes: a few
/// bytes can ask for a large message again and again.
pub const ROUND_BYTES: usize = 1 << 20;

/// One client's connection.
#[derive(Debug)]
pub struct Session {
    cx: Context,
    phase: Phase,
    /// Posts taken out of the mailbox and not yet turned into frames.
    posts: VecDeque<Post>,
}

/// What every part of a session needs.
#[derive(Debug)]
struct Context {
    broker: Arc<Broker>,
    connection: Arc<Connection>,
    login_origin: LoginOrigin,
    heartbeat: Heartbeat,
}

/// Where a connection stands between its first byte and its last.
#[derive(Debug)]
enum Phase {
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
    Closed,
}

/// A connection that is open for work.
#[derive(Debug)]
struct Running {
    user: ShortStr,
    /// What the user may do in the vhost.
    rights: Arc<Rights>,
    vhost: Arc<Vhost>,
    tracer: Arc<Tracer>,
    routes: Routes,
    frame_max: u32,
    channel_max: u16,
    message_bytes_max: u64,
    wants_cancel_notify: bool,
    wants_blocked: bool,
    channels: FxHashMap<u16, Box<Channel>>,
    sources: Sources,
    /// Exclusive queues this connection declared, by name: one declared again takes no more room.
    exclusive: HashMap<ShortStr, Weak<Queue>>,
    /// Channels with confirms to send before the bytes of this round leave.
    confirming: Vec<u16>,
    /// Channels that gathered a message in this round and may hold memory.
    gathered: Vec<u16>,
    disk: Disk,
    /// When channels are looked at for deliveries that are kept for too long, when that is limited.
    looks: Option<Looks>,
}

impl Session {
    pub fn new(
        broker: Arc<Broker>,
        connection: Arc<Connection>,
        login_origin: LoginOrigin,
        now: Millis,
    ) -> Self {
        let heartbeat = Heartbeat::new(now);
        let cx = Context { broker, connection, login_origin, heartbeat };
        let phase = Phase::Handshake(Handshake::new(now));
        Self { cx, phase, posts: VecDeque::new() }
    }

    /// Whether the stream is to be closed once what was written has left.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether the next frame may be handled: those behind a commit wait for it.
    #[inline]
    fn takes_frames(&self) -> bool {
        match &self.phase {
            Phase::Running(running) => !running.disk.is_committing(),
            Phase::Handshake(_) | Phase::Closing { .. } | Phase::Silent { .. } => true,
            Phase::Closed => false,
        }
    }

    /// Handles every whole frame in `bytes`, appends answers to `out`, and says how many bytes were used.
    ///
    /// It stops early when the answers have [`ROUND_BYTES`], and at a commit; the rest is to be given again when
    /// they have left, and when the session [is not held](Self::is_held) any more.
    pub fn on_bytes(&mut self, bytes: &[u8], now: Millis, out: &mut Vec<u8>) -> usize {
        self.cx.heartbeat.on_received(now);
        let start = out.len();
        let mut used = 0;
        while self.takes_frames() && out.len() - start < ROUND_BYTES {
            if let Phase::Handshake(handshake) = &mut self.phase
                && handshake.awaits_header()
            {
                match self.on_header(&bytes[used..], out) {
                    Some(len) => used += len,
                    None => break,
                }
                continue;
            }
            if matches!(self.phase, Phase::Silent { .. }) {
                used = bytes.len();
                break;
            }
            match frame::parse(&bytes[used..], self.frame_max()) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    used += frame.encoded_len();
                    self.on_frame(frame, now, out);
                }
                Err(fault) => {
                    // Where the next frame would begin is not known any more.
                    used = bytes.len();
                    self.on_fault(0, &fault, now, out);
                    break;
                }
            }
        }
        self.cx.connection.received_bytes.add(used as u64);
        self.cx.connection.received_packets.add(1);
        if let Phase::Running(running) = &mut self.phase {
            running.finish_round(&self.cx, now, out);
        }
        used
    }

    fn frame_max(&self) -> u32 {
        match &self.phase {
            Phase::Running(running) => running.frame_max,
            Phase::Handshake(handshake) => handshake.frame_max(),
            Phase::Closing { .. } | Phase::Silent { .. } | Phase::Closed => FRAME_MAX_DEFAULT,
        }
    }

    #[inline]
    fn on_frame(&mut self, frame: Frame<'_>, now: Millis, out: &mut Vec<u8>) {
        let handled = match &mut self.phase {
            Phase::Running(running) => match frame.kind {
                FRAME_METHOD | FRAME_HEADER | FRAME_BODY if frame.channel != 0 => {
                    running.on_channel_frame(&self.cx, &mut self.posts, frame, now, out)
                }
                _ => self.on_connection_frame(frame, now, out),
            },
            Phase::Handshake(_) => self.on_handshake_frame(frame, now, out),
            Phase::Closing { .. } => {
                self.on_frame_while_closing(frame, out);
                Ok(())
            }
            Phase::Silent { .. } | Phase::Closed => Ok(()),
        };
        if let Err(fault) = handled {
            self.on_fault(frame.channel, &fault, now, out);
        }
    }

    /// A frame on channel 0, a heartbeat, or one of no known type.
    fn on_connection_frame(
        &mut self,
        frame: Frame<'_>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match (frame.kind, frame.channel, frame.payload) {
            (FRAME_HEARTBEAT, 0, []) => Ok(()),
            (FRAME_HEARTBEAT, 1.., _) | (FRAME_BODY, ..) => Err(unexpected(frame)),
            (FRAME_HEADER, ..) if frame.payload.len() >= CONTENT_HEADER_MIN_LEN => {
                Err(unexpected(frame))
            }
            (FRAME_METHOD, ..) => {
                self.on_connection_method(&decode_method(frame.payload)?, now, out)
            }
            _ => Err(frame::broken(frame.kind, frame.payload, "unknown_frame")),
        }
    }

    /// Turns what waits in the mailbox into frames; stops early when many bytes have been appended.
    ///
    /// Answers whether more waits.
    pub fn on_mailbox(&mut self, now: Millis, out: &mut Vec<u8>) -> bool {
        let has_more = self.take_posts(now, out);
        if let Phase::Running(running) = &mut self.phase {
            // What needs no acknowledgement was settled by writing it.
            running.disk.tell_settled(self.cx.broker.store.as_deref());
        }
        has_more
    }

    fn take_posts(&mut self, now: Millis, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        while out.len() - start < DELIVERY_RUN_BYTES {
            if self.posts.is_empty() {
                let drained = self.cx.connection.mailbox.drain(&mut self.posts);
                if let Phase::Running(running) = &self.phase {
                    running.resume(drained.turned_away, now);
                }
                if self.posts.is_empty() {
                    return false;
                }
            }
            let Some(post) = self.posts.pop_front() else { return false };
            self.on_post(post, now, out);
        }
        true
    }

    /// Whether posts wait that were taken out of the mailbox.
    pub fn has_posts(&self) -> bool {
        !self.posts.is_empty()
    }

    fn on_post(&mut self, post: Post, now: Millis, out: &mut Vec<u8>) {
        match (post, &mut self.phase) {
            // A stopping broker waits for nobody who has been told everything.
            (Post::Close(_), Phase::Silent { .. }) => self.phase = Phase::Closed,
            (Post::Close(fault), _) => self.on_fault(0, &fault, now, out),
            (Post::Delivery { slot, entry }, Phase::Running(running)) => {
                running.on_delivery(slot, entry, now, out);
            }
            (Post::Reply { channel, message }, Phase::Running(running)) => {
                running.on_reply(channel, &message, out);
            }
            (Post::Cancelled { slot }, Phase::Running(running)) => running.on_cancelled(slot, out),
            (Post::TimeLimited { slot }, Phase::Running(running)) => {
                running.on_time_limited(slot, &self.cx, now);
            }
            (Post::Unblocked, _) => self.on_unblocked(now, out),
            (
                _,
                Phase::Handshake(_) | Phase::Closing { .. } | Phase::Silent { .. } | Phase::Closed,
            ) => {}
        }
    }

    /// The next time [`Self::on_timeout`] has something to do.
    pub fn deadline(&self) -> Option<Millis> {
        match &self.phase {
            Phase::Handshake(handshake) => Some(handshake.deadline()),
            // Heartbeats of a peer that is not read from cannot be missed.
            Phase::Running(running) if running.disk.is_held() => self.cx.heartbeat.beats_at(),
            Phase::Running(running) => {
                let looks_at = running.looks.map(|looks| looks.at);
                self.cx.heartbeat.deadline().into_iter().chain(looks_at).min()
            }
            Phase::Closing { until } | Phase::Silent { until } => Some(*until),
            Phase::Closed => None,
        }
    }

    /// Does what is due at `now`: a heartbeat, giving up a peer that is silent or slow, or a channel that keeps
    /// deliveries for too long.
    pub fn on_timeout(&mut self, now: Millis, out: &mut Vec<u8>) {
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        match &mut self.phase {
            Phase::Running(running)
                if self.cx.heartbeat.is_peer_lost(now) && !running.disk.is_held() =>
            {
                tracing::info!(connection = %self.cx.connection.peer.name, "missed heartbeats");
                self.end(now);
            }
            Phase::Running(running) => {
                self.cx.heartbeat.beat(now, out);
                running.routes.rest();
                self.lose_patience(now, out);
            }
            Phase::Handshake(_) | Phase::Closing { .. } | Phase::Silent { .. } => self.end(now),
            Phase::Closed => {}
        }
    }

    /// Tells the session that bytes left at `now`.
    pub fn on_sent(&mut self, now: Millis) {
        self.cx.heartbeat.on_sent(now);
    }

    /// Tells the session that its peer is there, though nothing is read from it.
    pub fn on_alive(&mut self, now: Millis) {
        self.cx.heartbeat.on_received(now);
    }

    /// Ends the connection: consumers leave, unacknowledged messages go back, exclusive queues are deleted.
    pub fn end(&mut self, now: Millis) {
        let phase = std::mem::replace(&mut self.phase, Phase::Closed);
        let mut posts = std::mem::take(&mut self.posts);
        if let Phase::Running(mut running) = phase {
            let handing_over = running.unsubscribe_all(now);
            posts.extend(self.cx.connection.mailbox.close());
            running.end(&self.cx, posts, now);
            for queue in handing_over {
                queue.hand_over(now);
            }
        }
    }
}

impl Drop for Session {
    /// A bug that ends the task must not lose messages: they go back to their queues here.
    fn drop(&mut self) {
        self.end(self.cx.heartbeat.seen_at());
        self.cx.connection.mailbox.close();
        self.cx.broker.disconnect(&self.cx.connection);
    }
}

/// Bytes of a content header without properties: class, weight, body size (2.3.5.2). A shorter one is no header.
const CONTENT_HEADER_MIN_LEN: usize = 12;

fn unexpected(frame: Frame<'_>) -> Fault {
    Fault::new(ReplyCode::UnexpectedFrame, frame::describe(frame.kind, frame.payload))
}

/// Decodes a method frame.
fn decode_method(payload: &[u8]) -> Result<Method, Fault> {
    let (class, method, arguments) = split_method(payload)?;
    Method::decode(class, method, arguments)
        .map_err(|error| Fault::undecodable(error, class, method, arguments))
}

/// Splits a method frame into class number, method number and arguments.
#[inline]
fn split_method(payload: &[u8]) -> Result<(u16, u16, &[u8]), Fault> {
    match payload {
        [a, b, c, d, arguments @ ..] => {
            Ok((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]), arguments))
        }
        _ => Err(frame::broken(FRAME_METHOD, payload, "unknown_frame")),
    }
}
