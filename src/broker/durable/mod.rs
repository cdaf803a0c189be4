//! What outlives the broker: durable exchanges, queues and the bindings between them, vhosts and users.
//!
//! A [`Ledger`] writes a definition down before anybody can see it, and strikes it out before it is gone; a declare
//! that the disk refuses has changed nothing. [`load`] reads it all when the broker starts. The default exchange and
//! those whose names begin with `amq.` are every vhost's and are not written down, but what is bound to them is.
//!
//! Reading order: [`Ledger`], [`Record`] (what is not a vhost's), `rows` and `people` (what a row looks like), [`load`],
//! [`Recovery`].

mod load;
mod people;
mod record;
mod recovery;
mod rows;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use self::load::load;
pub(super) use self::people::{Granted, SavedUser, SavedVhost};
pub(super) use self::record::Record;
pub use self::recovery::Recovery;

use super::admin::VhostMetadata;
use super::arguments::{exchange_noun, queue_noun};
use super::auth::{Permission, User};
use super::exchange::ExchangeSettings;
use super::exchange::binding::{Binding, BindingKey};
use super::queue::Settings;
use crate::store::definitions::{Change, Definitions, Table};
use crate::store::{QueueId, StoreError};
use crate::wire::{Fault, ReplyCode, ShortStr};

/// Where a vhost writes its definitions down.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    vhost: ShortStr,
    /// `None` for a broker that keeps everything in memory.
    definitions: Option<Arc<Definitions>>,
    /// The vhost is deleted: what is written down now would never go again.
    is_closed: Arc<AtomicBool>,
}

impl Ledger {
    pub(super) fn new(vhost: ShortStr, definitions: Option<Arc<Definitions>>) -> Self {
        Self { vhost, definitions, is_closed: Arc::default() }
    }

    /// Strikes out everything of the vhost, and itself; nothing is written down from then on.
    pub(super) fn close(&self) -> Result<(), Fault> {
        let of_vhost = || rows::name_key(&self.vhost);
        let changes = || {
            let itself = Change::Remove(Table::Vhosts, of_vhost());
            let tables = Table::ALL.into_iter();
            let inside = tables.filter(|table| !matches!(table, Table::Vhosts | Table::Users));
            inside.map(|table| Change::RemoveAll(table, of_vhost())).chain([itself]).collect()
        };
        self.apply(changes, || format!("deletion of vhost '{}'", self.vhost))?;
        self.is_closed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses what comes too late.
    pub(super) fn check_open(&self) -> Result<(), Fault> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(vhost_deleted(&self.vhost));
        }
        Ok(())
    }

    /// Writes a durable exchange down.
    pub(super) fn add_exchange(&self, settings: &ExchangeSettings) -> Result<(), Fault> {
        let row = || rows::of_exchange(&self.vhost, settings);
        let noun = || exchange_noun(&settings.name, &self.vhost);
        self.apply(|| vec![Change::Put(Table::Exchanges, row())], noun)
    }

    /// Writes a durable queue down; answers what the store is to call it.
    pub(super) fn add_queue(&self, settings: &Settings) -> Result<Option<QueueId>, Fault> {
        self.check_open()?;
        let Some(definitions) = &self.definitions else { return Ok(None) };
        let added = definitions.add_queue(|id| rows::of_queue(settings, id));
        let noun = || queue_noun(&settings.name, &self.vhost);
        added.map(Some).map_err(|error| unwritten(&noun(), &error))
    }

    /// Writes a binding between durable things down.
    pub(super) fn add_binding(&self, binding: &Binding) -> Result<(), Fault> {
        let row = || rows::of_binding(&self.vhost, binding);
        let noun = || rows::binding_noun(binding, &self.vhost);
        self.apply(|| vec![Change::Put(Table::Bindings, row())], noun)
    }

    /// Strikes out what goes together, in one transaction.
    pub(super) fn strike_out(&self, struck: &Struck<'_>) -> Result<(), Fault> {
        if struck.queue.is_none() && struck.exchanges.is_empty() && struck.bindings.is_empty() {
            return Ok(());
        }
        let key = |name: &&ShortStr| rows::key_in(&self.vhost, name);
        let changes = || {
            let queue = struck.queue.iter().map(|name| Change::Remove(Table::Queues, key(name)));
            let holders = struck.holders.iter();
            let holders = holders.map(|name| Change::Remove(Table::Queues, key(&name)));
            let exchanges = struck.exchanges.iter();
            let exchanges = exchanges.map(|name| Change::Remove(Table::Exchanges, key(name)));
            let bindings = struck.bindings.iter().map(|(source, binding)| {
                Change::Remove(Table::Bindings, rows::binding_key(&self.vhost, source, binding))
            });
            queue.chain(holders).chain(exchanges).chain(bindings).collect()
        };
        let noun = || match (struck.queue, struck.exchanges.first()) {
            (Some(name), _) => format!("deletion of {}", queue_noun(name, &self.vhost)),
            (None, Some(name)) => format!("deletion of {}", exchange_noun(name, &self.vhost)),
            (None, None) => format!("end of a binding in vhost '{}'", self.vhost),
        };
        self.apply(changes, noun)
    }

    fn apply(
        &self,
        changes: impl FnOnce() -> Vec<Change>,
        noun: impl FnOnce() -> String,
    ) -> Result<(), Fault> {
        self.check_open()?;
        let Some(definitions) = &self.definitions else { return Ok(()) };
        definitions.apply(changes()).map_err(|error| unwritten(&noun(), &error))
    }
}

/// Durable things that go together.
#[derive(Debug, Default)]
pub(super) struct Struck<'a> {
    pub(super) queue: Option<&'a ShortStr>,
    pub(super) exchanges: Vec<&'a ShortStr>,
    /// The queues in which exchanges among them keep messages.
    pub(super) holders: Vec<ShortStr>,
    pub(super) bindings: Vec<&'a (ShortStr, BindingKey)>,
}

/// What a new broker starts with, written down.
pub(super) fn begin(
    definitions: &Definitions,
    vhost: &ShortStr,
    user: &User,
) -> Result<(), StoreError> {
    let metadata = VhostMetadata::of_new(vhost);
    let everything = Permission::full();
    definitions.apply(vec![
        Change::Put(Table::Vhosts, people::of_vhost(vhost, &metadata)),
        Change::Put(Table::Users, people::of_user(user)),
        Change::Put(Table::Permissions, people::of_permission(vhost, &user.name, &everything)),
    ])
}

/// What the clients of a vhost are told that is deleted.
pub(super) fn vhost_deleted(vhost: &str) -> Fault {
    Fault::new(ReplyCode::ConnectionForced, format!("vhost '{vhost}' is deleted"))
}

/// Tells a client that something cannot be written down; where, is told to the log only.
///
/// 506 is AMQP's code for a lack of resources. It ends the connection, as RabbitMQ's 541 does when its own database
/// refuses.
fn unwritten(noun: &str, error: &StoreError) -> Fault {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    tracing::error!(%error, %cause, "{noun} cannot be written down");
    Fault::new(ReplyCode::ResourceError, format!("{noun} cannot be written down: {cause}"))
}
