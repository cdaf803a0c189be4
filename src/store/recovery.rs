//! Opening a directory: which records are whole, which wait, and which file goes on.
//!
//! What is torn at the very end, in the batch that was being written, is cut and reported. Anything else that is
//! not what was written ends the start with an error that names file and offset, before anything is changed.
//!
//! Start reading at [`open`].

use std::num::NonZeroU32;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::inbox::{Active, FileState, Inbox};
use super::index::{Index, Slot};
use super::keeper::{Job, index_name};
use super::log::{Durability, Log, Options};
use super::marking::OpenMarks;
use super::marks::{self, Mark, Marks, marks_name};
use super::medium::Medium;
use super::record::{DATA_START, FileKind};
use super::scan::{self, NoRecord, Opened, Scanned, Trust, cannot};
use super::{Batch, Health, Place, QueueId, Recovered, Report, Runs, StoreError, Waiting};

/// The files of a directory.
pub(super) struct Found {
    /// In the order of their numbers.
    pub(super) files: Vec<Scanned>,
    /// The names of those that hold nothing.
    pub(super) free: Vec<String>,
    pub(super) last_number: u32,
    last_name: u32,
}

/// Reads what is there and checks that it is whole.
pub(super) fn find(medium: &dyn Medium, trust: Trust) -> Result<Found, StoreError> {
    let names = medium.list().map_err(|source| cannot("list", medium.path(""), source))?;
    let mut found = Found { files: Vec::new(), free: Vec::new(), last_number: 0, last_name: 0 };
    for name in names {
        let Some((stem, kind)) = name.split_once('.') else { continue };
        let Ok(number) = stem.parse::<u32>() else { continue };
        // A name is not given again while anything of it may be left.
        found.last_name = found.last_name.max(number);
        if kind != "log" {
            continue;
        }
        match scan::open(medium, &name, trust)? {
            Opened::Records(mut file) => {
                if trust == Trust::Indexes {
                    file.forget_slots();
                }
                found.last_number = found.last_number.max(file.header.number);
                found.files.push(*file);
            }
            Opened::Free { number } => {
                found.last_number = found.last_number.max(number);
                found.free.push(name);
            }
        }
    }
    found.files.sort_unstable_by_key(|file| file.header.number);
    found.judge(medium)?;
    Ok(found)
}

impl Found {
    /// Tells the torn end of the last batch from damage.
    fn judge(&mut self, medium: &dyn Medium) -> Result<(), StoreError> {
        let of_log = self.files.iter().filter(|file| file.header.kind == FileKind::Log);
        let last = of_log.map(Scanned::last_batch).max().unwrap_or_default();
        for at in 0..self.files.len() {
            let file = &self.files[at];
            let rest = &file.rest;
            let damaged = |what| StoreError::Damaged {
                path: medium.path(&file.name),
                offset: file.index.end.into(),
                what,
            };
            let is_of_last_batch = match file.header.kind {
                FileKind::Log | FileKind::Free => !rest.has_later_batch && rest.last_batch == last,
                // They count the copyings of their own file.
                FileKind::Survivors => !rest.has_later_batch,
            };
            let is_older = |next: NoRecord| rest.is_torn && next.batch < last;
            if file.header.kind == FileKind::Log && rest.next.is_some_and(is_older) {
                return Err(damaged("a message that was safe is not whole, and others follow it"));
            }
            if !rest.found.is_empty() && !is_of_last_batch {
                return Err(damaged("a message that was safe is not whole, and others follow it"));
            }
            let Some(next) = self.follower(at) else { continue };
            let first = self.files[next].index.first_sequence;
            if first == 0 || first == file.index.last_sequence + 1 {
                if rest.is_torn && first != 0 {
                    return Err(damaged("a message that was safe is not whole, and others follow"));
                }
                continue;
            }
            let is_same_batch = self.files[next]
                .first
                .is_some_and(|head| head.batch_start == 0 && head.batch == last);
            if !is_same_batch {
                return Err(damaged("messages are missing here, and others follow"));
            }
            self.files[next].drop_all();
        }
        self.see_torn_header(last);
        Ok(())
    }

    /// Counts a record whose header is torn as cut. Old bytes are there as well where a file is used again, but none
    /// with a number that comes next.
    fn see_torn_header(&mut self, last: Batch) {
        let sequence = self.files.iter().map(|file| highest_sequence(&file.index)).max();
        let is_log = |file: &&mut Scanned| file.header.kind == FileKind::Log;
        let Some(file) = self.files.iter_mut().rfind(is_log) else { return };
        let Some(next) = file.rest.next.filter(|next| next.len > 0 && file.rest.is_clean()) else {
            return;
        };
        if next.sequence == sequence.unwrap_or(0) + 1 || next.batch.0.wrapping_sub(last.0) <= 1 {
            file.rest.is_torn = true;
            let room = file.len.saturating_sub(file.index.end.into());
            let len = u64::from(next.len).min(room).max(1);
            file.rest.torn_bytes += u32::try_from(len).unwrap_or(u32::MAX);
        }
    }

    /// The file that was begun when the one at `at` was full.
    fn follower(&self, at: usize) -> Option<usize> {
        let is_log = |file: &Scanned| file.header.kind == FileKind::Log;
        let next = self.files.get(at + 1)?;
        let follows = is_log(&self.files[at])
            && is_log(next)
            && next.header.number == self.files[at].header.number + 1;
        follows.then_some(at + 1)
    }

    pub(super) fn torn_bytes(&self) -> u64 {
        self.files.iter().map(|file| u64::from(file.rest.torn_bytes)).sum()
    }
}

/// Opens a kept log, tells `recovered` what waits, and makes it ready for more.
pub(super) fn open(
    medium: Arc<dyn Medium>,
    mut found: Found,
    options: Options,
    recovered: &mut dyn Recovered,
) -> Result<(Log, Report), StoreError> {
    let mut report = Report { cut_bytes: found.torn_bytes(), ..Report::default() };
    for file in &mut found.files {
        let made_safe = if file.slot_count() == 0 {
            // Else those that are begun next would seem to follow messages that are missing.
            file.free()
        } else if !file.rest.is_clean() {
            file.cut()
        } else if file.first.is_some() {
            // After a kill it may be with the operating system only. What is told here as waiting must not be gone
            // after a power cut, nor missing before records that are synced by then.
            file.make_safe()
        } else {
            Ok(())
        };
        made_safe.map_err(|source| cannot("write", medium.path(&file.name), source))?;
    }
    let empty = found.files.extract_if(.., |file| file.slot_count() == 0);
    found.free.extend(empty.map(|file| file.name));
    let mut copies = Copies::find(&found.files, &*medium)?;
    let mut unknown = Runs::default();
    // Files that must not be appended to: their next slots are marked already.
    let mut ahead = Vec::new();
    let mut files = FxHashMap::default();
    let mut next_sequence = 1;
    let mut last_batch = Batch(0);
    // Copies come last: they are older than what is around them.
    let is_copy = |file: &Scanned| file.header.kind == FileKind::Survivors;
    let order = (0..found.files.len()).filter(|&at| !is_copy(&found.files[at]));
    let order = order.chain((0..found.files.len()).filter(|&at| is_copy(&found.files[at])));
    for at in order {
        let file = &found.files[at];
        // One file after the other: all slots of a long backlog would take more room than the backlog.
        let slots = file.slots(&*medium)?;
        let marks = match copies.take_marks(file) {
            Some(marks) => marks,
            None => copies.settle_originals(file, &slots, file.marks(&*medium)?),
        };
        if marks.is_ahead {
            ahead.push(file.header.number);
        }
        let live = tell(file, &slots, &marks, recovered, &mut unknown);
        report.messages += u64::from(live);
        next_sequence = next_sequence.max(highest_sequence(&file.index) + 1);
        if !is_copy(file) {
            last_batch = last_batch.max(file.last_batch());
        }
        let state = FileState {
            name: file.name.clone(),
            slots: file.slot_count(),
            live,
            capacity: u32::try_from(file.len).unwrap_or(u32::MAX),
            is_full: true,
            is_stuck: false,
        };
        files.insert(file.header.number, state);
    }
    copies.write(&found.files, &*medium)?;
    for run in unknown.iter() {
        if let Some(state) = files.get_mut(&run.file.get()) {
            state.live += run.count;
        }
    }
    report.files = files.len() as u64;
    let mut inbox = begin(&*medium, options, found, files, &ahead)?;
    inbox.next_sequence = next_sequence;
    inbox.gathering = Batch(last_batch.0 + 1);
    let dead = inbox.take_dead();
    let log = Log::new(medium, Durability::Kept, options, inbox);
    for (number, name, capacity) in dead {
        log.order(Job::Recycle { number, name, capacity });
    }
    log.settle(&unknown);
    log.order(Job::Prepare);
    debug_assert_eq!(log.health(), Health::Well);
    Ok((log, report))
}

fn highest_sequence(index: &Index) -> u64 {
    index.slots.iter().map(|slot| slot.sequence).max().unwrap_or(0).max(index.last_sequence)
}

/// The slots of survivors. Of one that stands in two files, because the move of it was cut short, one is settled
/// here: the original, and the copy as well when either was settled.
#[derive(Debug, Default)]
pub(super) struct Copies {
    by_message: FxHashMap<(QueueId, u64), Place>,
    /// The marks of the files with survivors, by their numbers.
    marks: FxHashMap<NonZeroU32, Marks>,
    /// What is to be marked: slots whose copies count, and copies of slots that were settled.
    moved: Runs,
    settled: Runs,
}

impl Copies {
    pub(super) fn find(files: &[Scanned], medium: &dyn Medium) -> Result<Self, StoreError> {
        let mut copies = Self::default();
        for file in files.iter().filter(|file| file.header.kind == FileKind::Survivors) {
            copies.marks.insert(file.number(), file.marks(medium)?);
            for (slot, of) in (0..).zip(&file.index.slots) {
                let copy = Place { file: file.number(), slot, offset: of.offset };
                // A copy that was taken back, or has a later one.
                if copies.marks.get(&copy.file).is_some_and(|marks| marks.moved.has(slot)) {
                    continue;
                }
                let Some(earlier) = copies.by_message.insert((of.queue, of.sequence), copy) else {
                    continue;
                };
                // Of two copies the later one counts.
                if let Some(mut marks) = copies.marks.remove(&earlier.file) {
                    copies.give_way(earlier, copy, &mut marks);
                    copies.marks.insert(earlier.file, marks);
                }
            }
        }
        Ok(copies)
    }

    /// Lets the copy of a slot count, and be settled if the slot was.
    fn give_way(&mut self, slot: Place, copy: Place, marks: &mut Marks) {
        if marks.settled.has(slot.slot) {
            let of_copy = self.marks.get_mut(&copy.file);
            if of_copy.is_some_and(|marks| marks.settled.insert(copy.slot)) {
                self.settled.push(copy);
            }
        } else if marks.moved.insert(slot.slot) {
            self.moved.push(slot);
        }
    }

    /// Has the copies of a file's slots count.
    pub(super) fn settle_originals(
        &mut self,
        file: &Scanned,
        slots: &[Slot],
        mut marks: Marks,
    ) -> Marks {
        if self.by_message.is_empty() {
            return marks;
        }
        for (slot, of) in (0..).zip(slots) {
            if let Some(&copy) = self.by_message.get(&(of.queue, of.sequence)) {
                let original = Place { file: file.number(), slot, offset: of.offset };
                self.give_way(original, copy, &mut marks);
            }
        }
        marks
    }

    /// Marks on disk what was decided here. It must not be decided again: by then a copy may have been settled and
    /// given up, and its original would come back.
    fn write(&mut self, files: &[Scanned], medium: &dyn Medium) -> Result<(), StoreError> {
        for (runs, mark) in [(&mut self.moved, Mark::Moved), (&mut self.settled, Mark::Settled)] {
            runs.join();
            for runs in runs.by_file() {
                let Some(file) = files.iter().find(|file| file.number() == runs[0].file) else {
                    continue;
                };
                let name = marks_name(&file.name);
                let write = || {
                    let mut bytes = Vec::new();
                    marks::encode(runs, mark, &mut bytes);
                    let mut open = OpenMarks::open(medium, &name)?;
                    open.add(&bytes)?;
                    open.take_dirty().sync()
                };
                write().map_err(|source| cannot("write", medium.path(&name), source))?;
            }
        }
        Ok(())
    }

    /// The marks of a file with survivors, once all others have been looked at.
    pub(super) fn take_marks(&mut self, file: &Scanned) -> Option<Marks> {
        self.marks.remove(&file.number())
    }
}

/// Tells of every slot that waits; answers how many. Those of queues that are no more are `unknown`.
fn tell(
    file: &Scanned,
    slots: &[Slot],
    marks: &Marks,
    recovered: &mut dyn Recovered,
    unknown: &mut Runs,
) -> u32 {
    let mut live = 0;
    for (slot, of) in (0..).zip(slots) {
        if !marks.is_waiting(slot) {
            continue;
        }
        if !recovered.is_known(of.queue) {
            unknown.push(Place { file: file.number(), slot, offset: of.offset });
            continue;
        }
        live += 1;
        let is_delivered = of.is_delivered || marks.delivered.has(slot);
        recovered.on_waiting(of.queue, waiting(file, slot, of, is_delivered));
    }
    live
}

fn waiting(file: &Scanned, slot: u32, of: &Slot, redelivered: bool) -> Waiting {
    Waiting {
        place: Place { file: file.number(), slot, offset: of.offset },
        sequence: of.sequence,
        published_at: of.published_at,
        time_to_live_ms: of.time_to_live_ms,
        priority: of.priority,
        redelivered,
        body_len: of.body_len,
    }
}

/// Chooses the file to append to: the last one, if it ended well, or a free one.
fn begin(
    medium: &dyn Medium,
    options: Options,
    found: Found,
    mut files: FxHashMap<u32, FileState>,
    ahead: &[u32],
) -> Result<Inbox, StoreError> {
    let Found { files: scanned, free, last_number, last_name } = found;
    let file_bytes = options.file_bytes;
    // One is left out, so that the new file does not seem to follow one that it does not.
    let mut next_number = last_number + 2;
    let mut next_name = last_name + 1;
    let last = scanned.into_iter().rfind(|file| file.header.kind == FileKind::Log);
    let goes_on = |file: &Scanned| {
        file.rest.is_clean()
            && !ahead.contains(&file.header.number)
            && u64::from(file.index.end) < file.len.min(file_bytes.into())
    };
    let active = if let Some(file) = last.filter(goes_on) {
        let number = file.header.number;
        let capacity = u32::try_from(file.len).unwrap_or(u32::MAX);
        let slots = file.slots(medium)?.into_owned();
        let Scanned { name, file, index, .. } = file;
        let index = Index { slots, ..index };
        Active { number, name, file, capacity, needs_header: false, index }
    } else {
        let number = next_number;
        next_number += 1;
        let name = format!("{next_name:08}.log");
        next_name += 1;
        let made = medium.create(&name, file_bytes.into());
        let file = made.map_err(|source| cannot("create", medium.path(&name), source))?;
        let index = Index::empty(DATA_START);
        Active { number, name, file, capacity: file_bytes, needs_header: true, index }
    };
    // A power cut may have left records in them whose header, and so their number, was lost: a file that is given
    // the number again would have them as its own. There is another file by now, so that names go on from it.
    for name in &free {
        // That it is free must be on disk before its marks go: else both its records and they might not be gone.
        let synced = medium.open(name).and_then(|file| file.sync());
        synced.map_err(|source| cannot("sync", medium.path(name), source))?;
        for name in [name, &marks_name(name), &index_name(name)] {
            medium.remove(name).map_err(|source| cannot("remove", medium.path(name), source))?;
        }
    }
    let number = active.number;
    let capacity = active.capacity;
    let state = files.remove(&number).map_or_else(
        || FileState::begun(active.name.clone(), capacity),
        |state| FileState { is_full: false, ..state },
    );
    files.insert(number, state);
    let mut inbox = Inbox::new(active, files);
    inbox.next_number = next_number;
    inbox.next_name = next_name;
    Ok(inbox)
}

impl Inbox {
    /// Takes the files out that nothing waits in.
    fn take_dead(&mut self) -> Vec<(u32, String, u32)> {
        let dead = self.files.extract_if(|_, state| state.is_dead());
        dead.map(|(number, state)| (number, state.name, state.capacity)).collect()
    }
}
