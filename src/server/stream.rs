//! The streams a connection may come over, and whether the peer of one has gone.
//!
//! A connection that is stopped by the disk alarm is not read from, so the end of its stream is not seen; it is
//! looked for instead, without taking any bytes.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A stream of bytes to and from a client.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// Whether the peer has closed its side; what it sent before may still wait to be read.
    fn has_hung_up(&self) -> bool;
}

impl Stream for TcpStream {
    fn has_hung_up(&self) -> bool {
        has_hung_up(self)
    }
}

impl Stream for UnixStream {
    fn has_hung_up(&self) -> bool {
        has_hung_up(self)
    }
}

impl Stream for TlsStream<TcpStream> {
    fn has_hung_up(&self) -> bool {
        has_hung_up(self.get_ref().0)
    }
}

fn has_hung_up(stream: &impl AsFd) -> bool {
    let ends = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    let mut looked_at = [PollFd::new(stream, ends)];
    poll(&mut looked_at, Some(&Timespec::default())).is_ok()
        && looked_at[0].revents().intersects(ends)
}
