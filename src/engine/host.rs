//! A broker run by this process: sockets, management API and data directory together.
//!
//! [`Host::start`] has everything listening when it returns, or nothing. [`Host::stop`] tells the clients that it
//! ends and waits for them; a dropped host ends when its process does.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::broker::compat::Compat;
use crate::broker::{Broker, Defaults};
use crate::engine::contents::{self, Damage, FoundBy};
use crate::engine::directory::{self, DataDirectory, DirectoryLock};
use crate::engine::ending::Ending;
use crate::engine::error::Error;
use crate::engine::first_state::{FirstState, give_defaults};
use crate::engine::host_options::HostOptions;
use crate::engine::own_thread::OwnThread;
use crate::engine::target_options::TlsFiles;
use crate::management::{
    self, Caller, EffectiveConfiguration, HttpListener, HttpSettings, HttpsListener, Listener,
    METRICS, Management, OwnerListener, ProcessControls, ResetControl, Router, ServerInfo,
};
use crate::server::{
    self, Address, BindError, Clock, Config, Https, Listeners, Server, StartError, TlsProtocol,
    TlsVerify, UnixSocket,
};
use crate::store::definitions::Definitions;
use crate::store::{OpenReport, Store, format};
use crate::tls::LoginName;

/// The pause between two looks at the connections of a broker that is to end.
const QUIET_PAUSE: Duration = Duration::from_millis(2);

/// The contents of a broker's directory when it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartReport {
    pub queues: u64,
    pub messages: u64,
    /// Bytes of messages that are not what was written, and were copied aside.
    pub damaged_bytes: u64,
    pub took: Duration,
}

/// A running broker.
pub struct Host {
    server: Server,
    configuration: EffectiveConfiguration,
    /// The path before `/api` on listeners of TCP.
    path_prefix: String,
    start_report: StartReport,
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
    /// The certificate of the management API.
    certificate: Option<Https>,
    metrics: Vec<SocketAddr>,
    http_socket: Option<PathBuf>,
    /// Answers the management API until the server stops.
    management: JoinSet<()>,
    management_thread: OwnThread,
    http_end: HttpEnd,
    /// No process may take the directory while our sockets are in it.
    lock: Option<DirectoryLock>,
}

/// The end of the listeners for HTTP in two steps: all requests are answered, and the listeners are closed.
///
/// Between the two the broker is closed: who is refused by a listener knows that everything is on disk.
struct HttpEnd {
    /// Each listener that answers has a copy.
    answering: mpsc::Sender<()>,
    /// Ready when no listener answers any more.
    answered: mpsc::Receiver<()>,
    closed: watch::Sender<bool>,
}

impl Default for HttpEnd {
    fn default() -> Self {
        let (answering, answered) = mpsc::channel(1);
        Self { answering, answered, closed: watch::Sender::new(false) }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("urls", &self.urls()).finish_non_exhaustive()
    }
}

impl Host {
    /// Binds every address and begins to serve.
    ///
    /// # Errors
    ///
    /// Names the address that cannot be had, or the directory that another process holds.
    pub async fn start(options: HostOptions) -> Result<Self, Error> {
        let directory = options.directory.clone().map(DataDirectory::new);
        let lock = directory.as_ref().map(directory::held).transpose()?;
        Self::start_in(directory.as_ref(), lock, options).await
    }

    /// The same for a directory that is ours already.
    pub(super) async fn start_in(
        directory: Option<&DataDirectory>,
        lock: Option<DirectoryLock>,
        options: HostOptions,
    ) -> Result<Self, Error> {
        let node = options.node_name();
        let clock = Clock::start();
        let first = FirstState::of(&options);
        let read = first.read()?;
        let defaults = read.defaults();
        // No client is let in before everything is there again.
        let (broker, start_report) = if let Some(directory) = directory {
            open_directory(directory, node, clock, options.compat, &defaults)?
        } else {
            let broker = Broker::new_with(node, defaults);
            broker.started_at(clock.start_unix_ms());
            broker.answer_as(options.compat);
            (broker, StartReport::default())
        };
        if let Some(kind) = options.default_queue_type.clone() {
            broker.give_queues_type(kind);
        }
        // No client has come, and a broker has one host.
        let _ = broker.vhost_defaults.set(options.vhost_defaults.clone());
        read.put(&broker).inspect_err(|_| broker.close())?;
        if broker.is_new {
            give_defaults(&broker);
        }
        broker.limits.set(options.limits_in_force());
        broker.users.keep_local(options.local_only.0.clone());
        broker.users.begin_with(options.first.user.clone());
        // No client has come, and a broker has one host.
        let _ = broker.mechanisms.set(options.logins.mechanisms.clone());
        if options.watches_incidents {
            broker.incidents().watch();
        }
        let broker = Arc::new(broker);
        let listening = Self::listen(directory, options, first, Arc::clone(&broker), clock).await;
        listening.map(|host| Self { start_report, lock, ..host }).inspect_err(|_| broker.close())
    }

    /// Lets clients in.
    async fn listen(
        directory: Option<&DataDirectory>,
        options: HostOptions,
        first: FirstState,
        broker: Arc<Broker>,
        clock: Clock,
    ) -> Result<Self, Error> {
        // Bound before AMQP, so that who reaches the broker finds its management API as well.
        let (tcp, http) = bind(options.http).await?;
        let (https_tcp, https) = bind(options.https).await?;
        let (metrics_tcp, metrics) = bind(options.metrics).await?;
        let protocol = options.tls_protocol.clone();
        let files = tls_files(options.https_tls, options.https_verify, protocol);
        let certificate = files.filter(|_| !https.is_empty()).map(Https::open).transpose();
        let certificate = certificate.map_err(|error| Error::of_tls_file(&error))?;
        if let Some(address) = http.first() {
            // Only the first one counts, and a broker has one host.
            let _ = broker.management.set(*address);
        }
        let http_socket = directory.map(DataDirectory::http_socket);
        let unix = http_socket.as_deref().map(server::bind_unix).transpose().map_err(not_bound)?;
        let config = Config {
            listen: options.listen,
            tls_listen: options.tls_listen,
            tls: tls_files(options.tls, options.tls_verify, options.tls_protocol)
                .map(|files| server::TlsFiles { login: options.logins.certificate_name, ..files }),
            proxy_protocol: options.proxy_protocol,
            unix: directory.map(DataDirectory::amqp_socket),
            directory: directory.map(|directory| directory.path().to_path_buf()),
        };
        let server = Server::start(broker, clock, config).await.map_err(not_started)?;
        let (start_report, management) = (StartReport::default(), JoinSet::new());
        let management_thread = OwnThread::start();
        let configuration = EffectiveConfiguration::default();
        configuration.set(options.configuration);
        let path_prefix = options.http_settings.path_prefix().to_owned();
        let reset = ResetControl::new({
            let broker = Arc::clone(server.broker());
            move || first.reset(&broker)
        });
        let process = ProcessControls { log: options.log, stop: options.stop, reset };
        let mut host = Self {
            server,
            path_prefix,
            configuration,
            start_report,
            http,
            https,
            certificate,
            metrics,
            http_socket,
            management,
            management_thread,
            http_end: HttpEnd::default(),
            lock: None,
        };
        let management = host.management(directory, options.http_settings, process);
        host.answer_all(
            management,
            HttpListeners { tcp, https: https_tcp, metrics: metrics_tcp, unix },
        );
        Ok(host)
    }

    /// Answers the requests that come to all listeners, and takes samples of numbers.
    fn answer_all(&mut self, management: Arc<Management>, listeners: HttpListeners) {
        let on = self.management_thread.handle();
        let router = management::router(Arc::clone(&management));
        let prefixed = management::prefixed_router(Arc::clone(&management));
        let metrics = management::metrics_router(Arc::clone(&management));
        for listener in listeners.metrics {
            self.answer(listener, SocketAddr::ip, metrics.clone(), &on);
        }
        for listener in listeners.https {
            let Some(certificate) = self.certificate.clone() else { break };
            let listener = HttpsListener::new(listener, certificate);
            self.answer(listener, SocketAddr::ip, prefixed.clone(), &on);
        }
        for listener in listeners.tcp {
            self.answer(listener, SocketAddr::ip, prefixed.clone(), &on);
        }
        if let Some(listener) = listeners.unix {
            let listener = OwnerListener::new(listener, server::origin_of);
            self.answer(listener, |origin| *origin, router, &on);
        }
        let stopped = self.stopping();
        let sampling = async move {
            // Sampling may be dropped at any time.
            tokio::select! {
                () = management.keep_sampling() => {}
                () = stopped => {}
            }
        };
        self.management.spawn_on(sampling, &on);
    }

    /// Answers the HTTP requests that come to a listener, until the server stops.
    fn answer<L, C>(
        &mut self,
        listener: L,
        caller_of: fn(&L::Addr) -> C,
        router: Router,
        on: &Handle,
    ) where
        L: HttpListener,
        C: Into<Caller> + 'static,
    {
        let slots = self.server.http_slots();
        let serving = management::serve(listener, caller_of, router, slots, self.stopping());
        let answering = self.http_end.answering.clone();
        let mut closed = self.http_end.closed.subscribe();
        let served = async move {
            let listener = serving.await;
            drop(answering);
            // A host that is gone is closed too.
            let _ = closed.wait_for(|is_closed| *is_closed).await;
            drop(listener);
        };
        self.management.spawn_on(served, on);
    }

    fn management(
        &self,
        directory: Option<&DataDirectory>,
        settings: HttpSettings,
        process: ProcessControls,
    ) -> Arc<Management> {
        let server = ServerInfo {
            started: self.server.started(),
            started_at: self.server.started_at(),
            listeners: self.listeners(),
            data_directory: directory.map(|directory| directory.path().to_path_buf()),
            configuration: self.configuration.clone(),
            process,
            maintenance: self.server.maintenance().clone(),
            http: Arc::new(settings),
        };
        Management::new(Arc::clone(self.server.broker()), server)
    }

    /// Ready when the server begins to stop.
    fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.server.stopping();
        async move {
            // A server that is gone has stopped too.
            let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
        }
    }

    fn listeners(&self) -> Vec<Listener> {
        let plain = self.server.addresses().iter().map(|address| ("amqp", *address));
        let tls = self.server.tls_addresses().iter().map(|address| ("amqp/ssl", *address));
        let http = self.http.iter().map(|address| ("http", *address));
        let https = self.https.iter().map(|address| ("https", *address));
        let metrics = self.metrics.iter().map(|address| (METRICS, *address));
        let certificates = |protocol| match protocol {
            "amqp/ssl" => self.server.certificates(),
            "https" => self.certificate.as_ref().map(Https::certificates),
            _ => None,
        };
        let listener = |(protocol, address): (&'static str, SocketAddr)| Listener {
            protocol,
            address: address.ip(),
            port: address.port(),
            certificates: certificates(protocol),
        };
        plain.chain(tls).chain(http).chain(https).chain(metrics).map(listener).collect()
    }

    /// The URLs AMQP is spoken at, the ports being those that were bound.
    pub fn urls(&self) -> Vec<String> {
        let plain = self.server.addresses().iter().map(|address| format!("amqp://{address}"));
        let tls = self.server.tls_addresses().iter().map(|address| format!("amqps://{address}"));
        plain.chain(tls).collect()
    }

    /// The addresses of AMQP, and those of AMQP over TLS.
    pub fn amqp_addresses(&self) -> [&[SocketAddr]; 2] {
        [self.server.addresses(), self.server.tls_addresses()]
    }

    /// Returns RabbitMQ's plugins whose work is done here.
    pub fn plugins(&self) -> Vec<&'static str> {
        management::started_plugins(&self.listeners())
    }

    /// The URLs the management API is served at.
    pub fn http_urls(&self) -> Vec<String> {
        let prefix = &self.path_prefix;
        let plain = self.http.iter().map(|address| format!("http://{address}{prefix}/"));
        let tls = self.https.iter().map(|address| format!("https://{address}{prefix}/"));
        plain.chain(tls).collect()
    }

    /// The URLs at which Prometheus finds the metrics.
    pub fn metrics_urls(&self) -> Vec<String> {
        self.metrics.iter().map(|address| format!("http://{address}/")).collect()
    }

    /// Puts those of the options in force that may change while the broker runs: limits, and the users that may log in
    /// from this machine only.
    pub fn change(&self, options: &HostOptions) {
        let broker = self.server.broker();
        broker.limits.set(options.limits_in_force());
        broker.users.keep_local(options.local_only.0.clone());
        self.configuration.set(options.configuration.clone());
    }

    /// Reads the files of the TLS listeners again; after an error they go on with what they had.
    pub fn reload(&self) -> Result<(), Error> {
        let https = self.certificate.as_ref().map_or(Ok(()), Https::reload);
        let reloaded = https.and_then(|()| self.server.reload_tls());
        reloaded.map_err(|error| Error::of_tls_file(&error))
    }

    /// Returns what was found in the directory at the start.
    pub fn start_report(&self) -> StartReport {
        self.start_report
    }

    /// Tells every client that the broker ends, and waits until they have gone or their time is over. What they had
    /// not acknowledged is back in its queues then, and everything that is to be kept on disk.
    pub async fn stop(self) {
        self.ended(|_| ()).await;
    }

    /// The same; tells what is left and what has happened.
    pub async fn end(self) -> Ending {
        self.ended(Ending::of).await
    }

    /// Ends the broker, and looks at it when its clients have gone.
    async fn ended<T>(self, look: impl FnOnce(&Broker) -> T) -> T {
        let Self { server, http_socket, mut management, management_thread, http_end, lock, .. } =
            self;
        let HttpEnd { answering, mut answered, closed } = http_end;
        let broker = Arc::clone(server.broker());
        server.stop().await;
        drop(answering);
        answered.recv().await;
        let seen = look(&broker);
        broker.close();
        if let Some(socket) = http_socket {
            // Gone already is as good.
            let _ = fs::remove_file(socket);
        }
        // The sockets of the next process have the same paths, and are not these.
        drop(lock);
        closed.send_replace(true);
        while management.join_next().await.is_some() {}
        drop(management_thread);
        seen
    }

    /// Waits until no client is connected, at most this long.
    pub async fn quiet(&self, most: Duration) {
        let deadline = Instant::now() + most;
        while self.server.broker().registry.count() > 0 && Instant::now() < deadline {
            sleep(QUIET_PAUSE).await;
        }
    }
}

/// The listeners for HTTP.
struct HttpListeners {
    tcp: Listeners,
    https: Listeners,
    metrics: Listeners,
    unix: Option<UnixSocket>,
}

/// Binds an address for HTTP, if there is one.
async fn bind(address: Option<Address>) -> Result<(Listeners, Vec<SocketAddr>), Error> {
    let listeners = match address {
        Some(address) => address.bind().await.map_err(not_bound)?,
        None => Vec::new(),
    };
    let bound = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    Ok((listeners, bound))
}

/// Opens the broker that is kept in a directory of ours.
fn open_directory(
    directory: &DataDirectory,
    node: String,
    clock: Clock,
    compat: Compat,
    defaults: &Defaults,
) -> Result<(Broker, StartReport), Error> {
    let path = directory.path();
    let open = || {
        format::check_or_write(path)?;
        let mut broker = Broker::open_with(node, Definitions::open(path)?, defaults)?;
        broker.started_at(clock.start_unix_ms());
        broker.answer_as(compat);
        let mut recovery = broker.recovery();
        let (store, report) = Store::open(path, &mut recovery)?;
        broker.keep_in(Arc::new(store));
        let queues = recovery.queues_len() as u64;
        recovery.finish();
        let damaged_bytes = report.damaged.iter().map(|damaged| u64::from(damaged.bytes)).sum();
        let messages = report.messages;
        tell_damage(&broker, report);
        let took = Duration::from_millis(clock.now());
        Ok((broker, StartReport { queues, messages, damaged_bytes, took }))
    };
    open().map_err(|source| Error::Contents { directory: directory.to_string(), source })
}

/// Logs the damage that a start found.
fn tell_damage(broker: &Broker, report: OpenReport) {
    let OpenReport { damaged, broken_marks, broken_indexes, .. } = report;
    if !damaged.is_empty() {
        let names = contents::queue_names(broker);
        for damaged in damaged {
            Damage::new(FoundBy::Start, damaged, &names).log();
        }
    }
    for (path, count) in broken_marks {
        let file = path.display();
        tracing::warn!(%file, count, "acknowledgements are damaged: their messages may be delivered again");
    }
    for path in broken_indexes {
        let file = path.display();
        tracing::warn!(%file, "an index is damaged: its messages are read instead");
    }
}

fn tls_files(
    files: TlsFiles,
    verify: TlsVerify,
    protocol: TlsProtocol,
) -> Option<server::TlsFiles> {
    let (certificate, key) = files.cert.zip(files.key)?;
    let login = LoginName::default();
    Some(server::TlsFiles { certificate, key, client_ca: files.ca, verify, protocol, login })
}

fn not_started(error: StartError) -> Error {
    match error {
        StartError::Bind(error) => not_bound(error),
        StartError::Tls(error) => Error::of_tls_file(&error),
    }
}

fn not_bound(error: BindError) -> Error {
    Error::Listen { address: error.address, source: error.source.into() }
}
