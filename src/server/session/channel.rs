//! A channel: its mode, the deliveries its client has not settled, its consumers.

use std::collections::HashMap;
use std::sync::Arc;

use super::assembly::Assembly;
use super::confirms::Confirms;
use super::names::strip;
use super::overdue::OverdueDeliveries;
use super::round::Round;
use super::transaction::Transaction;
use super::unacked::{Outstanding, Unacked};
use crate::broker::mailbox::ConsumerSlot;
use crate::broker::queue::ChannelLimit;
use crate::broker::registry;
use crate::broker::time::Millis;
use crate::store::{Batch, Outcome, Store};
use crate::wire::{Fault, ReplyCode, ShortStr};

/// An open channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) number: u16,
    pub(super) info: Arc<registry::Channel>,
    pub(super) assembly: Assembly,
    pub(super) mode: Mode,
    /// The tag of the last delivery; 0 before the first.
    pub(super) last_tag: u64,
    pub(super) unacked: Outstanding,
    /// Some of them may have been taken back, so that only their tags are left.
    pub(super) has_void: bool,
    /// The deliveries for which it is closed, because its client has kept them for too long.
    pub(super) overdue: Vec<OverdueDeliveries>,
    pub(super) consumers: HashMap<ShortStr, ConsumerSlot>,
    /// The prefetch of consumers to come, as `basic.qos` set it; 0 for no limit.
    pub(super) prefetch: u32,
    pub(super) limit: Arc<ChannelLimit>,
    /// Number of times that its queues were asked to go on, for the limit.
    pub(super) resumed: usize,
    /// The queue last declared, which an empty name stands for.
    pub(super) last_queue: Option<ShortStr>,
    /// The consumer of direct replies; few channels have one.
    pub(super) reply: Option<Box<ReplyConsumer>>,
    /// The broker closed it; its frames are ignored until `channel.close-ok`.
    pub(super) awaits_close_ok: bool,
    /// It is in the list `gathered` of the round.
    pub(super) has_round_work: bool,
}

/// The promise of a channel for its publishes.
///
/// ```text
/// Plain --confirm.select--> Confirm
///   |
///   '-----tx.select-----> Transaction --tx.commit, tx.rollback--> Transaction (empty)
///
/// any of them --channel.close-----------------------------------> (gone)
/// any of them --a fault--> Plain, `awaits_close_ok` --close-ok--> (gone)
/// ```
///
/// A channel never goes from confirms to transactions, or the other way round.
#[derive(Debug)]
pub(super) enum Mode {
    Plain,
    Confirm(Confirms),
    Transaction(Transaction),
}

/// The consumer of direct replies.
#[derive(Debug)]
pub(super) struct ReplyConsumer {
    pub(super) tag: ShortStr,
    /// The name to which `reply_to` of the channel's requests is rewritten.
    pub(super) name: ShortStr,
}

impl Channel {
    pub(super) fn new(info: Arc<registry::Channel>) -> Self {
        Self {
            number: info.number,
            info,
            assembly: Assembly::default(),
            mode: Mode::Plain,
            last_tag: 0,
            unacked: Outstanding::default(),
            has_void: false,
            overdue: Vec::new(),
            consumers: HashMap::new(),
            prefetch: 0,
            limit: Arc::default(),
            resumed: 0,
            last_queue: None,
            reply: None,
            awaits_close_ok: false,
            has_round_work: false,
        }
    }

    /// Answers with the name, or with the last declared queue's if it is empty.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when the channel has declared none.
    pub(super) fn queue_name(&self, name: &ShortStr) -> Result<ShortStr, Fault> {
        if !name.is_empty() {
            return Ok(strip(name));
        }
        self.last_queue
            .clone()
            .ok_or_else(|| Fault::new(ReplyCode::NotFound, "no previously declared queue"))
    }

    /// Has [`Self::end_round`] be called at the end of this round.
    #[inline]
    pub(super) fn join(&mut self, round: &mut Round) {
        if !self.has_round_work {
            self.has_round_work = true;
            round.gathered.push(self.number);
        }
    }

    /// Brings the figures of listings up to date and gives memory back.
    pub(super) fn end_round(&mut self, now: Millis) {
        self.has_round_work = false;
        self.assembly.shrink();
        self.info.active_at.set(now);
        self.info.unacked.set(self.unacked.len() as u64);
        if let Mode::Transaction(transaction) = &self.mode {
            self.info.uncommitted.set(transaction.publishes());
            self.info.uncommitted_acks.set(transaction.settled());
        }
    }

    /// Takes the delivery with this tag, or with `multiple` all up to it, out of those to be settled.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` for a tag that names no outstanding delivery; tag 0 with `multiple` means all,
    /// also if there are none (RabbitMQ: `rabbit_channel:collect_acks`).
    pub(super) fn take_unacked(&mut self, tag: u64, multiple: bool) -> Result<Vec<Unacked>, Fault> {
        if tag == 0 && multiple {
            return Ok(self.take_all_unacked());
        }
        let taken = if multiple {
            self.unacked.take_up_to(tag)
        } else {
            self.unacked.take(tag).map(|one| vec![one])
        };
        let taken = taken.ok_or_else(|| {
            let text = format!("unknown delivery tag {tag}");
            Fault::new(ReplyCode::PreconditionFailed, text)
        })?;
        Ok(self.without_void(taken))
    }

    /// Takes all deliveries that are to be settled.
    pub(super) fn take_all_unacked(&mut self) -> Vec<Unacked> {
        let taken = self.unacked.take_all();
        self.without_void(taken)
    }

    /// Leaves out those that were taken back before.
    fn without_void(&mut self, mut taken: Vec<Unacked>) -> Vec<Unacked> {
        if self.has_void {
            taken.retain(|one| !one.origin.is_void);
            self.has_void = self.unacked.len() > 0;
        }
        taken
    }

    /// Takes the deliveries for which it is closed.
    pub(super) fn take_overdue(&mut self) -> Vec<Unacked> {
        let overdue = std::mem::take(&mut self.overdue);
        self.has_void |= !overdue.is_empty();
        let take =
            |overdue: OverdueDeliveries| self.unacked.take_back(&overdue.origin, overdue.up_to);
        overdue.into_iter().flat_map(take).collect()
    }

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
