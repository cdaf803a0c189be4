//! A copy of the store of a running broker, in a directory of its own.
//!
//! The maintenance thread makes it, as one job. It alone frees files, gives them up and moves messages between them; so
//! while it copies, files only grow, by records and marks. Publishers, consumers, the writer and the marker go on.
//!
//! The copy is as a crash would leave the directory:
//!
//! 1. The marks of every file are copied, as far as they are written.
//! 2. Under the log's lock the end of every file is noted. The batch that gathers then is waited for: all records before
//!    these ends are synced.
//! 3. The records up to the ends are copied, with a synced mark of that end in the file that grows. Bytes that were
//!    damaged, and were copied aside before, are copied with their copies, so that nothing says "damaged" anew.
//! 4. The definitions are copied, and last the format: a directory without it is no backup ([`is_backup`]).
//!
//! Marks go first, because a message may move between queues meanwhile: its record in the new place is written before
//! the mark that settles the old one, so a copy may have it in both places, and never in none. So the copy has every
//! message that was confirmed before it was begun and not settled until then; and, of those that were settled while it was
//! made, some.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use super::batch::{Health, Outcome};
use super::counts::MARK_LEN;
use super::damage;
use super::definitions::Definitions;
use super::error::{StoreError, cannot};
use super::format::{self, MESSAGES_FOLDER};
use super::jobs::Job;
use super::log::Log;
use super::marks::marks_name;
use super::medium::{Access, Directory, Medium};
use super::pending_marks::BatchWaits;
use super::record::{DATA_START, FILE_HEADER_LEN, FileHeader};
use super::synced;
use crate::bug;

/// Bytes copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// The extent of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Files with records.
    pub files: u64,
    /// Bytes of records and marks.
    pub bytes: u64,
}

/// A file as it is to be copied: the records before `end`.
#[derive(Debug)]
struct FileToCopy {
    name: String,
    header: FileHeader,
    /// Records are appended to it.
    is_active: bool,
    /// All bytes, if nothing is appended.
    end: u32,
}

/// True if a directory is a data directory whose copy was completed.
///
/// # Errors
///
/// [`StoreError`] if its format cannot be read or is newer than this release's.
pub fn is_backup(directory: &Path) -> Result<bool, StoreError> {
    Ok(format::check(directory)?.is_some() && directory.join(super::definitions::FILE).is_file())
}

/// Makes a directory for a copy.
///
/// # Errors
///
/// If there is something in it.
pub fn make_empty(directory: &Path) -> Result<(), StoreError> {
    let is_empty = || {
        fs::create_dir_all(directory)?;
        match fs::read_dir(directory)?.next() {
            None => Ok(()),
            Some(_) => Err(io::Error::other("it is not empty")),
        }
    };
    is_empty().map_err(|source| cannot("copy into", directory.to_path_buf(), source))
}

/// Copies a data directory that no broker runs on into an empty one; what is copied is on disk when this returns.
///
/// # Errors
///
/// If a file cannot be read or written; names it.
pub fn copy_stopped(from: &Path, to: &Path) -> Result<(), StoreError> {
    let messages = to.join(MESSAGES_FOLDER);
    fs::create_dir_all(&messages).map_err(|source| cannot("make", messages.clone(), source))?;
    let folder = from.join(MESSAGES_FOLDER);
    let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(|source| cannot("read", folder, source))? {
        copy_file(&entry.path(), &messages.join(entry.file_name()))?;
    }
    sync_folder(&messages)?;
    copy_file(&from.join(super::definitions::FILE), &to.join(super::definitions::FILE))?;
    sync_folder(to)?;
    copy_file(&from.join(format::FILE), &to.join(format::FILE))?;
    sync_folder(to)
}

fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    let copied = fs::copy(from, to).and_then(|_| fs::File::open(to)?.sync_all());
    copied.map_err(|source| cannot("copy", from.to_path_buf(), source))
}

/// Has the names in a folder be on disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| cannot("sync", folder.to_path_buf(), source))
}

/// Copies a log and the definitions of a running broker into an empty directory. Waits for the disk, and for the
/// maintenance thread.
pub(super) fn of_running(
    log: &Arc<Log>,
    definitions: &Definitions,
    to: &Path,
) -> Result<BackupReport, StoreError> {
    make_empty(to)?;
    let messages = to.join(MESSAGES_FOLDER);
    let opened = Directory::open(&messages, Access::Write);
    let medium = opened.map_err(|source| cannot("make", messages.clone(), source))?;
    let report = order(log, medium)?;
    sync_folder(&messages)?;
    definitions.copy_to(to)?;
    sync_folder(to)?;
    format::check_or_write(to)?;
    Ok(report)
}

/// Has the maintenance thread copy the messages, and waits for it.
fn order(log: &Arc<Log>, to: Directory) -> Result<BackupReport, StoreError> {
    let (tell, told) = mpsc::sync_channel(1);
    let (copied, path) = (Arc::clone(log), to.path(""));
    log.order(Job::BackUp(Box::new(move || {
        let done = bug::contain("a backup", || copied.back_up(&to));
        // One that asked and has gone needs no answer.
        let _ = tell.send(done);
    })));
    told.recv().ok().flatten().unwrap_or_else(|| Err(interrupted(path)))
}

fn interrupted(path: PathBuf) -> StoreError {
    let source = io::Error::new(io::ErrorKind::Interrupted, "the broker ends");
    cannot("complete the copy in", path, source)
}

impl Log {
    /// Copies marks and records, on the maintenance thread.
    pub(super) fn back_up(&self, to: &dyn Medium) -> Result<BackupReport, StoreError> {
        let mut report = BackupReport::default();
        // A mark that cannot be written now is of a message that the copy has and need not have.
        let _ = self.mark_once(BatchWaits::No);
        let names: Vec<String> = {
            let state = self.lock();
            let files = &state.files;
            let names = files.numbers().into_iter().filter_map(|number| files.get(number));
            names.map(|file| file.name().to_owned()).collect()
        };
        for name in &names {
            report.bytes += self.copy_marks(&marks_name(name), to)?;
            self.check_open(to)?;
        }
        for file in self.files_to_copy(to)? {
            report.files += 1;
            report.bytes += self.copy_records(&file, to)?;
            self.keep_promises();
        }
        self.copy_damaged_bytes(to)?;
        Ok(report)
    }

    /// The files with records, and where they end: all that is before is synced.
    fn files_to_copy(&self, to: &dyn Medium) -> Result<Vec<FileToCopy>, StoreError> {
        let (files, batch) = {
            let state = self.lock();
            let active = state.gathering.active();
            let (number, end) = (active.header.number, active.index.end);
            let files = state
                .files
                .numbers()
                .into_iter()
                .filter_map(|number| state.files.get(number).filter(|file| file.slots() > 0));
            let files = files.map(|file| {
                let (header, name) = (file.header(), file.name().to_owned());
                let is_active = header.number == number;
                let end = if is_active { end } else { file.capacity() };
                FileToCopy { name, header, is_active, end }
            });
            (files.collect::<Vec<_>>(), self.latest())
        };
        self.wait_for(batch);
        match self.outcome(batch) {
            Outcome::Synced => Ok(files),
            Outcome::Waiting | Outcome::Failed => {
                let kind = match self.health() {
                    Health::Full => io::ErrorKind::StorageFull,
                    Health::Well | Health::Failed => io::ErrorKind::Other,
                };
                let source = io::Error::new(kind, "the broker cannot write its own messages now");
                Err(cannot("copy the messages into", to.path(""), source))
            }
        }
    }

    /// Copies the marks of a file, if it has any; answers how many bytes.
    fn copy_marks(&self, name: &str, to: &dyn Medium) -> Result<u64, StoreError> {
        let mut bytes = Vec::new();
        {
            // The marker writes them under this lock: none is half written.
            let _marking = self.mark_files.lock();
            let file = match self.medium.open(name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                opened => {
                    opened.map_err(|source| cannot("open", self.medium.path(name), source))?
                }
            };
            let read = file.len().and_then(|len| {
                bytes.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
                file.read_at(&mut bytes, 0)
            });
            let len = read.map_err(|source| cannot("read", self.medium.path(name), source))?;
            bytes.truncate(len / MARK_LEN * MARK_LEN);
        }
        let written = to.open_or_make(name).and_then(|file| {
            file.write_at(&bytes, 0)?;
            file.sync()
        });
        written.map_err(|source| cannot("write", to.path(name), source))?;
        Ok(bytes.len() as u64)
    }

    /// Copies the records of a file; answers how many bytes.
    fn copy_records(&self, file: &FileToCopy, to: &dyn Medium) -> Result<u64, StoreError> {
        let FileToCopy { name, header, is_active, end } = file;
        let unread = |source| cannot("read", self.medium.path(name), source);
        let unwritten = |source| cannot("write", to.path(name), source);
        let from = self.medium.open(name).map_err(unread)?;
        let copy = to.create(name, u64::from(*end)).map_err(unwritten)?;
        let mut piece = vec![0; PIECE_BYTES];
        // As it stands in the file, which may be of an earlier format.
        let head = &mut piece[..DATA_START as usize];
        from.read_at(head, 0).map_err(unread)?;
        if *is_active {
            // Its own mark may be of an earlier or a later end.
            head[FILE_HEADER_LEN..].fill(0);
        }
        copy.write_at(head, 0).map_err(unwritten)?;
        if *is_active && !header.is_of_format_1() {
            let mark = synced::encode(*header, *end);
            copy.write_at(&mark, synced::FIRST_OFFSET).map_err(unwritten)?;
        }
        let mut at = u64::from(DATA_START);
        while at < u64::from(*end) {
            let left = usize::try_from(u64::from(*end) - at).unwrap_or(PIECE_BYTES);
            let room = &mut piece[..left.min(PIECE_BYTES)];
            let count = from.read_at(room, at).map_err(unread)?;
            if count == 0 {
                break;
            }
            copy.write_at(&room[..count], at).map_err(unwritten)?;
            at += count as u64;
            self.check_open(to)?;
        }
        copy.sync().map_err(unwritten)?;
        Ok(at - u64::from(DATA_START))
    }

    /// Copies the files of bytes that were damaged.
    fn copy_damaged_bytes(&self, to: &dyn Medium) -> Result<(), StoreError> {
        for name in &damage::copies(&*self.medium)? {
            let copied = self.medium.open(name).and_then(|file| {
                let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
                file.read_at(&mut bytes, 0)?;
                let copy = to.open_or_make(name)?;
                copy.write_at(&bytes, 0)?;
                copy.sync()
            });
            copied.map_err(|source| cannot("copy", self.medium.path(name), source))?;
        }
        Ok(())
    }

    /// Gives a copy up when the broker ends.
    fn check_open(&self, to: &dyn Medium) -> Result<(), StoreError> {
        if self.lock_jobs().is_closing() { Err(interrupted(to.path(""))) } else { Ok(()) }
    }
}
