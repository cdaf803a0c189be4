//! Runs one connection from its first byte to its last: the only place on the way of a message that waits.
//!
//! One task owns the stream and the session, so neither needs a lock. It is written as one poll function: read
//! what is there, handle every frame, take what the mailbox holds, write once. Buffers are borrowed from the
//! thread while it runs; an idle connection keeps only the bytes of a frame it has half received.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;
use tokio::time::Sleep;

use super::session::{CLOSED_BY_CLIENT, ROUND_BYTES, Session};
use super::shared::Shared;
use super::slots::ConnectionSlot;
use super::stream::Stream;
use crate::broker::mailbox::WaitingPosts;
use crate::broker::registry::Connection;
use crate::broker::time::Millis;
use crate::bug;
use crate::store::{Batch, locks};
use crate::wire::constants::FRAME_MAX_DEFAULT;

/// Bytes read at once, with room for a frame of the usual size; for a larger one the buffer grows meanwhile.
const READ_BYTES: usize = 2 * FRAME_MAX_DEFAULT as usize;
/// Above this many unsent bytes a connection gets no more deliveries.
const OUTBOUND_HIGH: usize = 1 << 20;
/// Above this many it is not read from either, so a peer that never reads costs us no more.
const OUTBOUND_MAX: usize = 4 << 20;
/// Milliseconds that a peer may take for its last bytes after its session has ended.
const LINGER_MS: Millis = 5_000;
/// Milliseconds between two checks that the peer of a connection that an alarm has stopped is still there: without
/// heartbeats nothing else would tell.
const LOOK_AFTER_MS: Millis = 1_000;
/// Milliseconds for which a peer may accept no byte (RabbitMQ: `send_timeout` of 15 s, which ends it after 32).
const STALLED_MAX_MS: Millis = 30_000;
/// Bytes of room a thread's write buffer keeps.
const OUTBOUND_KEEP: usize = 512 << 10;
/// Microseconds after which a connection lets others go on: with a few hundred busy ones, each still waits less than a
/// person notices. A round that has begun is always ended.
const TURN_US: u64 = 500;

/// Buffers of a thread, lent to the connection that is running on it.
struct Scratch {
    inbound: Vec<u8>,
    outbound: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { inbound: vec![0; READ_BYTES], outbound: Vec::new() });
}

/// A connection: the stream, the session, and the bytes on their way between them.
pub(super) struct Drive<S> {
    stream: S,
    session: Session,
    connection: Arc<Connection>,
    /// The clock and what else the tasks share. A server that stops waits until all tasks have dropped it.
    shared: Arc<Shared>,
    /// Bytes not handled yet: a frame whose rest has not come, or frames held back (`holds_frames`).
    pending: Vec<u8>,
    /// The last round ended because it had answered enough or must wait for the disk, not because the bytes did.
    holds_frames: bool,
    /// Bytes that the peer has not taken yet, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    has_ended: bool,
    /// The stream may hold written bytes back (TLS).
    needs_flush: bool,
    timer: Option<(Millis, Pin<Box<Sleep>>)>,
    /// The time until which a peer may take the rest after the session has ended.
    linger_until: Option<Millis>,
    /// The time at which the peer accepted a byte last, while it does not accept more.
    stalled_since: Option<Millis>,
    /// The batch that the store will wake this task for, and by which waker.
    awaited: Option<(Batch, Waker)>,
    /// Free when the stream is closed: it stands behind it.
    _slot: ConnectionSlot,
}

/// The result of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Advance {
    Moved,
    Stuck,
}

impl<S: Stream> Drive<S> {
    pub(super) fn new(
        stream: S,
        session: Session,
        connection: Arc<Connection>,
        slot: ConnectionSlot,
        shared: &Arc<Shared>,
    ) -> Self {
        Self {
            stream,
            session,
            connection,
            shared: Arc::clone(shared),
            pending: Vec::new(),
            holds_frames: false,
            unsent: Vec::new(),
            sent: 0,
            has_ended: false,
            needs_flush: false,
            timer: None,
            linger_until: None,
            stalled_since: None,
            awaited: None,
            _slot: slot,
        }
    }

    fn unsent_len(&self) -> usize {
        self.unsent.len() - self.sent
    }

    fn poll_with(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<io::Result<()>> {
        // The task's appends go through the thread's buffer; leftovers come back to `unsent`.
        if self.unsent.is_empty() {
            std::mem::swap(&mut self.unsent, &mut scratch.outbound);
        }
        let done = self.poll_rounds(cx, &mut scratch.inbound);
        if scratch.inbound.len() > READ_BYTES {
            scratch.inbound = vec![0; READ_BYTES];
        }
        if self.unsent_len() == 0 {
            self.unsent.clear();
            self.sent = 0;
            if scratch.outbound.capacity() == 0 && self.unsent.capacity() <= OUTBOUND_KEEP {
                std::mem::swap(&mut self.unsent, &mut scratch.outbound);
            }
            self.unsent = Vec::new();
        }
        self.connection.unsent_bytes.set(self.unsent_len() as u64);
        if done.is_ready() {
            self.session.end(self.shared.clock.now());
        }
        done
    }

    fn poll_rounds(&mut self, cx: &mut Context<'_>, inbound: &mut Vec<u8>) -> Poll<io::Result<()>> {
        let until_us = self.shared.clock.now_us() + TURN_US;
        loop {
            let read = self.read(cx, inbound)?;
            let dealt = self.deal(cx);
            let synced = self.take_synced();
            let written = self.write(cx)?;
            let timed = self.keep_time(cx)?;
            if self.has_ended || self.session.is_dropped() {
                return Poll::Ready(Ok(()));
            }
            if self.session.is_closed() && self.unsent_len() == 0 && !self.needs_flush {
                self.stream.say_goodbye();
                return Poll::Ready(Ok(()));
            }
            if [read, dealt, synced, written, timed].iter().all(|step| *step == Advance::Stuck) {
                self.await_disk(cx);
                return Poll::Pending;
            }
            if self.shared.clock.now_us() > until_us {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Reads once and handles the bytes that came.
    fn read(&mut self, cx: &mut Context<'_>, inbound: &mut Vec<u8>) -> io::Result<Advance> {
        if self.unsent_len() >= OUTBOUND_MAX {
            // Its heartbeats are not read now, so they cannot be missed; `stalled_since` tells whether it lives.
            self.session.on_alive(self.shared.clock.now());
            return Ok(Advance::Stuck);
        }
        if self.session.is_closed() || self.session.is_held() {
            return Ok(Advance::Stuck);
        }
        let kept = self.pending.len();
        // No more is kept than a frame, whose size both sides have agreed on.
        if inbound.len() < 2 * kept {
            inbound.resize(2 * kept, 0);
        }
        inbound[..kept].copy_from_slice(&self.pending);
        let mut came = 0;
        if !self.holds_frames {
            let mut buffer = ReadBuf::new(&mut inbound[kept..]);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(Advance::Stuck),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) => came = buffer.filled().len(),
            }
            if came == 0 {
                self.has_ended = true;
                return Ok(Advance::Moved);
            }
        }
        let bytes = &inbound[..kept + came];
        let before = self.unsent.len();
        let used = self.session.on_bytes(bytes, self.shared.clock.now(), &mut self.unsent);
        let has_said_enough = used > 0 && self.unsent.len() - before >= ROUND_BYTES;
        self.holds_frames = used < bytes.len() && (has_said_enough || self.session.is_held());
        self.pending.clear();
        self.pending.extend_from_slice(&bytes[used..]);
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        Ok(Advance::Moved)
    }

    /// Turns posts that wait in the mailbox into bytes, while the peer keeps up.
    fn deal(&mut self, cx: &mut Context<'_>) -> Advance {
        let waiting = self.connection.mailbox.register(cx.waker());
        if waiting == WaitingPosts::Inquiry {
            self.session.answer_inquiries();
            return Advance::Moved;
        }
        let has_room = self.unsent_len() < OUTBOUND_HIGH || waiting == WaitingPosts::Urgent;
        if !has_room || (waiting == WaitingPosts::Nothing && !self.session.has_posts()) {
            return Advance::Stuck;
        }
        self.session.on_mailbox(self.shared.clock.now(), &mut self.unsent);
        Advance::Moved
    }

    /// Does the work that waited for the disk, when that is done.
    fn take_synced(&mut self) -> Advance {
        if self.session.awaits().is_none() {
            return Advance::Stuck;
        }
        if self.session.on_synced(self.shared.clock.now(), &mut self.unsent) {
            return Advance::Moved;
        }
        Advance::Stuck
    }

    /// Has the store wake this task when what the session waits for is done: once for each batch.
    ///
    /// The store wakes at once when it has been done since the session looked, so none is missed.
    fn await_disk(&mut self, cx: &Context<'_>) {
        let (Some(batch), Some(store)) = (self.session.awaits(), self.session.store()) else {
            return;
        };
        let is_known =
            |(known, waker): &(Batch, Waker)| *known == batch && waker.will_wake(cx.waker());
        if !self.awaited.as_ref().is_some_and(is_known) {
            store.wake_after(batch, cx.waker());
            self.awaited = Some((batch, cx.waker().clone()));
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<Advance> {
        let mut step = Advance::Stuck;
        while self.unsent_len() > 0 {
            let stream = Pin::new(&mut self.stream);
            match stream.poll_write(cx, &self.unsent[self.sent..]) {
                Poll::Pending => {
                    self.forget_sent();
                    self.note_stall(step);
                    return Ok(step);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.sent += count;
                    self.connection.counters.sent_bytes.add(count as u64);
                    self.connection.counters.sent_packets.add(1);
                    self.session.on_sent(self.shared.clock.now());
                    self.needs_flush = true;
                    step = Advance::Moved;
                }
            }
        }
        self.unsent.clear();
        self.sent = 0;
        if self.needs_flush && Pin::new(&mut self.stream).poll_flush(cx)?.is_pending() {
            self.note_stall(step);
            return Ok(step);
        }
        self.needs_flush = false;
        self.stalled_since = None;
        Ok(step)
    }

    /// Notes since when the peer accepts nothing more.
    fn note_stall(&mut self, step: Advance) {
        if step == Advance::Moved || self.stalled_since.is_none() {
            self.stalled_since = Some(self.shared.clock.now());
        }
    }

    /// Gives back the room of bytes that have left, when that is most of the buffer.
    fn forget_sent(&mut self) {
        if self.sent > self.unsent_len() {
            self.unsent.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// The next time something is due: for the session, to check a peer that is not read from or accepts nothing,
    /// or to give up one that does not take its last bytes.
    fn deadline(&mut self) -> Option<Millis> {
        if self.session.is_closed() {
            let now = self.shared.clock.now();
            return Some(*self.linger_until.get_or_insert(now + LINGER_MS));
        }
        if self.session.is_blocked() || self.stalled_since.is_some() {
            let look_at = self.shared.clock.now() + LOOK_AFTER_MS;
            return Some(self.session.deadline().map_or(look_at, |at| at.min(look_at)));
        }
        self.session.deadline()
    }

    /// Finds out whether a peer that accepted nothing accepts a byte now, and drops one that has not for too long.
    fn look_after_stalled(&mut self, now: Millis) -> io::Result<()> {
        let Some(since) = self.stalled_since else { return Ok(()) };
        match self.stream.push(&self.unsent[self.sent..])? {
            Some(count) => {
                self.sent += count;
                self.connection.counters.sent_bytes.add(count as u64);
                self.stalled_since = Some(now);
            }
            None if now >= since + STALLED_MAX_MS => {
                let why = format!("the client has read nothing for {} s", STALLED_MAX_MS / 1000);
                self.session.drop_peer(&why, now);
            }
            None => {}
        }
        Ok(())
    }

    /// Logs that the connection has ended, and why: as a warning unless its client closed it.
    #[cold]
    fn log_end(&self, ended: &io::Result<()>) {
        let connection = &*self.connection.peer.name;
        match (self.session.why_ended(), ended) {
            (Some(why), _) if why == CLOSED_BY_CLIENT => {
                tracing::info!(connection, reason = why, "connection closed");
            }
            (Some(why), _) => tracing::warn!(connection, reason = why, "connection closed"),
            (None, Ok(())) => {
                let why = "the client closed the TCP connection without connection.close";
                tracing::warn!(connection, reason = why, "connection closed");
            }
            (None, Err(error)) => {
                tracing::warn!(connection, reason = %error, "connection closed");
            }
        }
    }

    /// Does the work that is due and sleeps until the next deadline.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> io::Result<Advance> {
        let Some(deadline) = self.deadline() else {
            self.timer = None;
            return Ok(Advance::Stuck);
        };
        let timer = match &mut self.timer {
            // A deadline that has moved on is looked at when the timer set for it fires.
            Some((at, timer)) if *at <= deadline => timer,
            _ => {
                let until = self.shared.clock.instant(deadline).into();
                let (_, timer) =
                    self.timer.insert((deadline, Box::pin(tokio::time::sleep_until(until))));
                timer
            }
        };
        if timer.as_mut().poll(cx).is_pending() {
            return Ok(Advance::Stuck);
        }
        self.timer = None;
        let now = self.shared.clock.now();
        self.has_ended |= self.linger_until.is_some_and(|until| until <= now);
        self.has_ended |= self.session.is_blocked() && self.stream.has_hung_up();
        self.look_after_stalled(now)?;
        self.session.on_timeout(now, &mut self.unsent);
        Ok(Advance::Moved)
    }
}

impl<S: Stream> Future for Drive<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(spin) = &self.shared.spin {
            spin.on_begin();
        }
        let _serving = locks::serve();
        let poll = || SCRATCH.with_borrow_mut(|scratch| self.poll_with(cx, scratch));
        let done = bug::contain("a connection", poll);
        if let Some(spin) = &self.shared.spin {
            spin.on_end();
        }
        let Some(done) = done else {
            let connection = &*self.connection.peer.name;
            let reason = "a bug; what it had goes back to its queues";
            tracing::error!(connection, reason, "connection closed");
            // Now, and not when the stream has been closed.
            let now = self.shared.clock.now();
            bug::contain("the end of a connection", || self.session.end(now));
            return Poll::Ready(());
        };
        done.map(|ended| self.log_end(&ended))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        // Its task is this and little more, and the runtime rounds it up to the next 128 bytes: 512 with this. The rest of
        // its memory is what it has declared and agreed on.
        let size = size_of::<Drive<TcpStream>>();
        assert!(size <= 416, "{size} bytes");
    }
}
