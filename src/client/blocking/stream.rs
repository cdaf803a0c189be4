//! A blocking stream that can also be asked not to block: TCP, TLS or a Unix socket.
//!
//! The socket blocks, with a time limit; each call says whether it may. So a thread that waits for the broker costs one
//! system call, and one that has other work to do none more.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustls::ClientConnection;

use super::Wait;
use crate::client::connect::Stream;

#[derive(Debug)]
pub(super) struct BlockingStream {
    socket: Socket,
    /// `None` without TLS
    session: Option<Box<ClientConnection>>,
    look_up: Duration,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl BlockingStream {
    /// Takes the stream from the async runtime; a wait is ended after `look_up`.
    pub(super) fn new(stream: Stream, look_up: Duration) -> io::Result<Self> {
        let (socket, session) = match stream {
            Stream::Tcp(stream) => (Socket::Tcp(stream.into_std()?), None),
            Stream::Unix(stream) => (Socket::Unix(stream.into_std()?), None),
            Stream::Tls(stream) => {
                let (stream, session) = stream.into_inner();
                (Socket::Tcp(stream.into_std()?), Some(Box::new(session)))
            }
        };
        match &socket {
            Socket::Tcp(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(look_up))?;
            }
            Socket::Unix(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(look_up))?;
            }
        }
        Ok(Self { socket, session, look_up })
    }

    /// Sends what the socket takes now; `None` when it takes nothing.
    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let Self { socket, session, .. } = self;
        let Some(session) = session else { return socket.send(bytes) };
        flush(session, socket)?;
        if session.wants_write() {
            return Ok(None);
        }
        let taken = session.writer().write(bytes)?;
        flush(session, socket)?;
        Ok((taken > 0).then_some(taken))
    }

    /// Reads into `into` after waiting as told; `None` when nothing came.
    #[inline]
    pub(super) fn receive(&mut self, into: &mut [u8], wait: Wait) -> io::Result<Option<usize>> {
        let Self { socket, session, look_up } = self;
        let Some(session) = session else {
            return match wait {
                Wait::No => socket.receive(into, RecvFlags::DONTWAIT),
                Wait::Short => socket.receive(into, RecvFlags::empty()),
                Wait::Writable => {
                    socket.wait(PollFlags::IN | PollFlags::OUT, *look_up)?;
                    socket.receive(into, RecvFlags::DONTWAIT)
                }
                Wait::For(time) => {
                    socket.wait(PollFlags::IN, time)?;
                    socket.receive(into, RecvFlags::DONTWAIT)
                }
            };
        };
        // Bytes that were decrypted before are not waited for.
        if let Some(count) = decrypted(session, into)? {
            return Ok(Some(count));
        }
        flush(session, socket)?;
        let stuck = if session.wants_write() { PollFlags::OUT } else { PollFlags::empty() };
        match wait {
            Wait::No => {}
            Wait::Short => socket.wait(PollFlags::IN | stuck, *look_up)?,
            Wait::Writable => socket.wait(PollFlags::IN | PollFlags::OUT, *look_up)?,
            Wait::For(time) => socket.wait(PollFlags::IN | stuck, time)?,
        }
        match session.read_tls(&mut Unblocked(socket)) {
            Ok(0) => return Ok(Some(0)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        session.process_new_packets().map_err(io::Error::other)?;
        decrypted(session, into)
    }
}

fn decrypted(session: &mut ClientConnection, into: &mut [u8]) -> io::Result<Option<usize>> {
    match session.reader().read(into) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes encrypted bytes while the socket takes them.
fn flush(session: &mut ClientConnection, socket: &Socket) -> io::Result<()> {
    while session.wants_write() {
        match session.write_tls(&mut Unblocked(socket)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Socket {
    #[inline]
    fn send(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        would_block(send(self, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL))
    }

    #[inline]
    fn receive(&self, into: &mut [u8], flags: RecvFlags) -> io::Result<Option<usize>> {
        would_block(recv(self, into, flags).map(|(count, _)| count))
    }

    /// Waits for one of `events`; that none came shows at the next call.
    fn wait(&self, events: PollFlags, time: Duration) -> io::Result<()> {
        let limit = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(self, events)], Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

#[inline]
fn would_block(done: Result<usize, Errno>) -> io::Result<Option<usize>> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The socket as rustls sees it: one that never blocks.
struct Unblocked<'a>(&'a Socket);

impl Read for Unblocked<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.receive(into, RecvFlags::DONTWAIT)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Unblocked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
