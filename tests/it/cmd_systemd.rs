//! `mq serve` under systemd: its messages to `NOTIFY_SOCKET`; and maintenance, which an upgrade begins with.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::cli::{Running, program};

/// A test waits no longer for something that is sure to come.
const MOST: Duration = Duration::from_secs(30);

/// The socket on which systemd listens.
struct Manager {
    socket: UnixDatagram,
    directory: TempDir,
}

impl Manager {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(MOST)).unwrap();
        Self { socket, directory }
    }

    /// The next message.
    fn message(&self) -> String {
        let mut bytes = [0; 4096];
        let len = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }

    fn start(&self, variables: &[(&str, &str)]) -> Running {
        let mut command = program();
        command.args(["serve", "--memory", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.arg("--print-url").env("NOTIFY_SOCKET", self.directory.path().join("notify"));
        Running::spawn(command.envs(variables.iter().copied()), "listening on")
    }
}

#[test]
fn systemd_hears_of_every_state() {
    let manager = Manager::new();
    let mut broker = manager.start(&[]);
    let url = broker.line();
    let ready = manager.message();
    let address = url.trim().trim_start_matches("amqp://");
    assert_eq!(ready, format!("READY=1\nSTATUS=listening on amqp://{address}\n"));
    assert!(TcpStream::connect(address).is_ok(), "ready is ready for clients");

    broker.signal(Signal::HUP);
    let reloading = manager.message();
    let (state, time) = reloading.trim().split_once('\n').unwrap();
    assert_eq!(state, "RELOADING=1");
    assert!(time.strip_prefix("MONOTONIC_USEC=").unwrap().parse::<u64>().unwrap() > 0, "{time}");
    assert_eq!(manager.message(), "READY=1\n");
    broker.signal(Signal::TERM);
    assert!(manager.message().starts_with("STOPPING=1\n"));
    assert!(broker.end().0.success());
}

#[test]
fn the_watchdog_is_fed_in_half_of_its_time() {
    let manager = Manager::new();
    let broker = manager.start(&[("WATCHDOG_USEC", "200000")]);
    let begun = Instant::now();
    let mut fed = 0;
    while fed < 5 {
        if manager.message() == "WATCHDOG=1\n" {
            fed += 1;
        }
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    drop(broker);
}

/// An example of a Type=notify unit that systemd did not start.
#[test]
fn without_systemd_nothing_is_sent() {
    let mut command = program();
    command.env_remove("NOTIFY_SOCKET").args(["serve", "--memory", "--listen", "127.0.0.1:0"]);
    let mut broker = Running::spawn(&mut command, "Server startup complete; 0 plugins started.");
    broker.signal(Signal::TERM);
    let (status, _, rest) = broker.end();
    assert!(status.success() && !rest.contains("systemd"), "{rest}");
}

/// The first line of the answer to a health check.
fn health(url: &str, check: &str) -> String {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    // guest:guest
    let request = format!(
        "GET /api/health/checks/{check} HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[test]
fn a_drained_node_closes_its_clients_and_takes_none_until_it_is_revived() {
    let manager = Manager::new();
    let mut broker = manager.start(&[]);
    let (url, http) = (broker.line(), broker.line());
    let (url, http) = (url.trim(), http.trim());
    let run = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).args(["--http-url", http]);
        let run = command.output().unwrap();
        let text = String::from_utf8(run.stdout).unwrap() + &String::from_utf8(run.stderr).unwrap();
        (run.status.code(), text)
    };
    let address = url.trim_start_matches("amqp://");
    let amqp = |arguments: &[&str]| {
        let run = program().args(arguments).args(["--url", url]).output().unwrap();
        run.status.code()
    };
    assert_eq!(amqp(&["declare-queue", "q"]), Some(0));
    let mut consume = program();
    consume.args(["consume", "--queue", "q", "--url", url]).args(["--http-url", http]);
    let mut consumer = Running::spawn(&mut consume, "");
    broker.wait_for("connection authenticated");
    broker.wait_for("connection authenticated");
    let node = |field: &str| -> serde_json::Value {
        let report: serde_json::Value = serde_json::from_str(&run(&["report"]).1).unwrap();
        report["nodes"][0][field].clone()
    };
    assert_eq!(node("being_drained"), false);

    assert_eq!(run(&["drain"]).0, Some(0));
    broker.wait_for("this node is put into maintenance");
    let (status, _, said) = consumer.end();
    assert!(!status.success(), "{said}");
    assert!(said.contains("Node was put into maintenance mode"), "{said}");
    // The listener is closed by its own task.
    let begun = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(begun.elapsed() < MOST, "clients still connect");
        std::thread::yield_now();
    }
    for check in ["is-in-service", "ready-to-serve-clients"] {
        assert_eq!(health(http, check), "HTTP/1.1 503 Service Unavailable");
    }
    assert_eq!(run(&["drain"]).0, Some(0), "once more changes nothing");

    // Its URL may stand in a variable all the same, as in a shell that has both.
    let mut revive = program();
    let revive = revive.env("MQ_URL", url).args(["revive", "--http-url", http]).output().unwrap();
    assert!(revive.status.success(), "{revive:?}");
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < MOST, "no client connects again");
        std::thread::yield_now();
    }
    assert_eq!(amqp(&["ping"]), Some(0));
    assert_eq!(health(http, "is-in-service"), "HTTP/1.1 200 OK");
    broker.signal(Signal::TERM);
    assert!(broker.end().0.success());
}
