//! A program that stays: a request is a line to it, the reply is a line from it.

use std::io;
use std::process::Stdio;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::commands::CommandError;
use crate::commands::handler::{Handler, shell};

/// The longest line taken from the program, in bytes: the most a message may have.
const LINE_BYTES_MAX: u64 = 128 << 20;

pub(super) struct Coprocess {
    handler: Handler,
    /// Held so that it ends with us.
    _child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Coprocess {
    pub(super) fn start(command: &str) -> Result<Self, CommandError> {
        let handler = Handler { command: command.to_owned() };
        let failed = |source| handler.failed("could not be run", Some(source));
        let mut child =
            shell(command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Ok(Self { handler, _child: child, stdin, stdout })
    }

    /// Hands over a request and waits for its reply. Line ends within the request become spaces: a line is all
    /// that the two understand.
    pub(super) async fn ask(&mut self, request: &Bytes) -> Result<Bytes, CommandError> {
        let exchange = async {
            let mut line: Vec<u8> = request
                .trim_ascii_end()
                .iter()
                .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte })
                .collect();
            line.push(b'\n');
            self.stdin.write_all(&line).await?;
            self.stdin.flush().await?;
            let mut reply = Vec::new();
            (&mut self.stdout).take(LINE_BYTES_MAX).read_until(b'\n', &mut reply).await?;
            if reply.pop() != Some(b'\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if reply.last() == Some(&b'\r') {
                reply.pop();
            }
            Ok(Bytes::from(reply))
        };
        let replied: io::Result<Bytes> = exchange.await;
        replied.map_err(|source| self.handler.failed("ended without a reply", Some(source)))
    }
}
