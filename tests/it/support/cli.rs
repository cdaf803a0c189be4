//! The built `mq` as its users run it: the only place that knows how it is started.
//!
//! [`Case`] is one run that ends by itself; [`Running`] is one that goes on until it is told to stop.
//! [`on_both`] makes three tests of each promise: on `mq serve`, on RabbitMQ 3.10, and on a RabbitMQ 4.3 that refuses
//! all that it does by default.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::broker::Broker;

/// No command of a test takes this long; one that hangs fails rather than stops the run.
const RUN_MAX: Duration = Duration::from_mins(1);

/// Makes of each function a test on `mq serve`, one on RabbitMQ 3.10 and one on RabbitMQ 4.3.
macro_rules! on_both {
    ($($promise:ident),* $(,)?) => {
        mod on_mq {
            $(#[test]
            fn $promise() {
                super::$promise(&crate::broker::Broker::mq());
            })*
        }

        mod on_rabbitmq {
            $(#[test]
            fn $promise() {
                if let Some(broker) = crate::broker::on_rabbitmq() {
                    super::$promise(&broker);
                }
            })*
        }

        mod on_rabbitmq_4_3 {
            $(#[test]
            fn $promise() {
                if let Some(broker) = crate::broker::on_strict_rabbitmq_4_3() {
                    super::$promise(&broker);
                }
            })*
        }
    };
}
pub(crate) use on_both;

/// One run of `mq`, byte by byte. `{vhost}` in what is expected is the scenario's virtual host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Case<'a> {
    pub(crate) arguments: &'a [&'a str],
    pub(crate) stdin: &'a str,
    pub(crate) code: i32,
    pub(crate) stdout: &'a str,
    pub(crate) stderr: &'a str,
}

impl Case<'_> {
    /// Runs it on a broker.
    pub(crate) fn on(self, broker: &Broker) {
        let mut command = assert_cmd::Command::from_std(mq(broker));
        self.compare(&mut command, broker.vhost());
    }

    /// Runs it where no broker is needed.
    pub(crate) fn alone(self) {
        let mut command = assert_cmd::Command::from_std(program());
        self.compare(&mut command, "");
    }

    fn compare(self, command: &mut assert_cmd::Command, vhost: &str) {
        let expected = |text: &str| text.replace("{vhost}", vhost);
        let run = command.args(self.arguments).write_stdin(self.stdin).timeout(RUN_MAX);
        run.assert().code(self.code).stdout(expected(self.stdout)).stderr(expected(self.stderr));
    }
}

/// Runs commands that must succeed and whose answers do not matter.
pub(crate) fn prepare(broker: &Broker, commands: &[&[&str]]) {
    for arguments in commands {
        answer(broker, arguments, "");
    }
}

/// What a command that must succeed prints on stdout.
pub(crate) fn answer(broker: &Broker, arguments: &[&str], stdin: impl Into<Vec<u8>>) -> String {
    let mut command = assert_cmd::Command::from_std(mq(broker));
    let run = command.args(arguments).write_stdin(stdin).timeout(RUN_MAX).assert().success();
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

/// `mq` with a broker as its target.
pub(crate) fn mq(broker: &Broker) -> Command {
    let mut command = program();
    command.env("MQ_URL", broker.url()).env("MQ_HTTP_URL", broker.management_url());
    command
}

/// `mq` without a word about a broker: none in the environment, no context, and no project file.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mq"));
    command.env("NO_COLOR", "1");
    for name in [
        "RUST_LOG",
        "MQ_URL",
        "AMQP_URL",
        "RABBITMQ_URL",
        "MQ_HTTP_URL",
        "MQ_LOCAL",
        "MQ_CONTEXT",
        "MQ_CONFIG",
    ] {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", NO_CONFIGURATION).current_dir(std::env::temp_dir());
    command
}

/// A directory that does not exist, so that the contexts of the developer are not seen.
const NO_CONFIGURATION: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/no-configuration");

/// A command that goes on.
pub(crate) struct Running {
    process: Child,
    /// `None` when nobody reads it any more.
    stdout: Option<BufReader<ChildStdout>>,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Running {
    /// Starts it and waits until it says `ready` on stderr.
    pub(crate) fn start(broker: &Broker, arguments: &[&str], ready: &str) -> Self {
        Self::spawn(mq(broker).args(arguments), ready)
    }

    pub(crate) fn spawn(command: &mut Command, ready: &str) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = piped.spawn().unwrap();
        let stdout = process.stdout.take().map(BufReader::new);
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let mut running = Self { process, stdout, stderr, said: String::new() };
        running.wait_for(ready);
        running
    }

    /// Waits until it has said something on stderr.
    pub(crate) fn wait_for(&mut self, words: &str) {
        while !self.said.contains(words) {
            let read = self.stderr.read_line(&mut self.said).unwrap();
            assert!(read > 0, "it never said '{words}', but:\n{}", self.said);
        }
    }

    /// What it has said on stderr so far, as far as it was waited for.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// Waits for a line of stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Stops reading its stdout and waits for its end.
    pub(crate) fn end_unread(&mut self) -> ExitStatus {
        self.stdout = None;
        self.process.wait().unwrap()
    }

    /// Waits for its end; returns how it ended, and what was not read of stdout and stderr.
    pub(crate) fn end(&mut self) -> (ExitStatus, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.as_mut().unwrap().read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (self.process.wait().unwrap(), stdout, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
