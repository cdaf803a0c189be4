//! The streams of connections: TCP, TLS and Unix sockets, and the calls beside reading and writing bytes.
//!
//! A connection that is stopped by an alarm is not read from, so the end of its stream is not seen; it is looked for
//! instead, without taking any bytes. The kernel reports that a socket can be written to only when a third of its
//! buffer is free, which takes a slow reader minutes; whether the peer takes anything is found out by a write.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A stream of bytes to and from a client.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// Tells whether the peer has closed its side; bytes that it sent before may still wait to be read.
    fn has_hung_up(&self) -> bool;

    /// Writes what the kernel takes now, whatever it reported; `None` when it takes nothing.
    ///
    /// Answers how many of `bytes` have left; none when others, which the stream held back, were first.
    fn push(&mut self, bytes: &[u8]) -> io::Result<Option<usize>>;

    /// Sends the end of the stream in protocols that have a message for it, such as TLS: a reset may follow.
    fn say_goodbye(&mut self) {}
}

impl Stream for TcpStream {
    fn has_hung_up(&self) -> bool {
        has_hung_up(self)
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        send_now(self, bytes)
    }
}

impl Stream for UnixStream {
    fn has_hung_up(&self) -> bool {
        has_hung_up(self)
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        send_now(self, bytes)
    }
}

impl Stream for TlsStream<TcpStream> {
    fn has_hung_up(&self) -> bool {
        has_hung_up(self.get_ref().0)
    }

    fn push(&mut self, _: &[u8]) -> io::Result<Option<usize>> {
        let (stream, tls) = self.get_mut();
        match tls.write_tls(&mut NonBlocking(stream)) {
            Ok(_) => Ok(Some(0)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The alert that the peer tells an end from a cut by (RFC 8446, 6.1).
    fn say_goodbye(&mut self) {
        let (stream, tls) = self.get_mut();
        tls.send_close_notify();
        // A peer that takes no bytes now is not waited for.
        let _ = tls.write_tls(&mut NonBlocking(stream));
    }
}

/// Writes to a socket without waiting and without asking the runtime whether that can be done.
struct NonBlocking<'a>(&'a TcpStream);

impl io::Write for NonBlocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send_now(self.0, bytes)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn send_now(socket: &impl AsFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(count) => Ok(Some(count)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn has_hung_up(stream: &impl AsFd) -> bool {
    let ends = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    let mut looked_at = [PollFd::new(stream, ends)];
    poll(&mut looked_at, Some(&Timespec::default())).is_ok()
        && looked_at[0].revents().intersects(ends)
}
