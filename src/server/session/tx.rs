//! Transactions of a channel: publishes and settlements that wait for `tx.commit`.
//!
//! As in RabbitMQ they cover one channel and are not atomic across queues (`rabbit_channel`, "tx"). `commit-ok` leaves
//! when all of it is on disk. What the store does not take closes the channel, and then nothing was published or
//! settled; what it took and could not sync closes it with RabbitMQ's `partial tx completion`.

use super::channel::{Channel, Mode};
use super::confirms::Due;
use super::deliver::Unacked;
use super::disk::Published;
use super::publish::{Delivery, Routed, keep, push};
use super::routes::Routes;
use super::settle::Outcome;
use super::{Context, Running};
use crate::broker::message::Message;
use crate::broker::queue::Millis;
use crate::broker::{Broker, Route};
use crate::store::{Appended, Refused};
use crate::wire::frame;
use crate::wire::method::tx;
use crate::wire::{Fault, ReplyCode, ShortStr};

/// A publish that waits for the commit.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) message: Message,
    pub(super) delivery: Delivery,
    /// Further routing keys.
    pub(super) copies: Vec<ShortStr>,
}

/// What has been said since the last commit or rollback, in order.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    publishes: Vec<Staged>,
    settlements: Vec<(Vec<Unacked>, Outcome)>,
}

impl Transaction {
    pub(super) fn stage(&mut self, publish: Staged) {
        self.publishes.push(publish);
    }

    pub(super) fn settle(&mut self, taken: Vec<Unacked>, outcome: Outcome) {
        self.settlements.push((taken, outcome));
    }

    /// How many publishes wait for the commit.
    pub(super) fn publishes(&self) -> u64 {
        self.publishes.len() as u64
    }

    /// How many deliveries were settled and wait for the commit.
    pub(super) fn settled(&self) -> u64 {
        self.settlements.iter().map(|(taken, _)| taken.len() as u64).sum()
    }

    /// The deliveries whose settlement was never committed.
    pub(super) fn into_unsettled(self) -> impl Iterator<Item = Unacked> {
        self.settlements.into_iter().flat_map(|(taken, _)| taken)
    }
}

/// A publish of a commit, and what the store gave it.
struct Kept {
    staged: Staged,
    /// The route that the store was told of; another one may hold when the message is pushed.
    at: Option<(Route, Appended)>,
}

fn precondition(text: impl Into<String>) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// A commit of which nothing was carried out.
fn not_committed(refused: Refused) -> Fault {
    precondition(format!("the transaction was not committed: {refused}"))
}

/// A commit that was carried out and is not safe, or not all of it was.
pub(super) fn partly_committed() -> Fault {
    precondition("partial tx completion").in_method(tx::CLASS_ID, tx::Commit::METHOD_ID)
}

/// Says that all of a commit is done.
pub(super) fn write_commit_ok(channel: u16, out: &mut Vec<u8>) {
    frame::write_method(out, channel, &tx::CommitOk {}.into());
}

fn not_transactional() -> Fault {
    precondition("channel is not transactional")
}

impl Running {
    /// Takes what the transaction of a channel has gathered.
    fn take_transaction(&mut self, number: u16) -> Result<Transaction, Fault> {
        match &mut self.channel(number)?.mode {
            Mode::Transaction(transaction) => Ok(std::mem::take(transaction)),
            Mode::Plain | Mode::Confirm(_) => Err(not_transactional()),
        }
    }

    /// Publishes, then settles; returns of unroutable messages come before `commit-ok`.
    pub(super) fn on_tx_commit(
        &mut self,
        cx: &Context,
        number: u16,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut transaction = self.take_transaction(number)?;
        let staged = std::mem::take(&mut transaction.publishes);
        let channel = self.channels.get_mut(&number).ok_or_else(not_transactional)?;
        let kept = match keep_all(&cx.broker, &mut self.routes, staged, now) {
            Ok(kept) => kept,
            Err(refused) => {
                // Its deliveries go back with the channel.
                channel.mode = Mode::Transaction(transaction);
                return Err(not_committed(refused));
            }
        };
        let mut safe_with = None;
        let mut is_complete = true;
        for Kept { staged, at } in kept {
            match channel.push_staged(&cx.broker, &mut self.routes, &staged, at, now) {
                Routed::Queues(Due::Now) => {}
                Routed::Queues(Due::Synced(batch)) => safe_with = safe_with.max(Some(batch)),
                Routed::Queues(Due::Refused) => is_complete = false,
                Routed::Nowhere => {
                    channel.on_unroutable(staged.delivery, &staged.message, self.frame_max, out);
                }
            }
        }
        if !is_complete {
            channel.mode = Mode::Transaction(transaction);
            return Err(partly_committed());
        }
        if safe_with.is_some() {
            self.disk.published = Published::ToKeep;
        }
        for (taken, outcome) in transaction.settlements {
            self.settle_now(number, taken, outcome, now);
        }
        let settled = std::mem::take(&mut self.disk.settled);
        if !settled.is_empty()
            && let Some(store) = &cx.broker.store
        {
            // Safe with it is all that was appended before.
            safe_with = Some(store.settle_synced(&settled));
        }
        match safe_with {
            None => write_commit_ok(number, out),
            Some(batch) => self.disk.commit(number, batch),
        }
        Ok(())
    }

    /// Forgets the publishes; deliveries that were settled are outstanding again.
    pub(super) fn on_tx_rollback(&mut self, number: u16, out: &mut Vec<u8>) -> Result<(), Fault> {
        let transaction = self.take_transaction(number)?;
        let channel = self.channel(number)?;
        channel.unacked.put_back(transaction.into_unsettled());
        frame::write_method(out, number, &tx::RollbackOk {}.into());
        Ok(())
    }
}

impl Channel {
    /// Hands a publish of a commit to its queues.
    fn push_staged(
        &mut self,
        broker: &Broker,
        routes: &mut Routes,
        staged: &Staged,
        at: Option<(Route, Appended)>,
        now: Millis,
    ) -> Routed {
        match at {
            Some((route, kept)) => {
                push(&route, &staged.message, Some(kept), now);
                Routed::Queues(Due::Synced(kept.batch))
            }
            None => self
                .route(broker, routes, &staged.message, &staged.copies, now)
                .unwrap_or(Routed::Nowhere),
        }
    }
}

/// Gives the store every publish of a commit that must survive, or none of them.
fn keep_all(
    broker: &Broker,
    routes: &mut Routes,
    publishes: Vec<Staged>,
    now: Millis,
) -> Result<Vec<Kept>, Refused> {
    let mut taken = Vec::with_capacity(publishes.len());
    for staged in publishes {
        match keep_staged(broker, routes, &staged, now) {
            Ok(at) => taken.push(Kept { staged, at }),
            Err(refused) => {
                take_back(broker, &taken);
                return Err(refused);
            }
        }
    }
    Ok(taken)
}

fn keep_staged(
    broker: &Broker,
    routes: &mut Routes,
    staged: &Staged,
    now: Millis,
) -> Result<Option<(Route, Appended)>, Refused> {
    let Staged { message, copies, .. } = staged;
    if broker.store.is_none() {
        return Ok(None);
    }
    // An exchange deleted since then takes the message with it.
    let Ok(route) = routes.find_all(message, copies) else {
        return Ok(None);
    };
    let kept = keep(broker, route, message, now)?;
    Ok(kept.map(|kept| (route.clone(), kept)))
}

/// Settles what the store has taken of a commit that does not happen.
fn take_back(broker: &Broker, taken: &[Kept]) {
    let places = taken.iter().flat_map(|one| {
        let at = one.at.as_ref();
        at.into_iter().flat_map(|(route, kept)| route.places(&one.staged.message, kept.first))
    });
    if let Some(store) = &broker.store {
        store.settle(&places.collect());
    }
}
