//! The files of a log under its lock: those with records, those that are being freed, and those that are free.
//!
//! Nothing here touches the disk; the owner of a change on the disk calls when it is done.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::medium::MediumFile;
use super::record::{FileHeader, FileKind};

/// The life of a file with records.
///
/// ```text
///         begun           next file begun,           a record in it
///                         all records written        cannot be copied
///  free -------> Open --------------------------> Full ----------------> Unmovable
///   ^                                               |                        |
///   |          its last slot is settled, or its     |    its last slot       |
///   |          last messages stand in another file  |    is settled          |
///   |                                               v                        |
///   '--- header "free" is on the disk ---------- FileBeingFreed <-------------------'
/// ```
///
/// If the disk refuses the header, the file stays `FileBeingFreed`, and it is tried again every 500 ms. A free file and
/// one that is `FileBeingFreed` ([`FileBeingFreed`]) have no record that counts, so they are no variants here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileLife {
    /// Records are appended, or are on their way to it.
    Open,
    /// Nothing is appended any more, and everything has been written.
    Full,
    /// Full; and it cannot be given up while a message waits in it, because one cannot be copied.
    Unmovable,
}

/// A file with records.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    name: String,
    header: FileHeader,
    capacity: u32,
    life: FileLife,
    slots: u32,
    /// Slots that are not settled.
    live: u32,
}

impl LogFile {
    /// A file that has just been begun.
    pub(super) fn begun(header: FileHeader, name: String, capacity: u32) -> Self {
        Self { name, header, capacity, life: FileLife::Open, slots: 0, live: 0 }
    }

    /// A full file that was found with so many slots, of which so many wait.
    pub(super) fn found(
        header: FileHeader,
        name: String,
        capacity: u32,
        slots: u32,
        live: u32,
    ) -> Self {
        Self { name, header, capacity, life: FileLife::Full, slots, live }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn header(&self) -> FileHeader {
        self.header
    }

    /// Bytes of the file.
    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    pub(super) fn slots(&self) -> u32 {
        self.slots
    }

    pub(super) fn live(&self) -> u32 {
        self.live
    }

    /// Counts slots that are not settled after all: those of queues that do not exist, until they are settled.
    pub(super) fn add_live(&mut self, count: u32) {
        self.live += count;
    }

    /// Has the file be appended to again.
    pub(super) fn reopened(self) -> Self {
        Self { life: FileLife::Open, ..self }
    }

    pub(super) fn is_survivors(&self) -> bool {
        self.header.kind == FileKind::Survivors
    }

    /// True if it is of no more use.
    pub(super) fn is_unused(&self) -> bool {
        self.life != FileLife::Open && self.live == 0
    }
}

/// A file that is to be free, and is not on the disk yet: a crash would find it as it was.
#[derive(Clone, Debug)]
pub(super) struct FileBeingFreed {
    pub(super) name: String,
    pub(super) capacity: u32,
    /// The disk refused once; it is tried again.
    pub(super) is_refused: bool,
}

/// A file that holds nothing.
#[derive(Clone, Debug)]
pub(super) struct FreeFile {
    pub(super) name: String,
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) capacity: u32,
}

/// A file worth giving up.
#[derive(Clone, Debug)]
pub(super) struct SparseFile {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) slots: u32,
}

/// The files of a log.
#[derive(Debug)]
pub(super) struct Files {
    with_records: FxHashMap<u32, LogFile>,
    freeing: FxHashMap<u32, FileBeingFreed>,
    free: Vec<FreeFile>,
    /// Neither numbers nor names are given twice while a log is open; a name is also that of a free file.
    next_number: u32,
    next_name: u32,
}

impl Files {
    pub(super) fn new(
        with_records: FxHashMap<u32, LogFile>,
        next_number: u32,
        next_name: u32,
    ) -> Self {
        let (freeing, free) = (FxHashMap::default(), Vec::new());
        Self { with_records, freeing, free, next_number, next_name }
    }

    pub(super) fn take_number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    pub(super) fn take_name(&mut self) -> String {
        let name = format!("{:08}.log", self.next_name);
        self.next_name += 1;
        name
    }

    /// Takes the smallest free file that has room for so many bytes.
    pub(super) fn take_free(&mut self, capacity: u32) -> Option<FreeFile> {
        let fits = self.free.iter().enumerate().filter(|(_, file)| file.capacity >= capacity);
        let (at, _) = fits.min_by_key(|(_, file)| file.capacity)?;
        Some(self.free.swap_remove(at))
    }

    /// Takes any free file.
    pub(super) fn take_any_free(&mut self) -> Option<FreeFile> {
        self.free.pop()
    }

    /// Takes all free files but so many.
    pub(super) fn take_free_beyond(&mut self, keep: usize) -> Vec<FreeFile> {
        self.free.split_off(keep.min(self.free.len()))
    }

    pub(super) fn add_free(&mut self, file: FreeFile) {
        self.free.push(file);
    }

    pub(super) fn count_free(&self) -> usize {
        self.free.len()
    }

    /// True if a free file has room for so many bytes.
    pub(super) fn has_free(&self, capacity: u32) -> bool {
        self.free.iter().any(|file| file.capacity >= capacity)
    }

    /// Takes a file that is begun, under a number that was taken for it.
    pub(super) fn begin(&mut self, header: FileHeader, name: String, capacity: u32) {
        self.with_records.insert(header.number, LogFile::begun(header, name, capacity));
    }

    /// A file with records.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&LogFile> {
        self.with_records.get(&number)
    }

    /// True if a file has records, and is not being freed.
    pub(super) fn has(&self, number: u32) -> bool {
        self.with_records.contains_key(&number)
    }

    /// The numbers of the files with records.
    pub(super) fn numbers(&self) -> Vec<u32> {
        self.with_records.keys().copied().collect()
    }

    /// Counts the slots of a record that was appended.
    #[inline]
    pub(super) fn add_slots(&mut self, number: u32, count: u32) {
        let Some(file) = self.with_records.get_mut(&number) else {
            debug_assert!(false, "a record is appended to file {number}, which has no state");
            return;
        };
        file.slots += count;
        file.live += count;
    }

    /// Counts slots that are settled; those of a file that is free already count no more.
    pub(super) fn settle(&mut self, number: u32, count: u32) {
        if let Some(file) = self.with_records.get_mut(&number) {
            debug_assert!(
                file.live >= count,
                "{count} slots of file {number} are settled, and {} wait",
                file.live
            );
            file.live -= count;
        }
    }

    /// Takes a file as full; answers it.
    pub(super) fn fill(&mut self, number: u32) -> Option<&LogFile> {
        let file = self.with_records.get_mut(&number)?;
        debug_assert_eq!(file.life, FileLife::Open, "file {number} is full twice");
        file.life = FileLife::Full;
        Some(file)
    }

    /// Says that a message of a full file cannot be copied.
    pub(super) fn set_unmovable(&mut self, number: u32) {
        if let Some(file) = self.with_records.get_mut(&number) {
            debug_assert_ne!(file.life, FileLife::Open, "file {number} is not full");
            file.life = FileLife::Unmovable;
        }
    }

    /// Has a file be freed that is of no more use.
    pub(super) fn begin_freeing(&mut self, number: u32) {
        if let Some(LogFile { name, capacity, .. }) = self.with_records.remove(&number) {
            self.freeing.insert(number, FileBeingFreed { name, capacity, is_refused: false });
        }
    }

    /// A file that is being freed.
    pub(super) fn freeing(&self, number: u32) -> Option<&FileBeingFreed> {
        self.freeing.get(&number)
    }

    /// Notes that the disk refused to free a file.
    pub(super) fn refuse_freeing(&mut self, number: u32) {
        if let Some(file) = self.freeing.get_mut(&number) {
            file.is_refused = true;
        }
    }

    /// The files that the disk refused to free.
    pub(super) fn refused(&self) -> Vec<u32> {
        let refused = self.freeing.iter().filter(|(_, file)| file.is_refused);
        refused.map(|(number, _)| *number).collect()
    }

    /// Forgets a file that is free on the disk, or is removed.
    pub(super) fn forget(&mut self, number: u32) {
        self.freeing.remove(&number);
        self.with_records.remove(&number);
    }

    /// The name of a file that marks are kept for: one with records, also while it is being freed.
    pub(super) fn marked_name(&self, number: u32) -> Option<&str> {
        let name = self.with_records.get(&number).map(LogFile::name);
        name.or_else(|| self.freeing.get(&number).map(|file| &*file.name))
    }

    /// The full file with the smallest share of waiting slots, when all in all more than `wasted_min` bytes and more
    /// than half of the room are wasted.
    pub(super) fn sparsest(&self, wasted_min: u64) -> Option<SparseFile> {
        let (mut wasted, mut used) = (0, 0);
        let mut best: Option<(u64, u32, &LogFile)> = None;
        for (number, file) in
            self.with_records.iter().filter(|(_, file)| file.life != FileLife::Open)
        {
            let (live, slots) = (u64::from(file.live), u64::from(file.slots.max(1)));
            let live_bytes = u64::from(file.capacity) * live / slots;
            used += live_bytes;
            wasted += u64::from(file.capacity) - live_bytes;
            let share = live * 1000 / slots;
            let is_movable = share <= 500 && file.life == FileLife::Full;
            if is_movable && best.is_none_or(|(least, ..)| share < least) {
                best = Some((share, *number, file));
            }
        }
        if wasted < wasted_min.max(used) {
            return None;
        }
        best.map(|(_, number, file)| SparseFile {
            number,
            name: file.name.clone(),
            slots: file.slots,
        })
    }

    /// Counts the files with records.
    pub(super) fn len(&self) -> usize {
        self.with_records.len()
    }

    /// Asserts the invariants of the files, which hold whenever the lock is free. Cost: a look at each file.
    pub(super) fn assert_sound(&self) {
        for (number, file) in &self.with_records {
            assert_eq!(file.header.number, *number, "the number of a file");
            assert!(*number < self.next_number, "file {number} has a number that is not taken");
            assert!(file.live <= file.slots, "more slots of file {number} wait than it has");
            assert!(!self.freeing.contains_key(number), "file {number} has records and is free");
        }
    }
}
