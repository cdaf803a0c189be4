//! Indexes: beside each full file one of its slots, so that opening a directory reads no messages. `design` draws the
//! bytes.
//!
//! An index is a shortcut and never the truth: if it is missing or not whole, the file is read instead, and records
//! behind its `end` count as well.

use crc32c::{crc32c, crc32c_append};

use super::batch::Batch;
use super::place::QueueId;
use super::record::{self, DELIVERED, FORMAT, NO_TIME_TO_LIVE, RecordHead, u32_at, u32_of, u64_at};

/// The name of the index of a log file.
pub(super) fn index_name(log: &str) -> String {
    log.replace(".log", ".index")
}

const MAGIC: &[u8; 8] = b"mqindex\0";
const HEADER_LEN: usize = 56;
const SLOT_LEN: usize = 40;

/// A slot, as far as it is known without reading its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) sequence: u64,
    pub(super) published_at: u64,
    pub(super) queue: QueueId,
    pub(super) offset: u32,
    pub(super) body_len: u32,
    pub(super) time_to_live_ms: Option<u64>,
    pub(super) priority: Option<u8>,
    /// It had been delivered when it was written.
    pub(super) is_delivered: bool,
}

impl Slot {
    /// A slot of a record that is damaged: it keeps the numbers of those behind it, and nothing waits in it.
    pub(super) const LOST: Self = Self {
        sequence: 0,
        published_at: 0,
        queue: QueueId(0),
        offset: 0,
        body_len: 0,
        time_to_live_ms: None,
        priority: None,
        is_delivered: false,
    };

    pub(super) fn is_lost(&self) -> bool {
        self.offset == 0
    }

    pub(super) fn new(head: &RecordHead, queue: QueueId, offset: u32) -> Self {
        Self {
            sequence: head.sequence,
            published_at: head.published_at,
            queue,
            offset,
            body_len: head.body_len(),
            time_to_live_ms: head.time_to_live_ms,
            priority: head.priority,
            is_delivered: head.is_delivered,
        }
    }
}

/// The slots of a file up to some offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) slots: Vec<Slot>,
    pub(super) end: u32,
    /// The first and the last record's, 0 when there is none.
    pub(super) first_sequence: u64,
    pub(super) last_sequence: u64,
    pub(super) last_batch: Batch,
}

impl Index {
    /// An index of nothing, for a file whose records begin at `start`.
    pub(super) fn empty(start: u32) -> Self {
        Self { end: start, ..Self::default() }
    }

    pub(super) fn encode(&self, number: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN + SLOT_LEN * self.slots.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&u32_of(self.slots.len()).to_le_bytes());
        bytes.extend_from_slice(&self.end.to_le_bytes());
        bytes.extend_from_slice(&self.first_sequence.to_le_bytes());
        bytes.extend_from_slice(&self.last_sequence.to_le_bytes());
        bytes.extend_from_slice(&self.last_batch.0.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        for slot in &self.slots {
            let time_to_live = slot.time_to_live_ms.unwrap_or(NO_TIME_TO_LIVE);
            bytes.extend_from_slice(&slot.sequence.to_le_bytes());
            bytes.extend_from_slice(&slot.published_at.to_le_bytes());
            bytes.extend_from_slice(&time_to_live.to_le_bytes());
            bytes.extend_from_slice(&slot.queue.0.to_le_bytes());
            bytes.extend_from_slice(&slot.offset.to_le_bytes());
            bytes.extend_from_slice(&slot.body_len.to_le_bytes());
            bytes.extend_from_slice(&record::flags(slot.priority, slot.is_delivered));
            bytes.extend_from_slice(&[0, 0]);
        }
        let checksum = checksum(&bytes);
        bytes[48..52].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the index of a file; `None` when it is another's, or not whole.
    pub(super) fn decode(bytes: &[u8], number: u32) -> Option<Self> {
        let header = bytes.get(..HEADER_LEN)?;
        if &header[..8] != MAGIC || u32_at(header, 8) > FORMAT || u32_at(header, 12) != number {
            return None;
        }
        let count = u32_at(header, 16) as usize;
        let slots = bytes.get(HEADER_LEN..HEADER_LEN.checked_add(count.checked_mul(SLOT_LEN)?)?)?;
        let covered = &bytes[..HEADER_LEN + slots.len()];
        if u32_at(header, 48) != checksum(covered) {
            return None;
        }
        Some(Self {
            slots: slots.chunks_exact(SLOT_LEN).map(slot).collect(),
            end: u32_at(header, 20),
            first_sequence: u64_at(header, 24),
            last_sequence: u64_at(header, 32),
            last_batch: Batch(u64_at(header, 40)),
        })
    }

    /// Counts a record that follows those that are covered.
    pub(super) fn add(
        &mut self,
        head: &RecordHead,
        queues: impl Iterator<Item = QueueId>,
        offset: u32,
    ) {
        self.slots.extend(queues.map(|queue| Slot::new(head, queue, offset)));
        if self.first_sequence == 0 {
            self.first_sequence = head.sequence;
        }
        self.last_sequence = head.sequence;
        self.last_batch = head.batch;
        self.end = offset + u32_of(head.padded_len());
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c_append(crc32c(&bytes[..48]), &bytes[52..])
}

fn slot(bytes: &[u8]) -> Slot {
    let time_to_live = u64_at(bytes, 16);
    Slot {
        sequence: u64_at(bytes, 0),
        published_at: u64_at(bytes, 8),
        time_to_live_ms: (time_to_live != NO_TIME_TO_LIVE).then_some(time_to_live),
        queue: QueueId(u32_at(bytes, 24)),
        offset: u32_at(bytes, 28),
        body_len: u32_at(bytes, 32),
        priority: record::priority([bytes[36], bytes[37]]),
        is_delivered: bytes[37] & DELIVERED != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let slot = |sequence: u64| Slot {
            sequence,
            published_at: 5,
            queue: QueueId(2),
            offset: 4096,
            body_len: 10,
            time_to_live_ms: (sequence == 1).then_some(9),
            priority: (sequence != 3).then_some(1),
            is_delivered: sequence == 2,
        };
        Index {
            slots: vec![slot(1), slot(2), slot(3)],
            end: 8192,
            first_sequence: 1,
            last_sequence: 3,
            last_batch: Batch(2),
        }
    }

    #[test]
    fn an_index_is_read_as_it_was_written() {
        assert_eq!(Index::decode(&index().encode(9), 9), Some(index()));
        assert_eq!(Index::decode(&index().encode(9), 8), None);
    }

    #[test]
    fn every_changed_bit_and_every_cut_of_an_index_is_seen() {
        let good = index().encode(9);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // The four bytes behind the checksum are not used, and covered all the same.
            assert_eq!(Index::decode(&bytes, 9), None, "bit {bit}");
        }
        for len in 0..good.len() {
            assert_eq!(Index::decode(&good[..len], 9), None, "cut at {len}");
        }
    }
}
