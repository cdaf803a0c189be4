//! A program that handles messages: the body on its stdin, the rest in `MQ_*` variables.

use std::io;
use std::process::{ExitStatus, Stdio};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::CommandError;
use super::template;
use crate::engine::Delivery;

/// The longest answer taken from a program, in bytes: the most a message may have.
const ANSWER_BYTES_MAX: u64 = 128 << 20;

/// A shell command, run once for each message.
#[derive(Clone, Debug)]
pub(super) struct Handler {
    pub command: String,
}

/// The use of the program's stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stdout {
    /// It goes where ours goes.
    Inherited,
    /// It is the answer.
    Captured,
}

/// The end of a program.
#[derive(Debug)]
pub(super) struct Ended {
    pub status: ExitStatus,
    /// Its output, if that is captured.
    pub answer: Bytes,
}

impl Handler {
    /// Runs the program for one message and waits for its end. A dropped call kills the program.
    pub(super) async fn handle(
        &self,
        delivery: &Delivery,
        queue: &str,
        stdout: Stdout,
    ) -> Result<Ended, CommandError> {
        let run = async {
            let mut child = self.start(delivery, queue, stdout)?;
            let mut stdin = child.stdin.take();
            let feed = async {
                if let Some(stdin) = &mut stdin {
                    // A program need not read what it is given.
                    let _ = stdin.write_all(&delivery.body).await;
                }
                drop(stdin.take());
            };
            let mut answer = Vec::new();
            let mut captured = child.stdout.take();
            let listen = async {
                match &mut captured {
                    Some(from) => from.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await,
                    None => Ok(0),
                }
            };
            let ((), read) = tokio::join!(feed, listen);
            read?;
            Ok(Ended { status: child.wait().await?, answer: answer.into() })
        };
        run.await.map_err(|source: io::Error| self.failed("could not be run", Some(source)))
    }

    fn start(&self, delivery: &Delivery, queue: &str, stdout: Stdout) -> io::Result<Child> {
        let stdout = match stdout {
            Stdout::Inherited => Stdio::inherit(),
            Stdout::Captured => Stdio::piped(),
        };
        shell(&self.command)
            .envs(template::variables(delivery, queue))
            .stdin(Stdio::piped())
            .stdout(stdout)
            .spawn()
    }

    /// The error for a program that will do no better with the next message.
    pub(super) fn hopeless(&self, what: &str, hint: &str) -> CommandError {
        let (command, what, hint) = (self.command.clone(), what.to_owned(), Some(hint.to_owned()));
        CommandError::Handler { command, what, hint, source: None }
    }

    /// The error for a program that cannot do its work.
    pub(super) fn failed(&self, what: &str, source: Option<io::Error>) -> CommandError {
        let (command, what) = (self.command.clone(), what.to_owned());
        CommandError::Handler { command, what, hint: None, source }
    }
}

/// The shell that runs what users give to `--exec` and `--coprocess`; it dies with us.
pub(super) fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).kill_on_drop(true);
    shell
}
