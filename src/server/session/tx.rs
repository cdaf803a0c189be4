//! Transactions of a channel: publishes and settlements that wait for `tx.commit`.
//!
//! As in RabbitMQ they cover one channel and are not atomic across queues (`rabbit_channel`, "tx"). `commit-ok` leaves
//! when all of it is on disk. If a queue refuses a publish, the rest is done and then the channel is closed. If the
//! store refuses the messages, the channel is closed and nothing was published or settled. If the store cannot sync
//! them, the channel is closed with RabbitMQ's `partial tx completion`.

use super::channel::Mode;
use super::round::RoundPublished;
use super::state::{Context, Running};
use super::transaction::Transaction;
use crate::broker::publish::Published;
use crate::broker::time::Millis;
use crate::wire::frame;
use crate::wire::method::tx;
use crate::wire::{Fault, ReplyCode};

fn precondition(text: impl Into<String>) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// The fault of a commit of which a part was refused or could not be synced.
pub(super) fn partly_committed() -> Fault {
    precondition("partial tx completion").in_method(tx::CLASS_ID, tx::Commit::METHOD_ID)
}

/// Appends `tx.commit-ok`.
pub(super) fn write_commit_ok(channel: u16, out: &mut Vec<u8>) {
    frame::write_method(out, channel, &tx::CommitOk {}.into());
}

fn not_transactional() -> Fault {
    precondition("channel is not transactional")
}

impl Running {
    pub(super) fn on_tx_select(&mut self, number: u16, out: &mut Vec<u8>) -> Result<(), Fault> {
        let channel = self.channel(number)?;
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Transaction(Transaction::default()),
            Mode::Transaction(_) => {}
            Mode::Confirm(_) => {
                let text = "cannot switch from confirm to tx mode";
                return Err(Fault::new(ReplyCode::PreconditionFailed, text));
            }
        }
        channel.info.is_transactional.set(true);
        frame::write_method(out, number, &tx::SelectOk {}.into());
        Ok(())
    }

    /// Takes the transaction of a channel and leaves an empty one.
    fn take_transaction(&mut self, number: u16) -> Result<Transaction, Fault> {
        match &mut self.channel(number)?.mode {
            Mode::Transaction(transaction) => Ok(std::mem::take(transaction)),
            Mode::Plain | Mode::Confirm(_) => Err(not_transactional()),
        }
    }

    /// Commits: publishes, then settles; returns of unroutable messages come before `commit-ok`.
    pub(super) fn on_tx_commit(
        &mut self,
        cx: &Context,
        number: u16,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut transaction = self.take_transaction(number)?;
        let publishes = std::mem::take(&mut transaction.publishes);
        let (mut staged, unroutables): (Vec<_>, Vec<_>) =
            publishes.into_iter().map(|publish| (publish.staged, publish.unroutable)).unzip();
        let channel = self.channels.get_mut(&number).ok_or_else(not_transactional)?;
        let outcomes = match self.publisher.commit(&mut staged, now) {
            Ok(outcomes) => outcomes,
            Err(refused) => {
                // Its deliveries go back with the channel.
                channel.mode = Mode::Transaction(transaction);
                return Err(precondition(refused.to_string()));
            }
        };
        let (mut safe_with, mut is_whole) = (None, true);
        for ((publish, unroutable), published) in staged.iter().zip(unroutables).zip(outcomes) {
            match published {
                Published::Nowhere => {
                    channel.on_unroutable(unroutable, publish.message(), self.frame_max, out);
                }
                Published::InMemory => {}
                Published::OnDisk(batch) => safe_with = safe_with.max(Some(batch)),
                Published::Refused | Published::NotKept => is_whole = false,
            }
        }
        if safe_with.is_some() || !is_whole {
            self.round.published = RoundPublished::ToKeep;
        }
        for (taken, settlement) in transaction.settlements {
            self.settle_now(number, taken, settlement, now);
        }
        self.await_dead_letters(&cx.connection.mailbox);
        let settled = std::mem::take(&mut self.round.settled);
        if !settled.is_empty()
            && let Some(store) = &cx.broker.store
        {
            // Safe with it is all that was appended before.
            safe_with = Some(store.settle_synced(&settled));
        }
        if !is_whole {
            // RabbitMQ: all the rest of the commit is done (`rabbit_channel:maybe_complete_tx`).
            return Err(partly_committed());
        }
        match safe_with {
            None => write_commit_ok(number, out),
            Some(batch) => self.waits.add_commit(number, batch),
        }
        Ok(())
    }

    /// Rolls back: forgets the publishes; deliveries that were settled are outstanding again.
    pub(super) fn on_tx_rollback(&mut self, number: u16, out: &mut Vec<u8>) -> Result<(), Fault> {
        let transaction = self.take_transaction(number)?;
        let channel = self.channel(number)?;
        channel.unacked.put_back(transaction.into_unsettled());
        frame::write_method(out, number, &tx::RollbackOk {}.into());
        Ok(())
    }
}
