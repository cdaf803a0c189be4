//! Addresses to listen on: one, this machine's two loopback addresses, or all of its addresses.
//!
//! `localhost` is 127.0.0.1 for some clients and `::1` for others, so a listener for this machine has both. A machine
//! without one of the two families has the other.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use rustix::io::Errno;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket};

use super::bind_error::BindError;

/// Attempts to find a port that is free in both families.
const PORTS_TRIED: usize = 16;
/// Connections that wait to be accepted: as many as tokio's own listeners let wait.
const BACKLOG: u32 = 1024;

/// The listeners of an address.
pub type Listeners = Vec<TcpListener>;
/// A listener on a Unix socket.
pub type UnixSocket = tokio::net::UnixListener;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    Exactly(SocketAddr),
    /// 127.0.0.1 and `::1`: written `localhost:PORT`.
    Loopback {
        port: u16,
    },
    /// All addresses of both families, or of the one that the machine has: written `*:PORT`.
    Everywhere {
        port: u16,
    },
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = match text.rsplit_once(':') {
            Some((host, port)) if host.eq_ignore_ascii_case("localhost") => {
                port.parse().ok().map(|port| Self::Loopback { port })
            }
            Some(("*", port)) => port.parse().ok().map(|port| Self::Everywhere { port }),
            Some(_) | None => None,
        };
        named.or_else(|| text.parse().ok().map(Self::Exactly)).ok_or_else(|| {
            "it is not an address with a port: give one such as 0.0.0.0:5672, [::]:5672, *:5672 or localhost:5672"
                .to_owned()
        })
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Exactly(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(address) => address.fmt(f),
            Self::Loopback { port } => write!(f, "localhost:{port}"),
            Self::Everywhere { port } => write!(f, "*:{port}"),
        }
    }
}

impl Address {
    /// Binds it; all listeners have one port.
    ///
    /// # Errors
    ///
    /// Names the address that cannot be had.
    pub async fn bind(self) -> Result<Listeners, BindError> {
        let port = match self {
            Self::Exactly(address) => return Ok(vec![bind(address).await?]),
            Self::Everywhere { port } => return Ok(vec![bind_everywhere(port).await?]),
            Self::Loopback { port } => port,
        };
        let mut tried = 1;
        loop {
            match bind_loopback(port).await {
                Err(error) if port == 0 && is_taken(&error.source) && tried < PORTS_TRIED => {
                    tried += 1;
                }
                bound => return bound,
            }
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(BindError::of(&address))
}

/// One socket for both families, or for IPv4 where the machine does not know IPv6.
async fn bind_everywhere(port: u16) -> Result<TcpListener, BindError> {
    let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let bound = || {
        let socket = TcpSocket::new_v6()?;
        sockopt::set_ipv6_v6only(&socket, false)?;
        // As std does: a port that the last run used may be taken at once.
        socket.set_reuseaddr(true)?;
        socket.bind(all)?;
        socket.listen(BACKLOG)
    };
    match bound().map_err(BindError::of(&all)) {
        Err(error) if is_missing(&error.source) => bind((Ipv4Addr::UNSPECIFIED, port).into()).await,
        bound => bound,
    }
}

async fn bind_loopback(port: u16) -> Result<Vec<TcpListener>, BindError> {
    let first = match bind((Ipv4Addr::LOCALHOST, port).into()).await {
        Err(error) if is_missing(&error.source) => None,
        bound => Some(bound?),
    };
    let port =
        first.as_ref().and_then(|first| first.local_addr().ok()).map_or(port, |at| at.port());
    match (first, bind((Ipv6Addr::LOCALHOST, port).into()).await) {
        (Some(first), Err(error)) if is_missing(&error.source) => Ok(vec![first]),
        (first, second) => Ok(first.into_iter().chain([second?]).collect()),
    }
}

/// Tells whether this machine has no such address, or does not know its family at all.
fn is_missing(error: &io::Error) -> bool {
    let missing = [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT];
    error.raw_os_error().is_some_and(|code| missing.contains(&Errno::from_raw_os_error(code)))
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        for text in ["127.0.0.1:5672", "[::]:0", "localhost:5672", "*:5672"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["localhost", "5672", "broker:5672", "localhost:x"] {
            assert!(text.parse::<Address>().unwrap_err().contains("localhost:5672"), "{text}");
        }
    }

    #[tokio::test]
    async fn everywhere_is_reached_by_both_families() {
        let listeners = Address::Everywhere { port: 0 }.bind().await.unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        if listeners[0].local_addr().unwrap().is_ipv6() {
            tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn loopback_is_all_that_this_machine_has_of_it_with_one_port() {
        let has_v6 = TcpListener::bind("[::1]:0").await.is_ok();
        let listeners = Address::Loopback { port: 0 }.bind().await.unwrap();
        let bound: Vec<_> = listeners.iter().map(|one| one.local_addr().unwrap()).collect();
        assert!(bound[0].ip().is_loopback() && bound[0].is_ipv4());
        assert_eq!(bound.len(), if has_v6 { 2 } else { 1 }, "{bound:?}");
        assert!(bound.iter().all(|one| one.port() == bound[0].port()), "{bound:?}");
        let taken = Address::Loopback { port: bound[0].port() }.bind().await.unwrap_err();
        assert_eq!(taken.address, bound[0].to_string());
    }
}
