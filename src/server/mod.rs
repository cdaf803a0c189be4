//! Sockets in front of a broker.
//!
//! [`Server::start`] binds everything or fails; [`Server::stop`] tells every client (320 `CONNECTION_FORCED`) and waits
//! until they have gone. `listener` accepts, `drive` carries bytes (`spin` keeps its thread awake), `session` is a
//! connection without its socket, `slots` keeps descriptors for the store, `resources` watches memory and disk, `clock`
//! is the one source of `now`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the server owns its sockets and its clock"
)]

mod address;
mod bind_error;
mod clock;
mod drive;
mod https;
mod listener;
mod maintenance;
mod proxy_protocol;
pub mod resources;
pub mod session;
mod shared;
mod slots;
mod spin;
mod stream;
mod tls;
mod tls_facts;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, mpsc, watch};

pub use address::{Address, Listeners, UnixSocket};
pub use bind_error::BindError;
pub use clock::Clock;
pub use https::{Https, HttpsStream};
pub use listener::origin_of;
pub use maintenance::Maintenance;
pub use tls::{ListenerCertificates, TlsCipher, TlsFiles, TlsProtocol, TlsVerify, TlsVersion};
pub use tls_facts::{CertificateFacts, certificates_in, cipher_names, tls_versions};

use self::listener::Transport;
use self::shared::Shared;
use self::slots::ConnectionSlots;
use self::spin::Spin;
use self::tls::Tls;
use crate::broker::Broker;
use crate::store::locks;
use crate::tls::FileError;
use crate::wire::{Fault, ReplyCode};

/// The longest time that clients have to leave when the server stops.
const STOP_MAX: Duration = Duration::from_secs(5);

/// The addresses and files of a server.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub listen: Vec<Address>,
    pub tls_listen: Vec<Address>,
    /// Needed when `tls_listen` names an address.
    pub tls: Option<TlsFiles>,
    /// Clients come through a proxy that says first where they are from.
    pub proxy_protocol: bool,
    /// The Unix socket of a data directory.
    pub unix: Option<PathBuf>,
    /// The data directory: its disk is watched for the disk alarm.
    pub directory: Option<PathBuf>,
}

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    left: mpsc::Receiver<()>,
    addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
    tls: Option<Arc<Tls>>,
    unix: Option<PathBuf>,
}

/// The reason why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A file for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] FileError),
}

impl Server {
    /// Binds every address and begins to accept, for a broker whose time `clock` tells.
    ///
    /// # Errors
    ///
    /// [`StartError`] naming the address that cannot be had, or the file; nothing is left listening then.
    pub async fn start(
        broker: Arc<Broker>,
        clock: Clock,
        config: Config,
    ) -> Result<Self, StartError> {
        let slots = ConnectionSlots::new();
        let mut plain = Vec::new();
        for address in &config.listen {
            plain.extend(address.bind().await?);
        }
        let tls = config.tls.map(Tls::open).transpose()?.map(Arc::new);
        let mut encrypted = Vec::new();
        for address in &config.tls_listen {
            let missing = || io::Error::other("TLS needs a certificate and a key");
            let tls = tls.as_ref().ok_or_else(missing).map_err(BindError::of(address))?;
            let listeners = address.bind().await?;
            encrypted.extend(listeners.into_iter().map(|listener| (listener, Arc::clone(tls))));
        }
        let unix = match &config.unix {
            None => None,
            Some(path) => Some(bind_unix(path)?),
        };
        let (running, left) = mpsc::channel(1);
        broker.watch_store();
        if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
            // A commit takes about a millisecond, and many may be asked for at once.
            broker.run_long_work_by(|work| tokio::task::block_in_place(work));
        }
        broker.open_for_use(clock.now());
        let stop = watch::Sender::new(false);
        let spin = Spin::start(clock, stop.subscribe());
        let maintenance = Maintenance::default();
        let proxy_protocol = config.proxy_protocol;
        let shared =
            Shared { broker, clock, stop, running, spin, slots, maintenance, proxy_protocol };
        let shared = Arc::new(shared);
        let mut server = Self {
            shared,
            left,
            addresses: Vec::new(),
            tls_addresses: Vec::new(),
            tls,
            unix: config.unix,
        };
        tokio::spawn(resources::watch(Arc::clone(&server.shared), config.directory));
        for listener in plain {
            server.addresses.extend(listener.local_addr());
            server.accept(listener, Transport::Plain);
        }
        for (listener, tls) in encrypted {
            server.tls_addresses.extend(listener.local_addr());
            server.accept(listener, Transport::Tls(tls));
        }
        if let Some(listener) = unix {
            tokio::spawn(listener::accept_unix(listener, Arc::clone(&server.shared)));
        }
        tokio::spawn(keep_time(Arc::clone(&server.shared)));
        Ok(server)
    }

    fn accept(&self, listener: TcpListener, transport: Transport) {
        self.shared.maintenance.add_listener();
        tokio::spawn(listener::accept_tcp(listener, transport, Arc::clone(&self.shared)));
    }

    pub fn broker(&self) -> &Arc<Broker> {
        &self.shared.broker
    }

    /// Returns the moment at which the broker's clock stood at zero.
    pub fn started(&self) -> Instant {
        self.shared.clock.instant(0)
    }

    /// The same moment on the wall clock.
    pub fn started_at(&self) -> SystemTime {
        SystemTime::now() - self.started().elapsed()
    }

    /// The bound addresses for AMQP, with the ports that were chosen for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The certificates of the listeners for AMQP over TLS.
    pub fn certificates(&self) -> Option<ListenerCertificates> {
        self.tls.as_deref().map(Tls::certificates)
    }

    /// The bound addresses for AMQP over TLS.
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls_addresses
    }

    /// Reads the files for TLS again, for connections to come; after an error, they are accepted as before.
    pub fn reload_tls(&self) -> Result<(), FileError> {
        let Some(tls) = &self.tls else { return Ok(()) };
        tls.reload()?;
        tracing::info!("certificates reloaded");
        Ok(())
    }

    /// The maintenance of the node, which the management API begins and ends.
    pub fn maintenance(&self) -> &Maintenance {
        &self.shared.maintenance
    }

    /// Permits for connections to the management API, one for each that may be open at a time.
    pub fn http_slots(&self) -> Arc<Semaphore> {
        self.shared.slots.http()
    }

    /// Fires when the server begins to stop, for other listeners on the same broker.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.shared.stop.subscribe()
    }

    /// Tells every client that the broker ends, and waits until they have gone or their time is over.
    pub async fn stop(self) {
        let Self { shared, mut left, unix, .. } = self;
        shared.stop.send_replace(true);
        if let Some(path) = unix {
            // Gone already is as good.
            let _ = std::fs::remove_file(path);
        }
        let text = "broker forced connection closure with reason 'shutdown'";
        shared.broker.registry.close_all(&Fault::new(ReplyCode::ConnectionForced, text));
        drop(shared);
        // Every task drops its sender when it ends; the channel closes with the last.
        let _ = tokio::time::timeout(STOP_MAX, left.recv()).await;
    }
}

/// Takes the place of a socket that a killed process left behind.
///
/// The caller must hold the lock of the data directory, so that no other process listens there.
pub fn bind_unix(path: &Path) -> Result<UnixListener, BindError> {
    let bound = match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(path),
    };
    bound.map_err(BindError::of(&path.display()))
}

/// Wakes queues whose messages or own life expire, until the server stops.
async fn keep_time(shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    loop {
        let next = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(shared.broker.timers.next(cx.waker()))
        });
        let due = async {
            match next.await {
                Some(at) => tokio::time::sleep_until(shared.clock.instant(at).into()).await,
                None => std::future::pending().await,
            }
        };
        let due = std::pin::pin!(due);
        tokio::select! {
            // Cancel-safe: a dropped sleep has done nothing.
            () = timer_or_bell(due) => do_due(&shared),
            _ = stop.wait_for(|stopping| *stopping) => return,
        }
        // More may be due at once than others can wait for.
        tokio::task::yield_now().await;
    }
}

/// Does the work that is due now, on a thread that has connections to serve.
fn do_due(shared: &Shared) {
    let _serving = locks::serve();
    shared.broker.on_time(shared.clock.now());
}

/// Waits for `due`, or for the bell of the timers, which wakes this task to look again.
async fn timer_or_bell(mut due: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>) {
    let mut polled = false;
    std::future::poll_fn(|cx| {
        if due.as_mut().poll(cx).is_ready() || polled {
            return std::task::Poll::Ready(());
        }
        polled = true;
        std::task::Poll::Pending
    })
    .await;
}
