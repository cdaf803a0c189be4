//! Records and file headers: encoding and decoding. `design` draws their bytes.
//!
//! The seed of a record's checksum has the number of its file, which is never used twice: so a record that is left from
//! an earlier use of the file is not taken for one of now. It also has the salt of the file: so no client can write a
//! body that is taken for a record where a file is searched.
//!
//! Files of format 1 have no salt and no synced mark, and their records no first slot: all are 0. They are read, and
//! nothing is appended to them.

use std::hash::{BuildHasher, RandomState};

use crc32c::{crc32c, crc32c_append};

use super::batch::Batch;
use super::message::{NewRecord, Record};
use super::place::QueueId;

/// The format this release writes, and the latest that it reads.
pub(super) const FORMAT: u32 = 2;
/// Offset of the first record of a file.
pub(super) const DATA_START: u32 = 4096;
pub(super) const FILE_HEADER_LEN: usize = 28;
/// Slots are counted modulo this in a record's header.
const SLOTS_MODULUS: u32 = 1 << 24;
const MAGIC: &[u8; 8] = b"mqstore\0";
/// Bytes of a record before its queue ids.
pub(super) const HEADER_LEN: usize = 64;
pub(super) const NO_TIME_TO_LIVE: u64 = u64::MAX;
pub(super) const DELIVERED: u8 = 1;
/// An early release did not say this, and gave a message without priority the priority 0.
const HAS_PRIORITY: u8 = 2;

/// The uses of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// For nothing.
    Free,
    /// Records in the order they were published.
    Log,
    /// Records that were the last of other files.
    Survivors,
}

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) kind: FileKind,
    pub(super) number: u32,
    /// 0 in a file of format 1, and in one that holds nothing.
    pub(super) salt: u32,
}

/// The first bytes of a file, read as a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileHeaderRead {
    Header(FileHeader),
    /// Nothing was ever written.
    Blank,
    /// Written by a later release.
    Newer(u32),
    Damaged,
}

impl FileHeader {
    pub(super) fn encode(self) -> [u8; FILE_HEADER_LEN] {
        let kind: u32 = match self.kind {
            FileKind::Free => 0,
            FileKind::Log => 1,
            FileKind::Survivors => 2,
        };
        let mut bytes = [0; FILE_HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&kind.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = crc32c_append(crc32c(&bytes[..20]), &bytes[24..]);
        bytes[20..24].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The same for a file of format 1.
    pub(super) fn encode_format_1(self) -> [u8; FILE_HEADER_LEN] {
        let mut bytes = Self { salt: 0, ..self }.encode();
        bytes[8..12].copy_from_slice(&1_u32.to_le_bytes());
        let checksum = crc32c(&bytes[..20]);
        bytes[20..24].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header of a file that is begun.
    pub(super) fn begun(kind: FileKind, number: u32) -> Self {
        // The standard library's hashers begin with random keys; 0 is for files without a salt.
        let random = RandomState::new().hash_one(number).to_le_bytes();
        Self { kind, number, salt: u32_at(&random, 0).max(1) }
    }

    /// The header of a file that holds nothing.
    pub(super) fn free(number: u32) -> Self {
        Self { kind: FileKind::Free, number, salt: 0 }
    }

    /// True if its records do not say their first slots.
    pub(super) fn is_of_format_1(self) -> bool {
        self.salt == 0
    }

    /// The seed of the checksums of its records.
    pub(super) fn seed(self) -> u32 {
        self.number ^ self.salt
    }

    /// Reads the header of the file that begins with `bytes`.
    pub(super) fn decode(bytes: &[u8]) -> FileHeaderRead {
        let bytes = &bytes[..bytes.len().min(FILE_HEADER_LEN)];
        if bytes.iter().all(|byte| *byte == 0) {
            return FileHeaderRead::Blank;
        }
        if bytes.len() < FILE_HEADER_LEN || &bytes[..8] != MAGIC {
            return FileHeaderRead::Damaged;
        }
        if u32_at(bytes, 8) > FORMAT {
            return FileHeaderRead::Newer(u32_at(bytes, 8));
        }
        let kind = match u32_at(bytes, 12) {
            0 => FileKind::Free,
            1 => FileKind::Log,
            2 => FileKind::Survivors,
            _ => return FileHeaderRead::Damaged,
        };
        let mut checksum = crc32c(&bytes[..20]);
        let mut salt = 0;
        if u32_at(bytes, 8) > 1 {
            checksum = crc32c_append(checksum, &bytes[24..FILE_HEADER_LEN]);
            salt = u32_at(bytes, 24);
        }
        if u32_at(bytes, 20) != checksum {
            return FileHeaderRead::Damaged;
        }
        FileHeaderRead::Header(Self { kind, number: u32_at(bytes, 16), salt })
    }
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub(super) len: u32,
    pub(super) batch_start: u32,
    pub(super) batch: Batch,
    pub(super) sequence: u64,
    pub(super) published_at: u64,
    pub(super) time_to_live_ms: Option<u64>,
    pub(super) properties_len: u32,
    pub(super) names_len: u16,
    pub(super) queues: u32,
    pub(super) priority: Option<u8>,
    pub(super) note: u8,
    pub(super) is_delivered: bool,
    /// Modulo 2^24; see [`Self::slot_from`].
    first_slot: u32,
    payload_checksum: u32,
}

/// The position of a record that is written, in its file and in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// [`FileHeader::seed`] of the file.
    pub(super) seed: u32,
    pub(super) first_slot: u32,
    pub(super) batch: Batch,
    pub(super) batch_start: u32,
    pub(super) sequence: u64,
    pub(super) payload_checksum: u32,
    pub(super) is_delivered: bool,
}

/// A priority and the flags, as they stand in a record and in an index.
pub(super) fn flags(priority: Option<u8>, is_delivered: bool) -> [u8; 2] {
    let has_priority = if priority.is_some() { HAS_PRIORITY } else { 0 };
    let delivered = if is_delivered { DELIVERED } else { 0 };
    [priority.unwrap_or_default(), has_priority | delivered]
}

/// The priority that stands beside flags.
pub(super) fn priority([priority, flags]: [u8; 2]) -> Option<u8> {
    (priority > 0 || flags & HAS_PRIORITY != 0).then_some(priority)
}

/// Bytes a record takes in its file, up to where the next one begins.
pub(super) fn padded(len: usize) -> usize {
    len.next_multiple_of(8)
}

pub(super) fn len_of(new: &NewRecord<'_>) -> usize {
    HEADER_LEN + 4 * new.queues.len() + new.bytes.len()
}

/// The checksum of what follows a record's header; the costly one, so it is made before any lock is taken.
pub(super) fn payload_checksum(new: &NewRecord<'_>) -> u32 {
    let ids = new.queues.iter().fold(0, |sum, id| crc32c_append(sum, &id.0.to_le_bytes()));
    crc32c_append(ids, new.bytes)
}

/// Appends a record with its padding; answers what its header says.
#[inline]
pub(super) fn encode(new: &NewRecord<'_>, stamp: &Stamp, into: &mut Vec<u8>) -> RecordHead {
    let len = len_of(new);
    let start = into.len();
    let mut header = [0; HEADER_LEN];
    header[4..8].copy_from_slice(&stamp.payload_checksum.to_le_bytes());
    header[8..12].copy_from_slice(&u32_of(len).to_le_bytes());
    header[12..16].copy_from_slice(&stamp.batch_start.to_le_bytes());
    header[16..24].copy_from_slice(&stamp.batch.0.to_le_bytes());
    header[24..32].copy_from_slice(&stamp.sequence.to_le_bytes());
    header[32..40].copy_from_slice(&new.published_at.to_le_bytes());
    let time_to_live = new.time_to_live_ms.unwrap_or(NO_TIME_TO_LIVE);
    header[40..48].copy_from_slice(&time_to_live.to_le_bytes());
    header[48..52].copy_from_slice(&u32_of(new.properties_len).to_le_bytes());
    let names_len = u16::try_from(new.names_len).expect("two short strings");
    header[52..54].copy_from_slice(&names_len.to_le_bytes());
    [header[54], header[55]] = flags(new.priority, stamp.is_delivered);
    header[56..60].copy_from_slice(&u32_of(new.queues.len()).to_le_bytes());
    let first_slot = stamp.first_slot % SLOTS_MODULUS;
    header[60..64].copy_from_slice(&(u32::from(new.note) | first_slot << 8).to_le_bytes());
    let checksum = crc32c_append(stamp.seed, &header[4..]);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
    into.extend_from_slice(&header);
    for id in new.queues {
        into.extend_from_slice(&id.0.to_le_bytes());
    }
    into.extend_from_slice(new.bytes);
    into.resize(start + padded(len), 0);
    RecordHead {
        len: u32_of(len),
        batch_start: stamp.batch_start,
        batch: stamp.batch,
        sequence: stamp.sequence,
        published_at: new.published_at,
        time_to_live_ms: new.time_to_live_ms,
        properties_len: u32_of(new.properties_len),
        names_len,
        queues: u32_of(new.queues.len()),
        priority: new.priority,
        note: new.note,
        is_delivered: stamp.is_delivered,
        first_slot,
        payload_checksum: stamp.payload_checksum,
    }
}

/// Reads the header of a record; `None` when no record of the file with this seed begins there.
#[inline]
pub(super) fn head(bytes: &[u8], seed: u32) -> Option<RecordHead> {
    let header = bytes.get(..HEADER_LEN)?;
    // A record has a length: cheaper to see than a checksum, where a file is searched.
    if (u32_at(header, 8) as usize) < HEADER_LEN {
        return None;
    }
    if u32_at(header, 0) != crc32c_append(seed, &header[4..]) {
        return None;
    }
    let time_to_live = u64_at(header, 40);
    Some(RecordHead {
        len: u32_at(header, 8),
        batch_start: u32_at(header, 12),
        batch: Batch(u64_at(header, 16)),
        sequence: u64_at(header, 24),
        published_at: u64_at(header, 32),
        time_to_live_ms: (time_to_live != NO_TIME_TO_LIVE).then_some(time_to_live),
        properties_len: u32_at(header, 48),
        names_len: u16::from_le_bytes([header[52], header[53]]),
        priority: priority([header[54], header[55]]),
        note: header[60],
        first_slot: u32_at(header, 60) >> 8,
        is_delivered: header[55] & DELIVERED != 0,
        queues: u32_at(header, 56),
        payload_checksum: u32_at(header, 4),
    })
}

impl RecordHead {
    /// Bytes up to where the next record begins.
    pub(super) fn padded_len(&self) -> usize {
        padded(self.len as usize)
    }

    /// Its first slot, if those of the records before it end at `end` or, because some are damaged, later.
    pub(super) fn slot_from(&self, end: u32) -> u32 {
        // Wraps, because both are counted modulo 2^24.
        end + self.first_slot.wrapping_sub(end) % SLOTS_MODULUS
    }

    pub(super) fn body_len(&self) -> u32 {
        let before = HEADER_LEN + 4 * self.queues as usize + usize::from(self.names_len);
        // Saturates for a header with a right checksum that no release writes.
        self.len.saturating_sub(u32_of(before)).saturating_sub(self.properties_len)
    }

    /// The queues of the record that begins with `bytes`, as they stand there; they may be what is damaged.
    pub(super) fn queues_unchecked(&self, bytes: &[u8]) -> Vec<QueueId> {
        let end = HEADER_LEN + 4 * self.queues as usize;
        let ids = bytes.get(HEADER_LEN..end.min(self.len as usize)).unwrap_or_default();
        ids.chunks_exact(4).map(|id| QueueId(u32_at(id, 0))).collect()
    }

    /// The queues and the message of the record that begins with `bytes`; `None` when they are not what was
    /// written.
    pub(super) fn payload<'a>(
        &self,
        bytes: &'a [u8],
    ) -> Option<(impl Iterator<Item = QueueId> + use<'a>, Record<'a>)> {
        let payload = bytes.get(HEADER_LEN..self.len as usize)?;
        if crc32c(payload) != self.payload_checksum {
            return None;
        }
        let (ids, bytes) = payload.split_at_checked(4 * self.queues as usize)?;
        let (names_len, properties_len) =
            (usize::from(self.names_len), self.properties_len as usize);
        if names_len + properties_len > bytes.len() {
            return None;
        }
        let ids = ids.chunks_exact(4).map(|id| QueueId(u32_at(id, 0)));
        let &Self { time_to_live_ms, note, .. } = self;
        Some((ids, Record { time_to_live_ms, note, names_len, properties_len, bytes }))
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// A length that is known to be below 4 GiB: a record is a message, and those have a limit.
pub(super) fn u32_of(len: usize) -> u32 {
    u32::try_from(len).expect("records are smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUES: [QueueId; 2] = [QueueId(7), QueueId(9)];

    fn new(bytes: &[u8]) -> NewRecord<'_> {
        NewRecord {
            queues: &QUEUES,
            published_at: 1_700_000_000_000,
            time_to_live_ms: Some(5000),
            priority: Some(3),
            note: 4,
            names_len: 2,
            properties_len: 3,
            bytes,
        }
    }

    fn encoded(seed: u32) -> Vec<u8> {
        let new = new(b"nnpppbody");
        let stamp = Stamp {
            seed,
            first_slot: SLOTS_MODULUS + 3,
            batch: Batch(4),
            batch_start: 4096,
            sequence: 11,
            payload_checksum: payload_checksum(&new),
            is_delivered: true,
        };
        let mut bytes = Vec::new();
        let said = encode(&new, &stamp, &mut bytes);
        assert_eq!(head(&bytes, seed), Some(said));
        bytes
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let bytes = encoded(5);
        let head = head(&bytes, 5).unwrap();
        assert_eq!((head.sequence, head.batch, head.batch_start), (11, Batch(4), 4096));
        assert_eq!((head.priority, head.is_delivered, head.body_len()), (Some(3), true, 4));
        assert_eq!(head.padded_len(), bytes.len());
        let (queues, record) = head.payload(&bytes).unwrap();
        assert_eq!(queues.collect::<Vec<_>>(), QUEUES);
        assert_eq!((record.bytes, record.time_to_live_ms), (&b"nnpppbody"[..], Some(5000)));
        assert_eq!(record.note, 4);
    }

    #[test]
    fn a_first_slot_is_known_from_those_before() {
        let head = head(&encoded(5), 5).unwrap();
        for (end, first) in [
            (3, 3),
            (0, 3),
            (SLOTS_MODULUS, SLOTS_MODULUS + 3),
            (SLOTS_MODULUS + 3, SLOTS_MODULUS + 3),
            (4, SLOTS_MODULUS + 3),
        ] {
            assert_eq!(head.slot_from(end), first, "behind {end}");
        }
    }

    #[test]
    fn every_changed_bit_of_a_record_is_seen() {
        let good = encoded(5);
        let len = head(&good, 5).unwrap().len as usize;
        for bit in 0..len * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = head(&bytes, 5).and_then(|head| head.payload(&bytes).map(|_| ()));
            assert!(read.is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_use_of_its_file_is_none() {
        assert!(head(&encoded(5), 6).is_none());
    }

    #[test]
    fn file_headers_say_what_is_wrong() {
        let header = FileHeader::begun(FileKind::Survivors, 77);
        assert_eq!(FileHeader::decode(&header.encode()), FileHeaderRead::Header(header));
        assert_eq!(FileHeader::decode(&[0; FILE_HEADER_LEN]), FileHeaderRead::Blank);
        let mut newer = header.encode();
        newer[8] = 3;
        assert_eq!(FileHeader::decode(&newer), FileHeaderRead::Newer(3));
        for at in 0..FILE_HEADER_LEN {
            let mut damaged = header.encode();
            damaged[at] ^= 1 << 5;
            let read = FileHeader::decode(&damaged);
            let is_seen = matches!(read, FileHeaderRead::Damaged | FileHeaderRead::Newer(_));
            assert!(is_seen, "byte {at}: {read:?}");
        }
    }

    #[test]
    fn a_header_of_format_1_has_no_salt() {
        let header = FileHeader { kind: FileKind::Log, number: 77, salt: 0 };
        let bytes = header.encode_format_1();
        assert_eq!(FileHeader::decode(&bytes), FileHeaderRead::Header(header));
    }
}
