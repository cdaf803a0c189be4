//! A disk whose syncs stop to return when the test says so, for one broker: its `fdatasync` and `fsync` are replaced by
//! a small library in front of the C library's. Start at [`SlowDisk::new`].

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// A settlement is with the operating system within 10 ms; a busy machine may give neither process any time for long.
const SETTLED_MAX: Duration = Duration::from_secs(20);

/// What of a file of messages does not return while the disk is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The making of one.
    Creating,
    Reading,
}

impl Operation {
    /// The name of the file that holds it, and what the library says then.
    fn flag(self) -> (&'static str, u8) {
        match self {
            Self::Creating => ("creating", b'c'),
            Self::Reading => ("reading", b'r'),
        }
    }
}

/// The library and what it is told and says.
pub(crate) struct SlowDisk {
    folder: TempDir,
    begun: File,
    settled: mpsc::Receiver<u32>,
}

impl SlowDisk {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let source = folder.path().join("slow_disk.c");
        fs::write(&source, include_str!("slow_disk.c")).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(folder.path().join("slow_disk.so"));
        let built = compiler.arg(source).output().unwrap();
        assert!(built.status.success(), "{built:?}");
        let begun = fifo(&folder, "begun");
        let mut marked = fifo(&folder, "marked");
        let (tell, settled) = mpsc::channel();
        thread::spawn(move || {
            let mut count = [0; 4];
            while marked.read_exact(&mut count).is_ok()
                && tell.send(u32::from_ne_bytes(count)).is_ok()
            {}
        });
        Self { folder, begun, settled }
    }

    /// Has a broker use this disk.
    pub(crate) fn enter<'a>(&self, broker: &'a mut Command) -> &'a mut Command {
        let library = self.folder.path().join("slow_disk.so");
        broker.env("LD_PRELOAD", library).env("MQ_SLOW_DISK", self.folder.path())
    }

    /// From now on no sync returns.
    pub(crate) fn stall(&self) {
        File::create(self.folder.path().join("stalled")).unwrap();
    }

    /// From now on this operation does not return.
    pub(crate) fn hold(&self, operation: Operation) {
        File::create(self.folder.path().join(operation.flag().0)).unwrap();
    }

    /// Has it return.
    pub(crate) fn release(&self, operation: Operation) {
        fs::remove_file(self.folder.path().join(operation.flag().0)).unwrap();
    }

    /// Waits until the operation has begun that is held.
    pub(crate) fn wait_for(&mut self, operation: Operation) {
        let mut said = [0];
        while said[0] != operation.flag().1 {
            self.begun.read_exact(&mut said).unwrap();
        }
    }

    /// Waits until a file of messages is being synced.
    pub(crate) fn wait_for_sync(&mut self) {
        self.begun.read_exact(&mut [0]).unwrap();
    }

    /// Waits until so many slots have been written down as settled since the syncs stopped.
    pub(crate) fn wait_for_settled(&self, count: u32) {
        let mut settled = 0;
        while settled < count {
            match self.settled.recv_timeout(SETTLED_MAX) {
                Ok(more) => settled += more,
                Err(error) => panic!("{settled} of {count} are written down as settled: {error}"),
            }
        }
    }
}

fn fifo(folder: &TempDir, name: &str) -> File {
    let path = folder.path().join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // Also for writing, so that opening it waits for nobody.
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}
