//! The way of the log's lines: threads that write them to the console and to a file, so that no message waits for one.
//!
//! A reader of stderr that stops reading, such as a full pipe, holds up its thread and nothing else; lines that it has
//! no room for are counted, and the count is the next line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::time::Duration;

/// Lines that may wait to be written.
const LINES_MAX: usize = 4096;
/// The time that the end of the process waits for them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The place that lines are written to.
pub(super) enum LineTarget {
    Stream(Box<dyn Write + Send>),
    /// It is opened anew when another program has moved it away.
    File {
        path: PathBuf,
        file: File,
    },
}

impl LineTarget {
    /// Opens a file to write behind what is in it.
    pub(super) fn file(path: PathBuf) -> io::Result<Self> {
        Ok(Self::File { file: appended(&path)?, path })
    }

    fn out(&mut self) -> &mut dyn Write {
        match self {
            Self::Stream(stream) => stream,
            Self::File { file, .. } => file,
        }
    }

    fn open_anew(&mut self) {
        if let Self::File { path, file } = self {
            match appended(path) {
                Ok(opened) => *file = opened,
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "cannot open the log file anew");
                }
            }
        }
    }
}

fn appended(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

enum LogEntry {
    Line(Vec<u8>),
    /// Everything before it is to be written, and this told.
    Flush(Sender<()>),
    /// A file is to be opened anew.
    Reopen,
}

/// The way of lines to the thread that writes them.
#[derive(Clone)]
pub(super) struct Lines {
    queue: SyncSender<LogEntry>,
    lost: Arc<AtomicU64>,
}

impl Lines {
    pub(super) fn start(mut target: LineTarget) -> io::Result<Self> {
        let (queue, entries) = mpsc::sync_channel(LINES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let write = move || write_all(&entries, &counted, &mut target);
        std::thread::Builder::new().name("log".to_owned()).spawn(write)?;
        Ok(Self { queue, lost })
    }

    /// Gives a line, which comes in one piece, to the thread; one that does not fit is counted.
    pub(super) fn give(&self, line: &[u8]) {
        if self.queue.try_send(LogEntry::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has a file opened anew.
    pub(super) fn reopen(&self) {
        // A thread that is stuck has the file that it had.
        let _ = self.queue.try_send(LogEntry::Reopen);
    }

    /// Waits a moment until all lines are written.
    pub(super) fn flush(&self) {
        let (tell, told) = mpsc::channel();
        // A thread that is stuck, or gone, has nothing more to write.
        if self.queue.try_send(LogEntry::Flush(tell)).is_ok() {
            let _ = told.recv_timeout(LAST_LINES);
        }
    }
}

/// Writes lines until all senders are gone.
fn write_all(entries: &Receiver<LogEntry>, lost: &AtomicU64, target: &mut LineTarget) {
    for entry in entries {
        match entry {
            LogEntry::Line(line) => {
                // There is no place to report that the stream takes nothing any more.
                let _ = target.out().write_all(&line);
                let count = lost.swap(0, Ordering::Relaxed);
                if count > 0 {
                    tracing::warn!(
                        count,
                        "lines of the log were dropped because they were not read"
                    );
                }
            }
            LogEntry::Flush(tell) => {
                let _ = target.out().flush();
                // Who asked may have stopped waiting.
                let _ = tell.send(());
            }
            LogEntry::Reopen => target.open_anew(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_do_not_fit_are_counted_and_hold_nobody_up() {
        let (queue, entries) = mpsc::sync_channel(2);
        let lines = Lines { queue, lost: Arc::default() };
        for line in ["1\n", "2\n", "3\n"] {
            lines.give(line.as_bytes());
        }
        assert_eq!(lines.lost.load(Ordering::Relaxed), 1);
        let lost = Arc::clone(&lines.lost);
        drop(lines);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        write_all(&entries, &lost, &mut LineTarget::file(path.clone()).unwrap());
        assert_eq!(std::fs::read(path).unwrap(), b"1\n2\n");
        assert_eq!(lost.load(Ordering::Relaxed), 0, "they have been told");
    }
}
