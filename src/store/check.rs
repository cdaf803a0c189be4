//! Verifying a directory that no broker runs on: every record is read, nothing is written.

use std::path::Path;

use super::keeper::index_name;
use super::medium::{Access, Directory, Medium};
use super::record::FileKind;
use super::recovery;
use super::scan::{self, Scanned, Trust, cannot};
use super::{KEPT_FOLDER, QueueId, StoreError};
use crate::store::index::Index;

/// What a directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Files with records, and files that are free.
    pub files: u64,
    pub free_files: u64,
    /// Records that are whole.
    pub records: u64,
    /// Slots that wait, by queue.
    pub waiting: Vec<(QueueId, u64)>,
    /// Bytes of records that were never synced and are not whole; the next start cuts them.
    pub torn_bytes: u64,
    /// Marks that are not whole: their messages come again.
    pub broken_marks: u64,
    /// Indexes that do not fit their file: it is read whole at the next start.
    pub broken_indexes: u64,
}

/// Reads all messages of a data directory.
///
/// # Errors
///
/// [`StoreError`] naming the file, and the offset of what is damaged.
pub fn check(directory: &Path) -> Result<CheckReport, StoreError> {
    let path = directory.join(KEPT_FOLDER);
    let opened = Directory::open(&path, Access::ReadOnly);
    let medium = opened.map_err(|source| cannot("open", path, source))?;
    let found = recovery::find(&medium, Trust::Nothing)?;
    let mut report = CheckReport {
        files: found.files.len() as u64,
        free_files: found.free.len() as u64,
        torn_bytes: found.torn_bytes(),
        ..CheckReport::default()
    };
    let mut copies = recovery::Copies::find(&found.files, &medium)?;
    let mut marks = Vec::new();
    for file in &found.files {
        let of_file = file.marks(&medium)?;
        report.broken_marks += of_file.broken;
        report.broken_indexes += u64::from(!fits(&medium, file)?);
        let is_log = file.header.kind == FileKind::Log;
        let of_file = if is_log {
            copies.settle_originals(file, &file.index.slots, of_file)
        } else {
            of_file
        };
        marks.push(of_file);
    }
    let mut waiting = std::collections::BTreeMap::<QueueId, u64>::new();
    for (file, marks) in found.files.iter().zip(marks) {
        let marks = copies.take_marks(file).unwrap_or(marks);
        let mut last_offset = 0;
        for (slot, of) in (0..).zip(&file.index.slots) {
            report.records += u64::from(of.offset != last_offset);
            last_offset = of.offset;
            if marks.is_waiting(slot) {
                *waiting.entry(of.queue).or_default() += 1;
            }
        }
    }
    report.waiting = waiting.into_iter().collect();
    Ok(report)
}

/// Whether the index of a file, if it has one, says what the file says.
fn fits(medium: &dyn Medium, file: &Scanned) -> Result<bool, StoreError> {
    let name = index_name(&file.name);
    let bytes = match scan::read_all(medium, &name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        read => read.map_err(|source| cannot("read", medium.path(&name), source))?,
    };
    let Some(index) = Index::decode(&bytes, file.header.number) else {
        // One of an earlier use of the file is of no use, and does no harm.
        return Ok(bytes.get(12..16) != Some(&file.header.number.to_le_bytes()[..]));
    };
    Ok(file.index.slots.starts_with(&index.slots))
}
