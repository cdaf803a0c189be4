//! TLS around the streams of the management API.
//!
//! The handshake is a part of the stream: it is done when the stream is read from or written to, so that a client that is
//! slow with it holds nobody else up.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::Accept;
use tokio_rustls::server::TlsStream;

use super::tls::{ListenerCertificates, Tls, TlsFiles};
use crate::tls::FileError;

/// The certificate of the management API; copies share it.
#[derive(Clone, Debug)]
pub struct Https(Arc<Tls>);

impl Https {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read or does not hold what it should.
    pub fn open(files: TlsFiles) -> Result<Self, FileError> {
        Tls::open(files).map(|tls| Self(Arc::new(tls)))
    }

    /// The certificates that it shows and checks by.
    pub fn certificates(&self) -> ListenerCertificates {
        self.0.certificates()
    }

    /// Reads the files again, for connections to come; after an error, they are accepted as before.
    pub fn reload(&self) -> Result<(), FileError> {
        self.0.reload()
    }

    /// A stream that speaks TLS over an accepted one.
    pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> HttpsStream<S> {
        HttpsStream(HttpsPhase::Handshake(Box::new(self.0.acceptor().accept(stream))))
    }
}

/// A stream of one client, with its handshake.
pub struct HttpsStream<S>(HttpsPhase<S>);

enum HttpsPhase<S> {
    Handshake(Box<Accept<S>>),
    Open(Box<TlsStream<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> HttpsStream<S> {
    /// Ready when the handshake is done.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<S>>>> {
        if let HttpsPhase::Handshake(accept) = &mut self.0 {
            let stream = ready!(Pin::new(&mut **accept).poll(cx))?;
            self.0 = HttpsPhase::Open(Box::new(stream));
        }
        match &mut self.0 {
            HttpsPhase::Open(stream) => Poll::Ready(Ok(Pin::new(&mut **stream))),
            HttpsPhase::Handshake(_) => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for HttpsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HttpsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            // A handshake that was never done needs no end.
            HttpsPhase::Handshake(_) => Poll::Ready(Ok(())),
            HttpsPhase::Open(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
