//! The synced mark: the offset up to which a file of messages is known to be synced. It tells a damaged message from
//! the torn end of a write that a power cut interrupted. `design` draws its bytes.
//!
//! It stands twice between the header of the file and its first record; the copies are written by turns, each in a
//! sector of its own, so that a power cut leaves one of them. The higher one counts; one that is not whole says
//! nothing.
//!
//! The maintenance thread writes it when nothing was appended from one of its rounds to the next, and once more when
//! the log is closed. A log that is never idle has none, and needs none: its next batch proves the one before it
//! synced.

use crc32c::crc32c_append;

use super::record::{FileHeader, u32_at};

const MAGIC: &[u8; 8] = b"mqsync\0\0";
const LEN: usize = 24;
/// Offsets of the two copies.
const OFFSETS: [usize; 2] = [1024, 2048];
/// The offset of the copy that is written first.
pub(super) const FIRST_OFFSET: u64 = OFFSETS[0] as u64;

/// The mark of the active file, as the maintenance thread last saw and wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SyncedMark {
    /// Number and end of the active file when it was looked at last, and when the mark was written last.
    seen: (u32, u32),
    written: (u32, u32),
    /// The copy that is written next.
    next: usize,
}

/// Up to where a file is synced, as the bytes before its records say; 0 when they say nothing.
pub(super) fn end(bytes: &[u8], header: FileHeader) -> u32 {
    let of_copy = |at: usize| {
        let mark = bytes.get(at..at + LEN)?;
        let is_whole = &mark[..8] == MAGIC
            && u32_at(mark, 8) == header.number
            && u32_at(mark, 20) == crc32c_append(header.seed(), &mark[..20]);
        is_whole.then(|| u32_at(mark, 12))
    };
    OFFSETS.into_iter().filter_map(of_copy).max().unwrap_or(0)
}

pub(super) fn encode(header: FileHeader, end: u32) -> [u8; LEN] {
    let mut mark = [0; LEN];
    mark[..8].copy_from_slice(MAGIC);
    mark[8..12].copy_from_slice(&header.number.to_le_bytes());
    mark[12..16].copy_from_slice(&end.to_le_bytes());
    let checksum = crc32c_append(header.seed(), &mark[..20]);
    mark[20..].copy_from_slice(&checksum.to_le_bytes());
    mark
}

/// The times at which the mark is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkSynced {
    /// If nothing was appended since the last round.
    WhenIdle,
    /// If all is synced: nothing will be appended any more.
    AtTheEnd,
}

impl SyncedMark {
    /// True if the mark is to be written for an active file of this number and end.
    pub(super) fn is_due(&mut self, now: (u32, u32), when: MarkSynced) -> bool {
        let was_seen = std::mem::replace(&mut self.seen, now) == now;
        (was_seen || when == MarkSynced::AtTheEnd) && self.written != now
    }

    /// The offset of the copy that is written next.
    pub(super) fn offset(&self) -> u64 {
        OFFSETS[self.next] as u64
    }

    /// Notes that the mark is on disk.
    pub(super) fn on_written(&mut self, now: (u32, u32)) {
        self.written = now;
        self.next = (self.next + 1) % OFFSETS.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::FileKind;

    #[test]
    fn the_higher_whole_copy_counts() {
        let header = FileHeader::begun(FileKind::Log, 7);
        let mut bytes = vec![0; 4096];
        assert_eq!(end(&bytes, header), 0);
        for (at, up_to) in OFFSETS.into_iter().zip([5000, 6000]) {
            bytes[at..at + LEN].copy_from_slice(&encode(header, up_to));
        }
        assert_eq!(end(&bytes, header), 6000);
        assert_eq!(end(&bytes, FileHeader::begun(FileKind::Log, 8)), 0, "of an earlier use");
        for bit in 0..LEN * 8 {
            let mut damaged = bytes.clone();
            damaged[OFFSETS[1] + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(end(&damaged, header), 5000, "bit {bit}");
        }
    }
}
