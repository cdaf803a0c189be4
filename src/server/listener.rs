//! Accepting connections: TCP, TLS and the data directory's Unix socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::drive::Drive;
use super::maintenance;
use super::proxy_protocol::{self, ProxiedEnds};
use super::session::Session;
use super::shared::Shared;
use super::slots::ConnectionSlot;
use super::stream::Stream;
use super::tls::Tls;
use crate::broker::auth::Origin;
use crate::broker::registry::{Peer, PeerCertificate};
use crate::tls::{self, CertificateTexts, LoginName, TlsFailure};

/// The pause when the machine has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The treatment of a stream that a listener has accepted.
#[derive(Clone)]
pub(super) enum Transport {
    Plain,
    Tls(Arc<Tls>),
}

/// Accepts TCP connections until the server stops, except while its listeners are suspended.
pub(super) async fn accept_tcp(
    mut listener: TcpListener,
    transport: Transport,
    shared: Arc<Shared>,
) {
    let mut stop = shared.stop.subscribe();
    loop {
        let accepted = tokio::select! {
            // Cancel-safe: a dropped accept has taken no connection.
            accepted = listener.accept() => Some(accepted),
            () = shared.maintenance.becomes(true) => None,
            _ = stop.wait_for(|stopping| *stopping) => return,
        };
        let Some(accepted) = accepted else {
            let again = tokio::select! {
                // Cancel-safe: the server ends without the listener.
                again = maintenance::paused(listener, &shared.maintenance) => again,
                _ = stop.wait_for(|stopping| *stopping) => return,
            };
            match again {
                Ok(again) => listener = again,
                Err(error) => return tracing::error!(%error, "a listener is lost"),
            }
            continue;
        };
        let Some((stream, peer)) = keep_or_pause(accepted, &shared).await else { continue };
        let slot = tokio::select! {
            // Cancel-safe, and the connection ends with the server.
            slot = shared.slots.take(&shared.broker) => slot,
            _ = stop.wait_for(|stopping| *stopping) => return,
        };
        if shared.maintenance.is_suspended() {
            // It came before the listener was closed.
            continue;
        }
        if let Err(error) = serve_tcp(stream, peer, &transport, slot, &shared) {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

/// Answers with the connection, or waits a little after an error that another try at once would only repeat.
async fn keep_or_pause<T>(accepted: io::Result<T>, shared: &Shared) -> Option<T> {
    match accepted {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            let code = error.raw_os_error().map(Errno::from_raw_os_error);
            if matches!(code, Some(Errno::MFILE | Errno::NFILE)) {
                // The alarm says so once; the client waits in the kernel's queue.
                shared.slots.on_starved(&shared.broker);
            } else {
                tracing::warn!(%error, "cannot accept a connection");
            }
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn serve_tcp(
    mut stream: TcpStream,
    client: SocketAddr,
    transport: &Transport,
    slot: ConnectionSlot,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let ends = ProxiedEnds { client, broker: stream.local_addr()? };
    if !shared.proxy_protocol {
        return serve_ends(stream, ends, transport, slot, shared);
    }
    let (transport, shared) = (transport.clone(), Arc::clone(shared));
    let most = shared.broker.limits.get().handshake_ms.map_or(Duration::MAX, Duration::from_millis);
    tokio::spawn(async move {
        let read = tokio::time::timeout(most, proxy_protocol::read(&mut stream)).await;
        let served = read.map_err(io::Error::from).flatten().and_then(|proxied| {
            serve_ends(stream, proxied.unwrap_or(ends), &transport, slot, &shared)
        });
        if let Err(error) = served {
            tracing::warn!(proxy = %client, reason = %error, "connection refused");
        }
    });
    Ok(())
}

/// Serves a client whose ends are known.
fn serve_ends(
    stream: TcpStream,
    ends: ProxiedEnds,
    transport: &Transport,
    slot: ConnectionSlot,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    // A client of IPv4 on a socket of both families has its own address.
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (address, local) = (canonical(ends.client), canonical(ends.broker));
    let peer = Peer {
        name: format!("{address} -> {local}").into(),
        host: local.ip().to_string().into(),
        port: local.port(),
        peer_host: address.ip().to_string().into(),
        peer_port: address.port(),
        is_tls: matches!(transport, Transport::Tls(_)),
        certificate: None,
        connected_at: wall_clock(),
    };
    let origin = Origin::from(address.ip());
    match transport {
        Transport::Plain => {
            reset_on_close(&stream)?;
            serve(stream, peer, origin, slot, shared);
        }
        Transport::Tls(tls) => serve_tls(stream, peer, origin, tls, slot, shared),
    }
    Ok(())
}

/// Serves a client once its TLS handshake is done.
fn serve_tls(
    stream: TcpStream,
    peer: Peer,
    origin: Origin,
    tls: &Tls,
    slot: ConnectionSlot,
    shared: &Arc<Shared>,
) {
    let most = Duration::from_millis(shared.broker.limits.get().tls_handshake_ms);
    let accepted = tokio::time::timeout(most, tls.acceptor().accept(stream));
    let (shared, login) = (Arc::clone(shared), tls.login());
    tokio::spawn(async move {
        let accepted = accepted.await.map_err(io::Error::from).flatten();
        // A client that is refused is to read the alert first.
        match accepted.and_then(|stream| reset_on_close(stream.get_ref().0).map(|()| stream)) {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates();
                let certificate = shown.and_then(|chain| certificate(chain, login));
                let peer = Peer { certificate: certificate.map(Box::new), ..peer };
                serve(stream, peer, origin, slot, &shared);
            }
            Err(error) => {
                let TlsFailure { why, hint } = tls::of_broker(&error);
                let connection = &*peer.name;
                tracing::warn!(connection, reason = why, hint, "connection refused");
            }
        }
    });
}

/// Has a stream reset when it is closed (RabbitMQ: `tcp_listen_options.linger`): some clients wait for ever on one that
/// just ends, and what they did not read must not hold memory of the kernel.
fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
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
        let Some((stream, _)) = keep_or_pause(accepted, &shared).await else { continue };
        let slot = tokio::select! {
            // As above.
            slot = shared.slots.take(&shared.broker) => slot,
            _ = stop.wait_for(|stopping| *stopping) => return,
        };
        serial += 1;
        let peer = Peer {
            name: format!("unix:{serial} -> unix").into(),
            host: "unix".into(),
            port: 0,
            peer_host: "unix".into(),
            peer_port: 0,
            is_tls: false,
            certificate: None,
            connected_at: wall_clock(),
        };
        let origin = origin_of(&stream);
        serve(stream, peer, origin, slot, &shared);
    }
}

/// Tells the account that runs the broker from others on this machine.
pub fn origin_of(stream: &UnixStream) -> Origin {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own => Origin::Owner,
        Ok(_) | Err(_) => Origin::Local,
    }
}

/// The texts of a chain's first certificate, which is the client's own.
fn certificate(chain: &[CertificateDer<'_>], login: LoginName) -> Option<PeerCertificate> {
    let CertificateTexts { subject, issuer, validity, serial_number, login } =
        CertificateTexts::read(chain.first()?, login)?;
    Some(PeerCertificate { subject, issuer, validity, serial_number, login })
}

/// Gives a connection its task, which holds nothing but the connection: there may be very many.
fn serve(
    stream: impl Stream + Send + 'static,
    peer: Peer,
    origin: Origin,
    slot: ConnectionSlot,
    shared: &Arc<Shared>,
) {
    tracing::info!(connection = %peer.name, tls = peer.is_tls, "connection accepted");
    let connection = shared.broker.connect(peer);
    let broker = Arc::clone(&shared.broker);
    let session = Session::new(broker, Arc::clone(&connection), origin, shared.clock.now());
    tokio::spawn(Drive::new(stream, session, connection, slot, shared));
}

fn wall_clock() -> SystemTime {
    SystemTime::now()
}
