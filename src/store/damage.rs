//! Damaged records: the description of one, and the copy of its bytes.
//!
//! A copy is a file of its own beside the message files, `STEM-NUMBER-OFFSET.damaged`: the name of the message file,
//! its number, and where in it the bytes were. A copy is never written over: bytes that are there already are not
//! copied again, and other bytes of the same place get another name. So a copy also says that the damage was told once.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::error::{StoreError, cannot};
use super::medium::Medium;
use super::place::QueueId;
use super::record::u32_of;
use super::scan::{self, DamagedRange, Scanned};

/// The end of the names of copies.
const ENDING: &str = ".damaged";

/// Bytes of a file of messages that differ from those that were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRecord {
    pub file: PathBuf,
    pub offset: u32,
    pub bytes: u32,
    /// The queues of the message, as far as they can be read.
    pub queues: Vec<QueueId>,
    pub cause: DamageCause,
    /// The copy of the bytes; `None` before they are copied.
    pub copy: Option<PathBuf>,
}

/// The cause of a damage, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageCause {
    /// It had been synced, and was changed on the disk.
    Changed,
    /// It may have been on its way to the disk when the broker ended, or it was changed.
    TornOrChanged,
}

impl fmt::Display for DamageCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "changed on the disk after it was synced",
            Self::TornOrChanged => {
                "changed on the disk, or not completely written when the broker ended"
            }
        })
    }
}

impl DamagedRecord {
    fn new(medium: &dyn Medium, file: &Scanned, hole: &DamagedRange) -> Self {
        Self {
            file: medium.path(&file.name),
            offset: hole.offset,
            bytes: hole.len,
            queues: hole.queues.clone(),
            cause: if hole.was_synced { DamageCause::Changed } else { DamageCause::TornOrChanged },
            copy: None,
        }
    }
}

/// The damaged records of a file that were not copied yet, with their bytes.
pub(super) fn not_copied(
    medium: &dyn Medium,
    file: &Scanned,
) -> Result<Vec<(DamagedRecord, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    if file.holes.is_empty() {
        return Ok(found);
    }
    let marks = file.marks(medium)?;
    for hole in &file.holes {
        let is_known = !hole.hides_slots && !hole.slots.is_empty();
        if is_known && !hole.slots.clone().any(|slot| marks.is_waiting(slot)) {
            // Nothing waited there.
            continue;
        }
        let bytes = file.bytes_of(medium, hole)?;
        if find_copy(medium, DamageOrigin::at(file, hole.offset), &bytes)?.is_err() {
            found.push((DamagedRecord::new(medium, file, hole), bytes));
        }
    }
    Ok(found)
}

/// True if a hole was not copied yet.
pub(super) fn is_not_copied(
    medium: &dyn Medium,
    file: &Scanned,
    hole: &DamagedRange,
) -> Result<bool, StoreError> {
    let bytes = file.bytes_of(medium, hole)?;
    Ok(find_copy(medium, DamageOrigin::at(file, hole.offset), &bytes)?.is_err())
}

/// The damaged record at `offset`, which `bytes` begin with, unless it was copied.
pub(super) fn unread(
    medium: &dyn Medium,
    file: &Scanned,
    offset: u32,
    bytes: &[u8],
    queues: Vec<QueueId>,
) -> Result<Option<DamagedRecord>, StoreError> {
    let bytes = &bytes[..scan::damaged_len(bytes, file.header.seed(), offset)];
    let origin = DamageOrigin::at(file, offset);
    let damaged = DamagedRecord {
        file: medium.path(&file.name),
        offset,
        bytes: u32_of(bytes.len()),
        queues,
        cause: DamageCause::Changed,
        copy: None,
    };
    Ok(find_copy(medium, origin, bytes)?.is_err().then_some(damaged))
}

/// The place of bytes in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct DamageOrigin<'a> {
    pub(super) name: &'a str,
    pub(super) number: u32,
    pub(super) offset: u32,
}

impl<'a> DamageOrigin<'a> {
    pub(super) fn at(file: &'a Scanned, offset: u32) -> Self {
        Self { name: &file.name, number: file.header.number, offset }
    }

    /// The name of the nth copy of bytes of this place.
    fn copy_name(self, nth: u32) -> String {
        let stem = self.name.strip_suffix(".log").unwrap_or(self.name);
        let again = if nth == 1 { String::new() } else { format!("-{nth}") };
        format!("{stem}-{}-{}{again}{ENDING}", self.number, self.offset)
    }
}

/// The name of the copy of these bytes, or the name that it would get.
fn find_copy(
    medium: &dyn Medium,
    origin: DamageOrigin<'_>,
    bytes: &[u8],
) -> Result<Result<String, String>, StoreError> {
    let mut nth = 1;
    loop {
        let name = origin.copy_name(nth);
        match scan::read_all(medium, &name) {
            Ok(copied) if copied == bytes => return Ok(Ok(name)),
            Ok(_) => nth += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(name)),
            Err(source) => return Err(cannot("read", medium.path(&name), source)),
        }
    }
}

/// Copies bytes to a file of their own, unless they are there already; answers the copy.
///
/// Cost: two syncs when they are new.
pub(super) fn copy_bytes(
    medium: &dyn Medium,
    origin: DamageOrigin<'_>,
    bytes: &[u8],
) -> Result<PathBuf, StoreError> {
    let name = match find_copy(medium, origin, bytes)? {
        Ok(name) => return Ok(medium.path(&name)),
        Err(name) => name,
    };
    let copy = || {
        let file = medium.create(&name, bytes.len() as u64)?;
        file.write_at(bytes, 0)?;
        file.sync()
    };
    copy().map_err(|source| cannot("write", medium.path(&name), source))?;
    Ok(medium.path(&name))
}

/// Counts the copies in a directory.
pub(super) fn count_copies(medium: &dyn Medium) -> Result<u64, StoreError> {
    Ok(copies(medium)?.len() as u64)
}

/// The names of the copies in a directory.
pub(super) fn copies(medium: &dyn Medium) -> Result<Vec<String>, StoreError> {
    let mut names = medium.list().map_err(|source| cannot("list", medium.path(""), source))?;
    names.retain(|name| name.ends_with(ENDING));
    Ok(names)
}
