//! Writing marks to their files, and syncing them.
//!
//! The marker writes marks, the writer those of a transaction, and the maintenance thread those of copies; the last two
//! sync. A slot is marked in the file it was in when the marks were taken. If it is being copied meanwhile, the
//! maintenance thread marks the copy as well (`reclaim`).

use std::io;
use std::num::NonZeroU32;

use super::counts::{self, Counted};
use super::log::{Log, LogDurability};
use super::marks::{self, Mark, marks_name};
use super::open_marks::MarkError;
use super::slot_ranges::SlotRanges;

impl Log {
    /// Adds marks to the files that the slots are in; those of files that are free need none.
    pub(super) fn write_marks(&self, slots: &SlotRanges, mark: Mark) -> Result<(), MarkError> {
        if self.durability == LogDurability::Spilled || slots.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for ranges in slots.by_file() {
            bytes.clear();
            marks::encode(ranges, mark, &mut bytes);
            self.add_marks(ranges[0].file, &bytes).map_err(MarkError::NotWritten)?;
        }
        Ok(())
    }

    /// Adds counted marks to the files that the slots are in; those of files that are free need none.
    pub(super) fn write_counted(&self, counted: &[Counted]) -> Result<(), MarkError> {
        if self.durability == LogDurability::Spilled || counted.is_empty() {
            return Ok(());
        }
        for (file, bytes) in counts::encode(counted) {
            self.add_marks(file, &bytes).map_err(MarkError::NotWritten)?;
        }
        Ok(())
    }

    /// Adds marks of a file. One that is free on the disk needs none.
    fn add_marks(&self, file: NonZeroU32, bytes: &[u8]) -> io::Result<()> {
        let number = file.get();
        // Held before the file is looked up: its marks are closed after it is not found any more, so that none are
        // added to those of its next use.
        let mut open = self.mark_files.lock();
        let name = self.lock().files.marked_name(number).map(marks_name);
        let Some(name) = name else { return Ok(()) };
        open.add(&*self.medium, number, &name, bytes)
    }

    /// Syncs the marks written since the last time, and closes the files that none were added to.
    ///
    /// One call at a time: one that finds nothing to sync must not return before another that is still syncing.
    pub(super) fn sync_marks(&self) -> Result<(), MarkError> {
        let _syncing = self.syncing.lock();
        let dirty = self.mark_files.lock().take_dirty();
        if self.durability == LogDurability::Kept {
            for file in dirty {
                file.sync().map_err(MarkError::NotSynced)?;
            }
        }
        Ok(())
    }
}
