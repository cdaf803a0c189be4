//! Transactions of a channel: publishes and settlements that wait for `tx.commit`.
//!
//! As in RabbitMQ they cover one channel and are not atomic across queues (`rabbit_channel`, "tx"). `commit-ok` leaves
//! when all of it is on disk. What the store does not take closes the channel, and then nothing was published or
//! settled; what it took and could not sync closes it with RabbitMQ's `partial tx completion`.

use super::channel::Mode;
use super::confirms::Due;
use super::deliver::Unacked;
use super::disk::Published;
use super::publish::{Delivery, Routed, details_of, keep, push, reply, reply_name};
use super::settle::Outcome;
use super::{Context, Running};
use crate::broker::message::Message;
use crate::broker::queue::Millis;
use crate::broker::vhost::Vhost;
use crate::broker::{Broker, Route, StreamOrder};
use crate::store::{Appended, Refused};
use crate::wire::frame;
use crate::wire::method::tx;
use crate::wire::{Fault, ReplyCode, ShortStr};

/// A publish that waits for the commit.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) message: Message,
    pub(super) delivery: Delivery,
    /// The way it had when it was published (RabbitMQ: `rabbit_channel`, "tx"); a direct reply has none.
    pub(super) route: Option<Route>,
    /// Routing keys beside the message's own.
    pub(super) others: Box<[ShortStr]>,
}

impl Staged {
    /// Finds the queues again, now that it is committed: the default exchange's by their names, which the keys are. Another
    /// exchange's that were deleted since then take the message with them.
    fn found(mut self, vhost: &Vhost) -> Self {
        let (exchange, key) = self.message.exchange_and_key();
        self.route = match self.route {
            Some(_) if exchange.is_empty() => {
                let keys = [key].into_iter().chain(self.others.iter().map(ShortStr::as_str));
                let keys: Vec<_> = keys.collect();
                vhost.route(exchange, &keys, || details_of(&self.message)).ok()
            }
            route => route.map(Route::living),
        };
        self
    }
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
    at: Option<Appended>,
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
        // From the first publish to the last: a stream counts all of them in one go.
        let mut order = StreamOrder::default();
        let found: Vec<_> = staged.into_iter().map(|staged| staged.found(&self.vhost)).collect();
        let kept = match keep_all(&cx.broker, found, now, &mut order) {
            Ok(kept) => kept,
            Err(refused) => {
                // Its deliveries go back with the channel.
                channel.mode = Mode::Transaction(transaction);
                return Err(not_committed(refused));
            }
        };
        let mut safe_with = None;
        for Kept { staged, at } in kept {
            safe_with = safe_with.max(at.map(|at| at.batch));
            if push_staged(&cx.broker, &staged, at, now) == Routed::Nowhere {
                channel.on_unroutable(staged.delivery, &staged.message, self.frame_max, out);
            }
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

/// Hands a publish of a commit to its queues.
fn push_staged(broker: &Broker, staged: &Staged, at: Option<Appended>, now: Millis) -> Routed {
    let Staged { message, route, .. } = staged;
    match (route, reply_name(message)) {
        (Some(route), _) => {
            push(route, message, at, now);
            if route.queues.is_empty() { Routed::Nowhere } else { Routed::Queues(Due::Now) }
        }
        (None, Some(name)) => reply(broker, name, message),
        (None, None) => Routed::Nowhere,
    }
}

/// Gives the store every publish of a commit that must survive, or none of them.
fn keep_all<'a>(
    broker: &'a Broker,
    publishes: Vec<Staged>,
    now: Millis,
    order: &mut StreamOrder<'a>,
) -> Result<Vec<Kept>, Refused> {
    let mut taken = Vec::with_capacity(publishes.len());
    for staged in publishes {
        let route = staged.route.as_ref();
        let kept = route.map(|route| keep(broker, route, &staged.message, now, order));
        let at = match kept.transpose() {
            Ok(at) => at.flatten(),
            Err(refused) => {
                take_back(broker, &taken);
                return Err(refused);
            }
        };
        taken.push(Kept { staged, at });
    }
    Ok(taken)
}

/// Settles what the store has taken of a commit that does not happen.
fn take_back(broker: &Broker, taken: &[Kept]) {
    let at = taken
        .iter()
        .filter_map(|one| Some((one.staged.route.as_ref()?, &one.staged.message, one.at?)));
    let places = at.flat_map(|(route, message, kept)| route.places(message, kept.first));
    if let Some(store) = &broker.store {
        store.settle(&places.collect());
    }
}
