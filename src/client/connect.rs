//! From a place to a connection: name, TCP or Unix socket, TLS, handshake.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::connection::Connection;
use super::error::Error;
use super::handshake::{HandshakeResult, introduced, shake};
use super::options::Options;
use super::tls::{self, TlsOptions};
use crate::wire::FieldTable;

/// The address at which a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Tcp { host: String, port: u16, tls: Option<TlsOptions> },
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A stream to a broker on which nothing has been said yet.
#[derive(Debug)]
pub struct Dialed(Stream);

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Dialed {
    /// Connects to `place`.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] when nothing answers, [`Error::Tls`] when files or certificates are wrong.
    pub async fn to(place: &Endpoint, limit: Duration) -> Result<Self, Error> {
        match place {
            Endpoint::Tcp { host, port, tls: None } => {
                Ok(Self(Stream::Tcp(connect_tcp(place, host, *port, limit).await?)))
            }
            Endpoint::Tcp { host, port, tls: Some(options) } => {
                // Files are read first, so that a wrong path is told without a connection.
                let config = tls::client_config(options)?;
                let stream = connect_tcp(place, host, *port, limit).await?;
                let encrypted = timeout(limit, tls::connect(config, options, host, stream)).await;
                let encrypted = encrypted.map_err(|_| Error::TimedOut { waited: limit })??;
                Ok(Self(Stream::Tls(Box::new(encrypted))))
            }
            Endpoint::Unix(path) => {
                let connected = timeout(limit, UnixStream::connect(path)).await;
                let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                Ok(Self(Stream::Unix(connected.map_err(|error| unreached(place, error))?)))
            }
        }
    }

    pub(super) fn into_stream(self) -> Stream {
        self.0
    }

    /// Opens a connection on the stream.
    pub async fn open(self, options: &Options) -> Result<Connection, Error> {
        match self.0 {
            Stream::Tcp(stream) => Connection::open(stream, options).await,
            Stream::Tls(stream) => Connection::open(stream, options).await,
            Stream::Unix(stream) => Connection::open(stream, options).await,
        }
    }

    /// Asks the broker what it says of itself (`product`, `cluster_name` ...), whether or not it lets us in.
    pub async fn server_properties(mut self, options: &Options) -> Result<FieldTable, Error> {
        let asking = async {
            match &mut self.0 {
                Stream::Tcp(stream) => introduced(stream, options).await,
                Stream::Tls(stream) => introduced(stream, options).await,
                Stream::Unix(stream) => introduced(stream, options).await,
            }
        };
        let told = timeout(options.timeout, asking).await;
        told.map_err(|_| Error::TimedOut { waited: options.timeout })?
    }

    /// Opens a connection and gives the stream back to whom serves it without a task of its own.
    pub(super) async fn open_bare(
        mut self,
        options: &Options,
    ) -> Result<(Stream, HandshakeResult), Error> {
        let shaking = async {
            match &mut self.0 {
                Stream::Tcp(stream) => shake(stream, options).await,
                Stream::Tls(stream) => shake(stream, options).await,
                Stream::Unix(stream) => shake(stream, options).await,
            }
        };
        let shaken = timeout(options.timeout, shaking).await;
        let opened = shaken.map_err(|_| Error::TimedOut { waited: options.timeout })??;
        Ok((self.0, opened))
    }
}

impl Connection {
    /// Connects to `place` and opens a connection there; see [`Dialed::to`] and [`Connection::open`].
    pub async fn connect(place: &Endpoint, options: &Options) -> Result<Self, Error> {
        Dialed::to(place, options.timeout).await?.open(options).await
    }
}

/// Tries every address of `host` in turn; the last failure is the one told.
async fn connect_tcp(
    place: &Endpoint,
    host: &str,
    port: u16,
    limit: Duration,
) -> Result<TcpStream, Error> {
    let trying = async {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses(host, port).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    let connected = timeout(limit, trying).await;
    let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    connected.map_err(|error| unreached(place, error))
}

/// `localhost` is loopback by definition (RFC 6761) and an address is itself; only other names are looked up.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(loopback.map(|address| SocketAddr::new(address, port)).into());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

fn unreached(place: &Endpoint, error: io::Error) -> Error {
    Error::Connect { place: place.to_string(), source: Arc::new(error) }
}
