//! Reading one file of a log as it is found: its header, its index, and the records behind what the index covers.
//!
//! If there is no whole record at a place where one should be, there is a [`DamagedRange`]: a record that is damaged,
//! or that was on its way to the disk when the broker ended. The records behind it are found by their checksums, and
//! have the slots that their headers say. This file decides which of the two a hole is if the file tells, else
//! `recovery` does: a record of a later batch proves an earlier one synced, because a batch is written when the one
//! before is synced; so does the synced mark.

use std::borrow::Cow;
use std::iter::repeat_n;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use crc32c::{crc32c, crc32c_append};

use super::batch::Batch;
use super::error::{StoreError, cannot};
use super::index::{Index, Slot, index_name};
use super::marks::{self, Marks, marks_name};
use super::medium::{Medium, MediumFile};
use super::place::QueueId;
use super::record::{
    self, DATA_START, FILE_HEADER_LEN, FORMAT, FileHeader, FileHeaderRead, FileKind, HEADER_LEN,
    RecordHead, u32_of,
};
use super::synced;

/// A file of a log.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) name: String,
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) header: FileHeader,
    pub(super) len: u64,
    pub(super) index: Index,
    /// The index beside the file is not what was written.
    pub(super) has_broken_index: bool,
    /// The first record that was read, if any was.
    pub(super) first: Option<RecordHead>,
    /// Records that are not whole, in the order of offsets.
    pub(super) holes: Vec<DamagedRange>,
    /// The end of the last record, whole or not.
    pub(super) end: u32,
    /// The bytes there, at which the next record would begin.
    pub(super) next: Option<NoRecord>,
    /// All log files before this one were synced when a record of this one was written.
    pub(super) proves_earlier: bool,
    /// The end of the index; records from here on were read.
    read_from: u32,
    /// Slots that are to be read again when they are wanted.
    forgotten: u32,
}

/// Bytes that are no record, where one or more should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DamagedRange {
    pub(super) offset: u32,
    pub(super) len: u32,
    /// Its slots, as far as they are known: nothing is known of those at the end of a file.
    pub(super) slots: Range<u32>,
    /// Its batch, if its header is whole, and its queues as they stand there.
    pub(super) batch: Option<Batch>,
    pub(super) queues: Vec<QueueId>,
    /// The number of its slots is not known, and records follow it. Only in a file of format 1.
    pub(super) hides_slots: bool,
    pub(super) was_synced: bool,
}

/// Bytes that would be the header of a record, if their checksum were right.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoRecord {
    pub(super) batch: Batch,
    pub(super) sequence: u64,
}

/// A file that is there: one with records, or one without.
pub(super) enum Opened {
    Records(Box<Scanned>),
    Free { number: u32 },
}

/// Reads one file.
pub(super) fn open(medium: &dyn Medium, name: &str) -> Result<Opened, StoreError> {
    let path = || medium.path(name);
    let file = medium.open(name).map_err(|source| cannot("open", path(), source))?;
    let mut front = [0; DATA_START as usize];
    let count = file.read_at(&mut front, 0).map_err(|source| cannot("read", path(), source))?;
    let header = match FileHeader::decode(&front[..count]) {
        FileHeaderRead::Header(header) => header,
        // An index is written of what is synced only, and of no file that is blank.
        FileHeaderRead::Blank if has_index(medium, name) => {
            let what = "the file is empty, but its index says that it holds messages";
            return Err(StoreError::Damaged { path: path(), offset: 0, what });
        }
        // Made, and not used before the end came.
        FileHeaderRead::Blank => FileHeader::free(0),
        // Else the format is what was changed.
        FileHeaderRead::Newer(found) if header_with_one_byte_changed(&front).is_none() => {
            return Err(StoreError::Newer { path: path(), found, known: FORMAT });
        }
        FileHeaderRead::Newer(_) | FileHeaderRead::Damaged => {
            let what = "its header is not that of a message file";
            return Err(StoreError::Damaged { path: path(), offset: 0, what });
        }
    };
    if header.kind == FileKind::Free {
        return Ok(Opened::Free { number: header.number });
    }
    read(medium, name, header, &front[..count]).map(|scanned| Opened::Records(Box::new(scanned)))
}

/// The header that differs in one byte from what is there, and whose checksum is right.
pub(super) fn header_with_one_byte_changed(front: &[u8]) -> Option<[u8; FILE_HEADER_LEN]> {
    let front = *front.first_chunk::<FILE_HEADER_LEN>()?;
    let every = (0..FILE_HEADER_LEN).flat_map(|at| (1..=u8::MAX).map(move |change| (at, change)));
    let mut changed = every.map(|(at, change)| {
        let mut header = front;
        header[at] ^= change;
        header
    });
    changed.find(|header| matches!(FileHeader::decode(header), FileHeaderRead::Header(_)))
}

/// Reads a file whose header is known.
pub(super) fn read(
    medium: &dyn Medium,
    name: &str,
    header: FileHeader,
    front: &[u8],
) -> Result<Scanned, StoreError> {
    let path = || medium.path(name);
    let file = medium.open(name).map_err(|source| cannot("open", path(), source))?;
    let len = file.len().map_err(|source| cannot("read", path(), source))?;
    let (known, has_broken_index) = read_index(medium, name, header.number)?;
    let mut known_end = synced::end(front, header);
    let known = match known {
        // The padding of the last record may be cut.
        Some(known) if u64::from(known.end) > len.next_multiple_of(8).max(DATA_START.into()) => {
            known_end = known_end.max(known.end);
            None
        }
        known => known,
    };
    let proves_earlier = known.as_ref().is_some_and(|index| !index.slots.is_empty());
    let index = known.unwrap_or_else(|| Index::empty(DATA_START));
    let read_from = index.end;
    let mut scanned = Scanned {
        name: name.to_owned(),
        file,
        header,
        len,
        index,
        has_broken_index,
        first: None,
        holes: Vec::new(),
        end: read_from,
        next: None,
        proves_earlier,
        read_from,
        forgotten: 0,
    };
    scanned.read_rest(known_end).map_err(|source| cannot("read", path(), source))?;
    Ok(scanned)
}

/// The index of a file, and whether there is one that is not what was written.
fn read_index(
    medium: &dyn Medium,
    name: &str,
    number: u32,
) -> Result<(Option<Index>, bool), StoreError> {
    let name = index_name(name);
    let bytes = match read_all(medium, &name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((None, false)),
        read => read.map_err(|source| cannot("read", medium.path(&name), source))?,
    };
    let index = Index::decode(&bytes, number);
    // One of an earlier use of the file is of no use, and does no harm.
    let is_of_now = bytes.get(12..16) == Some(&number.to_le_bytes()[..]);
    let is_broken = index.is_none() && is_of_now;
    Ok((index, is_broken))
}

/// Reads a file from `offset` on.
pub(super) fn bytes_from(file: &dyn MediumFile, offset: u32) -> std::io::Result<Vec<u8>> {
    // A file that was cut may end before the offset.
    let left = file.len()?.saturating_sub(offset.into());
    let mut bytes = vec![0; usize::try_from(left).unwrap_or(0)];
    let count = file.read_at(&mut bytes, offset.into())?;
    bytes.truncate(count);
    Ok(bytes)
}

/// The length of the record that is damaged and begins with `bytes`, at `offset`: as its header says if that is whole,
/// else up to the next record, or to the last byte that is not 0.
pub(super) fn damaged_len(bytes: &[u8], seed: u32, offset: u32) -> usize {
    if let Some(head) = record::head(bytes, seed) {
        return bytes.len().min(head.len as usize);
    }
    // Saturates if no header has room.
    let end = bytes.len().saturating_sub(HEADER_LEN - 1);
    let mut later = (8 - offset as usize % 8..end).step_by(8);
    let next = later.find(|at| record::head(&bytes[*at..], seed).is_some());
    next.unwrap_or_else(|| len_without_header(bytes))
}

/// The length of a record whose header is not whole and that no other follows: the one with which its payload is whole,
/// else the one that stands in its header, else what is there up to the last byte that is not 0.
///
/// Cost: a checksum step for each byte that is there.
fn len_without_header(bytes: &[u8]) -> usize {
    let used = || bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let Some(payload) = bytes.get(HEADER_LEN..) else { return used() };
    let (wanted, said) = (record::u32_at(bytes, 4), record::u32_at(bytes, 8) as usize);
    let is_possible = (HEADER_LEN..=bytes.len()).contains(&said);
    if is_possible && crc32c(&bytes[HEADER_LEN..said]) == wanted {
        return said;
    }
    let mut sum = 0;
    let whole = payload.iter().position(|byte| {
        sum = crc32c_append(sum, &[*byte]);
        sum == wanted
    });
    match whole {
        Some(last) => HEADER_LEN + last + 1,
        None if is_possible => said,
        None => used(),
    }
}

/// True if there is a whole index of what the file of this name once held.
fn has_index(medium: &dyn Medium, name: &str) -> bool {
    let bytes = read_all(medium, &index_name(name)).unwrap_or_default();
    let number = bytes.get(12..16).map_or(0, |number| record::u32_at(number, 0));
    Index::decode(&bytes, number).is_some_and(|index| !index.slots.is_empty())
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

    /// Reads the records behind the index. The file is known to be synced up to `synced`.
    fn read_rest(&mut self, synced: u32) -> std::io::Result<()> {
        let start = self.read_from;
        let bytes = bytes_from(&*self.file, start)?;
        let seed = self.header.seed();
        let mut at = 0;
        loop {
            let here = bytes.get(at..).unwrap_or_default();
            if let Some(head) = record::head(here, seed) {
                self.on_head(&head, here, start + u32_of(at));
                at += head.padded_len();
            } else if let Some(next) = self.next_head(&bytes, at + 8) {
                self.add_hole(start + u32_of(at), u32_of(next - at));
                at = next;
            } else {
                break;
            }
        }
        // Saturates for a header with a right checksum that no release writes.
        self.end = start.saturating_add(u32_of(at));
        if synced > self.end {
            self.add_hole(self.end, synced - self.end);
            self.end = synced;
        }
        for hole in &mut self.holes {
            hole.was_synced |= hole.offset < synced;
        }
        let at = (self.end - start) as usize;
        self.next = bytes.get(at..at + HEADER_LEN).map(|bytes| NoRecord {
            batch: Batch(record::u64_at(bytes, 16)),
            sequence: record::u64_at(bytes, 24),
        });
        Ok(())
    }

    /// Counts the record whose header is whole; `bytes` begin with it.
    fn on_head(&mut self, head: &RecordHead, bytes: &[u8], offset: u32) {
        self.proves_earlier |= head.batch_start > 0;
        for hole in &mut self.holes {
            hole.was_synced |= hole.offset < head.batch_start;
        }
        self.end_hole(head);
        self.first.get_or_insert(*head);
        if let Some((queues, _)) = head.payload(bytes) {
            self.index.add(head, queues, offset);
            return;
        }
        let first = u32_of(self.index.slots.len());
        self.index.add(head, repeat_n(QueueId(0), head.queues as usize), offset);
        self.index.slots[first as usize..].fill(Slot::LOST);
        self.holes.push(DamagedRange {
            offset,
            len: head.len,
            slots: first..first + head.queues,
            batch: Some(head.batch),
            queues: head.queues_unchecked(bytes),
            hides_slots: false,
            was_synced: false,
        });
    }

    /// Gives the hole in front of a record the slots that the record says were before it.
    fn end_hole(&mut self, head: &RecordHead) {
        let first = u32_of(self.index.slots.len());
        let last_sequence = self.index.last_sequence;
        let is_old = self.header.is_of_format_1();
        let Some(hole) = self.holes.last_mut().filter(|hole| hole.batch.is_none()) else { return };
        if hole.slots.start != first || !hole.slots.is_empty() {
            return;
        }
        // Each takes four bytes of it.
        let most = hole.len / 4;
        let slots = if is_old {
            hole.hides_slots = true;
            // Saturates in a file of survivors, whose sequences are in no order.
            let missing = head.sequence.saturating_sub(last_sequence + 1);
            u32::try_from(missing).unwrap_or(1).clamp(1, most.max(1))
        } else {
            (head.slot_from(first) - first).min(most)
        };
        hole.slots = first..first + slots;
        self.index.slots.extend(repeat_n(Slot::LOST, slots as usize));
    }

    /// The position of the next header of a record, from `from` on.
    fn next_head(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let end = bytes.len().checked_sub(HEADER_LEN)?;
        let of_log = self.header.kind == FileKind::Log;
        let last = self.index.last_sequence;
        // Without a salt, a client may have written what looks like a record into a body.
        let fits = |head: &RecordHead, at: usize| {
            !self.header.is_of_format_1()
                || !of_log
                || last == 0
                || (head.sequence > last && head.sequence - last <= (at / HEADER_LEN) as u64 + 2)
        };
        (from..=end).step_by(8).find(|at| {
            record::head(&bytes[*at..], self.header.seed()).is_some_and(|head| fits(&head, *at))
        })
    }

    fn add_hole(&mut self, offset: u32, len: u32) {
        let slot = u32_of(self.index.slots.len());
        self.holes.push(DamagedRange {
            offset,
            len,
            slots: slot..slot,
            batch: None,
            queues: Vec::new(),
            hides_slots: false,
            was_synced: false,
        });
    }

    /// Takes what stands behind the last record for one that is not whole.
    pub(super) fn add_torn_end(&mut self) -> std::io::Result<()> {
        let len = len_without_header(&bytes_from(&*self.file, self.end)?);
        self.add_hole(self.end, u32_of(len));
        Ok(())
    }

    /// The bytes of a hole, as far as the file has them.
    pub(super) fn bytes_of(
        &self,
        medium: &dyn Medium,
        hole: &DamagedRange,
    ) -> Result<Vec<u8>, StoreError> {
        // A hole that an index or a synced mark tells of may be behind the end of a file that was cut.
        let room = self.len.saturating_sub(hole.offset.into());
        let len = u64::from(hole.len).min(room);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = self.file.read_at(&mut bytes, hole.offset.into());
        let count = read.map_err(|source| cannot("read", medium.path(&self.name), source))?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Gives up the slots that the index has as well: [`Self::slots`] reads them again.
    ///
    /// Those of survivors stay: their sequences are in no order, and all of them are looked at.
    pub(super) fn forget_slots(&mut self) {
        let is_log = self.header.kind == FileKind::Log;
        if is_log && self.first.is_none() && self.holes.is_empty() {
            self.forgotten = u32_of(self.index.slots.len());
            self.index.slots = Vec::new();
        }
    }

    /// The number of slots of the file.
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
            let what = "it could be read before, but not now";
            StoreError::Damaged { path: medium.path(&name), offset: 0, what }
        })?;
        Ok(Cow::Owned(index.slots))
    }

    /// True if the record at this offset was taken from the index, unread.
    pub(super) fn is_unread(&self, offset: u32) -> bool {
        offset < self.read_from
    }

    /// Reads the file from `offset` on.
    pub(super) fn bytes_from(
        &self,
        medium: &dyn Medium,
        offset: u32,
    ) -> Result<Vec<u8>, StoreError> {
        bytes_from(&*self.file, offset)
            .map_err(|source| cannot("read", medium.path(&self.name), source))
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
        self.file.write_at(&FileHeader::free(self.header.number).encode(), 0)?;
        self.file.sync()
    }

    /// True if the file has marks.
    pub(super) fn has_marks(&self, medium: &dyn Medium) -> Result<bool, StoreError> {
        let name = marks_name(&self.name);
        match read_all(medium, &name) {
            Ok(bytes) => Ok(!bytes.is_empty()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(cannot("read", medium.path(&name), source)),
        }
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
