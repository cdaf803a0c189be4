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
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::clock::Clock;
use super::session::Session;
use crate::broker::queue::Millis;
use crate::broker::registry::Connection;
use crate::wire::constants::FRAME_MAX_DEFAULT;

/// Bytes read at once. Also the room for the largest frame, so that a frame always ends within a buffer.
const READ_BYTES: usize = 2 * FRAME_MAX_DEFAULT as usize;
/// Above this many unsent bytes a connection gets no more deliveries.
const OUTBOUND_HIGH: usize = 1 << 20;
/// Above this many it is not read from either, so a peer that never reads costs us no more.
const OUTBOUND_MAX: usize = 4 << 20;
/// Bytes of room a thread's write buffer keeps.
const OUTBOUND_KEEP: usize = 512 << 10;
/// Rounds of reading and writing before other connections get their turn.
const ROUNDS_MAX: usize = 16;

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
    /// Bytes of a frame whose rest has not come.
    pending: Vec<u8>,
    /// Bytes that the peer has not taken yet, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    has_ended: bool,
    /// The stream may hold written bytes back (TLS).
    needs_flush: bool,
    timer: Option<(Millis, Pin<Box<Sleep>>)>,
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Moved,
    Stuck,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drive<S> {
    pub(super) fn new(
        stream: S,
        session: Session,
        connection: Arc<Connection>,
        clock: Clock,
    ) -> Self {
        Self {
            stream,
            session,
            connection,
            clock,
            pending: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            has_ended: false,
            needs_flush: false,
            timer: None,
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
        done
    }

    fn poll_rounds(&mut self, cx: &mut Context<'_>, inbound: &mut [u8]) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS_MAX {
            let read = self.read(cx, inbound)?;
            let dealt = self.deal(cx);
            let written = self.write(cx)?;
            let timed = self.keep_time(cx);
            if self.has_ended || (self.session.is_closed() && self.unsent_len() == 0) {
                ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                return Poll::Ready(Ok(()));
            }
            if [read, dealt, written, timed].iter().all(|step| *step == Step::Stuck) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once and handles what came.
    fn read(&mut self, cx: &mut Context<'_>, inbound: &mut [u8]) -> io::Result<Step> {
        if self.unsent_len() >= OUTBOUND_MAX || self.session.is_closed() {
            return Ok(Step::Stuck);
        }
        let kept = self.pending.len();
        inbound[..kept].copy_from_slice(&self.pending);
        let mut buffer = ReadBuf::new(&mut inbound[kept..]);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Ok(Step::Stuck),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Ready(Ok(())) => {}
        }
        let came = buffer.filled().len();
        if came == 0 {
            self.has_ended = true;
            return Ok(Step::Moved);
        }
        let bytes = &inbound[..kept + came];
        let used = self.session.on_bytes(bytes, self.clock.now(), &mut self.unsent);
        self.pending.clear();
        self.pending.extend_from_slice(&bytes[used..]);
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        Ok(Step::Moved)
    }

    /// Turns what waits in the mailbox into bytes, while the peer keeps up.
    fn deal(&mut self, cx: &mut Context<'_>) -> Step {
        if self.unsent_len() >= OUTBOUND_HIGH {
            return Step::Stuck;
        }
        if !self.session.has_posts() && !self.connection.mailbox.register(cx.waker()) {
            return Step::Stuck;
        }
        self.session.on_mailbox(self.clock.now(), &mut self.unsent);
        Step::Moved
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<Step> {
        let mut step = Step::Stuck;
        while self.unsent_len() > 0 {
            let stream = Pin::new(&mut self.stream);
            match stream.poll_write(cx, &self.unsent[self.sent..]) {
                Poll::Pending => return Ok(step),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.sent += count;
                    self.connection.sent_bytes.add(count as u64);
                    self.connection.sent_packets.add(1);
                    self.session.on_sent(self.clock.now());
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

    /// Does what is due and sleeps until the next deadline.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Step {
        let Some(deadline) = self.session.deadline() else {
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
        self.session.on_timeout(self.clock.now(), &mut self.unsent);
        Step::Moved
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Drive<S> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| self.poll_with(cx, scratch))
    }
}
