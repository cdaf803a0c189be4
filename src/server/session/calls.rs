//! The calls of a session: the ways in for bytes, posts, synced batches and time.
//!
//! In debug builds each call that changes the session ends with a check that its state is sound (`sound`).

use std::collections::VecDeque;
use std::sync::Arc;

use super::handshake::Handshake;
use super::heartbeat::Heartbeat;
use super::state::{Context, Phase, Session};
use crate::broker::Broker;
use crate::broker::auth::Origin as LoginOrigin;
use crate::broker::registry::Connection;
use crate::broker::time::Millis;
use crate::store::{Batch, Store};

impl Session {
    /// Makes the session of a connection whose first byte has not come yet.
    pub fn new(
        broker: Arc<Broker>,
        connection: Arc<Connection>,
        login_origin: LoginOrigin,
        now: Millis,
    ) -> Self {
        let heartbeat = Heartbeat::new(now);
        let cx = Context { broker, connection, login_origin, heartbeat };
        let phase = Phase::Handshake(Handshake::new(now, &cx.broker.limits.get()));
        Self { cx, phase, posts: VecDeque::new(), why: None }
    }

    /// Handles every whole frame in `bytes`, appends answers to `out`, and answers how many bytes were used.
    ///
    /// It stops early when the answers have [`ROUND_BYTES`](super::frames::ROUND_BYTES), at a commit, at a message that
    /// must be read first, and at the content of a message while an alarm is on. Give the rest again when the answers
    /// have left and the session [is not held](Self::is_held) any more.
    #[inline]
    pub fn on_bytes(&mut self, bytes: &[u8], now: Millis, out: &mut Vec<u8>) -> usize {
        self.checked(|session| session.handle_bytes(bytes, now, out))
    }

    /// Turns posts of the mailbox into frames; stops early when many bytes (256 KiB) have been appended.
    ///
    /// Answers whether more wait.
    pub fn on_mailbox(&mut self, now: Millis, out: &mut Vec<u8>) -> bool {
        self.checked(|session| session.take_posts(now, out))
    }

    /// Answers the questions in the mailbox for the deliveries that are not settled.
    pub fn answer_inquiries(&mut self) {
        self.checked(|session| session.answer_waiting_inquiries());
    }

    /// Does the work that is due when the batch of [`Self::awaits`] is there: confirms, `tx.commit-ok`, reading on.
    ///
    /// Answers whether it was there.
    pub fn on_synced(&mut self, now: Millis, out: &mut Vec<u8>) -> bool {
        self.checked(|session| session.end_waits(now, out))
    }

    /// Does the work that is due at `now`: sends a heartbeat, drops a peer that is silent or slow, or enforces consumer
    /// timeouts.
    pub fn on_timeout(&mut self, now: Millis, out: &mut Vec<u8>) {
        self.checked(|session| session.on_time(now, out));
    }

    /// Notes that bytes left at `now`.
    pub fn on_sent(&mut self, now: Millis) {
        self.cx.heartbeat.on_sent(now);
    }

    /// Notes that the peer is there, though nothing is read from it.
    pub fn on_alive(&mut self, now: Millis) {
        self.cx.heartbeat.on_received(now);
    }

    /// Ends the connection without another byte, not even those that wait to leave (RabbitMQ: `SO_LINGER` of 0).
    pub fn drop_peer(&mut self, why: &str, now: Millis) {
        self.checked(|session| session.lose_peer(why, now));
    }

    /// Ends the connection: consumers leave, unacknowledged messages go back, exclusive queues are deleted.
    pub fn end(&mut self, now: Millis) {
        self.checked(|session| session.leave(now));
    }

    /// The next time [`Self::on_timeout`] has something to do, in milliseconds of the broker's clock.
    pub fn deadline(&self) -> Option<Millis> {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.deadline(),
            // Heartbeats of a peer that is not read from cannot be missed.
            Phase::Running(running) if running.waits.is_held() => self.cx.heartbeat.beats_at(),
            Phase::Running(running) => {
                let check_at = running.next_check.map(|check| check.at);
                self.cx.heartbeat.deadline().into_iter().chain(check_at).min()
            }
            Phase::Closing { until } | Phase::Silent { until } => Some(*until),
            Phase::Closed | Phase::Dropped => None,
        }
    }

    /// Tells whether posts wait that were taken out of the mailbox.
    pub fn has_posts(&self) -> bool {
        !self.posts.is_empty()
    }

    /// Tells whether nothing is to be read from the peer for now.
    pub fn is_held(&self) -> bool {
        matches!(&self.phase, Phase::Running(running) if running.waits.is_held())
    }

    /// Tells whether an alarm has stopped the connection, which may take long.
    pub fn is_blocked(&self) -> bool {
        matches!(&self.phase, Phase::Running(running) if running.waits.is_blocked())
    }

    /// The first batch of the store that this connection waits for.
    pub fn awaits(&self) -> Option<Batch> {
        match &self.phase {
            Phase::Running(running) => running.waits.awaits(),
            Phase::Handshake(_)
            | Phase::Closing { .. }
            | Phase::Silent { .. }
            | Phase::Closed
            | Phase::Dropped => None,
        }
    }

    /// The store whose batches the connection waits for.
    pub fn store(&self) -> Option<&Store> {
        self.cx.broker.store.as_deref()
    }

    /// Tells whether the stream is to be closed once all written bytes have left.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed | Phase::Dropped)
    }

    /// Tells whether the stream is to be reset now.
    pub fn is_dropped(&self) -> bool {
        matches!(self.phase, Phase::Dropped)
    }

    /// The reason for which the connection ends, if the session knows it.
    pub fn why_ended(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Makes a call that changes the session, and in debug builds checks the state that it leaves.
    #[inline]
    fn checked<T>(&mut self, call: impl FnOnce(&mut Self) -> T) -> T {
        let answer = call(self);
        #[cfg(debug_assertions)]
        self.assert_sound();
        answer
    }
}
