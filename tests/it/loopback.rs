//! `localhost` is this machine under both of its addresses, or under the one that it has.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::support::cli::{Running, program};

/// A network with nothing but loopback, where the usual ports are free; and who holds it.
struct Network {
    holder: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Network {
    /// Makes one; `None`, and a loud line, where this process may not.
    fn new() -> Option<Self> {
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (orders, answers) = (holder.stdin.take()?, BufReader::new(holder.stdout.take()?));
        let mut network = Self { holder, orders, answers };
        if network.order("ip link set lo up") {
            return Some(network);
        }
        // Straight to the descriptor: the test harness keeps what a passing test prints to itself.
        let _ = writeln!(io::stderr(), "!!! SKIPPED: no network can be made here !!!");
        None
    }

    /// Runs a line of shell in it; answers whether that went well.
    fn order(&mut self, line: &str) -> bool {
        let ordered = writeln!(self.orders, "{line} && echo yes || echo no");
        let mut answer = String::new();
        ordered.is_ok() && self.answers.read_line(&mut answer).is_ok() && answer.trim() == "yes"
    }

    /// `mq` with these arguments, in it.
    fn mq(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        command.args(["--preserve-credentials", "--user", "--net", "--target", &holder]);
        command.arg(program().get_program()).args(arguments);
        for name in ["RUST_LOG", "MQ_URL", "MQ_HTTP_URL", "MQ_LOCAL", "MQ_CONTEXT"] {
            command.env_remove(name);
        }
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_broker_listens_on_both_loopback_addresses_and_knows_guest_on_both() {
    let Some(network) = Network::new() else { return };
    let running = Running::spawn(
        &mut network.mq(&["serve", "--memory"]),
        "management API at http://[::1]:15672/api/",
    );
    let urls = ["amqp://127.0.0.1:5672", "amqp://[::1]:5672", "http://127.0.0.1:15672/api/"];
    for url in urls {
        assert!(running.said().contains(url), "{}", running.said());
    }
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let (url, http) = (format!("amqp://{host}"), format!("http://{host}:15672"));
        let run = network.mq(&["--url", &url, "ping"]).output().unwrap();
        assert!(run.status.success(), "{host}: {run:?}");
        let run =
            network.mq(&["--url", &url, "--http-url", &http, "list-vhosts"]).output().unwrap();
        assert!(run.status.success(), "{host}: {run:?}");
    }
}

#[test]
fn a_machine_with_one_family_of_addresses_has_a_broker_on_that_one() {
    let Some(mut network) = Network::new() else { return };
    assert!(network.order("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"));
    let running = Running::spawn(&mut network.mq(&["serve", "--memory"]), "management API at ");
    assert!(running.said().contains("listening on amqp://127.0.0.1:5672"));
    assert!(!running.said().contains("[::1]"), "{}", running.said());
}

#[test]
fn an_address_that_another_process_has_is_named() {
    let Some(network) = Network::new() else { return };
    let other = ["serve", "--memory", "--listen", "[::1]:5672"];
    let _other = Running::spawn(&mut network.mq(&other), "listening on");
    let run = network.mq(&["serve", "--memory"]).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(69), "{said}");
    assert!(said.contains("error: cannot listen on [::1]:5672\n"), "{said}");
}
