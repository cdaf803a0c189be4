//! Commands that ask the management API: the answer is that of the broker that was named, or there is none.

use std::process::{Command, Output};

use tempfile::TempDir;

use crate::broker::{Broker, port_of};
use crate::serve::MqServe;
use crate::support::cli::{Running, answer, prepare, program};

/// Two brokers on one machine, each with a queue by its name.
struct Two {
    one: Broker,
    other: Broker,
}

fn with_queues(one: Broker, other: Broker) -> Two {
    prepare(&one, &[&["declare-queue", "one"]]);
    prepare(&other, &[&["declare-queue", "other"]]);
    Two { one, other }
}

/// Runs `mq list-queues` with these options and variables.
fn list(options: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = program();
    command.arg("list-queues").args(options).envs(variables.iter().copied());
    command.output().unwrap()
}

fn is_of(run: &Output, queue: &str) {
    let (stdout, stderr) = (text(&run.stdout), text(&run.stderr));
    assert_eq!(run.status.code(), Some(0), "{stderr}");
    assert_eq!(stdout, format!("name\tmessages\n{queue}\t0\n"), "{stderr}");
}

fn is_refused(run: &Output) {
    let stderr = text(&run.stderr);
    assert_eq!((run.status.code(), text(&run.stdout).as_str()), (Some(69), ""), "{stderr}");
    assert!(stderr.starts_with("error: the management API at http://127.0.0.1:"), "{stderr}");
    assert!(stderr.contains(" belongs to another broker than amqp://"), "{stderr}");
    assert!(
        stderr.contains("\nhint: name the address of this broker's management API with --http-url")
    );
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_broker_says_where_its_management_api_is() {
    let Two { one, other } = with_queues(Broker::mq(), Broker::mq());
    is_of(&list(&["--url", &one.url()], &[]), "one");
    is_of(&list(&["--url", &other.url()], &[]), "other");
    is_of(&list(&[], &[("MQ_URL", &other.url())]), "other");
}

#[test]
fn another_brokers_management_api_is_refused() {
    let Two { one, other } = with_queues(Broker::mq(), Broker::mq());
    is_refused(&list(&["--url", &one.url(), "--http-url", &other.management_url()], &[]));
    let variables = [("MQ_URL", one.url()), ("MQ_HTTP_URL", other.management_url())];
    is_refused(&list(&[], &variables.each_ref().map(|(name, url)| (*name, url.as_str()))));
    for command in [&["status"][..], &["route", "--exchange", "amq.direct"]] {
        let addresses = ["--url", &one.url(), "--http-url", &other.management_url()];
        is_refused(&program().args(command).args(addresses).output().unwrap());
    }
}

/// Two of them have one name on one machine, and RabbitMQ has another.
#[test]
fn ours_and_rabbitmq_are_told_apart() {
    let Some(rabbitmq) = Broker::rabbitmq() else { return };
    let Two { one, other } = with_queues(Broker::mq(), rabbitmq);
    for (amqp, http) in [(&one, &other), (&other, &one)] {
        is_refused(&list(&["--url", &amqp.url(), "--http-url", &http.management_url()], &[]));
        is_of(&list(&["--url", &one.url()], &[("MQ_HTTP_URL", &http.management_url())]), "one");
    }
    let of_rabbitmq = ["--url", &other.url(), "--http-url", &other.management_url()];
    let run = list(&of_rabbitmq, &[]);
    assert!(text(&run.stdout).contains("other\t"), "{}", text(&run.stderr));
}

#[test]
fn a_url_on_the_command_line_outranks_the_environment() {
    let Two { one, other } = with_queues(Broker::mq(), Broker::mq());
    let variables = [("MQ_URL", other.url()), ("MQ_HTTP_URL", other.management_url())];
    let variables = variables.each_ref().map(|(name, url)| (*name, url.as_str()));
    is_of(&list(&["--url", &one.url()], &variables), "one");
    is_of(&list(&[], &variables), "other");
}

#[test]
fn variables_of_other_programs_are_read_after_ours() {
    let Two { one, other } = with_queues(Broker::mq(), Broker::mq());
    let (one, other) = (one.url(), other.url());
    let nobody = "amqp://127.0.0.1:1";
    is_of(&list(&[], &[("RABBITMQ_URL", &one)]), "one");
    is_of(&list(&[], &[("AMQP_URL", &other), ("RABBITMQ_URL", &one)]), "other");
    is_of(&list(&[], &[("MQ_URL", &one), ("AMQP_URL", nobody), ("RABBITMQ_URL", nobody)]), "one");
    is_of(&list(&["--url", &one], &[("AMQP_URL", nobody)]), "one");
    let wrong = list(&[], &[("AMQP_URL", "http://127.0.0.1")]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(text(&wrong.stderr).contains("in AMQP_URL"), "{}", text(&wrong.stderr));
}

/// Then no AMQP is spoken, so that there is nothing to mix.
#[test]
fn the_management_api_alone_may_be_named() {
    let Two { one, other: _other } = with_queues(Broker::mq(), Broker::mq());
    is_of(&list(&["--http-url", &one.management_url()], &[]), "one");
    is_of(&list(&[], &[("MQ_HTTP_URL", &one.management_url())]), "one");
}

#[test]
fn a_broker_without_a_management_api_is_not_asked_elsewhere() {
    let mut serve = program();
    serve.args(["serve", "--memory", "--listen", "127.0.0.1:0", "--print-url"]);
    let mut serve = Running::spawn(&mut serve, "listening on");
    let run = list(&["--url", serve.line().trim_end()], &[]);
    let stderr = text(&run.stderr);
    assert_eq!(run.status.code(), Some(69), "{stderr}");
    assert!(
        stderr.contains(
            "cause: the broker does not report one\nhint: name its address with --http-url"
        ),
        "{stderr}"
    );
}

/// A user who may look at everything and use nothing is let in by the API only.
#[test]
fn who_may_not_use_amqp_may_look() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("definitions.json");
    let definitions = r#"{
        "vhosts": [{"name": "/"}],
        "users": [{"name": "eye", "password": "p", "tags": ["monitoring"]}],
        "queues": [{"name": "one", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}}]
    }"#;
    std::fs::write(&file, definitions).unwrap();
    let broker = MqServe::start_with(&["--definitions", file.to_str().unwrap()]);
    let url = format!("amqp://eye:p@127.0.0.1:{}", port_of(broker.url()));
    let refused = program().args(["ping", "--url", &url]).output().unwrap();
    assert_ne!(refused.status.code(), Some(0), "the user has no permission in the vhost");
    let listed = program().args(["list-vhosts", "--url", &url]).output().unwrap();
    assert_eq!(text(&listed.stderr), "");
    assert_eq!(listed.status.code(), Some(0));
}

/// A name that is close to a missing one is that of a queue of this broker.
#[test]
fn no_names_of_another_broker_are_offered() {
    let Two { one, other } = with_queues(Broker::mq(), Broker::mq());
    let get = |http: &Broker| -> Command {
        let mut command = program();
        command.args(["get", "--queue", "onee", "--url", &one.url()]);
        command.args(["--http-url", &http.management_url()]);
        command
    };
    assert!(text(&get(&one).output().unwrap().stderr).contains("did you mean 'one'?"));
    prepare(&other, &[&["declare-queue", "oneee"]]);
    assert!(!text(&get(&other).output().unwrap().stderr).contains("did you mean"));
    assert_eq!(answer(&one, &["list-queues", "name", "--no-headers"], ""), "one\n");
}
