//! Accepting connections: TCP, TLS and the data directory's Unix socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::drive::Drive;
use super::session::Session;
use super::stream::Stream;
use crate::broker::auth::Origin;
use crate::broker::registry::Peer;

/// How long a TLS handshake may take (RabbitMQ: `ssl_handshake_timeout`).
const TLS_HANDSHAKE: Duration = Duration::from_secs(5);
/// How long to wait when the machine has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener does with a stream it has accepted.
#[derive(Clone)]
pub(super) enum Transport {
    Plain,
    Tls(TlsAcceptor),
}

/// Accepts TCP connections until the server stops.
pub(super) async fn accept_tcp(listener: TcpListener, transport: Transport, shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    loop {
        let accepted = tokio::select! {
            // Cancel-safe: a dropped accept has taken no connection.
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stopping| *stopping) => return,
        };
        let Some((stream, peer)) = keep_or_pause(accepted).await else { continue };
        if let Err(error) = serve_tcp(stream, peer, &transport, &shared) {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

/// Answers with the connection, or waits a little after an error that another try at once would only repeat.
async fn keep_or_pause<T>(accepted: io::Result<T>) -> Option<T> {
    match accepted {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn serve_tcp(
    stream: TcpStream,
    address: SocketAddr,
    transport: &Transport,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let peer = Peer {
        name: format!("{address} -> {local}").into(),
        host: local.ip().to_canonical().to_string(),
        port: local.port(),
        peer_host: address.ip().to_canonical().to_string(),
        peer_port: address.port(),
        is_tls: matches!(transport, Transport::Tls(_)),
        connected_at: wall_clock(),
    };
    let origin = Origin::from(address.ip());
    match transport {
        Transport::Plain => serve(stream, peer, origin, shared),
        Transport::Tls(acceptor) => {
            let accepted = tokio::time::timeout(TLS_HANDSHAKE, acceptor.accept(stream));
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                match accepted.await.map_err(io::Error::from).flatten() {
                    Ok(stream) => serve(stream, peer, origin, &shared),
                    Err(error) => tracing::debug!(peer = %address, %error, "no TLS handshake"),
                }
            });
        }
    }
    Ok(())
}

/// Accepts connections on the data directory's Unix socket until the server stops.
pub(super) async fn accept_unix(listener: UnixListener, shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    let mut serial = 0_u64;
    loop {
        let accepted = tokio::select! {
            // Cancel-safe: a dropped accept has taken no connection.
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stopping| *stopping) => return,
        };
        let Some((stream, _)) = keep_or_pause(accepted).await else { continue };
        serial += 1;
        let peer = Peer {
            name: format!("unix:{serial} -> unix").into(),
            host: "unix".to_owned(),
            port: 0,
            peer_host: "unix".to_owned(),
            peer_port: 0,
            is_tls: false,
            connected_at: wall_clock(),
        };
        serve(stream, peer, Origin::Local, &shared);
    }
}

/// Gives a connection its task, which holds nothing but the connection: there may be very many.
fn serve(stream: impl Stream + Send + 'static, peer: Peer, origin: Origin, shared: &Arc<Shared>) {
    let connection = shared.broker.connect(peer);
    let broker = Arc::clone(&shared.broker);
    let session = Session::new(broker, Arc::clone(&connection), origin, shared.clock.now());
    tokio::spawn(Drive::new(stream, session, connection, shared));
}

fn wall_clock() -> SystemTime {
    SystemTime::now()
}
