//! The broker of a data directory: join who runs it, or run it.
//!
//! Who holds the lock `mq.lock` runs the broker and listens on `mq.sock` (AMQP) and `mq-http.sock` (management
//! API); everybody else joins through these. The operating system lets go of the lock when its holder dies, so a
//! directory is never held by nobody, and two processes that race are never both the host.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::client::{self, Connection, Dialed, Options, Place};
use crate::engine::error::{Cause, Error};
use crate::engine::host::{Host, HostOptions};

/// How often to look whether the process that has just taken the lock listens yet; a broker starts in less.
const JOIN_PAUSE: Duration = Duration::from_millis(5);

/// Where `mq serve` and `--local` keep a broker when no directory is named: `$XDG_DATA_HOME/mq`, else
/// `~/.local/share/mq`.
pub fn default_directory(environment: impl Fn(&str) -> Option<String>) -> Result<PathBuf, Error> {
    // A relative path in XDG_DATA_HOME is to be ignored (XDG Base Directory Specification).
    let data = environment("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || environment("HOME").map(|home| Path::new(&home).join(".local/share"));
    match data.or_else(home) {
        Some(data) => Ok(data.join("mq")),
        None => Err(Error::usage(
            "there is no default data directory, because neither XDG_DATA_HOME nor HOME is set",
            "name one: --local=DIR",
        )),
    }
}

/// Why a directory cannot be had.
pub(super) const TAKEN: &str = "another process runs its broker";

/// A data directory and the files in it that say who runs its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The Unix socket AMQP is spoken on.
    pub fn amqp_socket(&self) -> PathBuf {
        self.path.join("mq.sock")
    }

    /// The Unix socket the management API is served on.
    pub fn http_socket(&self) -> PathBuf {
        self.path.join("mq-http.sock")
    }

    pub(super) fn amqp_place(&self) -> Place {
        Place::Unix(self.amqp_socket())
    }

    /// Takes the directory, making it when it is not there; `None` when another process holds it.
    ///
    /// Whoever has the lock may remove sockets that are there: their listener is dead.
    pub fn lock(&self) -> Result<Option<DirectoryLock>, Error> {
        let locked = || {
            fs::create_dir_all(&self.path)?;
            let path = self.path.join("mq.lock");
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(Some(DirectoryLock { _file: file })),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
                Err(error) => Err(io::Error::from(error)),
            }
        };
        locked().map_err(|error| self.unusable(error.into()))
    }

    /// Keeps brokers out of a directory for as long as it is looked at, and changes nothing in it.
    pub fn lock_to_read(&self) -> Result<Option<DirectoryLock>, Error> {
        let locked = || {
            fs::read_dir(&self.path)?;
            let file = match File::open(self.path.join("mq.lock")) {
                Ok(file) => file,
                // No broker ever ran here.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            Ok(Some(DirectoryLock { _file: file }))
        };
        locked().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => self.unusable(Cause::new(TAKEN)),
            _ => self.unusable(error.into()),
        })
    }

    fn unusable(&self, source: Cause) -> Error {
        Error::Directory { directory: self.to_string(), source }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// Proof that this process alone runs the broker of a directory, for as long as it lives.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Our place in a data directory.
#[derive(Debug)]
pub(super) struct Residence {
    directory: Directory,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// Another process runs the broker; its socket answered with this stream, which the first connection uses.
    Guest(Mutex<Option<Dialed>>),
    /// We run it until [`Residence::leave`].
    Host(Mutex<Option<Host>>),
}

impl Residence {
    /// Joins the process that runs the broker of `directory`, or becomes it.
    pub(super) async fn settle(directory: &Directory, timeout: Duration) -> Result<Self, Error> {
        let deadline = Instant::now() + timeout;
        let role = loop {
            let absent = match Dialed::to(&directory.amqp_place(), timeout).await {
                Ok(stream) => break Role::Guest(Mutex::new(Some(stream))),
                Err(error) => error,
            };
            if let Some(lock) = directory.lock()? {
                let host =
                    Host::start_in(Some(directory), Some(lock), HostOptions::default()).await?;
                break Role::Host(Mutex::new(Some(host)));
            }
            if Instant::now() > deadline {
                let why = format!("another process holds it but does not answer: {absent}");
                return Err(directory.unusable(Cause::new(why)));
            }
            sleep(JOIN_PAUSE).await;
        };
        Ok(Self { directory: directory.clone(), role })
    }

    /// Whether another process runs the broker.
    pub(super) fn is_guest(&self) -> bool {
        matches!(self.role, Role::Guest(_))
    }

    pub(super) async fn connect(&self, options: &Options) -> Result<Connection, client::Error> {
        if let Role::Guest(stream) = &self.role
            && let Some(stream) = stream.lock().await.take()
        {
            return stream.open(options).await;
        }
        Connection::connect(&self.directory.amqp_place(), options).await
    }

    /// Ends the broker when it is ours.
    pub(super) async fn leave(&self) {
        if let Role::Host(host) = &self.role
            && let Some(host) = host.lock().await.take()
        {
            host.stop().await;
        }
    }
}
