//! Many queues, exchanges and bindings added to a vhost at once, as definitions do.
//!
//! An addition is checked as a whole before anything of it is written down, it is written down as a whole (with what
//! other vhosts get, in one transaction), and only then can clients see it. Meanwhile nothing else changes the
//! topology; publishes go on.
//!
//! Reading order: [`Addition::begin`], [`Addition::queue`], [`Addition::rows`], [`Addition::insert`].

use std::collections::HashMap;
use std::mem;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use super::refusals::{not_default, not_reserved};
use super::requests::{BindingRequest, QueueDeclaration};
use super::state::Vhost;
use crate::broker::arguments::{Context, QueueArguments, QueueKind, exchange_noun, queue_noun};
use crate::broker::durable;
use crate::broker::exchange::binding::{Binding, DestinationKind, DestinationName};
use crate::broker::exchange::{ExchangeKind, ExchangeSettings};
use crate::broker::queue::Settings;
use crate::broker::registry::ConnectionId;
use crate::broker::time::Millis;
use crate::broker::vhost_metadata::VhostMetadata;
use crate::store::QueueId;
use crate::store::definitions::Change;
use crate::wire::{Fault, ReplyCode, ShortStr};

/// The queues, exchanges and bindings that are added to a vhost. No other change of its topology happens while this
/// lives.
#[derive(Debug)]
pub(in crate::broker) struct Addition<'a> {
    vhost: &'a Vhost,
    _changing: MutexGuard<'a, ()>,
    /// The queues to come, by name; those of delayed exchanges are among them.
    queues: HashMap<ShortStr, Settings>,
    queue_names: Vec<ShortStr>,
    exchanges: HashMap<ShortStr, ExchangeSettings>,
    exchange_names: Vec<ShortStr>,
    /// Each with the answer whether it is written down: it is if both its ends are durable.
    bindings: Vec<(Binding, bool)>,
}

impl Drop for Addition<'_> {
    fn drop(&mut self) {
        self.vhost.is_change_long.store(false, Ordering::Relaxed);
    }
}

impl<'a> Addition<'a> {
    /// Begins to add to a vhost.
    pub(in crate::broker) fn begin(vhost: &'a Vhost) -> Self {
        let changing = vhost.changing();
        vhost.is_change_long.store(true, Ordering::Relaxed);
        Self {
            vhost,
            _changing: changing,
            queues: HashMap::new(),
            queue_names: Vec::new(),
            exchanges: HashMap::new(),
            exchange_names: Vec::new(),
            bindings: Vec::new(),
        }
    }

    /// Adds a queue, unless there is one of that name; `metadata` is the vhost's from now on.
    ///
    /// # Errors
    ///
    /// As a declaration: arguments that the broker does not take, a reserved name, a full vhost.
    pub(in crate::broker) fn queue(
        &mut self,
        mut asked: QueueDeclaration,
        metadata: &VhostMetadata,
    ) -> Result<(), Fault> {
        let vhost = self.vhost;
        not_reserved("queue", &asked.name)?;
        if vhost.find_queue(&asked.name).is_some() || self.queues.contains_key(&asked.name) {
            return Ok(());
        }
        let default = metadata.default_queue_type.as_ref();
        let default = default.or(vhost.shared.default_queue_type.get());
        asked.give_type(default.map(String::as_str));
        let noun = queue_noun(&asked.name, &vhost.name);
        let context = Context { noun: &noun, compat: vhost.shared.compat.get() };
        let wanted = QueueArguments::check(&asked.arguments, asked.lifetime(), context)?;
        vhost.check_room(&asked.name, self.queues.len())?;
        self.put_queue(vhost.settings_of_new(asked, ConnectionId(0), wanted));
        Ok(())
    }

    fn put_queue(&mut self, settings: Settings) {
        self.queue_names.push(settings.name.clone());
        self.queues.insert(settings.name.clone(), settings);
    }

    /// Adds an exchange, unless there is one of that name.
    ///
    /// # Errors
    ///
    /// As a declaration: arguments that the broker does not take, or a reserved name.
    pub(in crate::broker) fn exchange(&mut self, settings: ExchangeSettings) -> Result<(), Fault> {
        let vhost = self.vhost;
        not_default(&settings.name)?;
        let name = settings.name.clone();
        if vhost.read().exchanges.contains_key(&name) || self.exchanges.contains_key(&name) {
            return Ok(());
        }
        vhost.check_new_exchange(&settings, &exchange_noun(&name, &vhost.name))?;
        if settings.kind == ExchangeKind::DelayedMessage {
            self.put_queue(Settings::of_holder(&vhost.name, &settings.name, settings.is_durable));
        }
        self.exchange_names.push(name.clone());
        self.exchanges.insert(name, settings);
        Ok(())
    }

    /// Adds a binding; both its ends must be there or be added. A binding that is there stays as it is.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when one of its ends neither is there nor comes; as a bind else.
    pub(in crate::broker) fn binding(&mut self, request: BindingRequest) -> Result<(), Fault> {
        request.check_no_default()?;
        let binding = request.into_binding();
        let name = &self.vhost.name;
        let topology = self.vhost.read();
        let source = match self.exchanges.get(&binding.source) {
            Some(settings) => settings,
            None => &topology.exchange(&binding.source, name)?.settings,
        };
        let DestinationName { kind, name: to } = &binding.destination;
        let (queue, is_lasting): (Option<QueueKind>, bool) = match kind {
            DestinationKind::Queue => {
                let there = topology.queues.get(to);
                let settings = there.map(|queue| queue.settings()).or_else(|| self.queues.get(to));
                let none = || {
                    let text = format!("no {}", queue_noun(to, name));
                    Fault::new(ReplyCode::NotFound, text)
                };
                let settings = settings.ok_or_else(none)?;
                (Some(settings.kind), settings.is_durable)
            }
            DestinationKind::Exchange => match self.exchanges.get(to) {
                Some(settings) => (None, settings.is_durable),
                None => (None, topology.exchange(to, name)?.settings.is_durable),
            },
        };
        source.check_binding(&binding, queue, self.vhost.shared.compat.get())?;
        let is_durable = source.is_durable && is_lasting;
        drop(topology);
        self.bindings.push((binding, is_durable));
        Ok(())
    }

    /// Returns the number of queues that need an id.
    pub(in crate::broker) fn durable_queues(&self) -> u32 {
        let durable = self.queues.values().filter(|settings| settings.is_durable).count();
        u32::try_from(durable).unwrap_or(u32::MAX)
    }

    /// Gives the durable queues their ids, from `first` on, and returns the changes of the definitions.
    pub(in crate::broker) fn rows(&mut self, first: QueueId) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut id = first;
        for name in &self.exchange_names {
            if let Some(settings) = self.exchanges.get(name).filter(|settings| settings.is_durable)
            {
                changes.push(durable::put_exchange(&self.vhost.name, settings));
            }
        }
        for name in &self.queue_names {
            let Some(settings) = self.queues.get_mut(name) else { continue };
            if settings.is_durable {
                settings.id = Some(id);
                changes.push(durable::put_queue(settings, id));
                id.0 += 1;
            }
        }
        let durable = self.bindings.iter().filter(|(_, is_durable)| *is_durable);
        changes.extend(durable.map(|(binding, _)| durable::put_binding(&self.vhost.name, binding)));
        changes
    }

    /// Makes all of it visible to clients; it is written down. The policies that apply to new queues are those of now.
    pub(in crate::broker) fn insert(mut self, now: Millis) {
        let vhost = self.vhost;
        let mut exchanges = mem::take(&mut self.exchanges);
        for settings in self.exchange_names.iter().filter_map(|name| exchanges.remove(name)) {
            vhost.restore_exchange(settings);
        }
        let mut queues = mem::take(&mut self.queues);
        for settings in self.queue_names.iter().filter_map(|name| queues.remove(name)) {
            vhost.churn.queue_declared.add(1);
            vhost.churn.queue_created.add(1);
            vhost.restore_queue(settings, now);
        }
        for (binding, _) in mem::take(&mut self.bindings) {
            if let Err(fault) = vhost.restore_binding(binding) {
                // A queue that was there has gone with its connection.
                tracing::warn!(vhost = %vhost.name, reason = %fault.text, "a binding is left out");
            }
        }
    }
}
