//! A data directory: its path, the sockets in it, and the lock that says which process runs its broker.
//!
//! The operating system releases the lock when its holder dies, so a directory is never held by a dead process, and two
//! processes that race are never both the host.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::client::Endpoint;
use crate::engine::error::{Cause, Error};

/// The directory in which `mq serve` and `--local` keep a broker if none is named: `$XDG_DATA_HOME/mq`, else
/// `~/.local/share/mq`.
pub fn default_directory(environment: impl Fn(&str) -> Option<String>) -> Result<PathBuf, Error> {
    user_directory("XDG_DATA_HOME", ".local/share", environment).ok_or_else(|| {
        Error::usage(
            "there is no default data directory, because neither XDG_DATA_HOME nor HOME is set",
            "name one: --local=DIR",
        )
    })
}

/// The directory of a user's own settings: `$XDG_CONFIG_HOME/mq`, else `~/.config/mq`.
pub(super) fn configuration_directory(
    environment: impl Fn(&str) -> Option<String>,
) -> Result<PathBuf, Error> {
    user_directory("XDG_CONFIG_HOME", ".config", environment).ok_or_else(|| {
        Error::usage(
            "there is no configuration directory, because neither XDG_CONFIG_HOME nor HOME is set",
            "set one of them",
        )
    })
}

/// The directory `mq` in the one that a variable names, else in one below the home directory.
fn user_directory(
    variable: &str,
    in_home: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Option<PathBuf> {
    // A relative path in such a variable is to be ignored (XDG Base Directory Specification).
    let named = environment(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || environment("HOME").filter(|home| !home.is_empty());
    let named = named.or_else(|| home().map(|home| Path::new(&home).join(in_home)));
    named.map(|directory| directory.join("mq"))
}

/// The directory of a broker that runs in the place of RabbitMQ's server: `RABBITMQ_MNESIA_DIR`, else `mq` in
/// `RABBITMQ_MNESIA_BASE`, `RABBITMQ_DATA_DIR` or `/var/lib/rabbitmq`.
pub fn rabbitmq_directory(environment: impl Fn(&str) -> Option<String>) -> PathBuf {
    let path = |name: &str| environment(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let base = || {
        let base = path("RABBITMQ_MNESIA_BASE").or_else(|| path("RABBITMQ_DATA_DIR"));
        base.unwrap_or_else(|| PathBuf::from("/var/lib/rabbitmq")).join("mq")
    };
    path("RABBITMQ_MNESIA_DIR").unwrap_or_else(base)
}

/// Longest path of a Unix socket, in bytes (`sun_path`, with the zero at its end).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The reason given when another process holds a directory.
const TAKEN: &str = "another process runs the broker of this directory";

/// A data directory and the files in it that say which process runs its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDirectory {
    path: PathBuf,
}

impl DataDirectory {
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

    pub(super) fn amqp_place(&self) -> Endpoint {
        Endpoint::Unix(self.amqp_socket())
    }

    /// Takes the directory, making it when it is not there; `None` when another process holds it.
    ///
    /// The process that has the lock may remove sockets that are there: their listener is dead.
    pub fn lock(&self) -> Result<Option<DirectoryLock>, Error> {
        let bytes = self.http_socket().as_os_str().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            let over = bytes - SOCKET_PATH_BYTES_MAX;
            return Err(Error::usage(
                format!(
                    "the path of the data directory is {over} bytes too long for the sockets in it: {self}"
                ),
                "name a shorter path; it may be a symbolic link to the directory",
            ));
        }
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

    pub(super) fn unusable(&self, source: Cause) -> Error {
        Error::DataDirectory { directory: self.to_string(), source }
    }
}

impl fmt::Display for DataDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// Takes a directory that no other process holds.
pub(super) fn held(directory: &DataDirectory) -> Result<DirectoryLock, Error> {
    directory.lock()?.ok_or_else(|| directory.unusable(Cause::new(TAKEN)))
}

/// Proof that this process alone runs the broker of a directory, for as long as it lives.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}
