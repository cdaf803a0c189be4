//! A store on a simulated disk beside the model of it, and the operations that are done to both.
//!
//! Start reading at [`World::act`].

use std::sync::Arc;

use mq::store::{
    Counted, CountedAt, NewRecord, OpenReport, Options, Outcome, QueueId, Refused, SlotRanges,
    Store, StoreError,
};

use crate::disk::{Disk, End};
use crate::model::{Content, FIRST_AT, Left, Mark, Model, Told, is_told_right};
use crate::random::Random;

/// What consumers leave waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// The end of a queue.
    InOrder,
    /// A message here and there, so that files become sparse and are given up.
    Sparse,
}

/// A store and what it should hold.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: Disk,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) model: Model,
    pub(crate) random: Random,
    pub(crate) options: Options,
    pub(crate) habit: Habit,
    /// Most messages' size, in bytes; few are up to eight times as large.
    pub(crate) bytes_max: usize,
    /// What was done, for whoever has to find out what went wrong.
    pub(crate) trace: Vec<String>,
    /// Whether the disk may refuse something without a crash.
    pub(crate) is_faulty: bool,
    /// Whether consumers and the marker work while others do, and messages are handed on.
    pub(crate) has_company: bool,
}

impl World {
    /// A new directory with two queues, opened.
    pub(crate) fn new(seed: u64, options: Options, habit: Habit, bytes_max: usize) -> Self {
        let mut model = Model::default();
        for _ in 0..2 {
            model.add_queue();
        }
        Self {
            disk: Disk::default(),
            store: None,
            model,
            random: Random::new(seed),
            options,
            habit,
            bytes_max,
            trace: Vec::new(),
            is_faulty: false,
            has_company: false,
        }
    }

    /// Another disk with the same past.
    pub(crate) fn on(&self, disk: Disk) -> Self {
        Self {
            disk,
            store: None,
            model: self.model.clone(),
            random: self.random.clone(),
            trace: self.trace.clone(),
            ..*self
        }
    }

    pub(crate) fn note(&mut self, done: impl FnOnce() -> String) {
        self.trace.push(format!("{:5} {}", self.disk.operations(), done()));
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        self.store.as_ref().expect("the directory is open")
    }

    /// Opens the directory and compares what it holds; `false` when the disk crashed meanwhile.
    pub(crate) fn open(&mut self, left: Left) -> Result<bool, String> {
        self.note(|| format!("open, left {left:?}"));
        match self.try_open() {
            Ok((told, report)) => {
                self.check_told(left, told, &report)?;
                self.check_content()?;
                Ok(true)
            }
            Err(_) if self.disk.has_crashed() => Ok(false),
            Err(error) => Err(format!("opening is refused: {error}")),
        }
    }

    /// Opens the directory and compares nothing.
    pub(crate) fn try_open(&mut self) -> Result<(Told, OpenReport), StoreError> {
        let mut told = Told { known: self.model.queues.clone(), waiting: Vec::new() };
        let (kept, spill) = (Arc::new(self.disk.clone()), Arc::new(Disk::default()));
        let (store, report) = Store::open_on(kept, spill, self.options, &mut told)?;
        self.store = Some(Arc::new(store));
        Ok((told, report))
    }

    fn check_told(&mut self, left: Left, told: Told, report: &OpenReport) -> Result<(), String> {
        if report.messages != told.waiting.len() as u64 {
            return Err(format!("{report:?} for {} messages", told.waiting.len()));
        }
        for (queue, waiting) in &told.waiting {
            let content = self.content(waiting.published_at.wrapping_sub(FIRST_AT));
            if !is_told_right(&content, waiting) {
                return Err(format!("{queue:?} has {waiting:?} where {content:?} was published"));
            }
        }
        self.model.on_opened(left, told)
    }

    /// Reads all that waits and compares it.
    pub(crate) fn check_content(&self) -> Result<(), String> {
        self.read(&self.model.waiting())
    }

    pub(crate) fn content(&self, number: u64) -> Content {
        self.model.content(number, self.bytes_max)
    }

    /// Reads messages and compares them.
    fn read(&self, keys: &[(QueueId, u64)]) -> Result<(), String> {
        let places: Vec<_> = keys.iter().map(|key| self.model.messages[key].place).collect();
        let mut problem = None;
        let mut read = 0;
        self.store().read(&places, &mut |nth, record| {
            let key = keys[nth];
            let content = self.content(key.1);
            let is_right = record.as_ref().is_ok_and(|record| {
                record.bytes == content.bytes
                    && record.time_to_live_ms == content.time_to_live_ms
                    && record.names_len == content.names_len
                    && record.properties_len == content.properties_len
            });
            if nth != read || !is_right {
                let error = record.map(|record| record.bytes.len());
                problem.get_or_insert_with(|| format!("{key:?} is read as {error:?}"));
            }
            read += 1;
        });
        if read != keys.len() {
            return Err(format!("{read} of {} messages were read", keys.len()));
        }
        problem.map_or(Ok(()), Err)
    }

    /// Does something to the store and the model.
    pub(crate) fn act(&mut self) -> Result<(), String> {
        match self.random.below(100) {
            99 => self.close(),
            what => self.act_open_with(what),
        }
    }

    /// The same, and the store stays open.
    pub(crate) fn act_open(&mut self) -> Result<(), String> {
        let what = self.random.below(99);
        self.act_open_with(what)
    }

    fn act_open_with(&mut self, what: u64) -> Result<(), String> {
        match what {
            0..8 if self.has_company => self.replace()?,
            68..97 if self.has_company => self.step_in_company(),
            0..35 => self.append()?,
            35..47 => self.settle_some(),
            47..52 => self.settle_synced(),
            52..60 => self.deliver(),
            60..68 => {
                let keys = self.some_waiting(6);
                self.read(&keys)?;
            }
            68..92 => self.step(),
            92..97 => self.step_round(),
            97 | 98 if self.habit == Habit::Sparse => self.step_round(),
            97 => self.remove_queue(),
            _ => {
                let all = self.model.waiting();
                self.settle_keys(&all);
            }
        }
        self.look();
        Ok(())
    }

    /// Sees what has become of batches.
    pub(crate) fn look(&mut self) {
        let store = self.store.as_ref().expect("the directory is open");
        self.model.on_synced(|batch| store.outcome(batch) == Outcome::Synced);
    }

    pub(crate) fn append(&mut self) -> Result<(), String> {
        match self.try_append() {
            Some(refused) if !self.disk.has_crashed() && !self.is_faulty => {
                Err(format!("a message is refused: {refused:?}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Appends a message; answers why it was refused if it was.
    pub(crate) fn try_append(&mut self) -> Option<Refused> {
        let all: Vec<QueueId> = self.model.queues.iter().copied().collect();
        let queues =
            if self.random.one_in(4) { all } else { vec![all[self.random.index(all.len())]] };
        let number = self.model.next_number();
        self.append_content(&queues, number).err()
    }

    fn append_content(&mut self, queues: &[QueueId], number: u64) -> Result<(), Refused> {
        let content = self.content(number);
        let new = NewRecord {
            queues,
            published_at: content.published_at,
            time_to_live_ms: content.time_to_live_ms,
            priority: Some(content.priority).filter(|priority| *priority < 9),
            note: content.priority,
            names_len: content.names_len,
            properties_len: content.properties_len,
            bytes: &content.bytes,
        };
        let appended = self.store().append(&new);
        let len = content.bytes.len();
        self.note(|| format!("append {number} of {len} bytes to {queues:?}: {appended:?}"));
        let appended = appended?;
        for (nth, queue) in (0..).zip(queues) {
            self.model.add(*queue, number, appended.first.nth(nth), appended.batch);
        }
        Ok(())
    }

    /// Appends a message of so many bytes to one queue.
    pub(crate) fn append_sized(&mut self, queue: QueueId, len: usize) -> (QueueId, u64) {
        let number = self.model.next_sized(len);
        let appended = self.append_content(&[queue], number);
        appended.expect("there is room");
        (queue, number)
    }

    /// Some of what waits, in the order of a queue, now and then one after the other.
    pub(crate) fn some_waiting(&mut self, max: usize) -> Vec<(QueueId, u64)> {
        let waiting = self.model.waiting();
        if waiting.is_empty() {
            return Vec::new();
        }
        let count = 1 + self.random.index(max);
        let from = if self.random.one_in(2) { 0 } else { self.random.index(waiting.len()) };
        waiting.into_iter().skip(from).take(count).collect()
    }

    pub(crate) fn slots(&self, keys: &[(QueueId, u64)]) -> SlotRanges {
        keys.iter().map(|key| self.model.messages[key].place).collect()
    }

    fn settle_some(&mut self) {
        let keys = match self.habit {
            Habit::InOrder => self.some_waiting(8),
            Habit::Sparse => {
                let mut waiting = self.model.waiting();
                waiting.retain(|(_, number)| number % 12 != 0);
                waiting
            }
        };
        self.settle_keys(&keys);
    }

    pub(crate) fn settle_keys(&mut self, keys: &[(QueueId, u64)]) {
        self.note(|| format!("settle {keys:?}"));
        self.store().settle(&self.slots(keys));
        for key in keys {
            self.model.messages.get_mut(key).unwrap().settled = Mark::Told;
        }
    }

    fn settle_synced(&mut self) {
        let mut keys = self.some_waiting(4);
        keys.retain(|(_, number)| self.habit == Habit::InOrder || number % 12 != 0);
        let batch = self.store().settle_synced(&self.slots(&keys));
        self.note(|| format!("settle synced {keys:?}: {batch:?}"));
        for key in keys {
            let message = self.model.messages.get_mut(&key).unwrap();
            message.settled = Mark::Told;
            message.settling = Some(batch);
        }
    }

    fn deliver(&mut self) {
        let keys = self.some_waiting(6);
        self.note(|| format!("deliver {keys:?}"));
        self.store().mark_delivered(&self.slots(&keys));
        if self.random.one_in(2) {
            self.count(&keys);
        }
        for key in keys {
            let delivered = &mut self.model.messages.get_mut(&key).unwrap().delivered;
            if *delivered != Mark::Safe {
                *delivered = Mark::Told;
            }
        }
    }

    /// Messages came back once more, and may be out again.
    fn count(&mut self, keys: &[(QueueId, u64)]) {
        let counted: Vec<Counted> = keys
            .iter()
            .map(|key| {
                let at =
                    if self.random.one_in(2) { CountedAt::Delivery } else { CountedAt::Return };
                let is_failure = self.random.one_in(2);
                let message = self.model.messages.get_mut(key).unwrap();
                let last = message.counts.last().map(|(counts, _)| *counts).unwrap_or_default();
                let counts = last.and_one(is_failure);
                message.counts.push((counts, Mark::Told));
                Counted { place: message.place, counts, at }
            })
            .collect();
        self.note(|| format!("count {counted:?}"));
        self.store().mark_counted(&counted);
    }

    pub(crate) fn step(&mut self) {
        self.note(|| "step".to_owned());
        self.store().step();
        if !self.disk.has_crashed() && !self.is_faulty {
            self.model.advance(Mark::Told, Mark::Written);
        }
    }

    pub(crate) fn step_round(&mut self) {
        self.note(|| "round".to_owned());
        self.store().step_round();
        if !self.disk.has_crashed() && !self.is_faulty {
            self.model.advance(Mark::Written, Mark::Safe);
        }
    }

    fn remove_queue(&mut self) {
        let all: Vec<QueueId> = self.model.queues.iter().copied().collect();
        let queue = all[self.random.index(all.len())];
        let slots = self.model.remove_queue(queue);
        self.note(|| format!("remove {queue:?}"));
        if self.random.one_in(2) {
            self.store().settle(&slots);
        }
        self.model.add_queue();
    }

    /// Closes the directory and opens it again.
    pub(crate) fn close(&mut self) -> Result<(), String> {
        self.note(|| "close".to_owned());
        self.store().close();
        self.look();
        if self.disk.has_crashed() {
            return Ok(());
        }
        self.open(Left::Closed)?;
        Ok(())
    }

    /// The broker ends, and the next one finds what is left.
    pub(crate) fn end(&mut self, end: End, seed: u64) {
        self.note(|| format!("{end:?}, {seed}"));
        self.store = None;
        self.disk = self.disk.after(end, seed);
    }
}
