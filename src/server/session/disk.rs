//! What a connection waits for: confirms for their sync, and the three reasons not to read from it for a while.
//!
//! - A commit that is not on disk yet: the frames behind it keep their order.
//! - Too much is under way to the disk, and this connection has added to it.
//! - An alarm is on and it has published (RabbitMQ: `rabbit_reader`, "blocked"): it is told so when its
//!   client can take that, and goes on when the alarm is over.
//!
//! All that waits for the disk waits for a batch, and batches are synced in their order: [`Session::awaits`] names
//! the first one, and [`Session::on_synced`] does what is due when it is there.

use std::collections::BTreeSet;

use super::channel::{Channel, Mode};
use super::{Context, Phase, Running, Session, tx};
use crate::broker::queue::Millis;
use crate::store::{Batch, Outcome, Runs, Store};
use crate::wire::frame;
use crate::wire::method::connection;
use crate::wire::shortstr::literal;

/// What a connection has under way to the disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What was published in this round.
    pub(super) published: Published,
    /// What was settled in this round and the store is to be told of.
    pub(super) settled: Runs,
    /// The channel whose commit is on its way, and the batch it is safe with.
    commit: Option<(u16, Batch)>,
    /// Channels whose next confirm waits for a batch.
    confirming: BTreeSet<u16>,
    /// What must be on disk before more is taken.
    congested_until: Option<Batch>,
    /// An alarm has stopped this connection.
    is_blocked: bool,
    /// The first batch that any of these waits for.
    awaits: Option<Batch>,
}

/// What was published in a round, least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Published {
    #[default]
    Nothing,
    Something,
    /// Something that the store is to keep.
    ToKeep,
}

impl Disk {
    /// Whether the connection is not to be read from.
    pub(super) fn is_held(&self) -> bool {
        self.commit.is_some() || self.congested_until.is_some() || self.is_blocked
    }

    /// Whether a frame must wait for a commit.
    #[inline]
    pub(super) fn is_committing(&self) -> bool {
        self.commit.is_some()
    }

    /// Holds the connection until a commit is safe.
    pub(super) fn commit(&mut self, channel: u16, safe_with: Batch) {
        self.commit = Some((channel, safe_with));
        self.wait_for(safe_with);
    }

    /// Remembers that something waits for a batch.
    fn wait_for(&mut self, batch: Batch) {
        self.awaits = Some(self.awaits.map_or(batch, |first| first.min(batch)));
    }

    /// Settles with the store what was settled since the last time.
    pub(super) fn tell_settled(&mut self, store: Option<&Store>) {
        if self.settled.is_empty() {
            return;
        }
        let settled = std::mem::take(&mut self.settled);
        if let Some(store) = store {
            store.settle(&settled);
        }
    }
}

impl Session {
    /// Whether nothing is to be read from the peer for now.
    pub fn is_held(&self) -> bool {
        matches!(&self.phase, Phase::Running(running) if running.disk.is_held())
    }

    /// Whether that is because of an alarm, which may take long.
    pub fn is_blocked(&self) -> bool {
        matches!(&self.phase, Phase::Running(running) if running.disk.is_blocked)
    }

    /// The first batch that this connection waits for.
    pub fn awaits(&self) -> Option<Batch> {
        match &self.phase {
            Phase::Running(running) => running.disk.awaits,
            Phase::Handshake(_) | Phase::Closing { .. } | Phase::Silent { .. } | Phase::Closed => {
                None
            }
        }
    }

    /// Where messages are kept.
    pub fn store(&self) -> Option<&Store> {
        self.cx.broker.store.as_deref()
    }

    /// Does what is due when the batch of [`Self::awaits`] is there: confirms, `tx.commit-ok`, reading on.
    ///
    /// Answers whether it was there.
    pub fn on_synced(&mut self, now: Millis, out: &mut Vec<u8>) -> bool {
        let Phase::Running(running) = &mut self.phase else { return false };
        let (Some(awaited), Some(store)) = (running.disk.awaits, &self.cx.broker.store) else {
            return false;
        };
        if store.outcome(awaited) == Outcome::Waiting {
            return false;
        }
        running.confirm_waiting(store, out);
        let is_there = |batch: Batch| store.outcome(batch) != Outcome::Waiting;
        running.disk.congested_until.take_if(|batch| is_there(*batch));
        let committed = running.disk.commit.take_if(|(_, batch)| is_there(*batch));
        running.recount_awaited();
        let is_held = running.disk.is_held();
        if let Some((channel, batch)) = committed {
            match store.outcome(batch) {
                Outcome::Synced => tx::write_commit_ok(channel, out),
                Outcome::Waiting | Outcome::Failed => {
                    self.on_fault(channel, &tx::partly_committed(), now, out);
                }
            }
        }
        if !is_held {
            self.cx.heartbeat.on_received(now);
        }
        true
    }

    /// Goes on with a connection that an alarm has stopped.
    pub(super) fn on_unblocked(&mut self, now: Millis, out: &mut Vec<u8>) {
        let Phase::Running(running) = &mut self.phase else { return };
        // Another alarm may have begun since this was posted; its end will be told as well.
        if !running.disk.is_blocked || self.cx.broker.alarm.is_on() {
            return;
        }
        running.disk.is_blocked = false;
        self.cx.connection.is_blocked.set(0);
        if running.wants_blocked {
            frame::write_method(out, 0, &connection::Unblocked {}.into());
        }
        self.cx.heartbeat.on_received(now);
    }
}

impl Running {
    /// Sends what waited for the end of a batch of frames: confirms, settlements, memory back to the allocator;
    /// and decides whether to read on.
    pub(super) fn finish_round(&mut self, cx: &Context, now: Millis, out: &mut Vec<u8>) {
        let store = cx.broker.store.as_deref();
        for number in std::mem::take(&mut self.confirming) {
            let Some(channel) = self.channels.get_mut(&number) else { continue };
            if let Some(batch) = channel.write_confirms(store, out) {
                self.disk.confirming.insert(number);
                self.disk.wait_for(batch);
            }
        }
        self.disk.tell_settled(store);
        for number in std::mem::take(&mut self.gathered) {
            if let Some(channel) = self.channels.get_mut(&number) {
                channel.end_round(now);
            }
        }
        let published = std::mem::take(&mut self.disk.published);
        if published == Published::Nothing {
            return;
        }
        if published == Published::ToKeep
            && let Some(store) = store
        {
            // Only now: the messages of this round are with their consumers.
            store.ring();
        }
        if published == Published::ToKeep
            && let Some(store) = store
            && store.is_congested()
        {
            let latest = store.latest();
            self.disk.congested_until = Some(latest);
            self.disk.wait_for(latest);
        }
        if cx.broker.alarm.is_on() && !self.disk.is_blocked {
            self.disk.is_blocked = true;
            cx.connection.is_blocked.set(1);
            if self.wants_blocked {
                let reason = literal(cx.broker.alarm.reason());
                frame::write_method(out, 0, &connection::Blocked { reason }.into());
            }
        }
    }

    /// Confirms what is due on the channels whose confirms wait for the disk.
    fn confirm_waiting(&mut self, store: &Store, out: &mut Vec<u8>) {
        let channels = &mut self.channels;
        self.disk.confirming.retain(|number| {
            channels
                .get_mut(number)
                .is_some_and(|channel| channel.write_confirms(Some(store), out).is_some())
        });
    }

    /// Looks anew at everything that waits for a batch.
    fn recount_awaited(&mut self) {
        let confirms = self.disk.confirming.iter().filter_map(|number| {
            match self.channels.get(number).map(Box::as_ref) {
                Some(Channel { mode: Mode::Confirm(confirms), .. }) => confirms.awaits(),
                Some(_) | None => None,
            }
        });
        let commit = self.disk.commit.map(|(_, batch)| batch);
        self.disk.awaits = confirms.chain(commit).chain(self.disk.congested_until).min();
    }
}

impl Channel {
    /// Appends the confirms that are due; answers which batch the next one waits for.
    pub(super) fn write_confirms(
        &mut self,
        store: Option<&Store>,
        out: &mut Vec<u8>,
    ) -> Option<Batch> {
        let Mode::Confirm(confirms) = &mut self.mode else { return None };
        if self.awaits_close_ok {
            return None;
        }
        // Without a store there are no batches.
        let outcome = |batch| store.map_or(Outcome::Synced, |store| store.outcome(batch));
        let answered = confirms.write(self.number, outcome, out);
        self.info.counters.confirm.add(answered.acked);
        self.info.unconfirmed.set(confirms.unanswered());
        confirms.awaits()
    }
}
