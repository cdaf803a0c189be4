//! `mq run`: a program beside a broker of its own, and what the broker saw of it.

use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::cli::{Running, program};

/// `mq run` with these options, and `mq` in the PATH of the program.
fn command(options: &[&str], words: &[&str]) -> Command {
    let folder = Path::new(env!("CARGO_BIN_EXE_mq")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = program();
    command.env("PATH", path).arg("run").args(options).arg("--").args(words);
    command
}

/// A run with a script as its program.
fn run(options: &[&str], script: &str) -> Output {
    command(options, &["sh", "-ec", script]).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The script is run, and `mq run` ends with this code and this report.
fn reports(options: &[&str], script: &str, code: i32, report: &[&str]) {
    let run = run(options, script);
    let said: Vec<_> =
        text(&run.stderr).lines().filter(|line| line.starts_with("mq run: ")).collect();
    assert_eq!(said, report, "{options:?} {script}: {}", text(&run.stderr));
    assert_eq!(run.status.code(), Some(code), "{options:?} {script}");
}

#[test]
fn the_exit_code_is_that_of_the_program() {
    for (words, code) in [
        (&["true"][..], 0),
        (&["false"], 1),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["no-such-program"], 127),
        (&["/etc/passwd"], 126),
    ] {
        let run = command(&[], words).output().unwrap();
        assert_eq!(run.status.code(), Some(code), "{words:?}: {}", text(&run.stderr));
    }
    let run = command(&[], &["no-such-program"]).output().unwrap();
    assert_eq!(
        text(&run.stderr),
        "error: cannot run 'no-such-program'\ncause: No such file or directory (os error 2)\n\
         hint: the program is looked for in PATH; for words of a shell, use `sh -c 'WORDS'`\n"
    );
}

#[test]
fn the_program_finds_the_broker_by_its_variables() {
    let script = "mq publish --queue q hi
        test \"$AMQP_URL\" = \"amqp://guest:guest@127.0.0.1:$AMQP_PORT/%2F\"
        for url in $RABBITMQ_URL $CELERY_BROKER_URL $MQ_URL; do test $url = $AMQP_URL; done
        test $RABBITMQ_HOST$RABBITMQ_USER$RABBITMQ_PASSWORD$RABBITMQ_VHOST = 127.0.0.1guestguest/
        test $AMQP_HOST$AMQP_USER$AMQP_PASSWORD$AMQP_VHOST$RABBITMQ_PORT = 127.0.0.1guestguest/$AMQP_PORT
        mq list-queues --http-url $MQ_HTTP_URL name messages
        mq get --queue q --url amqp://$RABBITMQ_HOST:$RABBITMQ_PORT";
    let run = run(&[], script);
    assert_eq!(
        (text(&run.stdout), run.status.code()),
        ("name\tmessages\nq\t1\nhi\n", Some(0)),
        "{}",
        text(&run.stderr)
    );
}

#[test]
fn the_output_and_the_input_are_those_of_the_program() {
    let mut command = assert_cmd::Command::from_std(command(&["--fail-on", "left"], &["cat"]));
    command.write_stdin("through").assert().success().stdout("through").stderr("");
}

#[test]
fn messages_that_are_left_fail_the_run() {
    let publish = "mq publish --queue jobs one two -q; mq publish --queue mail three -q";
    reports(
        &["--fail-on", "left"],
        publish,
        1,
        &[
            "mq run: 2 messages are left in queue 'jobs'",
            "mq run: 1 message is left in queue 'mail'",
        ],
    );
    reports(&["--fail-on", "unroutable,unacked,dead-lettered"], publish, 0, &[]);
    reports(&[], publish, 0, &[]);
    reports(
        &["--fail-on", "left"],
        &format!("{publish}; mq get --queue jobs; mq get --queue jobs; mq get --queue mail"),
        0,
        &[],
    );
    // A stream keeps what was read.
    reports(
        &["--fail-on", "left"],
        "mq declare-queue s --queue-type stream; mq publish --queue s one",
        0,
        &[],
    );
    // The code of a program that fails comes first.
    reports(
        &["--fail-on", "left"],
        &format!("{publish}; mq get --queue mail; exit 3"),
        3,
        &["mq run: 2 messages are left in queue 'jobs'"],
    );
}

#[test]
fn unroutable_messages_fail_the_run() {
    reports(
        &["--fail-on", "unroutable"],
        "mq publish --exchange amq.topic -k a.b one two -q; mq publish --exchange amq.fanout three -q",
        1,
        &[
            "mq run: 1 message reached no queue: exchange 'amq.fanout', routing key ''",
            "mq run: 2 messages reached no queue: exchange 'amq.topic', routing key 'a.b'",
        ],
    );
}

#[test]
fn dead_letters_fail_the_run() {
    let script = "mq declare-queue dead
        mq declare-queue jobs --argument x-dead-letter-exchange= --argument x-dead-letter-routing-key=dead
        mq publish --queue jobs one two
        mq consume --queue jobs -n 2 --exec false --on-failure reject || true";
    reports(
        &["--fail-on", "dead-lettered"],
        script,
        1,
        &["mq run: 2 messages dead-lettered by queue 'jobs': rejected"],
    );
}

#[test]
fn messages_that_nobody_acknowledged_fail_the_run() {
    let script = "mq declare-queue jobs; mq publish --queue jobs one two
        mq consume --queue jobs --prefetch 1 --exec 'kill -9 $PPID' || true; mq get --queue jobs; mq get --queue jobs";
    reports(
        &["--fail-on", "unacked,left"],
        script,
        1,
        &["mq run: 1 message of queue 'jobs' delivered and not acknowledged at the end"],
    );
}

#[test]
fn the_directory_of_keep_stays() {
    let folder = TempDir::new().unwrap();
    let directory = folder.path().join("kept").display().to_string();
    let keep = ["--keep", &directory];
    assert!(run(&keep, "mq publish --queue q hi").status.success());
    let again = run(&keep, "mq get --queue q");
    assert_eq!(text(&again.stdout), "hi\n", "{}", text(&again.stderr));
    // Somebody else's is left alone.
    let script = format!("mq run --keep {directory} -- true || echo code $?");
    assert!(text(&run(&keep, &script).stdout).starts_with("code 6"));
}

#[test]
fn definitions_are_there_before_the_program() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("d.json").display().to_string();
    let script =
        format!("mq declare-queue orders; mq add-user eve secret; mq export-definitions {file}");
    assert!(run(&[], &script).status.success());
    let found = run(
        &["--definitions", &file],
        "mq list-queues name --no-headers; mq list-users name --no-headers",
    );
    assert_eq!(text(&found.stdout), "orders\neve\nguest\n", "{}", text(&found.stderr));
    std::fs::write(&file, "{").unwrap();
    let refused = run(&["--definitions", &file], "echo started");
    assert_eq!((text(&refused.stdout), refused.status.code()), ("", Some(65)));
    assert!(text(&refused.stderr).contains(&file), "{}", text(&refused.stderr));
}

#[test]
fn the_broker_behaves_like_the_release() {
    let script = "mq declare-queue q --transient";
    assert!(run(&[], script).status.success());
    let refused = run(&["--compat", "4.3"], script);
    assert!(
        text(&refused.stderr).contains("transient_nonexcl_queues"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn signals_are_the_programs() {
    let script = "trap 'echo ending; exit 5' TERM; echo ready >&2; while :; do sleep 0.05; done";
    let mut running = Running::spawn(&mut command(&[], &["sh", "-c", script]), "ready");
    running.signal(Signal::TERM);
    let (status, stdout, stderr) = running.end();
    assert_eq!((status.code(), stdout.as_str(), stderr.as_str()), (Some(5), "ending\n", ""));
}

#[test]
fn options_about_another_broker_are_refused() {
    let mut command = program();
    let run = command.args(["run", "--url", "amqp://h", "--", "true"]).output().unwrap();
    assert_eq!(run.status.code(), Some(64));
    assert!(text(&run.stderr).contains("--url has no effect"), "{}", text(&run.stderr));
}
