//! `mq serve --as-rabbitmq-server` in the place of the `rabbitmq` image, as Testcontainers and a compose file use it:
//! variables and files configure it, a line of its output says that it is ready, then a client connects.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use fancy_regex::Regex;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::cli::program;

/// The regular expression that Testcontainers for Java waits for; those for Go and .NET wait for the same words.
const JAVA_READY: &str = ".*Server startup complete.*";

/// Ports that the system chooses, where the image has fixed ones.
const ANY_PORTS: &str =
    "listeners.tcp.default = 0\nmanagement.tcp.port = 0\nprometheus.tcp.port = 0\n";

/// A "container": the process, its files and what it printed.
struct Container {
    process: Child,
    stdout: BufReader<ChildStdout>,
    printed: String,
    files: TempDir,
}

impl Container {
    /// Starts one with these lines in `rabbitmq.conf` and these variables.
    fn start(config: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_in(TempDir::new().unwrap(), config, variables)
    }

    fn start_in(files: TempDir, config: &str, variables: &[(&str, &str)]) -> Self {
        let file = files.path().join("rabbitmq.conf");
        fs::write(&file, format!("{ANY_PORTS}{config}")).unwrap();
        let mut command = program();
        command.args(["serve", "--as-rabbitmq-server"]).env("RABBITMQ_CONFIG_FILE", &file);
        command.env("RABBITMQ_MNESIA_BASE", files.path()).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Self { process, stdout, printed: String::new(), files }
    }

    /// Reads its output until a line matches, as the wait strategies for logs do.
    fn wait_for(&mut self, pattern: &str) {
        let pattern = Regex::new(pattern).unwrap();
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended without '{pattern}':\n{}", self.printed);
            self.printed.push_str(&line);
            if pattern.is_match(&line).unwrap() {
                return;
            }
        }
    }

    /// The port of the line that begins so.
    fn port(&self, line: &str) -> u16 {
        let (_, rest) = self.printed.split_once(line).expect(line);
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().unwrap()
    }

    /// The port at which clients find AMQP.
    fn amqp(&self) -> u16 {
        self.port("started TCP listener on [::]:")
    }

    /// The port of the management API.
    fn http(&self) -> u16 {
        self.port("management API at http://[::]:")
    }

    /// Runs a command on it; answers with its exit code and output.
    fn run(&self, login: &str, vhost: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let url = format!("amqp://{login}@127.0.0.1:{}/{vhost}", self.amqp());
        let http = format!("http://127.0.0.1:{}", self.http());
        let mut command = program();
        let run = command.args(arguments).args(["--url", &url, "--http-url", &http]).output();
        let run = run.unwrap();
        (run.status.code(), String::from_utf8(run.stdout).unwrap())
    }

    /// Stops it as `docker stop` does; its files stay.
    fn stop(mut self) -> TempDir {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success());
        std::mem::replace(&mut self.files, TempDir::new().unwrap())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Java: `guest` has the password that was set, and declares what the test asks for.
#[test]
fn testcontainers_for_java_finds_the_line_and_guest() {
    let variables = [("RABBITMQ_DEFAULT_PASS", "secret"), ("MQ_LOOPBACK_USERS", "none")];
    let mut container = Container::start("", &variables);
    container.wait_for(JAVA_READY);
    container.wait_for(r" \* rabbitmq_web_dispatch");
    let printed = &container.printed;
    assert!(printed.contains("Server startup complete; 4 plugins started."), "{printed}");
    for plugin in ["rabbitmq_management", "rabbitmq_prometheus", "rabbitmq_management_agent"] {
        assert!(printed.contains(&format!(" * {plugin}\n")), "{printed}");
    }
    assert_eq!(container.run("guest:secret", "%2F", &["declare-queue", "java"]).0, Some(0));
    assert_ne!(container.run("guest:guest", "%2F", &["ping"]).0, Some(0));
}

/// Go: a user of its own, a configuration file, and with TLS a second line to wait for.
#[test]
fn testcontainers_for_go_waits_for_the_tls_listener_too() {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificates = TempDir::new().unwrap();
    let path = |name: &str| certificates.path().join(name);
    fs::write(path("cert.pem"), signed.cert.pem()).unwrap();
    fs::write(path("key.pem"), signed.signing_key.serialize_pem()).unwrap();
    let config = format!(
        "listeners.ssl.default = 0\nssl_options.cacertfile = {0}/cert.pem\nssl_options.certfile = {0}/cert.pem\n\
         ssl_options.keyfile = {0}/key.pem\nssl_options.verify = verify_none\n\
         ssl_options.fail_if_no_peer_cert = false\n",
        certificates.path().display()
    );
    let variables = [("RABBITMQ_DEFAULT_USER", "gopher"), ("RABBITMQ_DEFAULT_PASS", "secret")];
    let mut container = Container::start(&config, &variables);
    container.wait_for(r"started TLS \(SSL\) listener on \[::\]:\d+");
    container.wait_for(JAVA_READY);
    assert_eq!(container.run("gopher:secret", "%2F", &["declare-queue", "go"]).0, Some(0));
    let url = format!(
        "amqps://gopher:secret@localhost:{}",
        container.port("started TLS (SSL) listener on [::]:")
    );
    let authority = path("cert.pem");
    let mut ping = program();
    ping.args(["ping", "--url", &url, "--tls-ca", authority.to_str().unwrap()]);
    assert_eq!(ping.output().unwrap().status.code(), Some(0));
}

/// Python: the variables for the user, the vhost and the port, then a client that publishes and gets.
#[test]
fn testcontainers_for_python_logs_in_to_its_vhost() {
    let variables = [
        ("RABBITMQ_NODE_PORT", "0"),
        ("RABBITMQ_DEFAULT_USER", "snake"),
        ("RABBITMQ_DEFAULT_PASS", "secret"),
        ("RABBITMQ_DEFAULT_VHOST", "nest"),
    ];
    let mut container = Container::start("", &variables);
    container.wait_for(JAVA_READY);
    let run = |arguments: &[&str]| container.run("snake:secret", "nest", arguments);
    assert_eq!(run(&["declare-queue", "eggs"]).0, Some(0));
    assert_eq!(run(&["publish", "--queue", "eggs", "one"]).0, Some(0));
    let (code, got) = run(&["get", "--queue", "eggs", "-o", "raw"]);
    assert_eq!((code, got.trim_end()), (Some(0), "one"));
    assert_ne!(container.run("guest:guest", "%2F", &["ping"]).0, Some(0), "there is no guest");
}

/// A compose file: a volume, a configuration with definitions, a health check, a restart.
#[test]
fn a_compose_file_has_its_volume_definitions_and_health_checks() {
    let files = TempDir::new().unwrap();
    let definitions = files.path().join("definitions.json");
    fs::write(&definitions, r#"{"queues": [{"name": "orders", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}}]}"#).unwrap();
    let config = format!("load_definitions = {}\n", definitions.display());
    let variables = [
        ("RABBITMQ_DEFAULT_USER", "app"),
        ("RABBITMQ_DEFAULT_PASS", "secret"),
        ("RABBITMQ_ERLANG_COOKIE", "unused"),
        ("RABBITMQ_LOGS", "-"),
        ("RABBITMQ_NODENAME", "rabbit"),
    ];
    let mut container = Container::start_in(files, &config, &variables);
    container.wait_for(JAVA_READY);
    let printed = &container.printed;
    assert!(printed.contains("RABBITMQ_ERLANG_COOKIE has no effect here"), "{printed}");
    assert!(!printed.contains("RABBITMQ_LOGS"), "{printed}");
    assert!(!printed.contains("RABBITMQ_MNESIA_BASE"), "{printed}");
    let run =
        |container: &Container, arguments: &[&str]| container.run("app:secret", "%2F", arguments);
    for check in ["ping", "check_port_connectivity", "check_running", "check_local_alarms"] {
        assert_eq!(run(&container, &["-q", check]).0, Some(0), "{check}");
    }
    let (_, status) = run(&container, &["cluster-status", "-o", "json"]);
    assert!(status.contains(r#""running_nodes":["rabbit@"#), "{status}");
    let publish = ["publish", "--queue", "orders", "kept"];
    assert_eq!(run(&container, &publish).0, Some(0));
    assert!(container.files.path().join("mq/definitions.redb").exists());

    let volume = container.stop();
    let renamed = [("RABBITMQ_DEFAULT_USER", "other"), ("RABBITMQ_DEFAULT_PASS", "other")];
    let mut container = Container::start_in(volume, "", &renamed);
    container.wait_for(JAVA_READY);
    assert_eq!(run(&container, &["get", "--queue", "orders", "-o", "raw"]).1.trim_end(), "kept");
    assert_ne!(container.run("other:other", "%2F", &["ping"]).0, Some(0), "it is not new");
}

#[test]
fn variables_that_the_image_refuses_end_the_start() {
    for name in [
        "RABBITMQ_DEFAULT_PASS_FILE",
        "RABBITMQ_MANAGEMENT_SSL_CERTFILE",
        "RABBITMQ_VM_MEMORY_HIGH_WATERMARK",
    ] {
        let mut command = program();
        command.args(["serve", "--as-rabbitmq-server", "--memory"]).env(name, "x");
        let run = command.output().unwrap();
        let told = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(64), "{told}");
        assert!(told.contains(&format!("the variable {name} is not supported")), "{told}");
    }
}

/// Without files and variables it listens where RabbitMQ does.
#[test]
fn the_ports_and_the_directory_are_rabbitmqs() {
    let print = |command: &mut Command| {
        let run =
            command.args(["serve", "--as-rabbitmq-server", "--print-config"]).output().unwrap();
        String::from_utf8(run.stdout).unwrap()
    };
    let mut plain = program();
    for name in ["RABBITMQ_MNESIA_BASE", "RABBITMQ_MNESIA_DIR", "RABBITMQ_DATA_DIR"] {
        plain.env_remove(name);
    }
    let printed = print(&mut plain);
    let directory = Path::new("/var/lib/rabbitmq/mq").display();
    let expected = [
        "listeners.tcp.1 = *:5672 # default".to_owned(),
        "management.tcp.port = 15672 # default".to_owned(),
        "prometheus.tcp.port = 15692 # default".to_owned(),
        "log.console.stdio = stdout # default".to_owned(),
        format!("mq.data_dir = {directory} # default"),
    ];
    for line in expected {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
}
