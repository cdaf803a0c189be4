//! A real RabbitMQ for a test binary: the referee that says whether a test is right.
//!
//! The node lives on free loopback ports under its own name, with its own epmd and a directory of
//! its own, so it meets neither an installed service nor another test run. It cannot outlive the
//! test binary: a watchdog shell holds the reading end of a pipe and takes everything down when the
//! other end closes, however this process came to its end.
//!
//! Self-contained, so that several test binaries can include it. Start at [`RabbitMq::shared`].

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

/// Set to `1` where a missing foreign program must fail the tests instead of skipping them.
pub(crate) const REQUIRE: &str = "MQ_REQUIRE_INTEROP";

/// Where Debian puts the start script that does not change user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Erlang takes seconds to boot; on a busy machine many.
const START_MAX: Duration = Duration::from_mins(2);
/// A node that loses the race for a free port is started again on others.
const START_ATTEMPTS: usize = 3;
/// How often a port is asked whether somebody listens yet.
const POLL: Duration = Duration::from_millis(25);
/// How long a listening node may take to answer one question.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Runs epmd and the node, and ends both when its standard input ends; a node that ends by itself leaves a mark.
const WATCHDOG: &str = r#"
"$EPMD" -address 127.0.0.1 -port "$ERL_EPMD_PORT" >/dev/null 2>&1 & epmd=$!
setsid sh -c '"$SERVER" >"$DIR/log" 2>&1 </dev/null; : >"$DIR/ended"' & node=$!
cat >/dev/null
kill -9 -"$node" "$epmd" 2>/dev/null
wait 2>/dev/null
rm -rf "$DIR"
"#;

/// A running node; dropping it stops the node and removes its directory.
#[derive(Debug)]
pub(crate) struct RabbitMq {
    amqp: u16,
    http: u16,
    watchdog: Child,
}

impl RabbitMq {
    /// The one node of this test binary, or `None` where RabbitMQ cannot be had.
    ///
    /// # Panics
    ///
    /// Panics instead of returning `None` when `MQ_REQUIRE_INTEROP=1`.
    pub(crate) fn shared() -> Option<&'static Self> {
        static NODE: OnceLock<Option<RabbitMq>> = OnceLock::new();
        NODE.get_or_init(Self::start).as_ref()
    }

    /// Starts a node and waits until it answers, or says once why it cannot.
    ///
    /// # Panics
    ///
    /// Panics when a node does not come up, and with `MQ_REQUIRE_INTEROP=1` when RabbitMQ is missing.
    pub(crate) fn start() -> Option<Self> {
        if !Path::new(SERVER).exists() {
            apt_install(&["rabbitmq-server"]);
        }
        if !Path::new(SERVER).exists() {
            unavailable("RabbitMQ", &format!("{SERVER} is missing and could not be installed"));
            return None;
        }
        let mut reasons = Vec::new();
        for _ in 0..START_ATTEMPTS {
            match Self::boot() {
                Ok(node) => return Some(node),
                Err(reason) => reasons.push(reason),
            }
        }
        panic!("RabbitMQ did not start:\n{}", reasons.join("\n"));
    }

    /// The URL of the default vhost.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/", self.amqp)
    }

    /// The base of the management API, with a slash at the end.
    pub(crate) fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.http)
    }

    fn boot() -> Result<Self, String> {
        let dir = scratch_directory();
        let (amqp, http, dist, epmd) = (free_port(), free_port(), free_port(), free_port());
        let conf = format!(
            "loopback_users = none\n\
             listeners.tcp.local = 127.0.0.1:{amqp}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {http}\n\
             collect_statistics_interval = 250\n\
             vm_memory_high_watermark.relative = 0.6\n\
             disk_free_limit.absolute = 1MB\n"
        );
        write(&dir.join("rabbitmq.conf"), &conf);
        write(&dir.join("enabled_plugins"), "[rabbitmq_management].\n");
        let mut watchdog = Command::new("sh");
        watchdog
            .args(["-c", WATCHDOG])
            .env("DIR", &dir)
            .env("SERVER", SERVER)
            .env("EPMD", epmd_path())
            .env("HOME", &dir)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("RABBITMQ_NODENAME", format!("mq-test-{amqp}@localhost"))
            .env("RABBITMQ_MNESIA_BASE", dir.join("data"))
            .env("RABBITMQ_LOG_BASE", dir.join("logs"))
            .env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("enabled_plugins"))
            .env("RABBITMQ_DIST_PORT", dist.to_string())
            .env("RABBITMQ_PID_FILE", dir.join("pid"))
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

/// Says in one loud line that a foreign program is missing, so that a skipped test is seen.
///
/// # Panics
///
/// Panics when `MQ_REQUIRE_INTEROP=1`.
pub(crate) fn unavailable(what: &str, why: &str) {
    let line = format!("!!! SKIPPED: {what} is not available here: {why} !!!");
    assert!(env::var(REQUIRE).as_deref() != Ok("1"), "{line} ({REQUIRE}=1 forbids skipping)");
    // Straight to the descriptor: the test harness keeps what a passing test prints to itself.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Installs Debian packages where this process may, without starting a service of theirs.
pub(crate) fn apt_install(packages: &[&str]) {
    const POLICY: &str = "/usr/sbin/policy-rc.d";
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root || !Path::new("/usr/bin/apt-get").exists() {
        return;
    }
    let has_policy = Path::new(POLICY).exists();
    if !has_policy {
        write(Path::new(POLICY), "#!/bin/sh\nexit 101\n");
        let _ = Command::new("chmod").args(["755", POLICY]).status();
    }
    let apt = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(["-qq", "-y", "-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
    };
    let _ = apt(&["update"]);
    let _ = apt(&[&["install", "--no-install-recommends"], packages].concat());
    if !has_policy {
        let _ = fs::remove_file(POLICY);
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
fn scratch_directory() -> PathBuf {
    let dir = env::temp_dir().join(format!("mq-rabbitmq-{}-{}", std::process::id(), free_port()));
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
