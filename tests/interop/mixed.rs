//! `mq` and the tutorial's Python programs at the two ends of one queue or exchange, whichever comes first.
//!
//! The lines of `mq` are those that `mq tutorial` shows; the programs are those of `pika_current/`. What one of them
//! declares the other must find as it would have declared it.

use std::path::Path;
use std::process::Command;

use mq::tutorial::{self, Lesson};

use crate::broker::Broker;
use crate::installed::Environment;
use crate::program::{Program, python};

/// One end: a line of `mq`, or a Python program with its arguments.
#[derive(Clone, Debug)]
enum End {
    Mq(&'static str),
    Python(&'static str, &'static [&'static str]),
    /// A line for the shell.
    Shell(String),
    /// A program in Python.
    Code(String),
}

/// A receiver, and what it prints when the message has come.
type Receiver = (End, &'static str);

/// The two ends of a lesson, each of both kinds.
struct Scene {
    lesson: &'static str,
    senders: [End; 2],
    receivers: [Receiver; 2],
    /// Whether what is sent before somebody listens is kept for them.
    is_kept: bool,
}

static SCENES: [Scene; 5] = [
    Scene {
        lesson: "hello",
        senders: [
            End::Mq("mq publish --queue hello --declare transient 'Hello World!'"),
            End::Python("hello_producer", &[]),
        ],
        receivers: [
            (End::Mq("mq consume --queue hello --declare transient"), "Hello World!"),
            (End::Python("hello_consumer", &[]), " [x] Received b'Hello World!'"),
        ],
        is_kept: true,
    },
    Scene {
        lesson: "durability",
        senders: [
            End::Mq(
                "mq publish --queue hello2 'Hello World!'    # persistent unless said otherwise",
            ),
            End::Python("durable_producer", &[]),
        ],
        receivers: [
            (End::Mq("mq consume --queue hello2"), "Hello World!"),
            (End::Python("durable_consumer", &[]), " [x] Received b'Hello World!'"),
        ],
        is_kept: true,
    },
    Scene {
        lesson: "fanout",
        senders: [
            End::Mq(
                "mq publish --exchange logs --type fanout --declare transient 'info: Hello World!'",
            ),
            End::Python("fanout_publisher", &[]),
        ],
        receivers: [
            (
                End::Mq(
                    "mq consume --exchange logs --type fanout --declare transient      # in two terminals",
                ),
                "info: Hello World!",
            ),
            (End::Python("fanout_subscriber", &[]), " [x] b'info: Hello World!'"),
        ],
        is_kept: false,
    },
    Scene {
        lesson: "direct",
        senders: [
            End::Mq(
                "mq publish --exchange direct_logs --type direct --declare transient --routing-key error 'the disk is full'",
            ),
            End::Python("direct_publisher", &["error", "the disk is full"]),
        ],
        receivers: [
            (
                End::Mq(
                    "mq consume --exchange direct_logs --type direct --declare transient --key warning --key error",
                ),
                "the disk is full",
            ),
            (
                End::Python("direct_subscriber", &["warning", "error"]),
                " [x] 'error':b'the disk is full'",
            ),
        ],
        is_kept: false,
    },
    Scene {
        lesson: "topic",
        senders: [
            End::Mq(
                "mq publish --exchange topic_logs --type topic --declare transient --routing-key kern.critical 'A critical error'",
            ),
            End::Python("topic_publisher", &["kern.critical", "A critical error"]),
        ],
        receivers: [
            (
                End::Mq(
                    "mq consume --exchange topic_logs --type topic --declare transient --key '#'",
                ),
                "A critical error",
            ),
            (End::Python("topic_subscriber", &["#"]), " [x] 'kern.critical':b'A critical error'"),
        ],
        is_kept: false,
    },
];

/// The line of the RPC server in the tutorial, and its program.
static SERVERS: [(End, &str); 2] = [
    (
        End::Mq("mq rpc-serve --queue rpc_queue --declare transient --builtin fib"),
        "answering the requests",
    ),
    (End::Python("rpc_server", &[]), " [x] Awaiting RPC requests"),
];
static CLIENTS: [(End, &str); 2] = [
    (End::Mq("mq rpc-call --queue rpc_queue 7"), "13"),
    (End::Python("rpc_client", &[]), " [.] Got 13"),
];

impl End {
    fn start(&self, interpreter: &Path, broker: &Broker) -> Program {
        let (name, mut command) = match self {
            Self::Mq(line) => (*line, shell(line, broker)),
            Self::Shell(line) => (line.as_str(), shell(line, broker)),
            Self::Python(program, arguments) => {
                let mut command = python(interpreter, &format!("pika_current/{program}.py"));
                command.args(*arguments);
                (*program, command)
            }
            Self::Code(code) => {
                let mut command = python(interpreter, "run_code.py");
                command.arg(code);
                ("declarations in Python", command)
            }
        };
        Program::start(name, &mut command, broker)
    }

    fn run(&self, interpreter: &Path, broker: &Broker) {
        self.start(interpreter, broker).finish();
    }

    /// Starts a receiver and waits until it listens.
    fn listen(&self, interpreter: &Path, broker: &Broker) -> Program {
        let program = self.start(interpreter, broker);
        program.await_words(match self {
            Self::Mq(_) | Self::Shell(_) => "waiting for messages in ",
            Self::Python(..) | Self::Code(_) => " [*] Waiting for ",
        });
        program
    }
}

/// A line for the shell, which finds `mq` and the broker.
fn shell(line: &str, broker: &Broker) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_mq"));
    let folder = program.parent().expect("the program is in a folder").display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", line]).env("PATH", path).env("MQ_URL", broker.url());
    shell.env("MQ_HTTP_URL", broker.management_url()).env_remove("MQ_LOCAL");
    shell
}

/// Runs a scene for each pair of ends that are not of one kind, on a broker of its own each time.
fn in_either_order(lesson: &str, fresh: impl Fn() -> Option<Broker>) {
    let Some(interpreter) = Environment::Pika.interpreter() else { return };
    let scene = SCENES.iter().find(|scene| scene.lesson == lesson).expect("the lesson has a scene");
    for (sender, receiver) in [(0, 1), (1, 0)] {
        let sender = &scene.senders[sender];
        let (receiver, expected) = &scene.receivers[receiver];
        let Some(broker) = fresh() else { return };
        let first = receiver.listen(interpreter, &broker);
        sender.run(interpreter, &broker);
        first.await_lines(expected, 1);
        drop(first);
        let Some(broker) = fresh() else { return };
        sender.run(interpreter, &broker);
        let second = receiver.listen(interpreter, &broker);
        if !scene.is_kept {
            sender.run(interpreter, &broker);
        }
        second.await_lines(expected, 1);
    }
}

/// Both servers stand at one queue, whichever made it, and each answers either client.
fn rpc_in_either_order(fresh: impl Fn() -> Option<Broker>) {
    let Some(interpreter) = Environment::Pika.interpreter() else { return };
    for (first, second) in [(0, 1), (1, 0)] {
        let Some(broker) = fresh() else { return };
        let servers = [&SERVERS[first], &SERVERS[second]].map(|(server, ready)| {
            let server = server.start(interpreter, &broker);
            server.await_words(ready);
            server
        });
        let ask = || {
            for (client, answer) in &CLIENTS {
                let said = client.start(interpreter, &broker).finish();
                assert!(said.iter().any(|line| line == *answer), "{said:?}");
            }
        };
        ask();
        let [one, other] = servers;
        drop(one);
        ask();
        drop(other);
    }
    // The request waits for its server, if the queue is made first.
    let Some(broker) = fresh() else { return };
    let client = End::Mq("mq rpc-call --queue rpc_queue --declare transient 7");
    let client = client.start(interpreter, &broker);
    let consume = "until mq list-queues name --no-headers | grep -q rpc_queue; do :; done";
    End::Mq(consume).run(interpreter, &broker);
    let _server = SERVERS[1].0.start(interpreter, &broker);
    assert_eq!(client.finish(), ["13"]);
}

/// What a lesson declares in Python, as a program.
fn declarations(lesson: &Lesson) -> String {
    let lines = lesson.steps.iter().flat_map(|step| step.python.lines());
    let declares = |line: &&str| {
        line.starts_with("channel.queue_declare(queue='")
            || line.starts_with("channel.exchange_declare(")
    };
    let lines: Vec<&str> = lines.filter(declares).collect();
    format!(
        "import pika\n\
         connection = pika.BlockingConnection(pika.ConnectionParameters('localhost', 5672))\n\
         channel = connection.channel()\n{}\nconnection.close()\n",
        lines.join("\n")
    )
}

/// Runs every line of a lesson, so that each ends by itself or with what is returned.
fn run_lines(lesson: &Lesson, interpreter: &Path, broker: &Broker) -> Vec<Program> {
    let mut servers = Vec::new();
    for line in lesson.steps.iter().flat_map(|step| step.command.lines()) {
        let line = line.split("    #").next().unwrap_or(line).trim_end();
        let run = |line: &str| End::Shell(line.to_owned()).run(interpreter, broker);
        if line.starts_with("mq rpc-serve ") {
            let server = End::Shell(line.to_owned()).start(interpreter, broker);
            server.await_words("answering the requests");
            servers.push(server);
        } else if line.starts_with("mq consume ") {
            run(&format!("{} --idle-timeout 500ms", line.replace("sleep 15", "sleep 0")));
        } else if line.contains(" --mandatory ") {
            run(&format!("{line} || test $? -eq 1"));
        } else {
            run(line);
        }
    }
    servers
}

/// Every line of every step works after the Python of its lesson has declared what it uses, and before.
fn every_step_in_either_order(fresh: impl Fn() -> Option<Broker>) {
    let Some(interpreter) = Environment::Pika.interpreter() else { return };
    for lesson in tutorial::chosen("all").expect("there are lessons") {
        let python = declarations(lesson);
        let Some(broker) = fresh() else { return };
        End::Code(python.clone()).run(interpreter, &broker);
        drop(run_lines(lesson, interpreter, &broker));
        let Some(broker) = fresh() else { return };
        let servers = run_lines(lesson, interpreter, &broker);
        End::Code(python).run(interpreter, &broker);
        drop(servers);
    }
}

#[test]
fn every_step_on_mq() {
    every_step_in_either_order(|| Some(Broker::mq()));
}

#[test]
fn every_step_on_rabbitmq() {
    every_step_in_either_order(Broker::rabbitmq);
}

macro_rules! mixed {
    ($($lesson:ident),* $(,)?) => {
        $(mod $lesson {
            use crate::broker::Broker;

            #[test]
            fn on_mq() {
                super::in_either_order(stringify!($lesson), || Some(Broker::mq()));
            }

            #[test]
            fn on_rabbitmq() {
                super::in_either_order(stringify!($lesson), Broker::rabbitmq);
            }
        })*
    };
}

mixed!(hello, durability, fanout, direct, topic);

#[test]
fn rpc_on_mq() {
    rpc_in_either_order(|| Some(Broker::mq()));
}

#[test]
fn rpc_on_rabbitmq() {
    rpc_in_either_order(Broker::rabbitmq);
}

/// What is run here is what people read.
#[test]
fn the_lines_are_those_of_the_tutorial() {
    let lessons = tutorial::chosen("all").expect("there are lessons");
    let shown: Vec<&str> = lessons
        .iter()
        .flat_map(|lesson| lesson.steps)
        .flat_map(|step| step.command.lines())
        .collect();
    let of_scenes = SCENES.iter().flat_map(|scene| {
        scene.senders.iter().chain(scene.receivers.iter().map(|(receiver, _)| receiver))
    });
    let of_rpc = SERVERS.iter().chain(&CLIENTS).map(|(end, _)| end);
    for end in of_scenes.chain(of_rpc) {
        if let End::Mq(line) = end {
            assert!(shown.contains(line), "the tutorial does not show: {line}");
        }
    }
}
