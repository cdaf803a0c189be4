//! `mq serve --config`: files of RabbitMQ's syntax and variables of its image configure the broker.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::cli::{Running, program};

/// A directory with a configuration file.
struct Folder {
    directory: TempDir,
    file: PathBuf,
}

impl Folder {
    fn with(text: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("rabbitmq.conf");
        fs::write(&file, text).unwrap();
        Self { directory, file }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }
}

/// Starts `mq serve --print-url` with variables; answers with the address of AMQP.
fn serve(arguments: &[&str], variables: &[(&str, &str)]) -> (Running, String) {
    let mut command = program();
    command.args(["serve", "--print-url"]).args(arguments).envs(variables.iter().copied());
    let mut broker = Running::spawn(&mut command, "listening on");
    let url = broker.line();
    let (_, address) = url.trim().split_once("://").unwrap();
    let address = address.rsplit('@').next().unwrap().trim_end_matches('/').to_owned();
    (broker, address)
}

/// The exit code of `mq ping` as this user, in this vhost.
fn ping(address: &str, login: &str, vhost: &str) -> Option<i32> {
    let url = format!("amqp://{login}@{address}/{vhost}");
    program().args(["ping", "--url", &url]).output().unwrap().status.code()
}

const FIRST: &str = "
# who may log in
listeners.tcp.1 = 127.0.0.1:0
default_user = app
default_pass = 's3#cret'
default_vhost = shop
log.file.level = debug
";

#[test]
fn a_file_makes_the_first_user_and_vhost_and_says_what_has_no_effect() {
    let folder = Folder::with(FIRST);
    let (mut broker, address) = serve(&["--memory", "--config", folder.file()], &[]);
    broker.wait_for("listening on");
    let warning = format!(
        "{}:7: 'log.file.level' has no effect, because no file is named by log.file",
        folder.file()
    );
    broker.wait_for(&warning);
    assert_eq!(ping(&address, "app:s3%23cret", "shop"), Some(0));
    assert_ne!(ping(&address, "app:s3%23cret", "%2F"), Some(0), "there is one vhost");
    assert_ne!(ping(&address, "guest:guest", "shop"), Some(0), "there is one user");
}

#[test]
fn the_variables_of_the_image_count_at_the_first_start_only() {
    let data = TempDir::new().unwrap();
    let data = data.path().to_str().unwrap();
    let start = |user: &str| {
        let variables = [
            ("RABBITMQ_DEFAULT_USER", user),
            ("RABBITMQ_DEFAULT_PASS", "secret"),
            ("RABBITMQ_DEFAULT_VHOST", "v"),
            ("RABBITMQ_NODENAME", "rabbit@here"),
            ("RABBITMQ_ERLANG_COOKIE", "monster"),
        ];
        serve(&["--data-dir", data, "--listen", "127.0.0.1:0"], &variables)
    };
    let (mut first, address) = start("one");
    first.wait_for("RABBITMQ_ERLANG_COOKIE has no effect here");
    assert_eq!(ping(&address, "one:secret", "v"), Some(0));
    first.signal(Signal::TERM);
    assert!(first.end().0.success());
    let (_second, address) = start("two");
    assert_eq!(ping(&address, "one:secret", "v"), Some(0));
    assert_ne!(ping(&address, "two:secret", "v"), Some(0), "the broker is not new");
}

#[test]
fn the_command_line_comes_before_variables_and_they_before_files() {
    let folder =
        Folder::with("heartbeat = 10\nmax_message_size = 1MiB\nconsumer_timeout = 60000\n");
    let further = folder.path().join("conf.d");
    fs::create_dir(&further).unwrap();
    fs::write(further.join("20-more.conf"), "max_message_size = 3MiB\n").unwrap();
    fs::write(further.join("10-some.conf"), "max_message_size = 2MiB\nheartbeat = 20\n").unwrap();
    let run = program()
        .args(["serve", "--memory", "--config", folder.file(), "--print-config"])
        .args(["--consumer-timeout", "5s", "--listen", "127.0.0.1:1"])
        .envs([
            ("MQ_HEARTBEAT", "30"),
            ("MQ_MANAGEMENT_TCP_PORT", "1234"),
            ("RABBITMQ_DEFAULT_PASS", "hidden"),
        ])
        .output()
        .unwrap();
    let told = String::from_utf8(run.stdout).unwrap();
    let further = further.display();
    let expected = [
        "heartbeat = 30 # MQ_HEARTBEAT".to_owned(),
        format!("max_message_size = 3145728 # {further}/20-more.conf:1"),
        "consumer_timeout = 5000 # command line".to_owned(),
        "listeners.tcp.1 = 127.0.0.1:1 # command line".to_owned(),
        "default_user = guest # default".to_owned(),
        "management.tcp.port = 1234 # MQ_MANAGEMENT_TCP_PORT".to_owned(),
        "default_pass = '***' # RABBITMQ_DEFAULT_PASS".to_owned(),
    ];
    for line in expected {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    assert!(!told.contains("hidden"));
    // What is printed is a configuration itself.
    let again = Folder::with(&told);
    let run =
        program().args(["serve", "--config", again.file(), "--print-config"]).output().unwrap();
    let values = |text: &str| {
        let value = |line: &str| line.split(" # ").next().unwrap().to_owned();
        text.lines().map(value).collect::<Vec<_>>()
    };
    assert_eq!(values(&String::from_utf8(run.stdout).unwrap()), values(&told));
}

/// A file, and variables, may set an option by different keys.
#[test]
fn of_two_keys_for_one_option_the_later_counts() {
    #[rustfmt::skip]
    let cases = [
        // file                                                        variable                                           in effect
        ("vm_memory_high_watermark.absolute = 2GB\n",                  ("MQ_VM_MEMORY_HIGH_WATERMARK_RELATIVE", "0.3"),    "vm_memory_high_watermark.relative = 0.3 # MQ_VM_MEMORY_HIGH_WATERMARK_RELATIVE"),
        ("vm_memory_high_watermark.relative = 0.3\n",                  ("MQ_VM_MEMORY_HIGH_WATERMARK_ABSOLUTE", "2GB"),    "vm_memory_high_watermark.absolute = 2000000000 # MQ_VM_MEMORY_HIGH_WATERMARK_ABSOLUTE"),
        ("log.console.level = debug\nlog.default.level = error\n",     ("MQ_HEARTBEAT", "1"),                             "log.console.level = debug # FILE:1"),
        ("log.default.level = error\n",                                ("MQ_HEARTBEAT", "1"),                             "log.console.level = error # FILE:1"),
    ];
    for (text, variable, expected) in cases {
        let folder = Folder::with(text);
        let mut command = program();
        command.args(["serve", "--memory", "--config", folder.file(), "--print-config"]);
        let run = command.env(variable.0, variable.1).output().unwrap();
        let told = String::from_utf8(run.stdout).unwrap();
        let expected = expected.replace("FILE", folder.file());
        assert!(told.lines().any(|line| line == expected), "{expected}\n{told}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_ends_the_start() {
    #[rustfmt::skip]
    let cases = [
        // file                                variable                              what is said
        ("\nheartbeats = 5",                   ("", ""),                             "FILE:2: 'heartbeats' is not a key of rabbitmq.conf; did you mean 'heartbeat'?"),
        ("heartbeat = soon",                   ("", ""),                             "FILE:1: heartbeat = soon: it is not a number"),
        ("listeners.tcp.1 = 127.0.0.1:0\nlisteners.tcp.2 = here:1", ("", ""),       "FILE:2: listeners.tcp.2 = here:1: "),
        ("mq.threads = none",                  ("", ""),                             "FILE:1: mq.threads = none: invalid value 'none' for '--threads <N>'"),
        ("heartbeat",                          ("", ""),                             "FILE, line 1: 'heartbeat' is not 'key = value'"),
        ("channel_tx_message_max = 5",         ("", ""),                             "FILE:1: 'channel_tx_message_max' is not implemented; leave it out"),
        ("reverse_dns_lookups = true",         ("", ""),                             "FILE:1: reverse_dns_lookups = true: nothing but false is implemented"),
        ("auth_backends.1 = ldap",             ("", ""),                             "FILE:1: auth_backends.1 = ldap: nothing but internal or rabbit_auth_backend_internal is implemented"),
        ("listeners.tcp.nodelay = true",       ("", ""),                             "FILE:1: listeners.tcp.nodelay = true: it must be a port"),
        ("frame_max = 32MiB",                  ("", ""),                             "--frame-max must be a size from 4096 to 16777216 bytes"),
        ("default_permissions.read = (",       ("", ""),                             "FILE:1: default_permissions.read = (: "),
        ("loopback_users.guest = no",          ("", ""),                             "FILE:1: loopback_users.guest = no: it must be true or false"),
        ("default_user = $(NOBODY)",           ("", ""),                             "FILE:1: 'default_user' has $(NOBODY), and the variable NOBODY is not set"),
        ("ssl_options.fail_if_no_peer_cert = true", ("", ""),                        "needs ssl_options.verify = verify_peer"),
        ("",                                   ("MQ_HEARTBEAT", "x"),                "MQ_HEARTBEAT: heartbeat = x: it is not a number"),
        ("",                                   ("RABBITMQ_SSL_VERIFY", "x"),         "the variable RABBITMQ_SSL_VERIFY is not supported"),
        ("",                                   ("RABBITMQ_NODENAME", "@here"),       "RABBITMQ_NODENAME: mq.node_name = @here: "),
        ("listeners.tcp = none",               ("", ""),                             "no address listens for AMQP"),
        ("default_pass = ''",                  ("", ""),                             "default_pass = ***: "),
    ];
    for (text, variable, expected) in cases {
        let folder = Folder::with(text);
        let mut command = program();
        command.args(["serve", "--memory", "--config", folder.file()]);
        if !variable.0.is_empty() {
            command.env(variable.0, variable.1);
        }
        let run = command.output().unwrap();
        let told = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(64), "{text}: {told}");
        let expected = expected.replace("FILE", folder.file());
        assert!(told.starts_with("error: ") && told.contains(&expected), "{expected}\n{told}");
        assert!(!told.contains("Usage:"), "{told}");
    }
    let run = program().args(["serve", "--config", "/nowhere/rabbitmq.conf"]).output().unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(told.contains("cannot read the configuration '/nowhere/rabbitmq.conf': No such file"));
}

/// A broker whose management API and metrics have ports of the system's choice, with their URLs.
fn served(arguments: &[&str], file: &str) -> (Running, [String; 3]) {
    let all = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let (mut broker, amqp) = serve(&[arguments, &all, &["--config", file]].concat(), &[]);
    let (http, metrics) = (broker.line(), broker.line());
    (
        broker,
        [format!("amqp://guest:guest@{amqp}"), http.trim().to_owned(), metrics.trim().to_owned()],
    )
}

/// The output of a command on that broker.
fn told(urls: &[String; 3], arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = program();
    command.args(arguments).args(["--url", &urls[0], "--http-url", &urls[1]]);
    let run = command.output().unwrap();
    (run.status.code(), String::from_utf8(run.stdout).unwrap())
}

#[test]
fn definitions_may_be_a_directory_and_are_left_alone_if_they_did_not_change() {
    let folder = Folder::with("");
    let definitions = folder.path().join("definitions");
    fs::create_dir_all(definitions.join("..data")).unwrap();
    let queue = |name: &str| {
        format!(
            r#"{{"queues": [{{"name": "{name}", "vhost": "shop", "durable": true, "auto_delete": false, "arguments": {{}}}}]}}"#
        )
    };
    let vhost = r#"{"vhosts": [{"name": "shop"}], "permissions": [{"user": "guest", "vhost": "shop", "configure": ".*", "write": ".*", "read": ".*"}]}"#;
    fs::write(definitions.join("10-vhost.json"), vhost).unwrap();
    fs::write(definitions.join("20-queues.json"), queue("orders")).unwrap();
    fs::write(definitions.join(".hidden"), "no JSON").unwrap();
    let data = folder.path().join("data");
    let data = ["--data-dir", data.to_str().unwrap()];
    let keys = |skip: &str| {
        format!(
            "definitions.import_backend = local_filesystem\ndefinitions.local.path = {}\n\
             definitions.skip_if_unchanged = {skip}\n",
            definitions.display()
        )
    };
    let in_shop = |urls: &[String; 3], arguments: &[&str]| {
        told(urls, &[arguments, &["--vhost", "shop"]].concat())
    };
    #[rustfmt::skip]
    let cases = [
        // skip    queues that are there after the start, one of which the test deletes
        ("true",  "orders"),
        ("true",  ""),          // the same file is not imported again
        ("false", "orders"),    // or it is
        ("true",  ""),          // and the hash of the first start still counts
    ];
    let queues = |urls: &[String; 3]| {
        let (code, rows) = in_shop(urls, &["list-queues", "name", "-o", "json"]);
        assert_eq!(code, Some(0), "{rows}");
        let rows: Vec<serde_json::Value> = serde_json::from_str(&rows).unwrap();
        rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    };
    for (skip, expected) in cases {
        fs::write(&folder.file, keys(skip)).unwrap();
        let (mut broker, urls) = served(&data, folder.file());
        assert_eq!(queues(&urls), expected, "{skip}");
        in_shop(&urls, &["delete-queue", "--yes", "orders"]);
        broker.signal(Signal::TERM);
        assert!(broker.end().0.success());
    }
    fs::write(definitions.join("20-queues.json"), queue("bills")).unwrap();
    let (mut broker, urls) = served(&data, folder.file());
    assert_eq!(queues(&urls), "bills", "a changed file is imported");
    let globals = told(&urls, &["list-global-parameters", "-o", "json"]).1;
    assert!(!globals.contains("imported_definition_hash_value"), "{globals}");
    broker.signal(Signal::TERM);
    assert!(broker.end().0.success());

    fs::write(definitions.join("30-wrong.json"), "[]").unwrap();
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--config", folder.file()]).args(data);
    let run = command.output().unwrap();
    let problem = String::from_utf8(run.stderr).unwrap();
    assert!(problem.contains("30-wrong.json"), "{problem}");
    assert!(!run.status.success());
}

#[test]
fn the_cluster_the_path_of_the_api_and_the_metrics_are_as_configured() {
    let folder = Folder::with(
        "cluster_name = shop\nmanagement.path_prefix = /tools/rabbitmq/\n\
         prometheus.return_per_object_metrics = true\n",
    );
    let (_broker, urls) = served(&["--memory"], folder.file());
    assert!(urls[1].ends_with("/tools/rabbitmq/"), "{urls:?}");
    let status = told(&urls, &["cluster-status", "-o", "json"]).1;
    assert!(status.contains(r#""cluster_name":"shop""#), "{status}");
    assert_eq!(told(&urls, &["declare-queue", "orders"]).0, Some(0));
    let get = |url: &str, path: &str| {
        let address = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        // guest:guest
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(get(&urls[1], "/tools/rabbitmq/api/whoami").starts_with("HTTP/1.1 200"));
    assert!(get(&urls[1], "/api/whoami").starts_with("HTTP/1.1 404"));
    let metrics = get(&urls[2], "/metrics");
    assert!(metrics.contains(r#"rabbitmq_queue_messages{vhost="/",queue="orders"}"#), "{metrics}");
}

/// Keys that public files of projects set, none of which ends the start. Certificates and listeners are tested elsewhere.
const MET: &str = "
listeners.tcp.default = 0
management.tcp.port = 0
management.tcp.ip = 127.0.0.1
prometheus.tcp.port = 0
default_user = admin
default_pass = admin123
default_vhost = /
default_user_tags.administrator = true
default_permissions.configure = .*
loopback_users.guest = false
password_hashing_module = rabbit_password_hashing_sha256
max_message_size = 134217728
consumer_timeout = 86400000
heartbeat = 60
frame_max = 131072
channel_max = 2047
connection_max = 2048
handshake_timeout = 10000
vm_memory_high_watermark.relative = 0.6
vm_memory_high_watermark_paging_ratio = 0.75
disk_free_limit.absolute = 50MB
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = rabbit@rabbitmq
cluster_partition_handling = ignore
queue_master_locator = min-masters
log.console = true
log.console.level = info
log.file = false
log.file.level = info
log.file.rotation.size = 10485760
log.dir = /var/log/rabbitmq
log.exchange = true
log.exchange.level = debug
tcp_listen_options.backlog = 128
tcp_listen_options.keepalive = true
num_acceptors.ssl = 10
collect_statistics_interval = 5000
management.rates_mode = basic
management.http_log_dir = /var/log/rabbitmq/management
management.path_prefix = /
prometheus.return_per_object_metrics = false
prometheus.path = /metrics
hipe_compile = false
mqtt.allow_anonymous = true
web_mqtt.ws_path = /eventbus
stomp.listeners.tcp.1 = 61613
deprecated_features.permit.transient_nonexcl_queues = true
";

#[test]
fn files_of_projects_start_a_broker() {
    let folder = Folder::with(MET);
    let options = ["--memory", "--config", folder.file()];
    let (mut broker, address) = serve(&options, &[]);
    let port = address.rsplit(':').next().unwrap();
    assert_eq!(ping(&format!("127.0.0.1:{port}"), "admin:admin123", "%2F"), Some(0));
    broker.signal(Signal::TERM);
    let (status, _, rest) = broker.end();
    assert!(status.success(), "{rest}");
    let said = format!("{}{rest}", broker.said());
    let warnings = said.lines().filter(|line| line.contains("has no effect, because")).count();
    // One for each key of clusters, statistics, sockets, files, and plugins that are not here.
    assert_eq!(warnings, 17, "{said}");
}

/// The values in effect, by key, of a broker with this file.
fn printed(text: &str, variables: &[(&str, &str)]) -> String {
    let folder = Folder::with(text);
    let mut command = program();
    command.args(["serve", "--memory", "--config", folder.file(), "--print-config"]);
    let run = command.envs(variables.iter().copied()).output().unwrap();
    let problem = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{text}\n{problem}");
    String::from_utf8(run.stdout).unwrap()
}

/// Keys that public files have, in the forms in which they have them.
#[test]
fn values_are_understood_as_rabbitmq_does() {
    #[rustfmt::skip]
    let cases = [
        // file                                                              in effect
        ("channel_max = 512",                                                "max_channels_per_connection = 512"),
        ("max_channels_per_connection = 0",                                  "max_channels_per_connection = 0"),
        ("connection_max = 2048",                                            "max_connections = 2048"),
        ("max_connections = infinity",                                       "# max_connections is not set"),
        ("frame_max = 131072",                                               "frame_max = 131072"),
        ("handshake_timeout = infinity",                                     "handshake_timeout = infinity"),
        ("handshake_timeout = 5000",                                         "handshake_timeout = 5000"),
        ("ssl_handshake_timeout = 7000",                                     "ssl_handshake_timeout = 7000"),
        ("vhost_max = 3",                                                    "vhost_max = 3"),
        ("listeners.tcp.local_v6 = ::1:5672",                                "listeners.tcp.1 = [::1]:5672"),
        ("total_memory_available_override_value = 1GB\ndisk_free_limit.relative = 0.5", "disk_free_limit.absolute = 500000000"),
        ("loopback_users.guest = false",                                     "loopback_users = none"),
        ("loopback_users = none\nloopback_users.guest = true",               "loopback_users = none"),
        ("loopback_users.app = true",                                        "loopback_users.app = true"),
        ("loopback_users.rabbitmquser = false",                              "loopback_users = none"),
        ("default_user_tags.management = true\ndefault_user_tags.mine = true", "default_user_tags.mine = true"),
        ("default_user = $(APP_USER)",                                       "default_user = app"),
        ("default_permissions.configure = ^app\\.",                          "default_permissions.configure = ^app\\."),
        ("log.console.level = notice",                                       "log.console.level = warning"),
        ("log.console.level = critical",                                     "log.console.level = error"),
    ];
    for (text, expected) in cases {
        let told = printed(text, &[("APP_USER", "app")]);
        let value = |line: &str| match line.split_once(" # ") {
            Some((value, _)) => value.to_owned(),
            None => line.to_owned(),
        };
        assert!(told.lines().any(|line| value(line) == expected), "{text}: {expected}\n{told}");
    }
}

/// A key that says what the broker does anyway is taken without a word; another value of it has its warning.
#[test]
fn a_key_without_an_effect_is_warned_of_once_unless_nothing_is_lost() {
    let folder = Folder::with(
        "log.console = true\nlog.file = false\nhipe_compile = false\nssl_options.versions.1 = tlsv1.1\n\
         tcp_listen_options.nodelay = true\nmqtt.allow_anonymous = true\n",
    );
    let (mut broker, _) =
        serve(&["--memory", "--listen", "127.0.0.1:0", "--config", folder.file()], &[]);
    broker.signal(Signal::TERM);
    let (_, _, rest) = broker.end();
    let said = format!("{}{rest}", broker.said());
    let warnings: Vec<_> = said.lines().filter(|line| line.contains("has no effect")).collect();
    let expected = [
        "'ssl_options.versions.1 = tlsv1.1' has no effect, because the oldest version that the broker speaks is TLS 1.2",
        "'tcp_listen_options.nodelay' has no effect",
        "'mqtt.allow_anonymous' has no effect",
    ];
    assert_eq!(warnings.len(), expected.len(), "{said}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.contains(expected), "{warning}");
    }
}

#[test]
fn limits_change_at_sighup_and_what_cannot_is_named() {
    let folder = Folder::with("heartbeat = 10\nlog.console.level = info\n");
    let options = ["--memory", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let config = ["--config", folder.file()];
    let (mut broker, address) = serve(&[&options[..], &config[..]].concat(), &[]);
    let http = broker.line();
    let effective = |key: &str| {
        let url = format!("amqp://guest:guest@{address}");
        let mut command = program();
        command.args(["environment", "--url", &url, "--http-url", http.trim(), "-o", "json"]);
        let run = command.output().unwrap();
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&run.stdout).unwrap();
        let row = rows.iter().find(|row| row["key"] == key).cloned().unwrap_or_default();
        (row["value"].to_string(), row["source"].to_string())
    };
    let place = |line: usize| format!("\"{}:{line}\"", folder.file());
    assert_eq!(effective("heartbeat"), ("\"10\"".to_owned(), place(1)));
    assert_eq!(effective("frame_max"), ("\"131072\"".to_owned(), "\"default\"".to_owned()));

    fs::write(&folder.file, "# changed\nheartbeat = 25\nmax_connections = 1\nmq.threads = 3\n")
        .unwrap();
    broker.signal(Signal::HUP);
    broker.wait_for("configuration changed key=\"heartbeat\" value=\"25\"");
    broker.wait_for("a restart is needed for this key key=\"mq.threads\" value=\"3\"");
    assert_eq!(effective("heartbeat"), ("\"25\"".to_owned(), place(2)));
    assert_ne!(effective("mq.threads").0, "\"3\"");
    let held = std::net::TcpStream::connect(&address).unwrap();
    assert_eq!(ping(&address, "guest:guest", "%2F"), Some(77), "one connection is allowed");
    drop(held);

    fs::write(&folder.file, "heartbeats = 5\n").unwrap();
    broker.signal(Signal::HUP);
    broker.wait_for("the configuration stays as it was");
    assert_eq!(effective("heartbeat").0, "\"25\"");
    broker.signal(Signal::TERM);
    assert!(broker.end().0.success());
}
