//! A real RabbitMQ for a test binary: the referee that says whether a test is right.
//!
//! The node lives on free loopback ports under its own name, with its own epmd and a directory of
//! its own, so it meets neither an installed service nor another test run. It cannot outlive the
//! test binary: a watchdog shell holds the reading end of a pipe and takes everything down when the
//! other end closes, however this process came to its end.
//!
//! RabbitMQ 3.10 is the package of the system. RabbitMQ 4.3 is that of Debian's next release, with all it needs in a
//! folder of its own (`install-rabbitmq-4.3`), and runs there by `chroot`, for which nothing is mounted: the folder can be
//! deleted like any other. Start at [`RabbitMq::shared`].

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use crate::installing::{apt_install, installed, run, unavailable};

/// Where Debian puts the start script that does not change user, on the system and in the folder of the 4.3.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Erlang takes seconds to boot; on a busy machine many.
const START_MAX: Duration = Duration::from_mins(2);
/// A node that loses the race for a free port is started again on others.
const START_ATTEMPTS: usize = 3;
/// How often a port is asked whether somebody listens yet.
const POLL: Duration = Duration::from_millis(25);
/// How long a listening node may take to answer one question.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Runs epmd and the node, behind the command `$*` if there is one, and ends both when its standard input ends; a node
/// that ends by itself leaves a mark.
const WATCHDOG: &str = r#"
"$@" "$EPMD" -address 127.0.0.1 -port "$ERL_EPMD_PORT" >/dev/null 2>&1 & epmd=$!
setsid sh -c '"$@" "$SERVER" >"$DIR/log" 2>&1 </dev/null; : >"$DIR/ended"' sh "$@" & node=$!
cat >/dev/null
kill -9 -"$node" "$epmd" 2>/dev/null
wait 2>/dev/null
rm -rf "$DIR"
"#;

/// Which RabbitMQ, and how it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Debian 12's 3.10.8.
    V3_10,
    /// 4.3.6 as Debian packages it: transient queues that are not exclusive are permitted.
    V4_3,
    /// 4.3.6 that refuses such queues, as it does by default where Debian has not patched it.
    V4_3Strict,
}

impl Release {
    fn name(self) -> &'static str {
        match self {
            Self::V3_10 => "RabbitMQ 3.10",
            Self::V4_3 | Self::V4_3Strict => "RabbitMQ 4.3",
        }
    }

    /// What stands in the configuration besides addresses.
    fn configuration(self) -> &'static str {
        match self {
            Self::V3_10 => "vm_memory_high_watermark.relative = 0.6\n",
            // The folder has no `/proc`, where the node would look for its memory.
            Self::V4_3 => {
                "vm_memory_calculation_strategy = allocated\n\
                 total_memory_available_override_value = 2GB\n"
            }
            Self::V4_3Strict => {
                "vm_memory_calculation_strategy = allocated\n\
                 total_memory_available_override_value = 2GB\n\
                 deprecated_features.permit.transient_nonexcl_queues = false\n"
            }
        }
    }

    /// The root of the system it is installed in, or `None` where it cannot be had, of which one line is said.
    fn root(self) -> Option<PathBuf> {
        match self {
            Self::V3_10 => {
                if !Path::new(SERVER).exists() {
                    apt_install(&["rabbitmq-server"]);
                }
                let is_there = Path::new(SERVER).exists();
                if !is_there {
                    let why = format!("{SERVER} is missing and could not be installed");
                    unavailable(self.name(), &why);
                }
                is_there.then(|| PathBuf::from("/"))
            }
            Self::V4_3 | Self::V4_3Strict => installed("rabbitmq-4.3", |folder| {
                if run(Command::new("debootstrap").arg("--version")).is_err() {
                    apt_install(&["debootstrap"]);
                }
                let script = Path::new(env!("CARGO_MANIFEST_DIR"));
                let script = script.join("tests/support/install-rabbitmq-4.3");
                run(Command::new("sh").arg(script).arg(folder))
            }),
        }
    }
}

/// A running node; dropping it stops the node and removes its directory.
#[derive(Debug)]
pub(crate) struct RabbitMq {
    amqp: u16,
    http: u16,
    watchdog: Child,
}

impl RabbitMq {
    /// The one node of this release in this test binary, or `None` where RabbitMQ cannot be had.
    ///
    /// # Panics
    ///
    /// Panics instead of returning `None` when `MQ_REQUIRE_INTEROP=1`.
    pub(crate) fn shared(release: Release) -> Option<&'static Self> {
        static NODES: [OnceLock<Option<RabbitMq>>; 3] = [const { OnceLock::new() }; 3];
        NODES[release as usize].get_or_init(|| Self::start(release)).as_ref()
    }

    /// Starts a node and waits until it answers, or says once why it cannot.
    ///
    /// # Panics
    ///
    /// Panics when a node does not come up, and with `MQ_REQUIRE_INTEROP=1` when RabbitMQ is missing.
    fn start(release: Release) -> Option<Self> {
        let root = release.root()?;
        let mut reasons = Vec::new();
        for _ in 0..START_ATTEMPTS {
            match Self::boot(release, &root) {
                Ok(node) => return Some(node),
                Err(reason) => reasons.push(reason),
            }
        }
        panic!("{} did not start:\n{}", release.name(), reasons.join("\n"));
    }

    /// The URL of the default vhost.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/", self.amqp)
    }

    /// The base of the management API, with a slash at the end.
    pub(crate) fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.http)
    }

    fn boot(release: Release, root: &Path) -> Result<Self, String> {
        let is_in_folder = root != Path::new("/");
        let base = if is_in_folder { root.join("tmp") } else { env::temp_dir() };
        let dir = scratch_directory(&base);
        // The same directory, as the node sees it.
        let home = if is_in_folder {
            Path::new("/").join(dir.strip_prefix(root).expect("it is below the root"))
        } else {
            dir.clone()
        };
        let (amqp, http, dist, epmd) = (free_port(), free_port(), free_port(), free_port());
        let conf = format!(
            "loopback_users = none\n\
             listeners.tcp.local = 127.0.0.1:{amqp}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {http}\n\
             collect_statistics_interval = 250\n\
             disk_free_limit.absolute = 1MB\n\
             {}",
            release.configuration()
        );
        write(&dir.join("rabbitmq.conf"), &conf);
        write(&dir.join("enabled_plugins"), "[rabbitmq_management].\n");
        let mut watchdog = Command::new("sh");
        watchdog
            .args(["-c", WATCHDOG, "sh"])
            .args(if is_in_folder { vec![Path::new("chroot"), root] } else { Vec::new() })
            .env("DIR", &dir)
            .env("SERVER", SERVER)
            .env("EPMD", if is_in_folder { "epmd".into() } else { epmd_path() })
            .env("HOME", &home)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("RABBITMQ_NODENAME", format!("mq-test-{amqp}@localhost"))
            .env("RABBITMQ_MNESIA_BASE", home.join("data"))
            .env("RABBITMQ_LOG_BASE", home.join("logs"))
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
            .env("RABBITMQ_DIST_PORT", dist.to_string())
            .env("RABBITMQ_PID_FILE", home.join("pid"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            )
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A Ctrl-C in the terminal must reach this process only: the watchdog cleans up after it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut watchdog, 0);
        let watchdog = watchdog.spawn().expect("a shell can be started");
        let mut node = Self { amqp, http, watchdog };
        match node.await_ready(&dir.join("ended")) {
            Ok(()) => Ok(node),
            Err(reason) => {
                let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
                Err(format!("{reason}\n{log}"))
            }
        }
    }

    /// Waits until both listeners answer as RabbitMQ does.
    fn await_ready(&mut self, ended: &Path) -> Result<(), String> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Ok(Some(status)) = self.watchdog.try_wait() {
                return Err(format!("the watchdog of the node ended: {status}"));
            }
            let amqp = first_bytes(self.amqp, b"AMQP\0\0\x09\x01");
            let http = first_bytes(
                self.http,
                b"GET /api/whoami HTTP/1.0\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n",
            );
            match (amqp, http) {
                (Ok(amqp), Ok(http)) if amqp[0] == 1 && http.starts_with(b"HTTP/1.1 200") => {
                    return Ok(());
                }
                _ if ended.exists() => return Err("the node ended while it started".to_owned()),
                _ if Instant::now() > deadline => {
                    return Err(format!("no answer within {START_MAX:?}"));
                }
                _ => thread::sleep(POLL),
            }
        }
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Ports outside the range that the system gives to outgoing connections (`ip_local_port_range`), of which other
/// tests make thousands: one of those could take the port before the node does.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port of the loopback interface that nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let chance = RandomState::new().hash_one(std::process::id());
    let start =
        PORTS.start + u16::try_from(chance % PORTS.len() as u64).expect("below the range's length");
    let found = (start..PORTS.end).chain(PORTS.start..start).find(free);
    found.expect("loopback has a free port")
}

/// The first bytes a loopback port sends in answer to `request`.
fn first_bytes(port: u16, request: &[u8]) -> io::Result<[u8; 12]> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(request)?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// A new directory of this node's own, short enough for Erlang's paths.
fn scratch_directory(base: &Path) -> PathBuf {
    let dir = base.join(format!("mq-rabbitmq-{}-{}", std::process::id(), free_port()));
    fs::create_dir_all(&dir).expect("the temporary directory is writable");
    dir
}

/// Debian puts epmd on the path; an Erlang from elsewhere has it beside `erl`.
fn epmd_path() -> PathBuf {
    let known = ["/usr/bin/epmd", "/usr/lib/erlang/bin/epmd", "/usr/local/bin/epmd"];
    known.iter().map(PathBuf::from).find(|path| path.exists()).unwrap_or_else(|| "epmd".into())
}

fn write(path: &Path, text: &str) {
    fs::write(path, text)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
