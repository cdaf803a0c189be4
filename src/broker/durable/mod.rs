//! Durable definitions: vhosts, users, permissions, parameters, exchanges, queues and bindings, as rows on disk.
//!
//! A definition is written before clients can see it, and removed before it is gone; a declare that the disk refuses
//! changes nothing. All are read when the broker starts. The default exchange and those whose names begin with `amq.`
//! exist in every vhost and have no rows, but their bindings do.
//!
//! To add a kind of definition, add its table to [`Table`], and beside the kinds in `access` its [`rows::RowKind`] and
//! the functions that put and remove a row.
//!
//! Reading order: [`VhostDefinitions`] (exchanges, queues and bindings of a vhost), [`Changes`] (everything else),
//! `rows` and `access` (the kinds of rows, and how one is written and read), [`read`], [`Recovery`].

pub(super) mod access;
mod changes;
mod faults;
mod load;
mod recovery;
pub(super) mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use self::access::{Granted, SavedUser, SavedVhost};
pub(super) use self::changes::Changes;
pub(super) use self::faults::vhost_deleted;
pub(super) use self::load::{damaged, read};
pub use self::recovery::Recovery;
pub(super) use self::rows::{
    InVhost, RowProblem, binding_noun, put_binding, put_exchange, put_queue,
};

use self::faults::unwritten;
use super::arguments::{exchange_noun, queue_noun};
use super::auth::{Permission, User};
use super::exchange::ExchangeSettings;
use super::exchange::binding::{Binding, BindingKey};
use super::queue::Settings;
use super::vhost_metadata::VhostMetadata;
use crate::store::definitions::{Change, Definitions, Table};
use crate::store::{QueueId, StoreError};
use crate::wire::{Fault, ShortStr};

/// The definitions of one vhost on disk: each is written before clients can see it, and removed before it is gone.
#[derive(Clone, Debug)]
pub(super) struct VhostDefinitions {
    vhost: ShortStr,
    /// `None` for a broker that keeps everything in memory.
    definitions: Option<Arc<Definitions>>,
    /// The vhost is deleted: rows written now would never be removed.
    is_closed: Arc<AtomicBool>,
}

impl VhostDefinitions {
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
        self.is_struck_out();
        Ok(())
    }

    /// Says that all of the vhost has been struck out; nothing is written down from then on.
    pub(super) fn is_struck_out(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Refuses a change after the vhost was deleted.
    pub(super) fn check_open(&self) -> Result<(), Fault> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(vhost_deleted(&self.vhost));
        }
        Ok(())
    }

    /// Writes a durable exchange down.
    pub(super) fn add_exchange(&self, settings: &ExchangeSettings) -> Result<(), Fault> {
        let noun = || exchange_noun(&settings.name, &self.vhost);
        self.apply(|| vec![put_exchange(&self.vhost, settings)], noun)
    }

    /// Writes a durable queue down; returns the store's number for it.
    pub(super) fn add_queue(&self, settings: &Settings) -> Result<Option<QueueId>, Fault> {
        self.check_open()?;
        let Some(definitions) = &self.definitions else { return Ok(None) };
        let added = definitions.add_queue(|id| rows::of_queue(settings, id));
        let noun = || queue_noun(&settings.name, &self.vhost);
        added.map(Some).map_err(|error| unwritten(&noun(), &error))
    }

    /// Writes a binding between durable things down.
    pub(super) fn add_binding(&self, binding: &Binding) -> Result<(), Fault> {
        let noun = || rows::binding_noun(binding, &self.vhost);
        self.apply(|| vec![put_binding(&self.vhost, binding)], noun)
    }

    /// Deletes the rows of a removal, in one transaction.
    pub(super) fn strike_out(&self, struck: &RemovedRows<'_>) -> Result<(), Fault> {
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
pub(super) struct RemovedRows<'a> {
    pub(super) queue: Option<&'a ShortStr>,
    pub(super) exchanges: Vec<&'a ShortStr>,
    /// The queues in which exchanges among them keep messages.
    pub(super) holders: Vec<ShortStr>,
    pub(super) bindings: Vec<&'a (ShortStr, BindingKey)>,
}

/// The rows of a new broker.
fn first_rows(vhost: Option<&ShortStr>, user: Option<(&User, &Permission)>) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(vhost) = vhost {
        let metadata = VhostMetadata::of_new(vhost);
        changes.push(access::put_vhost(vhost, &metadata));
    }
    if let Some((user, _)) = user {
        changes.push(access::put_user(user));
    }
    if let Some((vhost, (user, permission))) = vhost.zip(user) {
        changes.push(access::put_permission(vhost, &user.name, permission));
    }
    changes
}

/// Writes the first definitions of a new broker. Without any it stays a new one until something is written.
pub(super) fn begin(
    definitions: &Definitions,
    vhost: Option<&ShortStr>,
    user: Option<(&User, &Permission)>,
) -> Result<(), StoreError> {
    let changes = first_rows(vhost, user);
    if changes.is_empty() {
        return Ok(());
    }
    definitions.apply(changes)
}

/// Strikes out everything and puts in the rows of a new broker.
pub(super) fn anew(vhost: Option<&ShortStr>, user: Option<(&User, &Permission)>) -> Changes {
    let all = Table::ALL.map(|table| Change::RemoveAll(table, Vec::new()));
    let first = first_rows(vhost, user);
    all.into_iter().chain(first).fold(Changes::default(), Changes::with)
}
