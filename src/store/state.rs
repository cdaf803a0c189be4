//! The state under the log's lock: four owners, and the one door to them.
//!
//! | owner            | owns                                                                                          |
//! |------------------|-----------------------------------------------------------------------------------------------|
//! | [`Gathering`]    | the batch that gathers, the file it goes to, and the batches before it that are in memory     |
//! | [`Files`]        | the files and how many of their slots wait, those that are being freed, and those that are free |
//! | [`PendingMarks`] | settlements, deliveries and counts whose marks are not written yet                            |
//! | [`Moves`]        | the file that is being given up, and the new places of its last messages                      |
//!
//! Nothing here touches the disk (`locks` asserts it), so the lock is held for one record or one list of slots. In a
//! debug build every unlock asserts that the state is sound: the batch always, and the files, marks and moves, whose
//! check takes a look at each file, always while there are few files and else every 64th time.

use std::ops::{Deref, DerefMut};
use std::thread;
use std::time::Duration;

use super::counts::Counted;
use super::files::Files;
use super::gathering::Gathering;
use super::locks::{self, Locked};
use super::moves::Moves;
use super::pending_marks::{BatchWaits, Marking, PendingMarks};
use super::slot_ranges::SlotRanges;
use crate::lock::{Condvar, Mutex};

/// Files up to which everything is checked at every unlock.
const FILES_ALWAYS_CHECKED: usize = 16;
/// Unlocks from one check of everything to the next, when there are more files.
const UNLOCKS_UNCHECKED: u32 = 64;

/// The state of a log.
#[derive(Debug)]
pub(super) struct LogState {
    pub(super) gathering: Gathering,
    pub(super) files: Files,
    pub(super) marks: PendingMarks,
    pub(super) moves: Moves,
    pub(super) asleep: SleepingThreads,
    pub(super) is_closing: bool,
    /// Unlocks, counted in debug builds.
    unlocks: u32,
}

/// The threads that wait to be woken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SleepingThreads {
    pub(super) writer: bool,
    pub(super) marker: bool,
    /// A file that records have gathered for could not be made: the batch waits, and the writer with it.
    pub(super) lacks_room: bool,
}

impl LogState {
    pub(super) fn new(gathering: Gathering, files: Files) -> Self {
        Self {
            gathering,
            files,
            marks: PendingMarks::default(),
            moves: Moves::default(),
            asleep: SleepingThreads::default(),
            is_closing: false,
            unlocks: 0,
        }
    }

    /// True if the writer has something to do, whether or not the disk has room for it.
    pub(super) fn has_batch(&self) -> bool {
        self.gathering.has_records() || self.marks.are_awaited()
    }

    /// True if the writer can do something.
    pub(super) fn can_write(&self) -> bool {
        self.has_batch() && !self.asleep.lacks_room
    }

    /// True if a free file should be made now, so that it is there when the active one is full.
    pub(super) fn needs_free_file(&self) -> bool {
        self.files.count_free() == 0 && self.gathering.is_half_full()
    }

    /// Settles slots, and with them the places that their records have taken.
    pub(super) fn settle(&mut self, slots: &SlotRanges) {
        self.add_settled(slots);
        if !self.marks.has_replacements() {
            return;
        }
        // One may stand for another that has not been settled either.
        let mut replaced = self.marks.replaced_by(slots);
        while !replaced.is_empty() {
            self.add_settled(&replaced);
            replaced = self.marks.replaced_by(&replaced);
        }
    }

    fn add_settled(&mut self, slots: &SlotRanges) {
        match self.moves.resolve(slots, &self.files) {
            None => self.marks.add_settled(slots),
            Some(resolved) => {
                self.marks.add_settled(&resolved);
                self.moves.forget(slots);
            }
        }
    }

    pub(super) fn add_delivered(&mut self, slots: &SlotRanges) {
        let resolved = self.moves.resolve(slots, &self.files);
        self.marks.add_delivered(resolved.as_ref().unwrap_or(slots));
    }

    /// Remembers counts until they are marked, where the slots are now.
    pub(super) fn add_counted(&mut self, counted: &[Counted]) {
        self.marks.add_counted(counted);
        self.moves.follow(self.marks.counted_mut());
    }

    /// Sends the marks of slots that have moved, and that are not being written, to where the slots are now.
    pub(super) fn follow_moved(&mut self) {
        let settled = self.marks.take_settled();
        self.add_settled(&settled);
        let delivered = self.marks.take_delivered();
        self.add_delivered(&delivered);
        self.moves.follow(self.marks.counted_mut());
    }

    /// Takes the marks that are to be written, if there are any. Copies that are being made lack them.
    pub(super) fn take_marks(&mut self, awaited: BatchWaits) -> Option<Marking> {
        let marking = self.marks.take(awaited)?;
        self.moves.on_marking(self.marks.being_marked());
        Some(marking)
    }

    /// Ends a marking; answers whether nothing was late before.
    pub(super) fn end_marking(
        &mut self,
        marking: &Marking,
        awaited: BatchWaits,
        is_written: bool,
    ) -> bool {
        let was_in_time = self.marks.end(marking, awaited, is_written);
        self.moves.follow(self.marks.counted_mut());
        was_in_time
    }

    /// True if a file is of no more use and may be freed.
    pub(super) fn may_free(&self, number: u32) -> bool {
        let unused = self.files.get(number).filter(|file| file.is_unused());
        unused.is_some_and(|file| self.moves.may_free(number, file.is_survivors()))
    }

    /// Asserts the invariants, which hold whenever the lock is free.
    fn assert_sound(&mut self) {
        self.unlocks = self.unlocks.wrapping_add(1);
        self.gathering.assert_sound(&self.files);
        if self.files.len() <= FILES_ALWAYS_CHECKED
            || self.unlocks.is_multiple_of(UNLOCKS_UNCHECKED)
        {
            self.files.assert_sound();
            self.marks.assert_sound();
            self.moves.assert_sound(&self.files);
            let mut unused =
                self.files.numbers().into_iter().filter(|number| self.may_free(*number));
            assert_eq!(unused.next(), None, "a file of no more use is not being freed");
        }
    }
}

/// The log's lock, held. The one door to the state: what is behind it is checked when it closes.
#[derive(Debug)]
pub(super) struct LockedLog<'a>(Option<Locked<'a, LogState>>);

/// Takes the log's lock.
#[inline]
pub(super) fn lock(mutex: &Mutex<LogState>) -> LockedLog<'_> {
    LockedLog(Some(locks::lock(mutex)))
}

impl LockedLog<'_> {
    /// Gives the lock back until `wakeup` is notified.
    pub(super) fn wait(mut self, wakeup: &Condvar) -> Self {
        self.check();
        Self(self.0.take().map(|locked| locked.wait(wakeup)))
    }

    /// The same, but for no longer than this.
    pub(super) fn wait_timeout(mut self, wakeup: &Condvar, most: Duration) -> Self {
        self.check();
        Self(self.0.take().map(|locked| locked.wait_timeout(wakeup, most)))
    }

    #[inline]
    fn check(&mut self) {
        // A state that a bug has left half changed is not to hide the bug.
        if cfg!(debug_assertions)
            && !thread::panicking()
            && let Some(state) = &mut self.0
        {
            state.assert_sound();
        }
    }
}

impl Drop for LockedLog<'_> {
    #[inline]
    fn drop(&mut self) {
        self.check();
    }
}

impl Deref for LockedLog<'_> {
    type Target = LogState;

    #[inline]
    fn deref(&self) -> &LogState {
        self.0.as_deref().expect("it is held until it is given back")
    }
}

impl DerefMut for LockedLog<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut LogState {
        self.0.as_deref_mut().expect("it is held until it is given back")
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rustc_hash::FxHashMap;

    use super::*;
    use crate::store::batch::Batch;
    use crate::store::files::LogFile;
    use crate::store::gathering::Active;
    use crate::store::message::NewRecord;
    use crate::store::moves::Moving;
    use crate::store::place::QueueId;
    use crate::store::record::{self, FileHeader, FileKind};

    const NUMBER: u32 = 1;

    /// A log with one file, and one record in it.
    fn state() -> LogState {
        let header = FileHeader::begun(FileKind::Log, NUMBER);
        let file = LogFile::begun(header, String::new(), 8192);
        let files = Files::new(FxHashMap::from_iter([(NUMBER, file)]), NUMBER + 1, 2);
        let active = Active::begun(header, String::new(), None, 8192, true);
        let mut state = LogState::new(Gathering::new(active, Batch(1), 1), files);
        append(&mut state);
        state.files.add_slots(NUMBER, 1);
        state
    }

    fn append(state: &mut LogState) {
        let new = NewRecord::of_bytes(&[QueueId(1)], b"1");
        let len = record::padded(record::len_of(&new));
        state.gathering.append(&new, record::payload_checksum(&new), len);
    }

    type Plant = fn(&mut LogState);

    #[test]
    fn an_unlock_finds_a_planted_fault() {
        let faults: [(&str, Plant); 6] = [
            ("a record that its file does not count", append),
            ("a slot without a record", |state| state.files.add_slots(NUMBER, 1)),
            ("an active file that is being freed", |state| state.files.begin_freeing(NUMBER)),
            ("a file of no more use that stays", |state| {
                state.files.begin(FileHeader::begun(FileKind::Log, 2), String::new(), 8192);
                state.files.take_number();
                state.files.fill(2);
            }),
            ("a number that is not taken", |state| {
                state.files.begin(FileHeader::begun(FileKind::Log, 2), String::new(), 8192);
            }),
            ("a file that is given up and free", |state| {
                let copies = SlotRanges::default();
                state.moves.set_moving(Moving::Void { file: 9, copies });
            }),
        ];
        for (fault, plant) in faults {
            let mutex = Mutex::new(state());
            drop(lock(&mutex));
            let unlock = || plant(&mut lock(&mutex));
            assert!(catch_unwind(AssertUnwindSafe(unlock)).is_err(), "{fault}");
        }
    }
}
