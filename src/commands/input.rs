//! The bodies of messages to publish: from arguments, files or stdin.
//!
//! Lines are read one after the other on a thread of their own and handed over through a small queue, so that
//! a file of any size needs the memory of a few lines.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::CommandError;
use crate::render::Output;

/// The largest body RabbitMQ takes unless told otherwise (`max_message_size`), in bytes.
const BODY_BYTES_MAX: u64 = 128 << 20;
/// Lines that may wait between the thread that reads and the task that sends.
const LINES_WAITING: usize = 256;

/// Bodies to come, in order.
pub(super) enum Bodies {
    Ready(std::vec::IntoIter<Bytes>),
    Files(std::vec::IntoIter<PathBuf>),
    Lines(mpsc::Receiver<io::Result<Bytes>>),
}

/// The part of stdin that is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stdin {
    Whole,
    Lines,
}

impl Bodies {
    /// Takes the arguments, else the files, else stdin.
    pub(super) fn new(
        arguments: Vec<String>,
        files: Vec<PathBuf>,
        stdin: Stdin,
        out: &mut Output,
    ) -> Result<Self, CommandError> {
        if !arguments.is_empty() {
            let bodies: Vec<Bytes> = arguments.into_iter().map(Bytes::from).collect();
            return Ok(Self::Ready(bodies.into_iter()));
        }
        match (files.is_empty(), stdin) {
            (false, Stdin::Whole) => Ok(Self::Files(files.into_iter())),
            (false, Stdin::Lines) => Ok(Self::Lines(lines_of_files(files))),
            (true, stdin) => {
                if io::stdin().is_terminal() {
                    out.note("reading from the terminal until Ctrl-D")?;
                }
                match stdin {
                    Stdin::Lines => Ok(Self::Lines(lines_of(|| Ok(io::stdin().lock())))),
                    Stdin::Whole => {
                        let body = whole(io::stdin().lock(), "read stdin")?;
                        Ok(Self::Ready(vec![body].into_iter()))
                    }
                }
            }
        }
    }

    /// Returns the number of bodies, if it is known.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Self::Ready(bodies) => Some(bodies.len() as u64),
            Self::Files(files) => Some(files.len() as u64),
            Self::Lines(_) => None,
        }
    }

    /// The next body, `None` after the last. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, CommandError> {
        match self {
            Self::Ready(bodies) => Ok(bodies.next()),
            Self::Files(files) => files.next().map(|path| file(&path)).transpose(),
            Self::Lines(lines) => {
                let line = lines.recv().await.transpose();
                line.map_err(|source| CommandError::File { doing: "read the lines".into(), source })
            }
        }
    }
}

fn file(path: &Path) -> Result<Bytes, CommandError> {
    let doing = format!("read '{}'", path.display());
    match fs::File::open(path) {
        Ok(file) => whole(file, &doing),
        Err(source) => Err(CommandError::File { doing, source }),
    }
}

fn whole(from: impl Read, doing: &str) -> Result<Bytes, CommandError> {
    let mut body = Vec::new();
    let read = from.take(BODY_BYTES_MAX + 1).read_to_end(&mut body).and_then(|_| fits(&body));
    read.map_err(|source| CommandError::File { doing: doing.to_owned(), source })?;
    Ok(body.into())
}

fn fits(body: &[u8]) -> io::Result<()> {
    if body.len() as u64 > BODY_BYTES_MAX {
        return Err(io::Error::other("it is larger than 128 MiB, the most a message may have"));
    }
    Ok(())
}

fn lines_of_files(files: Vec<PathBuf>) -> mpsc::Receiver<io::Result<Bytes>> {
    lines_of(move || {
        let mut all: Box<dyn Read> = Box::new(io::empty());
        for path in files {
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("'{}': {error}", path.display()))
            };
            all = Box::new(all.chain(fs::File::open(&path).map_err(named)?));
        }
        Ok(io::BufReader::new(all))
    })
}

/// Reads lines on a thread until the end, a mistake, or the receiver is dropped. The thread is not waited for: it may
/// stand in a read of a terminal, and it ends with the process.
fn lines_of<R: BufRead>(
    open: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> mpsc::Receiver<io::Result<Bytes>> {
    let (tx, rx) = mpsc::channel(LINES_WAITING);
    std::thread::spawn(move || {
        let mut from = match open() {
            Ok(from) => from,
            Err(error) => return tx.blocking_send(Err(error)).unwrap_or(()),
        };
        while let Some(line) = line(&mut from).transpose() {
            let is_last = line.is_err();
            if tx.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    });
    rx
}

fn line(from: &mut impl BufRead) -> io::Result<Option<Bytes>> {
    let mut line = Vec::new();
    if from.take(BODY_BYTES_MAX + 2).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    fits(&line)?;
    Ok(Some(line.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_not_part_of_a_line() {
        let mut from = &b"one\r\n\ntwo"[..];
        let mut lines = Vec::new();
        while let Some(line) = line(&mut from).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["one", "", "two"]);
    }
}
