//! The one place of the client that waits for the stream.
//!
//! Writes everything callers have gathered in one go, reads as much as comes, keeps heartbeats in both directions. It
//! ends with the connection: after `connection.close-ok`, or if the stream or the peer fails.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::error::Error;
use super::state::{Phase, Shared};
use crate::wire::frame;

/// Bytes asked of the stream at a time.
const READ_BYTES: usize = 64 << 10;
/// A buffer that grew beyond this many bytes is given back once it is empty.
const KEPT_BYTES: usize = 1 << 20;
/// Longest time the last bytes may take once the connection has ended.
const LAST_WORDS_MAX: Duration = Duration::from_secs(2);
/// Stands for "never" where a deadline is needed: longer than any connection lives.
const NEVER: Duration = Duration::from_hours(365 * 24);

/// The driver's own state: bytes on their way, and the times at which something last moved.
#[derive(Debug)]
pub(super) struct Driver {
    shared: Arc<Shared>,
    inbound: BytesMut,
    sending: Vec<u8>,
    sent: usize,
    is_flushing: bool,
    heartbeat: Option<Duration>,
    last_read: Instant,
    last_written: Instant,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, heartbeat_s: u16, inbound: BytesMut) -> Self {
        let heartbeat = (heartbeat_s > 0).then(|| Duration::from_secs(heartbeat_s.into()));
        Self {
            shared,
            inbound,
            sending: Vec::new(),
            sent: 0,
            is_flushing: false,
            heartbeat,
            last_read: Instant::now(),
            last_written: Instant::now(),
        }
    }

    /// Serves the connection until it has ended. Whatever ended it is then in the shared state.
    pub(super) async fn drive<S: AsyncRead + AsyncWrite + Unpin>(mut self, stream: S) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let why = match self.serve(&mut reader, &mut writer).await {
            Ok(()) => Error::Closed,
            Err(why) => why,
        };
        self.shared.lock().end(&why);
        self.shared.room.notify_waiters();
        // The broker's goodbye is still to be answered; a stream that is gone makes this fail, which is fine.
        let last_words = async {
            self.gather();
            writer.write_all(&self.sending[self.sent..]).await?;
            writer.shutdown().await
        };
        let _ = timeout(LAST_WORDS_MAX, last_words).await;
    }

    /// Every arm is cancel-safe: a dropped one has moved no bytes it did not account for.
    async fn serve(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        self.take_in()?;
        loop {
            self.gather();
            let may_read = {
                let state = shared.lock();
                match &state.phase {
                    Phase::Over(error) => return Err(error.clone()),
                    Phase::Closing => true, // no caller takes deliveries now, and the goodbye is behind them
                    Phase::Open => state.may_read(),
                }
            };
            let has_bytes = self.sent < self.sending.len();
            let deadline = self.deadline(may_read);
            self.inbound.reserve(READ_BYTES);
            tokio::select! {
                sent = push(writer, &self.sending[self.sent..]), if has_bytes || self.is_flushing => {
                    self.on_sent(sent)?;
                }
                read = reader.read_buf(&mut self.inbound), if may_read => {
                    if read.map_err(|error| Error::lost(&error))? == 0 {
                        return Err(Error::Lost { why: "the broker closed the connection".into() });
                    }
                    self.last_read = Instant::now();
                    self.take_in()?;
                }
                () = shared.bell.notified() => {}
                () = sleep_until(deadline) => self.on_deadline(may_read)?,
            }
        }
    }

    /// Takes over what callers have gathered, once everything before it is on its way.
    fn gather(&mut self) {
        if self.sent < self.sending.len() {
            return;
        }
        self.sending.clear();
        self.sent = 0;
        if self.sending.capacity() > KEPT_BYTES {
            self.sending = Vec::new();
        }
        let mut state = self.shared.lock();
        if !state.outbound.is_empty() {
            std::mem::swap(&mut state.outbound, &mut self.sending);
            drop(state);
            self.shared.room.notify_waiters();
        }
    }

    fn take_in(&mut self) -> Result<(), Error> {
        self.shared.lock().on_bytes(&mut self.inbound)
    }

    fn on_sent(&mut self, sent: io::Result<usize>) -> Result<(), Error> {
        let count = sent.map_err(|error| Error::lost(&error))?;
        self.sent += count;
        self.is_flushing = count > 0;
        if count > 0 {
            self.last_written = Instant::now();
        }
        Ok(())
    }

    /// The time at which to look at the clock again: to send a heartbeat after half an interval of silence of ours, to
    /// give up after two intervals of the peer's (4.2.7).
    fn deadline(&self, may_read: bool) -> Instant {
        let Some(heartbeat) = self.heartbeat else { return Instant::now() + NEVER };
        let ours = self.last_written + heartbeat / 2;
        if may_read { ours.min(self.last_read + heartbeat * 2) } else { ours }
    }

    fn on_deadline(&mut self, may_read: bool) -> Result<(), Error> {
        let Some(heartbeat) = self.heartbeat else { return Ok(()) };
        let now = Instant::now();
        if may_read && now >= self.last_read + heartbeat * 2 {
            let silent = humantime::format_duration(heartbeat * 2);
            return Err(Error::Lost { why: format!("the broker sent nothing for {silent}") });
        }
        if now >= self.last_written + heartbeat / 2 {
            frame::write_heartbeat(&mut self.shared.lock().outbound);
            // Counted as written, or a stream that takes nothing would be filled with heartbeats.
            self.last_written = now;
        }
        Ok(())
    }
}

/// Writes some of `bytes`; with none left, pushes out what the stream itself holds back and answers 0.
async fn push(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write(bytes).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}
