//! The file under the database, which remembers whether a sync of it ever failed.
//!
//! Data that the system could not sync may be missing on the disk although it can be read: no later sync may be
//! believed before everything has been read from the disk again, in another process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

/// Failures of a file, which outlast its handle.
#[derive(Debug, Default)]
pub(super) struct DiskFailures {
    has_failed_sync: AtomicBool,
    /// Only tests say that it is.
    pub(super) is_full: AtomicBool,
}

impl DiskFailures {
    pub(super) fn has_failed_sync(&self) -> bool {
        self.has_failed_sync.load(Ordering::Acquire)
    }

    fn find_room(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::Acquire) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// The file of the database. Only this process writes it, because it holds the lock of the directory.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    pub(super) file: File,
    pub(super) trouble: Arc<DiskFailures>,
}

impl StorageBackend for DatabaseFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.trouble.find_room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().inspect_err(|_| {
            self.trouble.has_failed_sync.store(true, Ordering::Release);
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.trouble.find_room()?;
        self.file.write_all_at(data, offset)
    }
}
