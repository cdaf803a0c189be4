//! What happens under the log's lock: the records that gather, the files and how many of their slots wait.
//!
//! Nothing here touches the disk. Whoever holds the lock holds it for one record or one list of runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use rustc_hash::FxHashMap;

use super::index::Index;
use super::log::Durability;
use super::marks::Slots;
use super::medium::MediumFile;
use super::record::{DATA_START, FILE_HEADER_LEN, FileHeader, FileKind};
use super::{Batch, Place, Run, Runs};

/// Buffers kept for the batches to come, and how large each may be.
const BUFFERS_KEPT: usize = 2;
const BUFFER_KEPT_BYTES: usize = 4 << 20;

/// What happens under the log's lock.
pub(super) struct Inbox {
    /// The batch that gathers, not counted while it is empty.
    pub(super) gathering: Batch,
    pub(super) pieces: Vec<Piece>,
    pub(super) gathered_bytes: usize,
    pub(super) settled: Runs,
    pub(super) delivered: Runs,
    /// Settled slots whose marks could not be written when it was their time.
    pub(super) unmarked: Runs,
    /// Slots whose copies count, or void copies, that are to be marked so.
    pub(super) moved_late: Runs,
    /// What the writer has taken and not yet counted as settled.
    pub(super) in_hand: Runs,
    /// Somebody waits for the marks of this batch.
    pub(super) sync_marks: bool,
    pub(super) late_marks: LateMarks,
    /// Files that are full once what is being written has been.
    pub(super) full_after_flight: Vec<(u32, Index)>,
    pub(super) active: Active,
    /// What is being written now.
    pub(super) flight: Option<Arc<Vec<Piece>>>,
    /// What could not be written, and is still read from.
    pub(super) lost: Vec<Arc<Vec<Piece>>>,
    pub(super) files: FxHashMap<u32, FileState>,
    /// Where slots went whose file was given up while some still waited.
    pub(super) moved: FxHashMap<(u32, u32), Place>,
    /// The file that is being given up, and its slots that were settled since that began.
    pub(super) moving: Option<(u32, Slots)>,
    pub(super) spares: Vec<Spare>,
    pub(super) next_sequence: u64,
    pub(super) next_number: u32,
    pub(super) next_name: u32,
    pub(super) waiters: Vec<(Batch, Waker)>,
    pub(super) sleep: Sleep,
    pub(super) is_closing: bool,
    /// Buffers of batches that have been written.
    pub(super) buffers: Vec<Vec<u8>>,
}

/// Marks that could not be written when it was their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LateMarks {
    None,
    Some,
    /// A batch waits for them.
    Awaited,
}

/// Whether the writer must be rung for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    Awake,
    /// It waits a little for company of settlements.
    Light,
    Deep,
}

/// Neighbouring records on their way into a file.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) number: u32,
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) name: String,
    pub(super) offset: u32,
    /// To be written first, when these are the file's first records.
    pub(super) header: Option<[u8; FILE_HEADER_LEN]>,
    pub(super) bytes: Vec<u8>,
    /// The file is full behind this piece.
    pub(super) full: Option<Index>,
}

/// The file that is appended to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) capacity: u32,
    pub(super) needs_header: bool,
    pub(super) index: Index,
}

/// A file that holds nothing.
#[derive(Clone, Debug)]
pub(super) struct Spare {
    pub(super) name: String,
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) capacity: u32,
}

/// A file with records.
#[derive(Clone, Debug)]
pub(super) struct FileState {
    pub(super) name: String,
    pub(super) slots: u32,
    /// Slots not settled.
    pub(super) live: u32,
    pub(super) capacity: u32,
    /// Nothing is appended any more, and all has been written.
    pub(super) is_full: bool,
    /// It cannot be given up while something waits in it: a message cannot be copied.
    pub(super) is_stuck: bool,
}

impl FileState {
    /// A file that has just been begun.
    pub(super) fn begun(name: String, capacity: u32) -> Self {
        Self { name, slots: 0, live: 0, capacity, is_full: false, is_stuck: false }
    }

    /// Whether it is of no more use.
    pub(super) fn is_dead(&self) -> bool {
        self.is_full && self.live == 0
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("gathering", &self.gathering).finish_non_exhaustive()
    }
}

impl Inbox {
    /// A log's state around its first active file.
    pub(super) fn new(active: Active, files: FxHashMap<u32, FileState>) -> Self {
        let number = active.number;
        Self {
            gathering: Batch(1),
            pieces: Vec::new(),
            gathered_bytes: 0,
            settled: Runs::default(),
            delivered: Runs::default(),
            unmarked: Runs::default(),
            moved_late: Runs::default(),
            in_hand: Runs::default(),
            sync_marks: false,
            late_marks: LateMarks::None,
            full_after_flight: Vec::new(),
            active,
            flight: None,
            lost: Vec::new(),
            files,
            moved: FxHashMap::default(),
            moving: None,
            spares: Vec::new(),
            next_sequence: 1,
            next_number: number + 1,
            next_name: 1,
            waiters: Vec::new(),
            sleep: Sleep::Awake,
            is_closing: false,
            buffers: Vec::new(),
        }
    }

    pub(super) fn take_name(&mut self) -> String {
        let name = format!("{:08}.log", self.next_name);
        self.next_name += 1;
        name
    }

    /// Makes a spare file the active one; answers number and index of the one before.
    pub(super) fn begin(&mut self, spare: Spare, durability: Durability) -> (u32, Index) {
        let number = self.next_number;
        self.next_number += 1;
        let Spare { name, file, capacity } = spare;
        self.files.insert(number, FileState::begun(name.clone(), capacity));
        let needs_header = durability == Durability::Kept;
        let index = Index::empty(DATA_START);
        let next = Active { number, name, file, capacity, needs_header, index };
        let before = std::mem::replace(&mut self.active, next);
        (before.number, before.index)
    }

    /// The piece that the next record goes into: its file, where the record will be, and where the batch begins.
    pub(super) fn piece(&mut self) -> (u32, u32, u32) {
        let active = &mut self.active;
        if self.pieces.last().is_none_or(|piece| piece.number != active.number) {
            let header = FileHeader { kind: FileKind::Log, number: active.number };
            let needs_header = std::mem::take(&mut active.needs_header);
            self.pieces.push(Piece {
                number: active.number,
                file: Arc::clone(&active.file),
                name: active.name.clone(),
                offset: active.index.end,
                header: needs_header.then(|| header.encode()),
                bytes: self.buffers.pop().unwrap_or_default(),
                full: None,
            });
        }
        let batch_start = if self.pieces.len() == 1 { self.pieces[0].offset } else { 0 };
        (active.number, active.index.end, batch_start)
    }

    pub(super) fn add_settled(&mut self, slots: &Runs) {
        let resolved = self.resolve(slots);
        self.settled.append(resolved.as_ref().unwrap_or(slots));
        if resolved.is_some() {
            // Whoever settles a slot asks for it no more.
            for run in slots.iter() {
                for slot in run.slots() {
                    let mut at = (run.file.get(), slot);
                    while let Some(next) = self.moved.remove(&at) {
                        at = (next.file.get(), next.slot);
                    }
                }
            }
        }
    }

    /// Settles the slots of a run that were moved, where they are now.
    pub(super) fn settle_moved(&mut self, run: Run) {
        if self.moved.is_empty() {
            return;
        }
        let has_moved = |place: &Place| self.moved.contains_key(&(place.file.get(), place.slot));
        let slots = run.places().filter(has_moved).collect();
        self.add_settled(&slots);
    }

    pub(super) fn add_delivered(&mut self, slots: &Runs) {
        let resolved = self.resolve(slots);
        self.delivered.append(resolved.as_ref().unwrap_or(slots));
    }

    /// Slots where they are now; `None` when none of them was moved.
    pub(super) fn resolve(&self, slots: &Runs) -> Option<Runs> {
        if self.moved.is_empty() || slots.iter().all(|run| self.files.contains_key(&run.file.get()))
        {
            return None;
        }
        let places = slots.iter().flat_map(|run| run.places());
        Some(places.map(|place| self.resolve_place(place)).collect())
    }

    /// Remembers what the writer is about to mark: who gives up a file must know.
    pub(super) fn take_in_hand(&mut self, settled: &Runs, unmarked: &Runs) {
        self.in_hand = settled.clone();
        self.in_hand.append(unmarked);
        if let Some((moving, known)) = &mut self.moving {
            known.insert_of(*moving, &self.in_hand);
        }
    }

    /// Where a slot is now.
    pub(super) fn resolve_place(&self, mut place: Place) -> Place {
        while let Some(next) = self.moved.get(&(place.file.get(), place.slot)) {
            place = *next;
        }
        place
    }

    /// Whether the writer has anything to do, and whether it can wait.
    pub(super) fn is_urgent(&self) -> bool {
        !self.pieces.is_empty() || self.sync_marks || self.is_closing
    }

    pub(super) fn has_work(&self) -> bool {
        !self.pieces.is_empty()
            || self.sync_marks
            || !self.settled.is_empty()
            || !self.delivered.is_empty()
    }

    /// Keeps the memory of pieces that were written for those to come.
    pub(super) fn keep_buffers(&mut self, pieces: Vec<Piece>) {
        for Piece { mut bytes, .. } in pieces {
            if self.buffers.len() < BUFFERS_KEPT && bytes.capacity() <= BUFFER_KEPT_BYTES {
                bytes.clear();
                self.buffers.push(bytes);
            }
        }
    }

    /// The pieces that are in memory only, oldest first.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = &Piece> {
        let flying = self.flight.iter().chain(&self.lost).flat_map(|flight| flight.iter());
        flying.chain(&self.pieces)
    }

    /// Whether records of the file are being written.
    pub(super) fn is_flying(&self, number: u32) -> bool {
        self.flight.iter().flat_map(|flight| flight.iter()).any(|piece| piece.number == number)
    }

    /// Takes those who wait for a batch up to `batch`.
    pub(super) fn take_waiters(&mut self, batch: Batch) -> VecDeque<Waker> {
        let mut woken = VecDeque::new();
        self.waiters.retain(|(until, waker)| {
            let is_due = *until <= batch;
            if is_due {
                woken.push_back(waker.clone());
            }
            !is_due
        });
        woken
    }
}
