//! The files of marks that are open for adding to.

use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::counts::MARK_LEN;
use super::medium::{Medium, MediumFile};

/// The reason why marks are not on disk.
#[derive(Debug)]
pub(super) enum MarkError {
    /// They could not be written; later they may.
    NotWritten(io::Error),
    /// They could not be synced, and no later sync would tell whether they are safe.
    NotSynced(io::Error),
}

/// The marks of one file, open for adding to.
///
/// ```text
/// closed -- add --> dirty -- sync_marks --> clean -- sync_marks, nothing added meanwhile --> closed
///                     ^                       |
///                     '--------- add ---------'
/// ```
#[derive(Debug)]
pub(super) struct OpenMarks {
    file: Arc<dyn MediumFile>,
    len: u64,
    is_dirty: bool,
}

impl OpenMarks {
    pub(super) fn open(medium: &dyn Medium, name: &str) -> io::Result<Self> {
        let file = medium.open_or_make(name)?;
        // The last mark may be torn.
        let len = file.len()?.next_multiple_of(MARK_LEN as u64);
        Ok(Self { file, len, is_dirty: false })
    }

    pub(super) fn add(&mut self, marks: &[u8]) -> io::Result<()> {
        self.file.write_at(marks, self.len)?;
        self.len += marks.len() as u64;
        self.is_dirty = true;
        Ok(())
    }

    /// Takes the file for the caller to sync, which has all that was added so far.
    pub(super) fn take_dirty(&mut self) -> Arc<dyn MediumFile> {
        self.is_dirty = false;
        Arc::clone(&self.file)
    }
}

/// The open files of marks, by the numbers of their log files.
#[derive(Debug, Default)]
pub(super) struct MarkFiles(FxHashMap<u32, OpenMarks>);

impl MarkFiles {
    /// Adds marks of a file, which is opened if it is not.
    pub(super) fn add(
        &mut self,
        medium: &dyn Medium,
        number: u32,
        name: &str,
        marks: &[u8],
    ) -> io::Result<()> {
        let entry = match self.0.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(OpenMarks::open(medium, name)?),
        };
        entry.add(marks)
    }

    /// Closes the files that nothing was added to since the last call; answers the others, for the caller to sync.
    pub(super) fn take_dirty(&mut self) -> Vec<Arc<dyn MediumFile>> {
        self.0.retain(|_, marks| marks.is_dirty);
        self.0.values_mut().map(OpenMarks::take_dirty).collect()
    }

    pub(super) fn close(&mut self, number: u32) {
        self.0.remove(&number);
    }
}
