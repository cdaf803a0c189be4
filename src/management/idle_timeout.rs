//! A stream that fails when no byte has moved for a minute.
//!
//! A request whose body never comes, and an answer that is never taken, would hold their connection for ever.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// The longest time without a byte (RabbitMQ: cowboy's `idle_timeout`).
const IDLE_MAX: Duration = Duration::from_mins(1);

/// A stream that fails with `TimedOut` when no byte has moved for too long.
#[derive(Debug)]
pub(super) struct IdleTimeout<S> {
    stream: S,
    idle_max: Duration,
    idle: Pin<Box<Sleep>>,
}

impl<S> IdleTimeout<S> {
    pub(super) fn new(stream: S) -> Self {
        Self::waiting_for(stream, IDLE_MAX)
    }

    fn waiting_for(stream: S, idle_max: Duration) -> Self {
        Self { stream, idle_max, idle: Box::pin(tokio::time::sleep(idle_max)) }
    }

    /// Passes on what the stream answered, and fails when it has been idle for too long.
    fn check<T>(
        &mut self,
        cx: &mut Context<'_>,
        answered: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if answered.is_ready() {
            let until = Instant::now() + self.idle_max;
            self.idle.as_mut().reset(until);
            return answered;
        }
        ready!(self.idle.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let answered = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.check(cx, answered)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let answered = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.check(cx, answered)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is held back below: there is nothing to wait for, and no byte has moved.
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn every_byte_begins_the_wait_anew_and_silence_ends_it() {
        let (mut peer, ours) = duplex(64);
        let mut timed = IdleTimeout::waiting_for(ours, IDLE_MAX);
        let before = timed.idle.deadline();
        peer.write_u8(7).await.unwrap();
        assert_eq!(timed.read_u8().await.unwrap(), 7);
        assert!(timed.idle.deadline() > before);

        let mut timed = IdleTimeout::waiting_for(timed.stream, SHORT);
        let error = timed.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_no_answer_is_given_up() {
        let (_peer, ours) = duplex(64);
        let mut timed = IdleTimeout::waiting_for(ours, SHORT);
        let error = timed.write_all(&[0; 65]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
