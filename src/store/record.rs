//! The record on disk, and the header of the file it is in.
//!
//! ```text
//! file:    header (64 bytes of the first 4096), then records, each beginning at a multiple of 8
//!
//! header:   0  magic "mqstore\0"           8  format u32        12  kind u32 (0 free, 1 log, 2 survivors)
//!          16  number u32                 20  checksum u32 of bytes 0..20
//!
//! record:   0  checksum u32 of bytes 4..64, seeded with the file's number
//!           4  checksum u32 of what follows the header
//!           8  len u32, header included   12  batch start u32: where the records synced with this one begin
//!          16  batch u64                      in this file; 0 when they begin in an earlier one
//!          24  sequence u64               32  published at u64, ms since 1970
//!          40  time to live u64, ms; all bits set for none
//!          48  properties len u32         52  names len u16
//!          54  priority u8                55  flags u8 (1: delivered before)
//!          56  queues u32                 60  note u8, 0 u8, 0 u16
//!          64  queue ids, u32 each; names; properties; body
//! ```
//!
//! All numbers are little-endian. Because the number of its file, never used twice, is the seed, a record that is
//! left from an earlier use of the file is not taken for one of now.

use crc32c::{crc32c, crc32c_append};

use super::{Batch, NewRecord, QueueId, Record};

/// The format this release writes, and the latest that it reads.
pub(super) const FORMAT: u32 = 1;
/// Where the first record of a file is.
pub(super) const DATA_START: u32 = 4096;
pub(super) const FILE_HEADER_LEN: usize = 24;
const MAGIC: &[u8; 8] = b"mqstore\0";
/// Bytes of a record before its queue ids.
pub(super) const HEADER_LEN: usize = 64;
pub(super) const NO_TIME_TO_LIVE: u64 = u64::MAX;
const DELIVERED: u8 = 1;

/// What a file is used for.
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
}

/// What the first bytes of a file say.
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
        let checksum = crc32c(&bytes[..20]);
        bytes[20..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> FileHeaderRead {
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
        if u32_at(bytes, 20) != crc32c(&bytes[..20]) {
            return FileHeaderRead::Damaged;
        }
        FileHeaderRead::Header(Self { kind, number: u32_at(bytes, 16) })
    }
}

/// What a record says beside its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) len: u32,
    pub(super) batch_start: u32,
    pub(super) batch: Batch,
    pub(super) sequence: u64,
    pub(super) published_at: u64,
    pub(super) time_to_live_ms: Option<u64>,
    pub(super) properties_len: u32,
    pub(super) names_len: u16,
    pub(super) queues: u32,
    pub(super) priority: u8,
    pub(super) note: u8,
    pub(super) is_delivered: bool,
    payload_checksum: u32,
}

/// Where and as what a record is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) number: u32,
    pub(super) batch: Batch,
    pub(super) batch_start: u32,
    pub(super) sequence: u64,
    pub(super) payload_checksum: u32,
    pub(super) is_delivered: bool,
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
pub(super) fn encode(new: &NewRecord<'_>, stamp: &Stamp, into: &mut Vec<u8>) -> Head {
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
    header[54] = new.priority;
    header[55] = if stamp.is_delivered { DELIVERED } else { 0 };
    header[56..60].copy_from_slice(&u32_of(new.queues.len()).to_le_bytes());
    header[60] = new.note;
    let checksum = crc32c_append(stamp.number, &header[4..]);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
    into.extend_from_slice(&header);
    for id in new.queues {
        into.extend_from_slice(&id.0.to_le_bytes());
    }
    into.extend_from_slice(new.bytes);
    into.resize(start + padded(len), 0);
    Head {
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
        payload_checksum: stamp.payload_checksum,
    }
}

/// Reads the header of a record; `None` when no record of this file begins there.
#[inline]
pub(super) fn head(bytes: &[u8], number: u32) -> Option<Head> {
    let header = bytes.get(..HEADER_LEN)?;
    // A record has a length: cheaper to see than a checksum, where a file is searched.
    if (u32_at(header, 8) as usize) < HEADER_LEN {
        return None;
    }
    if u32_at(header, 0) != crc32c_append(number, &header[4..]) {
        return None;
    }
    let time_to_live = u64_at(header, 40);
    Some(Head {
        len: u32_at(header, 8),
        batch_start: u32_at(header, 12),
        batch: Batch(u64_at(header, 16)),
        sequence: u64_at(header, 24),
        published_at: u64_at(header, 32),
        time_to_live_ms: (time_to_live != NO_TIME_TO_LIVE).then_some(time_to_live),
        properties_len: u32_at(header, 48),
        names_len: u16::from_le_bytes([header[52], header[53]]),
        priority: header[54],
        note: header[60],
        is_delivered: header[55] & DELIVERED != 0,
        queues: u32_at(header, 56),
        payload_checksum: u32_at(header, 4),
    })
}

impl Head {
    /// Bytes up to where the next record begins.
    pub(super) fn padded_len(&self) -> usize {
        padded(self.len as usize)
    }

    pub(super) fn body_len(&self) -> u32 {
        let before = HEADER_LEN + 4 * self.queues as usize + usize::from(self.names_len);
        self.len.saturating_sub(u32_of(before)).saturating_sub(self.properties_len)
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
            priority: 3,
            note: 4,
            names_len: 2,
            properties_len: 3,
            bytes,
        }
    }

    fn encoded(number: u32) -> Vec<u8> {
        let new = new(b"nnpppbody");
        let stamp = Stamp {
            number,
            batch: Batch(4),
            batch_start: 4096,
            sequence: 11,
            payload_checksum: payload_checksum(&new),
            is_delivered: true,
        };
        let mut bytes = Vec::new();
        let said = encode(&new, &stamp, &mut bytes);
        assert_eq!(head(&bytes, number), Some(said));
        bytes
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let bytes = encoded(5);
        let head = head(&bytes, 5).unwrap();
        assert_eq!((head.sequence, head.batch, head.batch_start), (11, Batch(4), 4096));
        assert_eq!((head.priority, head.is_delivered, head.body_len()), (3, true, 4));
        assert_eq!(head.padded_len(), bytes.len());
        let (queues, record) = head.payload(&bytes).unwrap();
        assert_eq!(queues.collect::<Vec<_>>(), QUEUES);
        assert_eq!((record.bytes, record.time_to_live_ms), (&b"nnpppbody"[..], Some(5000)));
        assert_eq!(record.note, 4);
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
        let header = FileHeader { kind: FileKind::Survivors, number: 77 };
        assert_eq!(FileHeader::decode(&header.encode()), FileHeaderRead::Header(header));
        assert_eq!(FileHeader::decode(&[0; FILE_HEADER_LEN]), FileHeaderRead::Blank);
        let mut newer = header.encode();
        newer[8] = 2;
        assert_eq!(FileHeader::decode(&newer), FileHeaderRead::Newer(2));
        let mut torn = header.encode();
        torn[16] ^= 1;
        assert_eq!(FileHeader::decode(&torn), FileHeaderRead::Damaged);
    }
}
