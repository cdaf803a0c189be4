//! What stands on a terminal: no codes of other people, no tables for a terminal that is too narrow to be one.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::broker::Broker;
use crate::support::cli::{Running, answer, prepare, program};

/// A name that would colour what stands behind it.
const RED: &str = "\x1b[31mred";

/// What `mq` writes on a terminal of this many columns, line ends as in a file. `script` makes the terminal.
fn on_terminal(broker: &Broker, columns: u16, words: &str) -> String {
    let mut command = Command::new("script");
    let inside =
        format!("stty cols {columns} rows 24; exec '{}' {words}", env!("CARGO_BIN_EXE_mq"));
    command.args(["--quiet", "--return", "--command", &inside, "/dev/null"]);
    command.env("MQ_URL", broker.url()).env("MQ_HTTP_URL", broker.management_url());
    command
        .env("NO_COLOR", "1")
        .env("TERM", "xterm")
        .env_remove("MQ_LOCAL")
        .env_remove("MQ_CONTEXT");
    let run = command.stdin(Stdio::null()).output().unwrap();
    String::from_utf8(run.stdout).unwrap().replace("\r\n", "\n")
}

#[test]
fn codes_in_names_and_bodies_are_shown_and_not_obeyed() {
    let broker = Broker::mq();
    prepare(&broker, &[&["publish", "--queue", RED, "\x1b[2Jbody\x07"]]);
    #[rustfmt::skip]
    let cases = [
        ("list-queues",                                   "\\u001b[31mred"),
        ("list-queues -o tsv",                            "\\u001b[31mred"),
        ("list-queues -o csv",                            "\\u001b[31mred"),
        ("list-queues -o json",                           "\\u001b[31mred"),
        ("route --exchange '' --key \"$(printf '\\033[31mred')\"",     "\\u001b[31mred"),
        ("get --peek --queue \"$(printf '\\033[31mred')\"",            "\\u001b[2Jbody\\u0007"),
        ("get --peek --queue \"$(printf '\\033[31mred')\" -o jsonl",   "\\u001b[2Jbody\\u0007"),
        ("get --peek --queue \"$(printf '\\033[31mred')\" --template '{body}'", "\\u001b[2Jbody\\u0007"),
        ("get --queue \"$(printf '\\033[31mnone')\"",                  "\\u001b[31mnone"),
        ("purge-queue --yes \"$(printf '\\033[31mred')\"",             "\\u001b[31mred"),
    ];
    for (words, shown) in cases {
        let screen = on_terminal(&broker, 120, words);
        assert!(screen.contains(shown), "{words}: {screen:?}");
        assert!(!screen.contains('\x1b'), "{words}: {screen:?}");
    }
}

#[test]
fn a_pipe_gets_every_byte_as_it_is() {
    let broker = Broker::mq();
    prepare(&broker, &[&["publish", "--queue", RED, "\x1b[2Jbody"]]);
    assert_eq!(answer(&broker, &["list-queues", "name", "--no-headers"], ""), format!("{RED}\n"));
    assert_eq!(answer(&broker, &["get", "--peek", "--queue", RED], ""), "\x1b[2Jbody\n");
    let raw = on_terminal(&broker, 120, "get --queue \"$(printf '\\033[31mred')\" -o raw");
    assert!(raw.contains("\x1b[2Jbody"), "raw is raw: {raw:?}");
}

/// A terminal without a size says 0 columns, and some programs say 1 or 10.
#[test]
fn a_terminal_that_is_too_narrow_to_be_one_breaks_no_lines() {
    let broker = Broker::mq();
    let name = "a-name-of-thirty-characters-ab";
    prepare(&broker, &[&["declare-queue", name]]);
    for columns in [0, 1, 10, 19] {
        let screen = on_terminal(&broker, columns, "list-queues name messages state type durable");
        let line = screen.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains("true")), "{columns}: {screen}");
        let help = on_terminal(&broker, columns, "publish --help");
        let widest = help.lines().map(str::len).max();
        assert!(widest > Some(60), "{columns}: {help}");
    }
    let screen = on_terminal(&broker, 40, "list-queues name messages state type durable");
    assert!(screen.lines().all(|line| line.chars().count() <= 40), "{screen}");
}

#[test]
fn stderr_in_a_file_has_no_colours() {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_mq"));
    serve.args(["serve", "--memory", "--listen", "127.0.0.1:0", "--print-url"]);
    serve.env_remove("NO_COLOR").env_remove("RUST_LOG");
    let mut serve = Running::spawn(&mut serve, "listening on");
    let url = serve.line().trim_end().replace("amqp://", "amqp://guest:wrong@");
    let ping = program().args(["ping", "--url", &url]).env_remove("NO_COLOR").output().unwrap();
    assert!(!String::from_utf8(ping.stderr).unwrap().contains('\x1b'));
    serve.wait_for("refused");
    assert!(!serve.said().contains('\x1b'), "{:?}", serve.said());
}

#[test]
fn help_is_a_command_as_well() {
    let printed = |words: &[&str]| {
        let run = program().args(words).output().unwrap();
        (run.status.code(), String::from_utf8(run.stdout).unwrap(), run.stderr)
    };
    #[rustfmt::skip]
    let cases: [(&[&str], &[&str]); 4] = [
        (&["help"],                   &["--help"]),
        (&["help", "publish"],        &["publish", "--help"]),
        (&["help", "list_queues"],    &["list-queues", "--help"]),
        (&["help", "store", "check"], &["store", "check", "--help"]),
    ];
    for (words, same) in cases {
        assert_eq!(printed(words), printed(same), "{words:?}");
        assert_eq!(printed(words).0, Some(0), "{words:?}");
    }
    let unknown = program().args(["help", "list-queue"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(64));
    assert_eq!(
        String::from_utf8(unknown.stderr).unwrap(),
        "error: there is no command 'list-queue'\nhint: did you mean 'list-queues'?\n"
    );
}

#[test]
fn tips_name_what_help_shows() {
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 5] = [
        (&["list_queue"],                              "'list-queues'"),
        (&["declare_queu"],                            "'declare-queue'"),
        (&["bench", "--producer", "1"],                "'--publishers'"),
        (&["list-queues", "--no-table-header"],        "'--no-headers'"),
        (&["publish", "--no-declar", "--queue", "q"],  "unexpected argument '--no-declar'"),
    ];
    let hidden =
        ["list_queues", "declare_queue'", "--producers", "--no-table-headers", "'--no-declare'"];
    for (words, tip) in cases {
        let run = program().args(words).output().unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(64), "{words:?}: {stderr}");
        assert!(stderr.contains(tip), "{words:?}: {stderr}");
        assert!(!hidden.iter().any(|name| stderr.contains(name)), "{words:?}: {stderr}");
    }
}

/// Somebody else's web server is no bug of ours.
#[test]
fn exit_code_70_is_not_for_what_answers_in_a_brokers_place() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", web.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = web.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>",
                )
                .unwrap();
        }
    });
    let broker = Broker::mq();
    for arguments in [&["list-queues"][..], &["list-queues", "--url", &broker.url()]] {
        let run = program().args(arguments).args(["--http-url", &url]).output().unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(69), "{stderr}");
        assert!(stderr.contains("the server at this address is not a management API"), "{stderr}");
    }
    server.join().unwrap();
    let external = format!("{}?auth_mechanism=external", broker.url());
    let run = program().args(["ping", "--url", &external]).output().unwrap();
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(77), "{stderr}");
    assert!(stderr.contains("it offers no login by EXTERNAL, only by PLAIN"), "{stderr}");
}

/// RabbitMQ answers 500 to a question about what another client deletes in that moment.
#[test]
fn a_question_is_asked_again_after_a_500() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", web.local_addr().unwrap());
    let ask = |answers: &[&str]| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for answer in answers {
                    let (mut stream, _) = web.accept().unwrap();
                    let _ = stream.read(&mut [0; 4096]).unwrap();
                    let head = "Content-Length: 2\r\nConnection: close\r\n\r\n";
                    write!(stream, "HTTP/1.1 {answer}\r\n{head}[]").unwrap();
                }
            });
            let run = program().args(["list-vhosts", "--http-url", &url]).output().unwrap();
            (run.status.code(), String::from_utf8(run.stderr).unwrap())
        })
    };
    let (failed, fine) = ("500 Internal Server Error", "200 OK");
    assert_eq!(ask(&[failed, failed, fine]), (Some(0), String::new()));
    let (code, stderr) = ask(&[failed; 3]);
    assert_eq!(code, Some(65), "{stderr}");
    assert!(stderr.contains(failed), "{stderr}");
}

/// The screen of a command that asks for a password, and its exit code; `typed` is what the person types.
fn asked_for_a_password(broker: &Broker, words: &str, typed: &str) -> (String, Option<i32>) {
    let mut command = Command::new("script");
    let inside = format!("exec '{}' {words}", env!("CARGO_BIN_EXE_mq"));
    command.args(["--quiet", "--return", "--command", &inside, "/dev/null"]);
    command.env("MQ_URL", broker.url()).env("MQ_HTTP_URL", broker.management_url());
    command
        .env("NO_COLOR", "1")
        .env("TERM", "xterm")
        .env_remove("MQ_LOCAL")
        .env_remove("MQ_CONTEXT");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = piped.spawn().unwrap();
    let mut screen = process.stdout.take().unwrap();
    let mut shown = String::new();
    // What is typed before the question would be shown by the terminal.
    while !shown.contains(": ") {
        let mut bytes = [0; 256];
        let count = screen.read(&mut bytes).unwrap();
        assert!(count > 0, "it never asked, but said: {shown}");
        shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    let mut keys = process.stdin.take().unwrap();
    keys.write_all(typed.as_bytes()).unwrap();
    screen.read_to_string(&mut shown).unwrap();
    drop(keys);
    (shown, process.wait().unwrap().code())
}

#[test]
fn a_password_that_is_typed_is_not_shown() {
    let broker = Broker::mq();
    let (screen, code) = asked_for_a_password(&broker, "add-user alice", "wonderlant\x7fd\r");
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("password of 'alice': ") && !screen.contains("wonder"), "{screen}");
    answer(&broker, &["authenticate-user", "alice", "wonderland"], "");
    let (screen, code) = asked_for_a_password(&broker, "add-user bob", "won\x03");
    assert_eq!(code, Some(130), "{screen}");
    assert!(!answer(&broker, &["list-users", "-s"], "").contains("bob"));
}
