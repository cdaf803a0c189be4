//! Writing marks: which slots are settled, were delivered, or have moved.
//!
//! The writer does it, and the keeper for what it has moved; both sync. A slot is marked in the file it is in when
//! the mark is written: one that moved meanwhile is followed.

use std::collections::hash_map::Entry;
use std::io;
use std::sync::{Arc, PoisonError};

use super::log::{Durability, Log};
use super::marks::{self, MARK_LEN, Mark, marks_name};
use super::medium::{Medium, MediumFile};
use super::{Run, Runs};

/// Why marks are not on disk.
#[derive(Debug)]
pub(super) enum MarkError {
    /// They could not be written; later they may.
    NotWritten(io::Error),
    /// They could not be synced, and no later sync would tell whether they are safe.
    NotSynced(io::Error),
}

/// The marks of a file, open for adding to.
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

    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// The file, for who syncs what was added so far.
    pub(super) fn take_dirty(&mut self) -> Arc<dyn MediumFile> {
        self.is_dirty = false;
        Arc::clone(&self.file)
    }
}

impl Log {
    /// Adds marks to the files that the slots are in; those of files that are no more need none.
    pub(super) fn write_marks(&self, runs: &Runs, mark: Mark) -> Result<(), MarkError> {
        if self.durability == Durability::Spilled || runs.is_empty() {
            return Ok(());
        }
        let mut runs = runs.clone();
        let mut bytes = Vec::new();
        loop {
            let mut gone = Runs::default();
            for runs in runs.by_file() {
                bytes.clear();
                marks::encode(runs, mark, &mut bytes);
                if !self.add_marks(runs[0], &bytes).map_err(MarkError::NotWritten)? {
                    gone.extend(runs);
                }
            }
            // They may have moved.
            match self.lock().resolve(&gone) {
                Some(moved) if moved != gone => runs = moved,
                Some(_) | None => return Ok(()),
            }
            runs.join();
        }
    }

    /// Whether the file is there to be marked.
    fn add_marks(&self, of: Run, bytes: &[u8]) -> io::Result<bool> {
        let number = of.file.get();
        let name = match self.lock().files.get(&number) {
            Some(state) => marks_name(&state.name),
            None => return Ok(false),
        };
        let mut open = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match open.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(OpenMarks::open(&*self.medium, &name)?),
        };
        entry.add(bytes)?;
        Ok(true)
    }

    /// Syncs the marks written since the last time, and closes those that were not.
    ///
    /// One at a time: whoever finds nothing to sync must not overtake who is still at it.
    pub(super) fn sync_marks(&self) -> Result<(), MarkError> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dirty = Vec::new();
        {
            let mut open = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            open.retain(|_, marks| marks.is_dirty());
            dirty.extend(open.values_mut().map(OpenMarks::take_dirty));
        }
        if self.durability == Durability::Kept {
            for file in dirty {
                file.sync().map_err(MarkError::NotSynced)?;
            }
        }
        Ok(())
    }
}
