//! The lessons of the seed, each as one scenario: several programs at a time on an empty broker.
//!
//! The programs in `seed/` are the seed's own, byte for byte, on the pika they were written for;
//! those in `pika_current/` say the same in the words of today's pika, and both print the same lines.
//! `python_path/sitecustomize.py` tells a program the port and makes its work wait for the test.

use std::path::Path;
use std::process::Command;

use crate::broker::Broker;
use crate::installed::Environment;
use crate::program::{Program, python};

/// Whose programs are run.
#[derive(Debug, Clone, Copy)]
enum Era {
    /// The seed's, on the pika of its time.
    Seed,
    /// Ours, on the current pika.
    Current,
}

/// How long a consumer works on a message.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// Not at all.
    Instant,
    /// Until the test calls [`Program::release`].
    Gated,
}

/// One broker and one set of programs to run on it.
struct Classroom<'a> {
    broker: &'a Broker,
    interpreter: &'static Path,
    folder: &'static str,
}

impl Classroom<'_> {
    /// Starts a program of this set.
    fn start(&self, program: &str, arguments: &[&str], work: Work) -> Program {
        let mut command = self.python(program, arguments);
        if matches!(work, Work::Gated) {
            command.env("MQ_TEST_WORK", "gated");
        }
        Program::start(program, &mut command, self.broker)
    }

    /// Runs a program that ends by itself and returns what it printed.
    fn run(&self, program: &str, arguments: &[&str]) -> Vec<String> {
        self.start(program, arguments, Work::Instant).finish()
    }

    /// Starts a program and waits until it says that it is waiting.
    fn consumer(&self, program: &str, arguments: &[&str], work: Work) -> Program {
        let consumer = self.start(program, arguments, work);
        consumer.await_lines(" [*] Waiting for ", 1);
        consumer
    }

    fn python(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = python(self.interpreter, &format!("{}/{program}.py", self.folder));
        command.args(arguments);
        command
    }
}

const HELLO: &str = "b'Hello World!'";

/// One producer, one consumer, whichever comes first; an acknowledged message does not come again.
fn hello(room: &Classroom) {
    assert_eq!(room.run("hello_producer", &[]), [" [x] Sent 'Hello World!'"]);
    let mut early = room.consumer("hello_consumer", &[], Work::Gated);
    assert_eq!(early.await_lines(" [x] Received ", 1), [HELLO]);
    assert_eq!(redelivered_flags(&early), [false]);
    room.run("hello_producer", &[]);
    early.release();
    // The second message is worked on, so the first one was acknowledged before.
    assert_eq!(early.await_lines(" [x] Received ", 2), [HELLO, HELLO]);
    early.kill();
    let mut late = room.consumer("hello_consumer", &[], Work::Instant);
    late.await_lines(" [x] Received ", 1);
    room.run("hello_producer", &[]);
    // One redelivered, one new: the acknowledged one is gone.
    late.await_lines(" [x] Received ", 2);
    assert_eq!(redelivered_flags(&late), [true, false]);
    late.kill();
}

/// Two consumers get the messages alternately.
fn two_consumers_take_turns(room: &Classroom) {
    let first = room.consumer("hello_consumer", &[], Work::Instant);
    let second = room.consumer("hello_consumer", &[], Work::Instant);
    for round in 1..=3 {
        room.run("hello_producer", &[]);
        first.await_lines(" [x] Received ", round);
        assert_eq!(second.lines(" [x] Received ").len(), round - 1, "the first one's turn");
        room.run("hello_producer", &[]);
        second.await_lines(" [x] Received ", round);
        assert_eq!(first.lines(" [x] Received ").len(), round, "the second one's turn");
    }
}

/// What a killed consumer was working on goes to the other one, marked as redelivered.
fn a_killed_consumers_message_goes_to_the_other(room: &Classroom) {
    let mut doomed = room.consumer("hello_consumer", &[], Work::Gated);
    let survivor = room.consumer("hello_consumer", &[], Work::Instant);
    room.run("hello_producer", &[]);
    doomed.await_lines(" [x] Received ", 1);
    assert_eq!(redelivered_flags(&doomed), [false]);
    assert!(survivor.lines(" [x] Received ").is_empty(), "only one gets a message");
    doomed.kill();
    assert_eq!(survivor.await_lines(" [x] Received ", 1), [HELLO]);
    assert_eq!(redelivered_flags(&survivor), [true]);
}

/// With a prefetch of one, a busy worker gets nothing more and the idle one gets the rest.
fn fair_dispatch(room: &Classroom) {
    let mut slow = room.consumer("durable_consumer", &[], Work::Gated);
    let mut fast = room.consumer("durable_consumer", &[], Work::Instant);
    room.run("durable_producer", &[]);
    slow.await_lines(" [x] Received ", 1);
    for round in 1..=4 {
        room.run("durable_producer", &[]);
        fast.await_lines(" [x] Received ", round);
    }
    assert_eq!(slow.lines(" [x] Received ").len(), 1, "busy with the first message");
    fast.kill();
    room.run("durable_producer", &[]);
    slow.release();
    assert_eq!(slow.await_lines(" [x] Received ", 2), [HELLO, HELLO]);
}

/// Everybody bound gets every message; who comes late gets nothing of what was before.
fn fanout(room: &Classroom) {
    let said = "b'info: Hello World!'";
    room.run("fanout_publisher", &[]);
    let early = [(); 2].map(|()| room.consumer("fanout_subscriber", &[], Work::Instant));
    room.run("fanout_publisher", &[]);
    for subscriber in &early {
        assert_eq!(subscriber.await_lines(" [x] ", 1), [said]);
    }
    let late = room.consumer("fanout_subscriber", &[], Work::Instant);
    room.run("fanout_publisher", &[]);
    for subscriber in &early {
        assert_eq!(subscriber.await_lines(" [x] ", 2), [said, said]);
    }
    assert_eq!(late.await_lines(" [x] ", 1), [said]);
    let names = [&early[0], &early[1], &late].map(|one| one.lines("random queuename: ").concat());
    assert!(
        names.iter().all(|name| name.starts_with("amq.gen-")),
        "named by the broker: {names:?}"
    );
    assert!(names[0] != names[1] && names[1] != names[2], "a queue each: {names:?}");
}

/// A direct exchange gives each subscriber the severities it asked for.
fn direct(room: &Classroom) {
    let mild = room.consumer("direct_subscriber", &["info", "warning"], Work::Instant);
    let severe = room.consumer("direct_subscriber", &["warning", "error"], Work::Instant);
    assert_eq!(room.run("direct_publisher", &[]), [" [x] Sent 'info':'Hello World!'"]);
    room.run("direct_publisher", &["error", "disk", "on", "fire"]);
    room.run("direct_publisher", &["debug", "nobody asked"]);
    room.run("direct_publisher", &["warning", "hot"]);
    assert_eq!(mild.await_lines(" [x] ", 2), ["'info':b'Hello World!'", "'warning':b'hot'"]);
    assert_eq!(severe.await_lines(" [x] ", 2), ["'error':b'disk on fire'", "'warning':b'hot'"]);
}

/// A topic exchange matches words: `*` is one, `#` any number; two matches are one message.
fn topic(room: &Classroom) {
    let sent = [
        "anonymous.info",
        "apache.error",
        "mysql.slow",
        "kern.crash",
        "cron",
        "a.b.info",
        "mysql.error",
        "end.info",
        "kern.critical",
    ];
    let wanted: [(&[&str], &[&str]); 6] = [
        (&["*.info"], &["anonymous.info", "end.info"]),
        (&["*.error", "mysql.*"], &["apache.error", "mysql.slow", "mysql.error"]),
        (&["#"], &sent),
        (&["kern.*"], &["kern.crash", "kern.critical"]),
        (&["*.critical"], &["kern.critical"]),
        (&["kern.*", "*.critical"], &["kern.crash", "kern.critical"]),
    ];
    let subscribers =
        wanted.map(|(keys, _)| room.consumer("topic_subscriber", keys, Work::Instant));
    assert_eq!(room.run("topic_publisher", &[]), [" [x] Sent 'anonymous.info':'Hello World!'"]);
    for key in &sent[1..] {
        room.run("topic_publisher", &[key, "A", key]);
    }
    for (subscriber, (keys, wanted)) in subscribers.iter().zip(wanted) {
        let got = subscriber.await_lines(" [x] ", wanted.len());
        let wanted: Vec<_> = wanted
            .iter()
            .map(|key| match *key {
                "anonymous.info" => "'anonymous.info':b'Hello World!'".to_owned(),
                key => format!("'{key}':b'A {key}'"),
            })
            .collect();
        assert_eq!(got, wanted, "bound with {keys:?}");
    }
}

/// A call and its answer through two queues.
fn rpc(room: &Classroom) {
    let server = room.start("rpc_server", &[], Work::Instant);
    server.await_lines(" [x] Awaiting RPC requests", 1);
    for round in 1..=2 {
        let said = room.run("rpc_client", &[]);
        assert_eq!(said, [" [x] Requesting fib(7)", " [.] Got 13"]);
        assert_eq!(server.await_lines(" [.] ", round).last().map(String::as_str), Some("fib(7)"));
    }
}

/// The redelivered flag of every message a `hello_consumer` printed.
fn redelivered_flags(consumer: &Program) -> Vec<bool> {
    consumer.lines("<").iter().map(|line| line.contains("redelivered=True")).collect()
}

/// Runs one lesson with the programs of one era, unless its pika cannot be had.
fn in_classroom(broker: &Broker, era: Era, lesson: fn(&Classroom)) {
    let (environment, folder) = match era {
        Era::Seed => (Environment::OldPika, "seed"),
        Era::Current => (Environment::Pika, "pika_current"),
    };
    if let Some(interpreter) = environment.interpreter() {
        lesson(&Classroom { broker, interpreter, folder });
    }
}

/// Makes the tests of every lesson for one era, on all brokers.
macro_rules! lessons {
    ($era:ident: $($lesson:ident),* $(,)?) => {
        $(fn $lesson(broker: &crate::broker::Broker) {
            super::in_classroom(broker, super::Era::$era, super::$lesson);
        })*
        on_all!($($lesson),*);
    };
}

mod seeds_programs {
    lessons!(Seed: hello, two_consumers_take_turns, a_killed_consumers_message_goes_to_the_other,
        fair_dispatch, fanout, direct, topic, rpc);
}

mod current_pika {
    lessons!(Current: hello, two_consumers_take_turns, a_killed_consumers_message_goes_to_the_other,
        fair_dispatch, fanout, direct, topic, rpc);
}

/// The seed's programs stay as they are: nobody formats them, fixes them or strips their spaces.
#[test]
fn the_seeds_programs_are_the_seeds_own() {
    use sha2::{Digest, Sha256};

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/seed");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 12, "{files:?}");
    let mut digest = Sha256::new();
    for file in files {
        digest.update(std::fs::read(file).expect("the file can be read"));
    }
    let digest =
        digest.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(digest, "136bf1361310366dd26fb0e683d5a95c9a6d5226f29267e19c19d72a200e2d30");
}
