//! The batch that gathers, under the log's lock: its records, the file they go to, and the batches before it that are
//! still in memory.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Waker;

use super::batch::{Appended, Batch};
use super::files::Files;
use super::index::Index;
use super::io_counters::TakenIn;
use super::jobs::IndexOf;
use super::medium::MediumFile;
use super::message::NewRecord;
use super::place::Place;
use super::record::{self, DATA_START, FILE_HEADER_LEN, FileHeader, Stamp, u32_of};

/// Buffers kept for the batches to come, and how large each may be.
const BUFFERS_KEPT: usize = 2;
const BUFFER_KEPT_BYTES: usize = 4 << 20;

/// Neighbouring records on their way into a file.
///
/// ```text
/// gathering -- the writer takes the batch --> in flight -- written --> its buffer is used again
///                                                |
///                                                '-- refused --> failed: read from memory until the broker ends
/// ```
#[derive(Debug)]
pub(super) struct Piece {
    number: u32,
    /// The seed of the checksums of the file's records.
    seed: u32,
    /// `None` until the writer has made it.
    pub(super) file: Option<Arc<dyn MediumFile>>,
    pub(super) name: String,
    pub(super) offset: u32,
    /// Written first, if these are the file's first records.
    pub(super) header: Option<[u8; FILE_HEADER_LEN]>,
    pub(super) bytes: Vec<u8>,
    /// The file is full behind this piece.
    full: Option<Index>,
}

impl Piece {
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn seed(&self) -> u32 {
        self.seed
    }

    fn end(&self) -> usize {
        self.offset as usize + self.bytes.len()
    }
}

/// The file that is appended to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) header: FileHeader,
    pub(super) name: String,
    /// `None` until the writer has made it.
    pub(super) file: Option<Arc<dyn MediumFile>>,
    /// Bytes of the file; 0 if it was given up, and the next record begins another one.
    pub(super) capacity: u32,
    pub(super) needs_header: bool,
    pub(super) index: Index,
}

impl Active {
    /// A file without records, which the writer makes if `file` is `None`.
    pub(super) fn begun(
        header: FileHeader,
        name: String,
        file: Option<Arc<dyn MediumFile>>,
        capacity: u32,
        needs_header: bool,
    ) -> Self {
        Self { header, name, file, capacity, needs_header, index: Index::empty(DATA_START) }
    }

    fn is_given_up(&self) -> bool {
        self.capacity == 0
    }
}

/// A file that records gather for, and that the writer makes before it writes them.
#[derive(Debug)]
pub(super) struct FileToCreate {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) capacity: u32,
}

/// A batch that was taken to be written.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) batch: Batch,
    pub(super) pieces: Arc<Vec<Piece>>,
    /// Files that are full once the pieces are written.
    pub(super) full: Vec<IndexOf>,
}

/// The batch that gathers.
pub(super) struct Gathering {
    /// Its number; it is not given away while it is empty.
    batch: Batch,
    pieces: Vec<Piece>,
    /// Bytes of all pieces.
    bytes: usize,
    active: Active,
    next_sequence: u64,
    /// The first sequence since the log was opened, and the batches that were taken since then.
    first_sequence: u64,
    batches: u64,
    /// Bytes of the records in those batches.
    record_bytes: u64,
    /// The batch that is being written.
    in_flight: Option<Arc<Vec<Piece>>>,
    /// Files that are full once the batch in flight is written.
    full_after_flight: Vec<IndexOf>,
    /// Batches that could not be written, and are still read from.
    failed: Vec<Arc<Vec<Piece>>>,
    waiters: Vec<(Batch, Waker)>,
    /// Buffers of batches that have been written.
    buffers: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Gathering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gathering").field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl Gathering {
    /// An empty batch of this number; its first record has this sequence, and goes to this file.
    pub(super) fn new(active: Active, batch: Batch, next_sequence: u64) -> Self {
        Self {
            batch,
            pieces: Vec::new(),
            bytes: 0,
            active,
            next_sequence,
            first_sequence: next_sequence,
            batches: 0,
            record_bytes: 0,
            in_flight: None,
            full_after_flight: Vec::new(),
            failed: Vec::new(),
            waiters: Vec::new(),
            buffers: Vec::new(),
        }
    }

    pub(super) fn batch(&self) -> Batch {
        self.batch
    }

    /// Bytes of all records of the batch.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has_records(&self) -> bool {
        !self.pieces.is_empty()
    }

    pub(super) fn active(&self) -> &Active {
        &self.active
    }

    /// True if the active file has room for a record of so many bytes.
    #[inline]
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.active.index.end as usize + len <= self.active.capacity as usize
    }

    /// True if more than half of the active file is used.
    pub(super) fn is_half_full(&self) -> bool {
        self.active.index.end > self.active.capacity / 2
    }

    /// Takes a record of `len` bytes, which the active file has room for.
    #[inline]
    pub(super) fn append(
        &mut self,
        new: &NewRecord<'_>,
        payload_checksum: u32,
        len: usize,
    ) -> Appended {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let batch_start = self.open_piece();
        let Self { active, pieces, batch, .. } = self;
        let piece = pieces.last_mut().expect("it has just been opened");
        let (offset, first_slot) = (active.index.end, u32_of(active.index.slots.len()));
        let stamp = Stamp {
            seed: piece.seed,
            first_slot,
            batch: *batch,
            batch_start,
            sequence,
            payload_checksum,
            is_delivered: false,
        };
        let head = record::encode(new, &stamp, &mut piece.bytes);
        active.index.add(&head, new.queues.iter().copied(), offset);
        self.bytes += len;
        let file = NonZeroU32::new(active.header.number).expect("files are numbered from 1");
        Appended { first: Place { file, slot: first_slot, offset }, batch: *batch }
    }

    /// Opens the piece that the next record goes into; answers where the batch begins in the file, 0 if in an earlier
    /// one.
    #[inline]
    fn open_piece(&mut self) -> u32 {
        let active = &mut self.active;
        let header = active.header;
        if self.pieces.last().is_none_or(|piece| piece.number != header.number) {
            let needs_header = std::mem::take(&mut active.needs_header);
            self.pieces.push(Piece {
                number: header.number,
                seed: header.seed(),
                file: active.file.clone(),
                name: active.name.clone(),
                offset: active.index.end,
                header: needs_header.then(|| header.encode()),
                bytes: self.buffers.pop().unwrap_or_default(),
                full: None,
            });
        }
        if self.pieces.len() == 1 { self.pieces[0].offset } else { 0 }
    }

    /// Goes on with another file. Answers the index of the one before if that is written already and so full now; else
    /// it is full when its last piece is written.
    pub(super) fn go_on_in(&mut self, next: Active) -> Option<IndexOf> {
        let Active { header, name, index, .. } = std::mem::replace(&mut self.active, next);
        let number = header.number;
        let is_flying = self.in_flight.iter().flat_map(|flight| flight.iter());
        let is_flying = is_flying.into_iter().any(|piece| piece.number == number);
        match self.pieces.last_mut() {
            Some(piece) if piece.number == number => piece.full = Some(index),
            _ if is_flying => self.full_after_flight.push(IndexOf { number, name, index }),
            _ => return Some(IndexOf { number, name, index }),
        }
        None
    }

    /// Gives up the active file, which is empty; answers its name. The next record begins another file.
    pub(super) fn give_up_active(&mut self) -> (String, Option<Arc<dyn MediumFile>>) {
        self.active.capacity = 0;
        (self.active.name.clone(), self.active.file.take())
    }

    /// The files that must be made before the batch can be written.
    pub(super) fn unmade(&self, files: &Files) -> Vec<FileToCreate> {
        let unmade = self.pieces.iter().filter(|piece| piece.file.is_none());
        let unmade = unmade.map(|piece| {
            let capacity = files.get(piece.number).map_or(0, super::files::LogFile::capacity);
            FileToCreate { number: piece.number, name: piece.name.clone(), capacity }
        });
        unmade.collect()
    }

    /// Takes a file that has been made.
    pub(super) fn on_made(&mut self, number: u32, file: &Arc<dyn MediumFile>) {
        for piece in self.pieces.iter_mut().filter(|piece| piece.number == number) {
            piece.file = Some(Arc::clone(file));
        }
        if self.active.header.number == number {
            self.active.file = Some(Arc::clone(file));
        }
    }

    /// Takes the batch to be written; the next one gathers.
    pub(super) fn take(&mut self) -> Gathered {
        let mut pieces = std::mem::take(&mut self.pieces);
        let full = pieces.iter_mut().filter_map(|piece| {
            let index = piece.full.take()?;
            Some(IndexOf { number: piece.number, name: piece.name.clone(), index })
        });
        let full = full.collect();
        let pieces = Arc::new(pieces);
        let batch = self.batch;
        self.batch.0 += 1;
        self.record_bytes += self.bytes as u64;
        self.bytes = 0;
        if !pieces.is_empty() {
            self.batches += 1;
            debug_assert!(self.in_flight.is_none(), "one batch is written at a time");
            self.in_flight = Some(Arc::clone(&pieces));
        }
        Gathered { batch, pieces, full }
    }

    /// The counts since the log was opened.
    pub(super) fn taken_in(&self) -> TakenIn {
        TakenIn {
            records: self.next_sequence - self.first_sequence,
            batches: self.batches,
            record_bytes: self.record_bytes,
        }
    }

    /// Takes a batch that is written; answers the files that are full now.
    pub(super) fn on_written(&mut self, gathered: &mut Gathered) -> Vec<IndexOf> {
        drop(self.in_flight.take());
        let mut full = std::mem::take(&mut gathered.full);
        full.append(&mut self.full_after_flight);
        // A reading that copies from them just now keeps the buffers.
        let pieces = Arc::try_unwrap(std::mem::take(&mut gathered.pieces)).unwrap_or_default();
        for Piece { mut bytes, .. } in pieces {
            if self.buffers.len() < BUFFERS_KEPT && bytes.capacity() <= BUFFER_KEPT_BYTES {
                bytes.clear();
                self.buffers.push(bytes);
            }
        }
        full
    }

    /// Keeps the batch in flight, if there is one, as one that could not be written: its messages are in memory only.
    pub(super) fn on_failed(&mut self) {
        self.failed.extend(self.in_flight.take());
        self.full_after_flight.clear();
    }

    /// The pieces that are in memory only, oldest first.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = &Piece> {
        let flying = self.in_flight.iter().chain(&self.failed).flat_map(|flight| flight.iter());
        flying.chain(&self.pieces)
    }

    /// True if everything that was appended is written.
    pub(super) fn is_all_written(&self) -> bool {
        self.unwritten().next().is_none()
    }

    /// Has `waker` be woken when the batch is synced or has failed.
    pub(super) fn add_waiter(&mut self, batch: Batch, waker: &Waker) {
        self.waiters.push((batch, waker.clone()));
    }

    /// Takes the wakers that wait for a batch up to `batch`.
    pub(super) fn take_waiters(&mut self, batch: Batch) -> Vec<Waker> {
        let over = self.waiters.extract_if(.., |(until, _)| *until <= batch);
        over.map(|(_, waker)| waker).collect()
    }

    /// Asserts the invariants of the batch, which hold whenever the lock is free. Cost: a look at each piece, mostly
    /// one.
    pub(super) fn assert_sound(&self, files: &Files) {
        let bytes: usize = self.pieces.iter().map(|piece| piece.bytes.len()).sum();
        assert_eq!(self.bytes, bytes, "bytes of the batch");
        let flying = self.in_flight.iter().flat_map(|flight| flight.iter());
        let positions = flying.chain(&self.pieces).map(|piece| (piece.number, piece.offset));
        assert!(positions.is_sorted(), "pieces are in the order of their places");
        if let Some((last, earlier)) = self.pieces.split_last() {
            assert!(
                earlier.iter().all(|piece| piece.full.is_some()),
                "only the last file has room"
            );
            let is_of_active = last.number == self.active.header.number;
            assert!(is_of_active || last.full.is_some(), "a file is full, and no piece says so");
            let end = self.active.index.end as usize;
            assert!(!is_of_active || last.end() == end, "the active file ends with its last piece");
        }
        assert!(self.in_flight.is_some() || self.full_after_flight.is_empty(), "a file is full");
        let Active { header, index, capacity, .. } = &self.active;
        assert!(index.last_sequence < self.next_sequence, "sequences grow");
        if !self.active.is_given_up() {
            assert!(index.end <= *capacity, "the active file is longer than it may be");
            let counted = files.get(header.number).map(super::files::LogFile::slots);
            assert_eq!(counted, Some(u32_of(index.slots.len())), "slots of the active file");
        }
    }
}
