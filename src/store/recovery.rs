//! Opening a directory: finds the whole records, those that wait for their queue, and the file to append to.
//!
//! Every whole record is kept, whatever stands around it. What is not whole is told and copied aside (`damage`). What a
//! start must not decide by itself ends it with an error that names the file, before anything is changed.
//!
//! Start reading at [`open`].

use std::num::NonZeroU32;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::batch::{Batch, Health};
use super::counts::{self, Counted};
use super::damage::{self, DamageOrigin, DamagedRecord};
use super::error::{StoreError, cannot};
use super::files::{Files, LogFile};
use super::gathering::{Active, Gathering};
use super::index::{Index, Slot, index_name};
use super::jobs::Job;
use super::log::{Log, LogDurability, Options};
use super::marks::{self, Mark, Marks, marks_name};
use super::medium::Medium;
use super::open_marks::OpenMarks;
use super::place::{Place, QueueId};
use super::record::{DATA_START, FileHeader, FileKind};
use super::recovered::{OpenReport, Recovered, Waiting};
use super::scan::{self, Opened, Scanned};
use super::slot_ranges::SlotRanges;
use super::state::LogState;

/// The files of a directory.
pub(super) struct Found {
    /// In the order of their numbers.
    pub(super) files: Vec<Scanned>,
    /// The names of those that hold nothing.
    pub(super) free: Vec<String>,
    pub(super) last_number: u32,
    last_name: u32,
}

/// Reads what is there and finds what is not whole.
///
/// # Errors
///
/// Damage that an operator must decide about: see `store`.
pub(super) fn find(medium: &dyn Medium) -> Result<Found, StoreError> {
    let found = find_unrefused(medium)?;
    for file in &found.files {
        if let Some(offset) = hidden_slots(medium, file)? {
            return Err(StoreError::Damaged {
                path: medium.path(&file.name),
                offset: offset.into(),
                what: "it is not known which of the messages after it are settled",
            });
        }
    }
    Ok(found)
}

/// The same, and refuses nothing but files whose headers cannot be read.
pub(super) fn find_unrefused(medium: &dyn Medium) -> Result<Found, StoreError> {
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
        match scan::open(medium, &name)? {
            Opened::Records(mut file) => {
                file.forget_slots();
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
    /// Finds the torn ends of files, and tells them from damage.
    fn judge(&mut self, medium: &dyn Medium) -> Result<(), StoreError> {
        // The last record of the files so far.
        let (mut sequence, mut batch) = (0, Batch(0));
        for at in 0..self.files.len() {
            let follower = self.follower(at).map(|next| &self.files[next]);
            let gap = follower.map(|next| {
                let begins_with_hole = next.holes.first().is_some_and(|h| h.offset == DATA_START);
                (next.index.first_sequence, begins_with_hole)
            });
            let file = &mut self.files[at];
            if file.header.kind != FileKind::Log {
                continue;
            }
            sequence = sequence.max(file.index.last_sequence);
            batch = batch.max(file.index.last_batch);
            let is_torn = match gap {
                Some((first, _)) if first == file.index.last_sequence + 1 => false,
                Some((first, false)) if first > 0 => true,
                // Old bytes are there as well where a file is used again, but none with a number that comes next.
                Some(_) | None => file.next.is_some_and(|next| {
                    next.sequence == sequence + 1
                        // Wraps for a number that is lower, or is none.
                        || next.batch.0 > 0 && next.batch.0.wrapping_sub(batch.0) <= 1
                }),
            };
            if is_torn {
                let torn = file.add_torn_end();
                torn.map_err(|source| cannot("read", medium.path(&file.name), source))?;
            }
        }
        let mut is_proven = false;
        for file in self.files.iter_mut().rev() {
            if file.header.kind != FileKind::Log {
                continue;
            }
            for hole in &mut file.holes {
                hole.was_synced |= is_proven || hole.batch.is_some_and(|of_hole| of_hole < batch);
            }
            is_proven |= file.proves_earlier;
        }
        Ok(())
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

    /// Copies damaged records and has whole ones on the disk; answers the damage that was not copied before. Files
    /// without records are free then.
    fn secure(&mut self, medium: &dyn Medium) -> Result<Vec<DamagedRecord>, StoreError> {
        let mut damaged = Vec::new();
        for file in &self.files {
            damaged.extend(copy_damaged(medium, file)?);
        }
        for file in &mut self.files {
            let made_safe = if file.slot_count() == 0 {
                // Else those that are begun next would seem to follow messages that are missing.
                file.free()
            } else if file.first.is_some() {
                // After a kill it may be with the operating system only. What is told here as waiting must not be gone
                // after a power cut, nor missing before records that are synced by then.
                file.make_safe()
            } else {
                Ok(())
            };
            made_safe.map_err(|source| cannot("write", medium.path(&file.name), source))?;
        }
        let empty = self.files.extract_if(.., |file| file.slot_count() == 0);
        self.free.extend(empty.map(|file| file.name));
        Ok(damaged)
    }
}

/// The offset of a damaged record that was not copied yet, and behind which it cannot be told which messages are
/// settled: the number of its slots is not known, and the file has marks.
pub(super) fn hidden_slots(medium: &dyn Medium, file: &Scanned) -> Result<Option<u32>, StoreError> {
    for hole in file.holes.iter().filter(|hole| hole.hides_slots) {
        if damage::is_not_copied(medium, file, hole)? && file.has_marks(medium)? {
            return Ok(Some(hole.offset));
        }
    }
    Ok(None)
}

/// Opens a kept log, tells `recovered` what waits, and makes it ready for more.
pub(super) fn open(
    medium: Arc<dyn Medium>,
    mut found: Found,
    options: Options,
    recovered: &mut dyn Recovered,
) -> Result<(Log, OpenReport), StoreError> {
    let mut report = OpenReport { damaged: found.secure(&*medium)?, ..OpenReport::default() };
    let mut copies = Copies::find(&found.files, &*medium)?;
    let mut unknown = SlotRanges::default();
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
        report.note_broken(&*medium, file, &marks);
        let live = tell(file, &slots, &marks, recovered, &mut unknown);
        report.messages += u64::from(live);
        // Those that are not whole had numbers, too.
        let holes = file.holes.len() as u64;
        next_sequence = next_sequence.max(highest_sequence(&file.index) + 1 + holes);
        if !is_copy(file) {
            last_batch = last_batch.max(file.index.last_batch);
        }
        let capacity = u32::try_from(file.len).unwrap_or(u32::MAX);
        let (name, slots) = (file.name.clone(), file.slot_count());
        let found = LogFile::found(file.header, name, capacity, slots, live);
        files.insert(file.header.number, found);
    }
    copies.write(&found.files, &*medium)?;
    for range in unknown.iter() {
        if let Some(file) = files.get_mut(&range.file.get()) {
            file.add_live(range.count);
        }
    }
    report.files = files.len() as u64;
    let batch = Batch(last_batch.0 + 1);
    let (active, files) = begin(&*medium, options, found, files, &ahead)?;
    let state = LogState::new(Gathering::new(active, batch, next_sequence), files);
    let log = Log::new(medium, LogDurability::Kept, options, state);
    log.free_unused(&mut log.lock());
    log.settle(&unknown);
    log.order(Job::Prepare);
    debug_assert_eq!(log.health(), Health::Well);
    Ok((log, report))
}

impl OpenReport {
    fn note_broken(&mut self, medium: &dyn Medium, file: &Scanned, marks: &Marks) {
        if marks.broken > 0 {
            self.broken_marks.push((medium.path(&marks_name(&file.name)), marks.broken));
        }
        if file.has_broken_index {
            self.broken_indexes.push(medium.path(&index_name(&file.name)));
        }
    }
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
    /// Slots to be marked: those whose copies count, and copies of slots that were settled or delivered.
    moved: SlotRanges,
    settled: SlotRanges,
    counted: Vec<Counted>,
    delivered: SlotRanges,
}

impl Copies {
    pub(super) fn find(files: &[Scanned], medium: &dyn Medium) -> Result<Self, StoreError> {
        let mut copies = Self::default();
        for file in files.iter().filter(|file| file.header.kind == FileKind::Survivors) {
            copies.marks.insert(file.number(), file.marks(medium)?);
            for (slot, of) in (0..).zip(&file.index.slots).filter(|(_, of)| !of.is_lost()) {
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

    /// Lets the copy of a slot count, and be settled or delivered if the slot was.
    fn give_way(&mut self, slot: Place, copy: Place, marks: &mut Marks) {
        if marks.delivered.has(slot.slot)
            && let Some(of_copy) = self.marks.get_mut(&copy.file)
            && of_copy.delivered.insert(copy.slot)
        {
            self.delivered.push(copy);
        }
        if marks.settled.has(slot.slot) {
            let of_copy = self.marks.get_mut(&copy.file);
            if of_copy.is_some_and(|marks| marks.settled.insert(copy.slot)) {
                self.settled.push(copy);
            }
        } else if marks.moved.insert(slot.slot) {
            self.moved.push(slot);
            if let Some(counted) = marks.counts.get(slot.slot) {
                self.count(Counted { place: copy, ..counted });
            }
        }
    }

    /// Has a copy come back as often as its original.
    fn count(&mut self, counted: Counted) {
        if let Some(marks) = self.marks.get_mut(&counted.place.file) {
            marks.counts.note(counted);
            self.counted.push(counted);
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
        for (slot, of) in (0..).zip(slots).filter(|(_, of)| !of.is_lost()) {
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
        // Of the copies first: what they do not know is in the marks of what gives way.
        for (number, bytes) in counts::encode(&self.counted) {
            write_marks(files, medium, number, &bytes)?;
        }
        for (slots, mark) in [
            (&mut self.delivered, Mark::Delivered),
            (&mut self.settled, Mark::Settled),
            (&mut self.moved, Mark::Moved),
        ] {
            slots.join();
            for ranges in slots.by_file() {
                let mut bytes = Vec::new();
                marks::encode(ranges, mark, &mut bytes);
                write_marks(files, medium, ranges[0].file, &bytes)?;
            }
        }
        Ok(())
    }

    /// The marks of a file with survivors, once all others have been looked at.
    pub(super) fn take_marks(&mut self, file: &Scanned) -> Option<Marks> {
        self.marks.remove(&file.number())
    }
}

/// Adds marks to those of a file, and syncs them.
fn write_marks(
    files: &[Scanned],
    medium: &dyn Medium,
    number: NonZeroU32,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let Some(file) = files.iter().find(|file| file.number() == number) else { return Ok(()) };
    let name = marks_name(&file.name);
    let write = || {
        let mut open = OpenMarks::open(medium, &name)?;
        open.add(bytes)?;
        open.take_dirty().sync()
    };
    write().map_err(|source| cannot("write", medium.path(&name), source))
}

/// Tells of every slot that waits; answers how many. Those of queues that are no more are `unknown`.
fn tell(
    file: &Scanned,
    slots: &[Slot],
    marks: &Marks,
    recovered: &mut dyn Recovered,
    unknown: &mut SlotRanges,
) -> u32 {
    let mut live = 0;
    for (slot, of) in (0..).zip(slots) {
        if of.is_lost() || !marks.is_waiting(slot) {
            continue;
        }
        if !recovered.is_known(of.queue) {
            unknown.push(Place { file: file.number(), slot, offset: of.offset });
            continue;
        }
        live += 1;
        recovered.on_waiting(of.queue, waiting(file, slot, of, marks));
    }
    live
}

fn waiting(file: &Scanned, slot: u32, of: &Slot, marks: &Marks) -> Waiting {
    Waiting {
        place: Place { file: file.number(), slot, offset: of.offset },
        sequence: of.sequence,
        published_at: of.published_at,
        time_to_live_ms: of.time_to_live_ms,
        priority: of.priority,
        redelivered: of.is_delivered || marks.is_delivered(slot),
        counts: marks.counts.get(slot).map(|counted| counted.counts),
        body_len: of.body_len,
    }
}

/// Copies the damaged records of a file; answers those that were not copied before.
pub(super) fn copy_damaged(
    medium: &dyn Medium,
    file: &Scanned,
) -> Result<Vec<DamagedRecord>, StoreError> {
    let mut told = Vec::new();
    for (damaged, bytes) in damage::not_copied(medium, file)? {
        let origin = DamageOrigin::at(file, damaged.offset);
        let copy = damage::copy_bytes(medium, origin, &bytes)?;
        told.push(DamagedRecord { copy: Some(copy), ..damaged });
    }
    Ok(told)
}

/// Chooses the file to append to: the last one, if it ended well, or a free one.
fn begin(
    medium: &dyn Medium,
    options: Options,
    found: Found,
    mut files: FxHashMap<u32, LogFile>,
    ahead: &[u32],
) -> Result<(Active, Files), StoreError> {
    let Found { files: scanned, free, last_number, last_name } = found;
    let file_bytes = options.file_bytes;
    // One is left out, so that the new file does not seem to follow one that it does not.
    let mut next_number = last_number + 2;
    let mut next_name = last_name + 1;
    let last = scanned.into_iter().rfind(|file| file.header.kind == FileKind::Log);
    let goes_on = |file: &Scanned| {
        file.holes.is_empty()
            && !file.header.is_of_format_1()
            && !ahead.contains(&file.header.number)
            && u64::from(file.index.end) < file.len.min(file_bytes.into())
    };
    let active = if let Some(file) = last.filter(goes_on) {
        let capacity = u32::try_from(file.len).unwrap_or(u32::MAX);
        let slots = file.slots(medium)?.into_owned();
        let Scanned { header, name, file, index, .. } = file;
        let index = Index { slots, ..index };
        Active { header, name, file: Some(file), capacity, needs_header: false, index }
    } else {
        let header = FileHeader::begun(FileKind::Log, next_number);
        next_number += 1;
        let name = format!("{next_name:08}.log");
        next_name += 1;
        let made = medium.create(&name, file_bytes.into());
        let file = made.map_err(|source| cannot("create", medium.path(&name), source))?;
        Active::begun(header, name, Some(file), file_bytes, true)
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
    let number = active.header.number;
    let capacity = active.capacity;
    let file = files.remove(&number).map_or_else(
        || LogFile::begun(active.header, active.name.clone(), capacity),
        LogFile::reopened,
    );
    files.insert(number, file);
    Ok((active, Files::new(files, next_number, next_name)))
}
