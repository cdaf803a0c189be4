//! Verifying a directory that no broker runs on: every record is read, nothing is written.
//!
//! It finds what a start finds, by the same functions, and beside that the damage in records that a start takes from an
//! index and does not read: a broker tells of these when it reads them.

use std::collections::BTreeMap;
use std::path::Path;

use super::damage::{self, DamageOrigin, DamagedRecord};
use super::error::{StoreError, cannot};
use super::format::MESSAGES_FOLDER;
use super::index::Slot;
use super::marks::Marks;
use super::medium::{Access, Directory, Medium};
use super::place::QueueId;
use super::record::{self, DATA_START, FileKind, u32_of};
use super::recovery;
use super::scan::Scanned;

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Files with records, and files that are free.
    pub files: u64,
    pub free_files: u64,
    /// Records that are whole.
    pub records: u64,
    /// Slots that wait, by queue: those that a start finds, less those whose records are damaged.
    pub waiting: Vec<(QueueId, u64)>,
    /// Damage that the next start finds.
    pub damaged: Vec<DamagedRecord>,
    /// Damage that a broker finds when it reads the messages.
    pub damaged_unread: Vec<DamagedRecord>,
    /// Copies of damaged bytes that earlier starts made.
    pub copies: u64,
    /// Marks that are not whole: their messages come again.
    pub broken_marks: u64,
    /// Indexes that are not whole or do not fit their file.
    pub broken_indexes: u64,
}

impl CheckReport {
    /// True if everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
            && self.damaged_unread.is_empty()
            && (self.broken_marks, self.broken_indexes) == (0, 0)
    }
}

/// Reads all messages of a data directory.
///
/// # Errors
///
/// [`StoreError`] with which no broker starts, naming the file, and the offset of what is damaged.
pub fn check(directory: &Path) -> Result<CheckReport, StoreError> {
    let path = directory.join(MESSAGES_FOLDER);
    let opened = Directory::open(&path, Access::ReadOnly);
    let medium = opened.map_err(|source| cannot("open", path, source))?;
    check_on(&medium)
}

/// The same on any medium.
pub fn check_on(medium: &dyn Medium) -> Result<CheckReport, StoreError> {
    let found = recovery::find(medium)?;
    let mut report = CheckReport {
        files: found.files.len() as u64,
        free_files: found.free.len() as u64,
        copies: damage::count_copies(medium)?,
        ..CheckReport::default()
    };
    let mut copies = recovery::Copies::find(&found.files, medium)?;
    let mut marks = Vec::new();
    for file in &found.files {
        let not_copied = damage::not_copied(medium, file)?;
        report.damaged.extend(not_copied.into_iter().map(|(damaged, _)| damaged));
        if file.slot_count() == 0 {
            // A start gives it up.
            marks.push(Marks::default());
            continue;
        }
        report.broken_indexes += u64::from(file.has_broken_index);
        let slots = file.slots(medium)?;
        let of_file = file.marks(medium)?;
        report.broken_marks += of_file.broken;
        let is_log = file.header.kind == FileKind::Log;
        marks.push(if is_log { copies.settle_originals(file, &slots, of_file) } else { of_file });
    }
    let mut waiting = BTreeMap::<QueueId, u64>::new();
    for (file, marks) in found.files.iter().zip(marks) {
        let marks = copies.take_marks(file).unwrap_or(marks);
        check_records(medium, file, &marks, &mut report, &mut waiting)?;
    }
    report.waiting = waiting.into_iter().collect();
    Ok(report)
}

/// Copies damaged records that an index covers.
pub(super) fn copy_unread_damaged(
    medium: &dyn Medium,
    found: &recovery::Found,
) -> Result<Vec<DamagedRecord>, StoreError> {
    let (mut report, mut copied) = (CheckReport::default(), Vec::new());
    for file in &found.files {
        let marks = file.marks(medium)?;
        check_records(medium, file, &marks, &mut report, &mut BTreeMap::default())?;
        for damaged in report.damaged_unread.drain(..) {
            let bytes = file.bytes_from(medium, damaged.offset)?;
            let bytes = &bytes[..damaged.bytes as usize];
            let copy = damage::copy_bytes(medium, DamageOrigin::at(file, damaged.offset), bytes)?;
            copied.push(DamagedRecord { copy: Some(copy), ..damaged });
        }
    }
    Ok(copied)
}

/// Reads the records of a file, those included that its index has.
fn check_records(
    medium: &dyn Medium,
    file: &Scanned,
    marks: &Marks,
    report: &mut CheckReport,
    waiting: &mut BTreeMap<QueueId, u64>,
) -> Result<(), StoreError> {
    let slots = file.slots(medium)?;
    let bytes = file.bytes_from(medium, DATA_START)?;
    let (mut first, mut misfits) = (0, false);
    for record in slots.chunk_by(|one, next| one.offset == next.offset) {
        let waits = (first..).zip(record).filter(|(slot, _)| marks.is_waiting(*slot));
        let waits: Vec<QueueId> = waits.map(|(_, of)| of.queue).collect();
        first += u32_of(record.len());
        let offset = record[0].offset;
        if record[0].is_lost() {
            continue;
        }
        // Those behind the index were read when the file was opened.
        if file.is_unread(offset) {
            let at = (offset - DATA_START) as usize;
            let bytes = bytes.get(at..).unwrap_or_default();
            let Some(found) = slots_of(bytes, file, offset) else {
                if !waits.is_empty() {
                    report
                        .damaged_unread
                        .extend(damage::unread(medium, file, offset, bytes, waits)?);
                }
                continue;
            };
            misfits |= found != record;
        }
        report.records += 1;
        for queue in waits {
            *waiting.entry(queue).or_default() += 1;
        }
    }
    report.broken_indexes += u64::from(misfits);
    Ok(())
}

/// The slots of the record that begins with `bytes`, if it is whole.
fn slots_of(bytes: &[u8], file: &Scanned, offset: u32) -> Option<Vec<Slot>> {
    let head = record::head(bytes, file.header.seed())?;
    let (queues, _) = head.payload(bytes)?;
    Some(queues.map(|queue| Slot::new(&head, queue, offset)).collect())
}
