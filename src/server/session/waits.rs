//! Events that a connection waits for: batches on disk, messages that are read, the end of an alarm.
//!
//! - A commit that is not on disk yet, or a `basic.get` or rejected messages that must be read first, hold the frames
//!   behind them, so that frames keep their order.
//! - The connection is not read from while too much is under way to the disk and it has added to that.
//! - The connection is not read from while an alarm is on and it publishes (RabbitMQ: `rabbit_reader`, "blocked").
//! - Confirms wait for a batch and hold nothing.
//!
//! All that waits for the disk waits for a batch, and batches are synced in their order: [`Waits::awaits`] names the
//! first one.

use std::collections::BTreeSet;

use crate::store::Batch;
use crate::wire::method::basic;

/// The events that a connection waits for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Number of commits, gets and queues with dead letters that hold the next frame, so that it checks one number.
    frames_wait_for: u32,
    /// The channel whose commit is on its way, and the batch it is safe with.
    commit: Option<(u16, Batch)>,
    /// Channels whose next confirm waits for a batch.
    confirming: BTreeSet<u16>,
    /// The channel whose get waits for its message to be read, and the get.
    get: Option<Box<(u16, basic::Get)>>,
    /// Number of queues that read rejected messages before they publish them as dead letters.
    dead_letters: u32,
    /// The batch that must be on disk before more is taken.
    congested_until: Option<Batch>,
    /// An alarm has stopped this connection.
    is_blocked: bool,
    /// The first batch that any of these waits for, or an earlier one.
    awaits: Option<Batch>,
}

impl Waits {
    /// Tells whether the connection is not to be read from.
    pub(super) fn is_held(&self) -> bool {
        self.holds_frames() || self.congested_until.is_some() || self.is_blocked
    }

    /// Tells whether a frame must wait for a commit, a get or dead letters.
    #[inline]
    pub(super) fn holds_frames(&self) -> bool {
        self.frames_wait_for > 0
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    pub(super) fn set_blocked(&mut self, is_blocked: bool) {
        self.is_blocked = is_blocked;
    }

    /// The first batch that the connection waits for.
    pub(super) fn awaits(&self) -> Option<Batch> {
        self.awaits
    }

    /// Holds the connection until one more queue has published its dead letters.
    pub(super) fn add_dead_letters(&mut self) {
        self.dead_letters += 1;
        self.frames_wait_for += 1;
    }

    /// Notes that a queue has published its dead letters.
    pub(super) fn end_dead_letters(&mut self) {
        self.dead_letters -= 1;
        self.frames_wait_for -= 1;
    }

    /// Holds the connection until the message of a get has been read.
    pub(super) fn add_get(&mut self, channel: u16, get: basic::Get) {
        debug_assert!(self.get.is_none(), "frames behind a get wait for it");
        self.get = Some(Box::new((channel, get)));
        self.frames_wait_for += 1;
    }

    /// Takes the get whose message has been read.
    pub(super) fn take_get(&mut self) -> Option<(u16, basic::Get)> {
        let get = *self.get.take()?;
        self.frames_wait_for -= 1;
        Some(get)
    }

    /// Holds the connection until a commit is safe.
    pub(super) fn add_commit(&mut self, channel: u16, safe_with: Batch) {
        debug_assert!(self.commit.is_none(), "frames behind a commit wait for it");
        self.commit = Some((channel, safe_with));
        self.frames_wait_for += 1;
        self.wait_for(safe_with);
    }

    /// Takes the commit if its batch `is_there`, with the number of its channel.
    pub(super) fn take_commit(&mut self, is_there: impl Fn(Batch) -> bool) -> Option<(u16, Batch)> {
        let commit = self.commit.take_if(|(_, batch)| is_there(*batch))?;
        self.frames_wait_for -= 1;
        Some(commit)
    }

    /// Notes that the next confirm of a channel waits for a batch.
    pub(super) fn add_confirms(&mut self, channel: u16, batch: Batch) {
        self.confirming.insert(channel);
        self.wait_for(batch);
    }

    /// Forgets the confirms of a channel that ends.
    pub(super) fn forget_confirms(&mut self, channel: u16) {
        self.confirming.remove(&channel);
    }

    /// Holds the connection until this batch is on disk.
    pub(super) fn hold_until(&mut self, batch: Batch) {
        self.congested_until = Some(batch);
        self.wait_for(batch);
    }

    fn wait_for(&mut self, batch: Batch) {
        self.awaits = Some(self.awaits.map_or(batch, |first| first.min(batch)));
    }

    /// Ends the waits for batches that are there. `confirm` sends the due confirms of a channel and answers with the
    /// batch that its next one waits for.
    pub(super) fn on_batch(
        &mut self,
        is_there: impl Fn(Batch) -> bool,
        mut confirm: impl FnMut(u16) -> Option<Batch>,
    ) {
        let mut first: Option<Batch> = None;
        self.confirming.retain(|number| {
            let next = confirm(*number);
            first = first.into_iter().chain(next).min();
            next.is_some()
        });
        self.congested_until.take_if(|batch| is_there(*batch));
        let commit = self.commit.map(|(_, batch)| batch);
        self.awaits = first.into_iter().chain(commit).chain(self.congested_until).min();
    }

    /// Panics unless the numbers agree with the waits that they count.
    #[cfg(debug_assertions)]
    pub(super) fn assert_sound(&self) {
        let holding =
            u32::from(self.commit.is_some()) + u32::from(self.get.is_some()) + self.dead_letters;
        assert_eq!(self.frames_wait_for, holding, "{self:?}");
        let commit = self.commit.map(|(_, batch)| batch);
        for batch in commit.into_iter().chain(self.congested_until) {
            assert!(self.awaits.is_some_and(|first| first <= batch), "{self:?}");
        }
        assert!(self.confirming.is_empty() || self.awaits.is_some(), "{self:?}");
    }

    /// The channels whose next confirm waits for a batch.
    #[cfg(debug_assertions)]
    pub(super) fn confirming(&self) -> &BTreeSet<u16> {
        &self.confirming
    }

    /// Holds frames for nothing, so that a test sees it found.
    #[cfg(all(test, debug_assertions))]
    pub(super) fn plant_hold(&mut self) {
        self.frames_wait_for += 1;
    }
}
