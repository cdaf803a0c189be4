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
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::Shared;
use super::clock::Clock;
use super::session::{ROUND_BYTES, Session};
use super::spin::Spin;
use super::stream::Stream;
use crate::broker::mailbox::Waiting;
use crate::broker::queue::Millis;
use crate::broker::registry::Connection;
use crate::store::Batch;
use crate::wire::constants::FRAME_MAX_DEFAULT;

/// Bytes read at once. Also the room for the largest frame, so that a frame always ends within a buffer.
const READ_BYTES: usize = 2 * FRAME_MAX_DEFAULT as usize;
/// Above this many unsent bytes a connection gets no more deliveries.
const OUTBOUND_HIGH: usize = 1 << 20;
/// Above this many it is not read from either, so a peer that never reads costs us no more.
const OUTBOUND_MAX: usize = 4 << 20;
/// How long a peer may take its last bytes after its session has ended.
const LINGER_MS: Millis = 5_000;
/// How often the peer of a connection that an alarm has stopped is looked after: nothing else would tell that
/// it has gone, should it have asked for no heartbeats.
const LOOK_AFTER_MS: Millis = 1_000;
/// Bytes of room a thread's write buffer keeps.
const OUTBOUND_KEEP: usize = 512 << 10;
/// How long a connection may go on before others get their turn: with a few hundred busy ones, each still waits less
/// than a person notices. A round that has begun is ended, which takes as long as its bytes do.
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

/// A connection: the stream, the session, and what is under way between them.
pub(super) struct Drive<S> {
    stream: S,
    session: Session,
    connection: Arc<Connection>,
    clock: Clock,
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
    /// Until when a peer may take what is left after the session has ended.
    linger_until: Option<Millis>,
    /// The batch that the store will wake this task for, and by which waker.
    awaited: Option<(Batch, Waker)>,
    spin: Option<Arc<Spin>>,
    /// Tells the server that somebody is left.
    _running: mpsc::Sender<()>,
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Moved,
    Stuck,
}

impl<S: Stream> Drive<S> {
    pub(super) fn new(
        stream: S,
        session: Session,
        connection: Arc<Connection>,
        shared: &Shared,
    ) -> Self {
        Self {
            stream,
            session,
            connection,
            clock: shared.clock,
            pending: Vec::new(),
            holds_frames: false,
            unsent: Vec::new(),
            sent: 0,
            has_ended: false,
            needs_flush: false,
            timer: None,
            linger_until: None,
            awaited: None,
            spin: shared.spin.clone(),
            _running: shared.running.clone(),
        }
    }

    fn unsent_len(&self) -> usize {
        self.unsent.len() - self.sent
    }

    fn poll_with(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<io::Result<()>> {
        // What this task appends goes through the thread's buffer; leftovers come back to `unsent`.
        if self.unsent.is_empty() {
            std::mem::swap(&mut self.unsent, &mut scratch.outbound);
        }
        let done = self.poll_rounds(cx, &mut scratch.inbound);
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
            self.session.end(self.clock.now());
        }
        done
    }

    fn poll_rounds(&mut self, cx: &mut Context<'_>, inbound: &mut [u8]) -> Poll<io::Result<()>> {
        let until_us = self.clock.now_us() + TURN_US;
        loop {
            let read = self.read(cx, inbound)?;
            let dealt = self.deal(cx);
            let synced = self.take_synced();
            let written = self.write(cx)?;
            let timed = self.keep_time(cx);
            if self.has_ended {
                return Poll::Ready(Ok(()));
            }
            if self.session.is_closed() && self.unsent_len() == 0 && !self.needs_flush {
                return Poll::Ready(Ok(()));
            }
            if [read, dealt, synced, written, timed].iter().all(|step| *step == Step::Stuck) {
                self.await_disk(cx);
                return Poll::Pending;
            }
            if self.clock.now_us() > until_us {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Reads once and handles what came.
    fn read(&mut self, cx: &mut Context<'_>, inbound: &mut [u8]) -> io::Result<Step> {
        let is_full = self.unsent_len() >= OUTBOUND_MAX;
        if is_full || self.session.is_closed() || self.session.is_held() {
            return Ok(Step::Stuck);
        }
        let kept = self.pending.len();
        inbound[..kept].copy_from_slice(&self.pending);
        let mut came = 0;
        if !self.holds_frames {
            let mut buffer = ReadBuf::new(&mut inbound[kept..]);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(Step::Stuck),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) => came = buffer.filled().len(),
            }
            if came == 0 {
                self.has_ended = true;
                return Ok(Step::Moved);
            }
        }
        let bytes = &inbound[..kept + came];
        let before = self.unsent.len();
        let used = self.session.on_bytes(bytes, self.clock.now(), &mut self.unsent);
        let has_said_enough = used > 0 && self.unsent.len() - before >= ROUND_BYTES;
        self.holds_frames = used < bytes.len() && (has_said_enough || self.session.is_held());
        self.pending.clear();
        self.pending.extend_from_slice(&bytes[used..]);
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        Ok(Step::Moved)
    }

    /// Turns what waits in the mailbox into bytes, while the peer keeps up.
    fn deal(&mut self, cx: &mut Context<'_>) -> Step {
        let waiting = self.connection.mailbox.register(cx.waker());
        let has_room = self.unsent_len() < OUTBOUND_HIGH || waiting == Waiting::Urgent;
        if !has_room || (waiting == Waiting::Nothing && !self.session.has_posts()) {
            return Step::Stuck;
        }
        self.session.on_mailbox(self.clock.now(), &mut self.unsent);
        Step::Moved
    }

    /// Does what waited for the disk, when that is done.
    fn take_synced(&mut self) -> Step {
        if self.session.awaits().is_none() {
            return Step::Stuck;
        }
        if self.session.on_synced(self.clock.now(), &mut self.unsent) {
            return Step::Moved;
        }
        Step::Stuck
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

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<Step> {
        let mut step = Step::Stuck;
        while self.unsent_len() > 0 {
            let stream = Pin::new(&mut self.stream);
            match stream.poll_write(cx, &self.unsent[self.sent..]) {
                Poll::Pending => {
                    self.forget_sent();
                    return Ok(step);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.sent += count;
                    self.connection.sent_bytes.add(count as u64);
                    self.connection.sent_packets.add(1);
                    let now = self.clock.now();
                    self.session.on_sent(now);
                    if self.unsent_len() + count >= OUTBOUND_MAX {
                        // Its heartbeats are not read now; that it takes bytes shows that it lives.
                        self.session.on_alive(now);
                    }
                    self.needs_flush = true;
                    step = Step::Moved;
                }
            }
        }
        self.unsent.clear();
        self.sent = 0;
        if self.needs_flush && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.needs_flush = false;
        }
        Ok(step)
    }

    /// Gives back the room of bytes that have left, when that is most of the buffer.
    fn forget_sent(&mut self) {
        if self.sent > self.unsent_len() {
            self.unsent.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// The next time something is due: for the session, or to give up a peer that does not take its last bytes.
    fn deadline(&mut self) -> Option<Millis> {
        if self.session.is_blocked() {
            let look_at = self.clock.now() + LOOK_AFTER_MS;
            return Some(self.session.deadline().map_or(look_at, |at| at.min(look_at)));
        }
        if !self.session.is_closed() {
            return self.session.deadline();
        }
        let now = self.clock.now();
        Some(*self.linger_until.get_or_insert(now + LINGER_MS))
    }

    /// Does what is due and sleeps until the next deadline.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Step {
        let Some(deadline) = self.deadline() else {
            self.timer = None;
            return Step::Stuck;
        };
        let timer = match &mut self.timer {
            // A deadline that has moved on is looked at when the timer set for it fires.
            Some((at, timer)) if *at <= deadline => timer,
            _ => {
                let until = self.clock.instant(deadline).into();
                let (_, timer) =
                    self.timer.insert((deadline, Box::pin(tokio::time::sleep_until(until))));
                timer
            }
        };
        if timer.as_mut().poll(cx).is_pending() {
            return Step::Stuck;
        }
        self.timer = None;
        let now = self.clock.now();
        self.has_ended |= self.linger_until.is_some_and(|until| until <= now);
        self.has_ended |= self.session.is_blocked() && self.stream.has_hung_up();
        self.session.on_timeout(now, &mut self.unsent);
        Step::Moved
    }
}

impl<S: Stream> Future for Drive<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(spin) = &self.spin {
            spin.on_begin();
        }
        let done = SCRATCH.with_borrow_mut(|scratch| self.poll_with(cx, scratch));
        if let Some(spin) = &self.spin {
            spin.on_end();
        }
        done.map(|ended| {
            if let Err(error) = ended {
                tracing::debug!(peer = %self.connection.peer.name, %error, "connection ended");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        // Its task is this and little more; the rest of its memory is what it has declared and agreed on.
        let size = size_of::<Drive<TcpStream>>();
        assert!(size <= 768, "{size} bytes");
    }
}
