//! Giving up files in which few slots still wait: these are copied into a file of survivors, and the file is free.
//!
//! It is done only while more room is wasted than used, so a backlog is never copied, and a slow queue beside a busy
//! one holds no more than twice its own room. Survivors are among themselves: the next busy file does not carry them
//! along again.
//!
//! The order of things is what makes it safe: copies are synced before anybody is sent to them, and the file is given
//! up after that. A crash in between leaves two of a slot, of which `recovery` takes one. Who still has the old place
//! of a slot finds the new one through [`Inbox::moved`].

use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError};

use super::inbox::{FileState, Inbox, Spare};
use super::index::{Index, Slot};
use super::keeper::Job;
use super::log::{Durability, Log};
use super::marking::MarkError;
use super::marks::{Mark, Marks, Slots};
use super::medium::MediumFile;
use super::record::{self, DATA_START, FileHeader, FileKind, Stamp, u32_of};
use super::scan::{self, Opened, Scanned, Trust};
use super::{Batch, Health, NewRecord, Place, QueueId, Runs, StoreError};

/// Wasted room that is never worth the copying, in files.
const WASTED_FILES_MIN: u64 = 4;

/// The file that survivors are appended to.
#[derive(Debug)]
pub(super) struct Survivors {
    number: NonZeroU32,
    name: String,
    file: Arc<dyn MediumFile>,
    capacity: u32,
    index: Index,
    /// Counts the copyings, as batches do in the log, and where this one begins.
    batch: Batch,
    batch_start: u32,
}

/// A record to be copied, for those of its queues that still wait.
struct Survivor {
    slots: Vec<(u32, Slot)>,
    is_delivered: bool,
}

impl Log {
    /// Gives up one file, if room is wasted; answers whether it did.
    pub(super) fn reclaim(&self) -> bool {
        if self.durability == Durability::Spilled || self.health() == Health::Failed {
            return false;
        }
        let Some((number, name, slots)) = self.begin_move() else { return false };
        let moved = self.copy_survivors(number, &name, slots);
        let mut inbox = self.lock();
        inbox.moving = None;
        if let Err(error) = &moved {
            tracing::warn!(%error, name, "a file with few messages stays as it is");
            let is_full = matches!(error, StoreError::Io { source, .. }
                if source.kind() == io::ErrorKind::StorageFull);
            if let Some(state) = inbox.files.get_mut(&number).filter(|_| !is_full) {
                state.is_stuck = true;
            }
        }
        moved.is_ok()
    }

    /// Chooses the file with the smallest share of waiting slots, when that is worth it.
    fn begin_move(&self) -> Option<(u32, String, u32)> {
        let mut inbox = self.lock();
        if !inbox.unmarked.is_empty() {
            // Which slots are settled is not written down.
            return None;
        }
        let wasted_min = WASTED_FILES_MIN * u64::from(self.options.file_bytes);
        let (number, name, slots) = inbox.sparsest(wasted_min)?;
        // What the writer is about to mark may be on no disk yet.
        let mut settled = Slots::default();
        settled.insert_of(number, &inbox.in_hand);
        inbox.moving = Some((number, settled));
        Some((number, name, slots))
    }

    fn copy_survivors(&self, number: u32, name: &str, slots: u32) -> Result<(), StoreError> {
        let damaged = |offset: u32, what| StoreError::Damaged {
            path: self.medium.path(name),
            offset: offset.into(),
            what,
        };
        let Opened::Records(from) = scan::open(&*self.medium, name, Trust::Indexes)? else {
            return Err(damaged(0, "it should hold messages and is marked as free"));
        };
        if !from.rest.is_clean() || from.slot_count() != slots {
            return Err(damaged(from.index.end, "a message is not what was written"));
        }
        let marks = from.marks(&*self.medium)?;
        let mut survivors = self.survivors.lock().unwrap_or_else(PoisonError::into_inner);
        let cannot = |source| scan::cannot("copy messages from", self.medium.path(name), source);
        if let Some(open) = &mut *survivors {
            open.batch.0 += 1;
            open.batch_start = open.index.end;
        }
        let mut copied = Vec::new();
        let mut copy_all = || {
            for survivor in survivors_of(&from, &marks) {
                self.copy(&from, &survivor, &mut survivors, &mut copied)?;
            }
            survivors.as_ref().map_or(Ok(()), |open| open.file.sync()).map_err(cannot)
        };
        let done = copy_all();
        if done.is_err() {
            self.void(&copied, survivors.take());
            return done;
        }
        self.publish_moved(number, &copied).map_err(cannot)
    }

    /// Takes back copies that nobody was told of, and ends their file: what is behind them must not be appended to.
    fn void(&self, copied: &[(Place, Place)], survivors: Option<Survivors>) {
        let void = copied.iter().map(|(_, new)| *new).collect();
        let mut inbox = self.lock();
        inbox.moved_late.append(&void);
        inbox.sync_marks = true;
        self.bell.notify_one();
        let Some(open) = survivors else { return };
        match open.file.sync() {
            Ok(()) => self.on_full(&mut inbox, open.number.get(), open.index),
            Err(error) => {
                tracing::error!(%error, "messages cannot be synced; nothing is confirmed any more");
                let batch = inbox.gathering;
                drop(inbox);
                self.set_failed(batch);
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
            what: "a message is not what was written",
        };
        let mut bytes = vec![0; record::HEADER_LEN];
        let read = |bytes: &mut Vec<u8>| {
            let read = from.file.read_at(bytes, of.offset.into());
            read.map_err(|source| scan::cannot("read", path(), source))
        };
        read(&mut bytes)?;
        let head = record::head(&bytes, from.header.number).ok_or_else(damaged)?;
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
        let first =
            appended.map_err(|source| scan::cannot("copy messages from", path(), source))?;
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
        let has_room = |open: &Survivors| open.index.end as usize + len <= open.capacity as usize;
        if !survivors.as_ref().is_some_and(has_room) {
            if let Some(full) = survivors.take() {
                if let Err(error) = full.file.sync() {
                    self.fail_from_now();
                    return Err(error);
                }
                self.on_full(&mut self.lock(), full.number.get(), full.index);
            }
            *survivors = Some(self.begin_survivors(u32_of(len))?);
        }
        let open = survivors.as_mut().ok_or_else(|| io::Error::other("there is no file"))?;
        let offset = open.index.end;
        let first = Place { file: open.number, slot: u32_of(open.index.slots.len()), offset };
        let stamp = Stamp {
            number: open.number.get(),
            batch: open.batch,
            batch_start: open.batch_start,
            sequence,
            payload_checksum: record::payload_checksum(new),
            is_delivered,
        };
        let mut bytes = Vec::with_capacity(len);
        let head = record::encode(new, &stamp, &mut bytes);
        open.file.write_at(&bytes, offset.into())?;
        open.index.add(&head, new.queues.iter().copied(), offset);
        if let Some(state) = self.lock().files.get_mut(&open.number.get()) {
            state.slots += head.queues;
            state.live += head.queues;
        }
        Ok(first)
    }

    fn begin_survivors(&self, len: u32) -> io::Result<Survivors> {
        let mut inbox = self.lock();
        let (spare, number) = (inbox.spares.pop(), inbox.next_number);
        inbox.next_number += 1;
        let name = inbox.take_name();
        drop(inbox);
        let Spare { name, file, capacity } = match spare {
            Some(spare) => spare,
            None => self.make_spare(name)?,
        };
        let wanted = self.options.file_bytes.max(DATA_START + len);
        let header = FileHeader { kind: FileKind::Survivors, number }.encode();
        let grown = if capacity < wanted { file.set_len(wanted.into()) } else { Ok(()) };
        if let Err(error) = grown.and_then(|()| file.write_at(&header, 0)) {
            // It may have got part of it.
            let _ = file.set_len(capacity.into());
            self.lock().spares.push(Spare { name, file, capacity });
            return Err(error);
        }
        let capacity = capacity.max(wanted);
        self.lock().files.insert(number, FileState::begun(name.clone(), capacity));
        self.order(Job::Prepare);
        let number = NonZeroU32::new(number).ok_or_else(|| io::Error::other("no number left"))?;
        let index = Index::empty(DATA_START);
        let (batch, batch_start) = (Batch(1), DATA_START);
        Ok(Survivors { number, name, file, capacity, index, batch, batch_start })
    }

    /// Sends everybody to the copies and gives the file up.
    fn publish_moved(&self, number: u32, copied: &[(Place, Place)]) -> io::Result<()> {
        let mut guard = self.lock();
        let inbox = &mut *guard;
        let settled = inbox.moving.take().map(|(_, settled)| settled).unwrap_or_default();
        let mut gone = Runs::default();
        for (old, new) in copied {
            if settled.has(old.slot) {
                gone.push(*new);
            } else {
                inbox.moved.insert((number, old.slot), *new);
            }
        }
        let Some(state) = inbox.files.remove(&number) else { return Ok(()) };
        inbox.follow_moved();
        drop(guard);
        // What was settled in the file must be so in its copy before the file goes.
        gone.join();
        let marked = self.write_marks(&gone, Mark::Settled).and_then(|()| self.sync_marks());
        self.count_settled(&mut self.lock(), &gone);
        match marked {
            Ok(()) => {
                let FileState { name, capacity, .. } = state;
                self.order(Job::Recycle { number, name, capacity });
                Ok(())
            }
            // The file stays until the next start, which finds both.
            Err(MarkError::NotWritten(error)) => Err(error),
            Err(MarkError::NotSynced(error)) => {
                self.fail_from_now();
                Err(error)
            }
        }
    }

    /// Ends the file of survivors when nothing in it waits, so that it is not kept for nothing.
    pub(super) fn end_empty_survivors(&self) {
        let mut survivors = self.survivors.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = &*survivors else { return };
        let mut inbox = self.lock();
        let live = inbox.files.get(&open.number.get()).map_or(0, |state| state.live);
        if live == 0
            && let Some(open) = survivors.take()
        {
            self.on_full(&mut inbox, open.number.get(), open.index);
        }
    }

    /// Writes the index of the survivors down, for a quick start.
    pub(super) fn finish_survivors(&self) {
        let mut survivors = self.survivors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = survivors.take() {
            self.write_index(open.number.get(), &open.name, &open.index);
        }
    }
}

/// The slots of a file that wait, record by record.
fn survivors_of(from: &Scanned, marks: &Marks) -> Vec<Survivor> {
    let mut survivors: Vec<Survivor> = Vec::new();
    for (slot, of) in (0..).zip(&from.index.slots) {
        if !marks.is_waiting(slot) {
            continue;
        }
        let is_delivered = of.is_delivered || marks.delivered.has(slot);
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

impl Inbox {
    /// The full file with the smallest share of waiting slots, when all in all more than `wasted_min` bytes and more
    /// than half of the room are wasted.
    fn sparsest(&self, wasted_min: u64) -> Option<(u32, String, u32)> {
        let (mut wasted, mut used) = (0, 0);
        let mut best: Option<(u64, u32, &FileState)> = None;
        for (number, state) in self.files.iter().filter(|(_, state)| state.is_full) {
            let (live, slots) = (u64::from(state.live), u64::from(state.slots.max(1)));
            let live_bytes = u64::from(state.capacity) * live / slots;
            used += live_bytes;
            wasted += u64::from(state.capacity) - live_bytes;
            let share = live * 1000 / slots;
            if share <= 500 && !state.is_stuck && best.is_none_or(|(least, ..)| share < least) {
                best = Some((share, *number, state));
            }
        }
        if wasted < wasted_min.max(used) {
            return None;
        }
        best.map(|(_, number, state)| (number, state.name.clone(), state.slots))
    }

    /// Sends what was said of moved slots, and not yet looked at, to where they are now.
    fn follow_moved(&mut self) {
        let settled = std::mem::take(&mut self.settled);
        self.add_settled(&settled);
        let delivered = std::mem::take(&mut self.delivered);
        self.add_delivered(&delivered);
    }
}
