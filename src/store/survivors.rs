//! The file that survivors are appended to: the last messages of files that are given up.

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::batch::Batch;
use super::index::Index;
use super::jobs::IndexOf;
use super::medium::MediumFile;
use super::message::NewRecord;
use super::place::Place;
use super::record::{self, DATA_START, FileHeader, Stamp, u32_of};

/// A record that was appended to the survivors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    pub(super) first: Place,
    pub(super) slots: u32,
}

/// The open file of survivors.
#[derive(Debug)]
pub(super) struct Survivors {
    number: NonZeroU32,
    header: FileHeader,
    name: String,
    file: Arc<dyn MediumFile>,
    capacity: u32,
    index: Index,
    /// Counts the copyings, as batches do in the log, and where this one begins.
    batch: Batch,
    batch_start: u32,
}

impl Survivors {
    /// A file whose header is written, and that has no records.
    pub(super) fn begun(
        header: FileHeader,
        name: String,
        file: Arc<dyn MediumFile>,
        capacity: u32,
    ) -> io::Result<Self> {
        let number =
            NonZeroU32::new(header.number).ok_or_else(|| io::Error::other("no number left"))?;
        let index = Index::empty(DATA_START);
        let (batch, batch_start) = (Batch(1), DATA_START);
        Ok(Self { number, header, name, file, capacity, index, batch, batch_start })
    }

    pub(super) fn number(&self) -> u32 {
        self.number.get()
    }

    /// Begins another copying.
    pub(super) fn begin_batch(&mut self) {
        self.batch.0 += 1;
        self.batch_start = self.index.end;
    }

    /// True if the file has room for a record of so many bytes.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.index.end as usize + len <= self.capacity as usize
    }

    /// Writes a record, which the file has room for.
    pub(super) fn append(
        &mut self,
        new: &NewRecord<'_>,
        sequence: u64,
        is_delivered: bool,
    ) -> io::Result<Copied> {
        let offset = self.index.end;
        let first = Place { file: self.number, slot: u32_of(self.index.slots.len()), offset };
        let stamp = Stamp {
            seed: self.header.seed(),
            first_slot: first.slot,
            batch: self.batch,
            batch_start: self.batch_start,
            sequence,
            payload_checksum: record::payload_checksum(new),
            is_delivered,
        };
        let mut bytes = Vec::with_capacity(record::padded(record::len_of(new)));
        let head = record::encode(new, &stamp, &mut bytes);
        self.file.write_at(&bytes, offset.into())?;
        self.index.add(&head, new.queues.iter().copied(), offset);
        Ok(Copied { first, slots: head.queues })
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Its index, when nothing is appended any more.
    pub(super) fn into_index(self) -> IndexOf {
        IndexOf { number: self.number.get(), name: self.name, index: self.index }
    }
}
