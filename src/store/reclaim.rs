//! Giving up files in which few slots still wait: these are copied into a file of survivors, and the file is free.
//!
//! It is done only while more room is wasted than used, so a backlog is never copied, and a slow queue beside a busy
//! one holds no more than twice its own room. Survivors are among themselves: the next busy file does not carry them
//! along again.
//!
//! The order of the steps makes it safe ([`Moving`]):
//!
//! 1. Slots that wait are copied, and the copies are synced. Slots that are settled or delivered meanwhile are marked
//!    in their file as ever, and noted.
//! 2. From one moment on the copies count: a place in the file is resolved to the copy's ([`Moves`](super::moves::Moves)).
//! 3. The copies of noted slots are marked, and the marks are synced.
//! 4. The file is freed. Until that is on the disk no file with copies is freed, however much of it is settled.
//!
//! A crash before 4 leaves both; `recovery` joins what their marks say. A crash after 4 leaves the copies, which say
//! all. If the disk refuses a step, it is tried again every round, and the file stays until then. If step 1 fails, its
//! copies are marked as void before the file may go.

use std::io;

use super::batch::Health;
use super::counts::{Counted, CountedSlots};
use super::damage;
use super::error::{StoreError, cannot};
use super::files::{FreeFile, SparseFile};
use super::index::Slot;
use super::jobs::Job;
use super::log::{Log, LogDurability};
use super::marks::{Mark, Marks};
use super::message::NewRecord;
use super::moves::{Moving, OwedMarks};
use super::open_marks::MarkError;
use super::place::{Place, QueueId};
use super::record::{self, DATA_START, FileHeader, FileKind, u32_of};
use super::scan::{self, Opened, Scanned};
use super::slot_ranges::SlotRanges;
use super::survivors::Survivors;

/// Wasted room that is never worth the copying, in files.
const WASTED_FILES_MIN: u64 = 4;

/// A record to be copied, for those of its queues that still wait.
struct Survivor {
    slots: Vec<(u32, Slot)>,
    is_delivered: bool,
}

impl Log {
    /// Gives up one file, if room is wasted; answers whether it did.
    pub(super) fn reclaim(&self) -> bool {
        if self.durability == LogDurability::Spilled || self.health() == Health::Failed {
            return false;
        }
        let Some(SparseFile { number, name, slots }) = self.begin_move() else { return false };
        let mut copied = Vec::new();
        match self.copy_survivors(&name, slots, &mut copied) {
            Ok(counts) => self.publish_moved(number, &copied, counts),
            Err(error) => {
                tracing::warn!(%error, name, "a file with few messages stays as it is");
                let is_full = matches!(&error, StoreError::Io { source, .. }
                    if source.kind() == io::ErrorKind::StorageFull);
                let mut state = self.lock();
                if !is_full {
                    state.files.set_unmovable(number);
                }
                let void = copied.iter().map(|(_, new)| *new).collect();
                state.moves.set_moving(Moving::Void { file: number, copies: void });
            }
        }
        self.end_move()
    }

    /// Chooses the file with the smallest share of waiting slots, when that is worth it.
    fn begin_move(&self) -> Option<SparseFile> {
        let mut locked = self.lock();
        let state = &mut *locked;
        // Else which slots are settled is not written down, or an earlier file is not given up yet.
        if state.marks.has_unmarked() || state.moves.moving().is_some() {
            return None;
        }
        let wasted_min = WASTED_FILES_MIN * u64::from(self.options.file_bytes);
        let sparse = state.files.sparsest(wasted_min)?;
        state.moves.set_moving(Moving::begun(sparse.number, state.marks.being_marked()));
        Some(sparse)
    }

    /// Copies what waits in a file; `copied` gets the old place and the new one of every slot, also of a copying that
    /// fails. Answers the counts that were marked before.
    fn copy_survivors(
        &self,
        name: &str,
        slots: u32,
        copied: &mut Vec<(Place, Place)>,
    ) -> Result<CountedSlots, StoreError> {
        let damaged = |offset: u32, what| StoreError::Damaged {
            path: self.medium.path(name),
            offset: offset.into(),
            what,
        };
        let Opened::Records(from) = scan::open(&*self.medium, name)? else {
            return Err(damaged(0, "it should hold messages and is marked as free"));
        };
        let damaged_records = damage::not_copied(&*self.medium, &from)?;
        if let Some((found, _)) = damaged_records.first() {
            return Err(damaged(found.offset, "a message differs from what was written"));
        }
        if from.slot_count() != slots {
            return Err(damaged(from.end, "a message differs from what was written"));
        }
        let marks = from.marks(&*self.medium)?;
        let mut survivors = self.survivors.lock();
        let cannot_copy = |source| cannot("copy messages from", self.medium.path(name), source);
        if let Some(open) = &mut *survivors {
            open.begin_batch();
        }
        let mut copy_all = || {
            for survivor in survivors_of(&from, &marks) {
                self.copy(&from, &survivor, &mut survivors, copied)?;
            }
            survivors.as_ref().map_or(Ok(()), Survivors::sync).map_err(cannot_copy)
        };
        let done = copy_all();
        if done.is_err() {
            self.end_survivors(survivors.take());
        }
        done.map(|()| marks.counts)
    }

    /// Ends the file of void copies: what is behind them must not be appended to.
    fn end_survivors(&self, survivors: Option<Survivors>) {
        let Some(open) = survivors else { return };
        match open.sync() {
            Ok(()) => self.on_full(&mut self.lock(), open.into_index()),
            Err(error) => {
                tracing::error!(%error, "messages cannot be synced; nothing is confirmed any more");
                self.fail_from_now();
            }
        }
    }

    /// Appends one record to the survivors; it is read back from its file and so checked.
    fn copy(
        &self,
        from: &Scanned,
        survivor: &Survivor,
        survivors: &mut Option<Survivors>,
        copied: &mut Vec<(Place, Place)>,
    ) -> Result<(), StoreError> {
        let of = survivor.slots[0].1;
        let path = || self.medium.path(&from.name);
        let damaged = || StoreError::Damaged {
            path: path(),
            offset: of.offset.into(),
            what: "a message differs from what was written",
        };
        let mut bytes = vec![0; record::HEADER_LEN];
        let read = |bytes: &mut Vec<u8>| {
            let read = from.file.read_at(bytes, of.offset.into());
            read.map_err(|source| cannot("read", path(), source))
        };
        read(&mut bytes)?;
        let head = record::head(&bytes, from.header.seed()).ok_or_else(damaged)?;
        bytes.resize(head.len as usize, 0);
        read(&mut bytes)?;
        let (_, message) = head.payload(&bytes).ok_or_else(damaged)?;
        let queues: Vec<QueueId> = survivor.slots.iter().map(|(_, slot)| slot.queue).collect();
        let new = NewRecord {
            queues: &queues,
            published_at: head.published_at,
            time_to_live_ms: head.time_to_live_ms,
            priority: head.priority,
            note: message.note,
            names_len: message.names_len,
            properties_len: message.properties_len,
            bytes: message.bytes,
        };
        let appended = self.append_survivor(&new, head.sequence, survivor.is_delivered, survivors);
        let first = appended.map_err(|source| cannot("copy messages from", path(), source))?;
        for (nth, (slot, of)) in (0..).zip(&survivor.slots) {
            let old = Place { file: from.number(), slot: *slot, offset: of.offset };
            copied.push((old, first.nth(nth)));
        }
        Ok(())
    }

    fn append_survivor(
        &self,
        new: &NewRecord<'_>,
        sequence: u64,
        is_delivered: bool,
        survivors: &mut Option<Survivors>,
    ) -> io::Result<Place> {
        let len = record::padded(record::len_of(new));
        if !survivors.as_ref().is_some_and(|open| open.has_room(len)) {
            if let Some(full) = survivors.take() {
                if let Err(error) = full.sync() {
                    self.fail_from_now();
                    return Err(error);
                }
                self.on_full(&mut self.lock(), full.into_index());
            }
            *survivors = Some(self.begin_survivors(u32_of(len))?);
        }
        let open = survivors.as_mut().ok_or_else(|| io::Error::other("there is no file"))?;
        let copied = open.append(new, sequence, is_delivered)?;
        self.lock().files.add_slots(open.number(), copied.slots);
        Ok(copied.first)
    }

    fn begin_survivors(&self, len: u32) -> io::Result<Survivors> {
        let (free, number, name) = {
            let mut state = self.lock();
            let free = state.files.take_any_free();
            (free, state.files.take_number(), state.files.take_name())
        };
        let FreeFile { name, file, capacity } = match free {
            Some(free) => free,
            None => self.make_free_file(name, self.options.file_bytes)?,
        };
        let wanted = self.options.file_bytes.max(DATA_START + len);
        let header = FileHeader::begun(FileKind::Survivors, number);
        let grown = if capacity < wanted { file.set_len(wanted.into()) } else { Ok(()) };
        if let Err(error) = grown.and_then(|()| file.write_at(&header.encode(), 0)) {
            // It may have got part of it.
            let _ = file.set_len(capacity.into());
            self.lock().files.add_free(FreeFile { name, file, capacity });
            return Err(error);
        }
        let capacity = capacity.max(wanted);
        self.lock().files.begin(header, name.clone(), capacity);
        self.order(Job::Prepare);
        Survivors::begun(header, name, file, capacity)
    }

    /// Has the copies count from now on.
    fn publish_moved(&self, number: u32, copied: &[(Place, Place)], mut known: CountedSlots) {
        let mut locked = self.lock();
        let state = &mut *locked;
        let (settled, delivered) = match state.moves.take_moving() {
            Some(Moving::Copying { settled, delivered, counts, .. }) => {
                counts.iter().for_each(|counted| known.note(*counted));
                (settled, delivered)
            }
            Some(Moving::Leaving { .. } | Moving::Void { .. }) | None => Default::default(),
        };
        let mut owed = OwedMarks::default();
        for (old, new) in copied {
            if settled.has(old.slot) {
                owed.settled.push(*new);
                continue;
            }
            state.moves.add_place(*old, *new);
            if delivered.has(old.slot) {
                owed.delivered.push(*new);
            }
            let counted = known.get(old.slot);
            owed.counted.extend(counted.map(|counted| Counted { place: *new, ..counted }));
        }
        state.moves.set_moving(Moving::Leaving { file: number, owed });
        state.follow_moved();
    }

    /// Goes on with the file that is being given up, which may have had to wait for the disk; answers whether it is
    /// free.
    pub(super) fn end_move(&self) -> bool {
        let moving = self.lock().moves.moving().cloned();
        match moving {
            None | Some(Moving::Copying { .. }) => false,
            Some(_) if self.health() == Health::Failed => false,
            Some(Moving::Leaving { file, owed }) => self.leave(file, owed),
            Some(Moving::Void { copies, .. }) => {
                self.mark_void(&copies);
                false
            }
        }
    }

    /// Marks what is owed, then frees the file: it has the marks that its copies are to get, so it stays until they
    /// have them.
    fn leave(&self, number: u32, mut owed: OwedMarks) -> bool {
        let has_counted =
            owed.counted.is_empty() || self.is_done(|| self.write_counted(&owed.counted));
        if !has_counted
            || !self.has_marked(&owed.delivered, Mark::Delivered)
            || !self.has_marked(&owed.settled, Mark::Settled)
        {
            return false;
        }
        {
            let mut state = self.lock();
            self.count_settled(&mut state, &std::mem::take(&mut owed.settled));
            state.moves.set_moving(Moving::Leaving { file: number, owed: OwedMarks::default() });
        }
        let file =
            self.lock().files.get(number).map(|file| (file.name().to_owned(), file.capacity()));
        let Some((name, capacity)) = file else { return false };
        match self.free(number, &name, capacity) {
            Ok(free) => {
                let mut state = self.lock();
                state.files.forget(number);
                state.moves.take_moving();
                self.free_unused(&mut state);
                drop(state);
                self.use_again(number, free);
                true
            }
            Err(error) => {
                tracing::debug!(%error, name, "a file whose messages were copied cannot be used again yet");
                false
            }
        }
    }

    /// Marks copies that do not count, and lets their original go.
    fn mark_void(&self, copies: &SlotRanges) {
        if self.has_marked(copies, Mark::Moved) {
            let mut state = self.lock();
            state.moves.take_moving();
            self.count_settled(&mut state, copies);
            self.free_unused(&mut state);
        }
    }

    /// Marks copies; answers whether that is on the disk.
    fn has_marked(&self, copies: &SlotRanges, mark: Mark) -> bool {
        if copies.is_empty() {
            return true;
        }
        let mut copies = copies.clone();
        copies.join();
        self.is_done(|| self.write_marks(&copies, mark))
    }

    /// Writes marks of copies and syncs them; answers whether that is done.
    fn is_done(&self, write: impl FnOnce() -> Result<(), MarkError>) -> bool {
        match write().and_then(|()| self.sync_marks()) {
            Ok(()) => true,
            Err(MarkError::NotWritten(error)) => {
                tracing::debug!(%error, "copies of messages cannot be marked yet");
                false
            }
            Err(MarkError::NotSynced(error)) => {
                tracing::error!(%error, "marks cannot be synced; nothing is confirmed any more");
                self.fail_from_now();
                false
            }
        }
    }

    /// Ends the file of survivors when nothing in it waits, so that it is not kept for nothing.
    pub(super) fn end_empty_survivors(&self) {
        let mut survivors = self.survivors.lock();
        let Some(open) = &*survivors else { return };
        let mut state = self.lock();
        let live = state.files.get(open.number()).map_or(0, super::files::LogFile::live);
        if live == 0
            && let Some(open) = survivors.take()
        {
            self.on_full(&mut state, open.into_index());
        }
    }

    /// Writes the index of the survivors down, for a quick start.
    pub(super) fn finish_survivors(&self) {
        let mut survivors = self.survivors.lock();
        if let Some(open) = survivors.take() {
            self.write_index(&open.into_index());
        }
    }
}

/// The slots of a file that wait, record by record.
fn survivors_of(from: &Scanned, marks: &Marks) -> Vec<Survivor> {
    let mut survivors: Vec<Survivor> = Vec::new();
    for (slot, of) in (0..).zip(&from.index.slots) {
        if of.is_lost() || !marks.is_waiting(slot) {
            continue;
        }
        let is_delivered = of.is_delivered || marks.is_delivered(slot);
        match survivors.last_mut() {
            Some(last)
                if last.slots[0].1.offset == of.offset && last.is_delivered == is_delivered =>
            {
                last.slots.push((slot, *of));
            }
            _ => survivors.push(Survivor { slots: vec![(slot, *of)], is_delivered }),
        }
    }
    survivors
}
