//! The moves of survivors under the log's lock: the file that is being given up, and the new places of its last
//! messages.

use rustc_hash::FxHashMap;

use super::counts::{Counted, CountedSlots};
use super::files::Files;
use super::marks::Slots;
use super::pending_marks::BeingMarked;
use super::place::Place;
use super::slot_ranges::SlotRanges;

/// The state of the file that is being given up; `reclaim` says why its steps are in this order.
///
/// ```text
///            its waiting slots are copied      their marks are synced,
///            and synced                        the file is freed on the disk
///  (none) -> Copying ------------------------> Leaving -----------------------> (none)
///               |                                ^ |
///               | the disk refuses               '-' the disk refuses: tried again every 500 ms
///               v
///             Void -- the copies are marked as void, and that is synced --> (none); the file keeps its messages
/// ```
#[derive(Clone, Debug)]
pub(super) enum Moving {
    /// Its waiting slots are being copied. Slots that are marked in it from now on are noted, as the copies lack the
    /// mark.
    Copying { file: u32, settled: Slots, delivered: Slots, counts: CountedSlots },
    /// The copies count. The file goes when the marks that the copies lack are on disk, so that a crash finds either.
    Leaving { file: u32, owed: OwedMarks },
    /// The copies do not count, which is to be marked before the file may go.
    Void { file: u32, copies: SlotRanges },
}

/// Copies of slots that were marked while they were copied.
#[derive(Clone, Debug, Default)]
pub(super) struct OwedMarks {
    pub(super) settled: SlotRanges,
    pub(super) delivered: SlotRanges,
    pub(super) counted: Vec<Counted>,
}

impl Moving {
    /// The copying of a file, while such marks are being written.
    pub(super) fn begun(file: u32, being_marked: &BeingMarked) -> Self {
        let (settled, delivered) = (Slots::default(), Slots::default());
        let counts = CountedSlots::default();
        let mut moving = Self::Copying { file, settled, delivered, counts };
        // They may be on no disk yet, when the file is read.
        moving.on_marking(being_marked);
        moving
    }

    fn file(&self) -> u32 {
        match self {
            Self::Copying { file, .. } | Self::Leaving { file, .. } | Self::Void { file, .. } => {
                *file
            }
        }
    }

    /// Notes slots that are marked in the file while it is copied.
    fn on_marking(&mut self, marked: &BeingMarked) {
        match self {
            Self::Copying { file, settled, delivered, counts } => {
                settled.insert_of(*file, &marked.settled);
                delivered.insert_of(*file, &marked.delivered);
                let counted = marked.counted.iter().filter(|one| one.place.file.get() == *file);
                counted.for_each(|one| counts.note(*one));
            }
            Self::Leaving { .. } | Self::Void { .. } => {}
        }
    }
}

/// The moves of survivors.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// The new places of slots, by file and slot. A place may have moved more than once.
    places: FxHashMap<(u32, u32), Place>,
    moving: Option<Moving>,
}

impl Moves {
    /// The place of a slot now.
    #[inline]
    pub(super) fn resolve_place(&self, mut place: Place) -> Place {
        while let Some(next) = self.places.get(&(place.file.get(), place.slot)) {
            place = *next;
        }
        place
    }

    /// The slots where they are now; `None` when none of them was moved.
    pub(super) fn resolve(&self, slots: &SlotRanges, files: &Files) -> Option<SlotRanges> {
        let has_moved = |number: u32| !files.has(number) || self.leaves(number);
        if self.places.is_empty() || !slots.iter().any(|range| has_moved(range.file.get())) {
            return None;
        }
        let places = slots.iter().flat_map(|range| range.places());
        Some(places.map(|place| self.resolve_place(place)).collect())
    }

    /// True if the copies of a file's slots count, and the file is not free yet.
    fn leaves(&self, number: u32) -> bool {
        matches!(&self.moving, Some(Moving::Leaving { file, .. }) if *file == number)
    }

    /// Sends counts to where their slots are now.
    pub(super) fn follow(&self, counted: &mut [Counted]) {
        if !self.places.is_empty() {
            for one in counted {
                one.place = self.resolve_place(one.place);
            }
        }
    }

    /// Forgets the places of slots that are settled: no queue asks for them any more.
    pub(super) fn forget(&mut self, slots: &SlotRanges) {
        for range in slots.iter() {
            for slot in range.slots() {
                let mut at = (range.file.get(), slot);
                while let Some(next) = self.places.remove(&at) {
                    at = (next.file.get(), next.slot);
                }
            }
        }
    }

    /// Takes the new place of a slot, whose copy counts from now on.
    pub(super) fn add_place(&mut self, old: Place, new: Place) {
        debug_assert_ne!(old.file, new.file, "a slot is moved to another file");
        self.places.insert((old.file.get(), old.slot), new);
    }

    pub(super) fn moving(&self) -> Option<&Moving> {
        self.moving.as_ref()
    }

    pub(super) fn set_moving(&mut self, moving: Moving) {
        self.moving = Some(moving);
    }

    pub(super) fn take_moving(&mut self) -> Option<Moving> {
        self.moving.take()
    }

    /// Notes what is about to be marked: copies that are being made lack it.
    pub(super) fn on_marking(&mut self, marked: &BeingMarked) {
        if let Some(moving) = &mut self.moving {
            moving.on_marking(marked);
        }
    }

    /// True if a file that is of no more use may be freed.
    ///
    /// While a file is given up it stays, as do those with copies: what is marked in one counts for the other, and the
    /// first to go must not be the one that says what is settled.
    pub(super) fn may_free(&self, number: u32, is_survivors: bool) -> bool {
        let moving = self.moving.as_ref().map(Moving::file);
        moving.is_none_or(|moving| moving != number && !is_survivors)
    }

    /// Asserts the invariants of the moves, which hold whenever the lock is free.
    pub(super) fn assert_sound(&self, files: &Files) {
        if let Some(moving) = &self.moving {
            assert!(files.has(moving.file()), "the file that is given up is free");
        }
    }
}
