//! The interface between the store and a file system: all its file operations go through it, so that tests can cut it
//! at every write and every sync. No operation waits for the disk under a lock that publishers take ([`locks`]).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate};

use super::io_counters::IoCounters;
use super::locks;

/// A directory of files.
pub trait Medium: fmt::Debug + Send + Sync {
    /// The names of the files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes a file of `bytes` zeros whose room is reserved; file and name are on disk when it returns.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn MediumFile>>;
    /// Opens a file that is there, for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn MediumFile>>;
    /// The same, making an empty one when there is none; a crash may take that back while nothing is synced.
    fn open_or_make(&self, name: &str) -> io::Result<Arc<dyn MediumFile>>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The file as messages name it.
    fn path(&self, name: &str) -> PathBuf;
}

/// A file. Writes may be lost, torn and reordered until [`MediumFile::sync`] returns.
#[expect(clippy::len_without_is_empty, reason = "a size to read up to, not a collection")]
pub trait MediumFile: fmt::Debug + Send + Sync {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads as much as is there, less than asked for at the end of the file only.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// `fdatasync`.
    fn sync(&self) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file, or grows it by zeros whose room is reserved.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
}

/// A directory of the operating system.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    access: Access,
    io: Arc<IoCounters>,
}

/// The access to a directory's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes; the directory is made if it is not there.
    Write,
    /// Reads; a write is refused.
    ReadOnly,
}

impl Directory {
    pub fn open(path: &Path, access: Access) -> io::Result<Self> {
        if access == Access::Write {
            fs::create_dir_all(path)?;
        }
        Ok(Self { path: path.to_path_buf(), access, io: Arc::default() })
    }

    /// The same, counting its operations there.
    #[must_use]
    pub fn counting(self, io: &Arc<IoCounters>) -> Self {
        Self { io: Arc::clone(io), ..self }
    }

    fn file(&self, file: File) -> Arc<dyn MediumFile> {
        Arc::new(DirectoryFile { file, io: Arc::clone(&self.io) })
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(self.access == Access::Write);
        options
    }
}

impl Medium for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        locks::assert_none();
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn MediumFile>> {
        locks::assert_none();
        let path = self.path.join(name);
        let made = self.options().create(true).truncate(true).open(&path).and_then(|file| {
            reserve(&file, bytes)?;
            file.sync_all()?;
            File::open(&self.path)?.sync_all()?;
            Ok(file)
        });
        if made.is_err() {
            // The reserved room is of more use to the files that are there already.
            let _ = fs::remove_file(&path);
        }
        Ok(self.file(made?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn MediumFile>> {
        locks::assert_may_read();
        let file = self.options().open(self.path.join(name))?;
        Ok(self.file(file))
    }

    fn open_or_make(&self, name: &str) -> io::Result<Arc<dyn MediumFile>> {
        locks::assert_none();
        let file = self.options().create(true).truncate(false).open(self.path.join(name))?;
        Ok(self.file(file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        locks::assert_none();
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[derive(Debug)]
struct DirectoryFile {
    file: File,
    io: Arc<IoCounters>,
}

impl MediumFile for DirectoryFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        locks::assert_none();
        let write = || self.file.write_all_at(bytes, offset);
        self.io.writes.timed(write, |()| bytes.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        locks::assert_may_read();
        self.io.reads.timed(|| read_all_at(&self.file, into, offset), |count| *count as u64)
    }

    fn sync(&self) -> io::Result<()> {
        locks::assert_none();
        self.io.syncs.timed(|| self.file.sync_data(), |()| 0)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        locks::assert_none();
        if bytes > self.len()? {
            return reserve(&self.file, bytes);
        }
        self.file.set_len(bytes)
    }
}

/// Reads until `into` is full or the file ends.
fn read_all_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Reserves room, so that a later write does not find the disk full.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // Some file systems cannot; there a full disk shows at the write.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(bytes),
        reserved => Ok(reserved?),
    }
}
