//! Reading one file of a log as it is found: its header, its index, and the records behind what the index covers.
//!
//! A record that is not whole is either the torn end of the last batch, which nobody was told is safe, or damage.
//! Which of the two is decided in `recovery`, from what is noted here: whatever stands behind it, and when the batch
//! of that began. A batch is written when the one before is synced; so a later batch proves an earlier one whole.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use super::index::{Index, Slot};
use super::keeper::index_name;
use super::marks::{self, Marks, marks_name};
use super::medium::{Medium, MediumFile};
use super::record::{
    self, DATA_START, FILE_HEADER_LEN, FORMAT, FileHeader, FileHeaderRead, FileKind, HEADER_LEN,
    Head, u32_of,
};
use super::{Batch, StoreError};

/// Whether indexes are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Indexes,
    /// Everything is read.
    Nothing,
}

/// A file of a log.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) name: String,
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) header: FileHeader,
    pub(super) len: u64,
    pub(super) index: Index,
    /// The first record that was read, if any was.
    pub(super) first: Option<Head>,
    /// What stands behind the last whole record.
    pub(super) rest: Rest,
    /// Where the index ended.
    read_from: u32,
    /// Slots that are to be read again when they are wanted.
    forgotten: u32,
}

/// What stands behind the last whole record of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest {
    /// A record begins there and is not whole.
    pub(super) is_torn: bool,
    pub(super) torn_bytes: u32,
    /// Where further records of the file begin.
    pub(super) found: Vec<u32>,
    /// The latest batch among them, and whether one of them began behind the last whole record.
    pub(super) last_batch: Batch,
    pub(super) has_later_batch: bool,
    /// What stands where the next record would begin, and is none.
    pub(super) next: Option<NoRecord>,
}

/// Bytes that would be the header of a record, if their checksum were right.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoRecord {
    pub(super) len: u32,
    pub(super) batch: Batch,
    pub(super) sequence: u64,
}

impl Rest {
    /// Whether appending may go on right here.
    pub(super) fn is_clean(&self) -> bool {
        !self.is_torn && self.found.is_empty()
    }
}

/// A file that is there: one with records, or one without.
pub(super) enum Opened {
    Records(Box<Scanned>),
    Free { number: u32 },
}

/// Reads one file.
pub(super) fn open(medium: &dyn Medium, name: &str, trust: Trust) -> Result<Opened, StoreError> {
    let path = || medium.path(name);
    let file = medium.open(name).map_err(|source| cannot("open", path(), source))?;
    let len = file.len().map_err(|source| cannot("read", path(), source))?;
    let mut header = [0; FILE_HEADER_LEN];
    let count = file.read_at(&mut header, 0).map_err(|source| cannot("read", path(), source))?;
    let header = match FileHeader::decode(&header[..count]) {
        FileHeaderRead::Header(header) => header,
        // An index is written of what is synced only, and of no file that is blank.
        FileHeaderRead::Blank if has_index(medium, name) => {
            let what = "this is empty, and its index says that it holds messages";
            return Err(StoreError::Damaged { path: path(), offset: 0, what });
        }
        // Made, and not used before the end came.
        FileHeaderRead::Blank => FileHeader { kind: FileKind::Free, number: 0 },
        FileHeaderRead::Newer(found) => {
            return Err(StoreError::Newer { path: path(), found, known: FORMAT });
        }
        FileHeaderRead::Damaged => {
            let what = "this is not the header of a message file";
            return Err(StoreError::Damaged { path: path(), offset: 0, what });
        }
    };
    if header.kind == FileKind::Free {
        return Ok(Opened::Free { number: header.number });
    }
    let name = name.to_owned();
    let known = match trust {
        Trust::Indexes => read_all(medium, &index_name(&name))
            .ok()
            .and_then(|bytes| Index::decode(&bytes, header.number)),
        Trust::Nothing => None,
    };
    let index = known.unwrap_or_else(|| Index::empty(DATA_START));
    // What fills the last record up may be cut.
    if u64::from(index.end) > len.next_multiple_of(8).max(DATA_START.into()) {
        let what = "it ends before its last messages";
        return Err(StoreError::Damaged { path: path(), offset: len, what });
    }
    let read_from = index.end;
    let mut scanned = Scanned {
        name,
        file,
        header,
        len,
        index,
        first: None,
        rest: Rest::default(),
        read_from,
        forgotten: 0,
    };
    scanned.read_rest().map_err(|source| cannot("read", path(), source))?;
    Ok(Opened::Records(Box::new(scanned)))
}

/// Whether there is a whole index of what the file of this name once held.
fn has_index(medium: &dyn Medium, name: &str) -> bool {
    let bytes = read_all(medium, &index_name(name)).unwrap_or_default();
    let number = bytes.get(12..16).map_or(0, |number| record::u32_at(number, 0));
    Index::decode(&bytes, number).is_some_and(|index| !index.slots.is_empty())
}

pub(super) fn cannot(action: &'static str, path: PathBuf, source: std::io::Error) -> StoreError {
    StoreError::Io { action, path, source }
}

pub(super) fn read_all(medium: &dyn Medium, name: &str) -> std::io::Result<Vec<u8>> {
    let file = medium.open(name)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    let count = file.read_at(&mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

impl Scanned {
    pub(super) fn number(&self) -> NonZeroU32 {
        NonZeroU32::new(self.header.number).unwrap_or(NonZeroU32::MIN)
    }

    /// Reads the records behind the index.
    fn read_rest(&mut self) -> std::io::Result<()> {
        let number = self.header.number;
        let start = self.index.end;
        let left = self.len.saturating_sub(start.into());
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(0)];
        let count = self.file.read_at(&mut bytes, start.into())?;
        bytes.truncate(count);
        let mut at = 0;
        while let Some(head) = bytes.get(at..).and_then(|bytes| record::head(bytes, number)) {
            let Some((queues, _)) = head.payload(&bytes[at..]) else {
                self.rest.is_torn = true;
                self.rest.torn_bytes = head.len;
                break;
            };
            self.first.get_or_insert(head);
            self.index.add(&head, queues, start + u32_of(at));
            at += head.padded_len();
        }
        self.rest.next = bytes.get(at..at + HEADER_LEN).map(|bytes| NoRecord {
            len: record::u32_at(bytes, 8),
            batch: Batch(record::u64_at(bytes, 16)),
            sequence: record::u64_at(bytes, 24),
        });
        self.search(&bytes, at, start);
        Ok(())
    }

    /// Looks for records behind the first that is not whole, at `at`.
    fn search(&mut self, bytes: &[u8], at: usize, start: u32) {
        let end = start + u32_of(at);
        // Not through its body, which a client wrote.
        let torn =
            if self.rest.is_torn { record::padded(self.rest.torn_bytes as usize) } else { 0 };
        let begin = at.saturating_add(torn).min(bytes.len());
        for at in (begin..bytes.len().saturating_sub(HEADER_LEN)).step_by(8) {
            let Some(head) = record::head(&bytes[at..], self.header.number) else { continue };
            self.rest.found.push(start + u32_of(at));
            self.rest.torn_bytes = self.rest.torn_bytes.saturating_add(head.len);
            self.rest.last_batch = self.rest.last_batch.max(head.batch);
            self.rest.has_later_batch |= head.batch_start > end;
        }
    }

    /// Gives up the slots that the index has as well: [`Self::slots`] reads them again.
    ///
    /// Those of survivors stay: their sequences are in no order, and all of them are looked at.
    pub(super) fn forget_slots(&mut self) {
        let is_log = self.header.kind == FileKind::Log;
        if is_log && self.first.is_none() && self.rest.is_clean() {
            self.forgotten = u32_of(self.index.slots.len());
            self.index.slots = Vec::new();
        }
    }

    /// How many slots the file has.
    pub(super) fn slot_count(&self) -> u32 {
        self.forgotten + u32_of(self.index.slots.len())
    }

    pub(super) fn slots(&self, medium: &dyn Medium) -> Result<Cow<'_, [Slot]>, StoreError> {
        if self.forgotten == 0 {
            return Ok(Cow::Borrowed(&self.index.slots));
        }
        let name = index_name(&self.name);
        let bytes = read_all(medium, &name);
        let bytes = bytes.map_err(|source| cannot("read", medium.path(&name), source))?;
        let index = Index::decode(&bytes, self.header.number).ok_or_else(|| {
            let what = "it was whole a moment ago";
            StoreError::Damaged { path: medium.path(&name), offset: 0, what }
        })?;
        Ok(Cow::Owned(index.slots))
    }

    /// The latest batch that left anything in this file.
    pub(super) fn last_batch(&self) -> Batch {
        self.index.last_batch.max(self.rest.last_batch)
    }

    /// Makes what is not whole be nothing, so that it is not found again.
    pub(super) fn cut(&mut self) -> std::io::Result<()> {
        let zeros = [0; HEADER_LEN];
        let torn = self.rest.is_torn.then_some(self.index.end);
        for offset in torn.into_iter().chain(self.rest.found.iter().copied()) {
            self.file.write_at(&zeros, offset.into())?;
        }
        self.file.sync()
    }

    /// Sees to it that what was read behind the index is on the disk, and not with the operating system only.
    ///
    /// It is written again: after a sync that failed, before the broker ended, the system would not do it by itself.
    pub(super) fn make_safe(&self) -> std::io::Result<()> {
        let len = self.index.end - self.read_from;
        let mut bytes = vec![0; len as usize];
        let count = self.file.read_at(&mut bytes, self.read_from.into())?;
        self.file.write_at(&bytes[..count], self.read_from.into())?;
        self.file.sync()
    }

    /// Makes the file one without records.
    pub(super) fn free(&mut self) -> std::io::Result<()> {
        let header = FileHeader { kind: FileKind::Free, ..self.header };
        self.file.write_at(&header.encode(), 0)?;
        self.file.sync()
    }

    /// Takes all records for torn: their batch began in a file where part of it is missing.
    pub(super) fn drop_all(&mut self) {
        let offsets: Vec<u32> = self.index.slots.iter().map(|slot| slot.offset).collect();
        self.rest.torn_bytes += self.index.end - DATA_START;
        self.rest.found.extend(offsets);
        self.rest.last_batch = self.last_batch();
        self.index = Index::empty(DATA_START);
        self.first = None;
    }

    /// The marks of the file.
    pub(super) fn marks(&self, medium: &dyn Medium) -> Result<Marks, StoreError> {
        let name = marks_name(&self.name);
        let bytes = read_all(medium, &name);
        let bytes = match bytes {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes.map_err(|source| cannot("read", medium.path(&name), source))?,
        };
        Ok(marks::decode(&bytes, self.number(), self.slot_count()))
    }
}
