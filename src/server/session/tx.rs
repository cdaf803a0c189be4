//! Transactions of a channel: publishes and settlements that wait for `tx.commit`.
//!
//! As in RabbitMQ they cover one channel and are not atomic across queues (`rabbit_channel`, "tx").

use super::channel::Mode;
use super::deliver::Unacked;
use super::publish::Delivery;
use super::settle::Outcome;
use super::{Context, Running};
use crate::broker::message::Message;
use crate::broker::queue::Millis;
use crate::wire::frame;
use crate::wire::method::tx;
use crate::wire::{Fault, ReplyCode};

/// A publish that waits for the commit.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) message: Message,
    pub(super) delivery: Delivery,
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

fn not_transactional() -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, "channel is not transactional")
}

impl Running {
    /// Takes what the transaction of a channel has gathered.
    fn take_transaction(&mut self, number: u16) -> Result<Transaction, Fault> {
        match &mut self.channel(number)?.mode {
            Mode::Transaction(transaction) => Ok(std::mem::take(transaction)),
            Mode::Plain | Mode::Confirm { .. } => Err(not_transactional()),
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
        let transaction = self.take_transaction(number)?;
        for staged in transaction.publishes {
            let Some(channel) = self.channels.get_mut(&number) else { break };
            // An exchange deleted since then takes the message with it.
            let routed = channel.route(&cx.broker, &self.vhost, &staged.message, now);
            let is_routed = routed.unwrap_or(false);
            let Staged { message, delivery } = staged;
            channel.count_unroutable(is_routed, delivery, &message, self.frame_max, out);
        }
        for (taken, outcome) in transaction.settlements {
            self.settle_now(number, taken, outcome, now);
        }
        frame::write_method(out, number, &tx::CommitOk {}.into());
        Ok(())
    }

    /// Forgets the publishes; deliveries that were settled are outstanding again.
    pub(super) fn on_tx_rollback(&mut self, number: u16, out: &mut Vec<u8>) -> Result<(), Fault> {
        let transaction = self.take_transaction(number)?;
        let channel = self.channel(number)?;
        channel.unacked.extend(transaction.into_unsettled());
        channel.unacked.make_contiguous().sort_by_key(|delivery| delivery.tag);
        frame::write_method(out, number, &tx::RollbackOk {}.into());
        Ok(())
    }
}
