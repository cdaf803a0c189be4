//! The settings of a vhost: its metadata, limits and policies, and its end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use super::refusals::{not_default, refused};
use super::requests::QueueDeclaration;
use super::state::Vhost;
use crate::broker::arguments::{Limits, exchange_noun};
use crate::broker::auth::{Right, Rights};
use crate::broker::exchange::{Exchange, ExchangeKind, ExchangeSettings};
use crate::broker::policies::{Applied, Policies, Policy, PolicySubject};
use crate::broker::queue::{DeletionIf, Queue};
use crate::broker::time::Millis;
use crate::broker::topology::Topology;
use crate::broker::vhost_limits::VhostLimits;
use crate::broker::vhost_metadata::VhostMetadata;
use crate::wire::{Fault, ReplyCode, ShortStr};

impl Vhost {
    /// Returns its metadata.
    pub fn metadata(&self) -> VhostMetadata {
        let mut metadata = self.governed.metadata.read().clone();
        self.fill(&mut metadata);
        metadata
    }

    /// Gives metadata without a default type of queues that of the node.
    fn fill(&self, metadata: &mut VhostMetadata) {
        if metadata.default_queue_type.is_none() {
            metadata.default_queue_type = self.shared.default_queue_type.get().cloned();
        }
    }

    /// Answers whether the firehose is on.
    #[inline]
    pub fn is_traced(&self) -> bool {
        self.governed.is_traced.load(Ordering::Relaxed)
    }

    /// Replaces its metadata.
    pub(in crate::broker) fn describe(&self, metadata: VhostMetadata) {
        let was_traced = self.governed.is_traced.swap(metadata.is_traced, Ordering::Relaxed);
        if was_traced != metadata.is_traced {
            // Routes that are remembered say whether they are traced.
            self.forget_routes();
        }
        *self.governed.metadata.write() = metadata;
    }

    /// Returns its limits.
    pub fn limits(&self) -> VhostLimits {
        *self.governed.limits.read()
    }

    pub(in crate::broker) fn limit(&self, limits: VhostLimits) {
        *self.governed.limits.write() = limits;
    }

    /// Refuses the default exchange, which no client can declare, delete or bind.
    ///
    /// # Errors
    ///
    /// `ACCESS_REFUSED` in RabbitMQ's words.
    pub fn check_not_default(exchange: &str) -> Result<(), Fault> {
        not_default(exchange)
    }

    /// Checks the permission for a routing key, which is looked at where it has words: at topic exchanges.
    ///
    /// # Errors
    ///
    /// `ACCESS_REFUSED` in RabbitMQ's words.
    pub fn check_topic(
        &self,
        rights: &Rights,
        right: Right,
        exchange: &str,
        routing_key: &str,
    ) -> Result<(), Fault> {
        let is_topic = |exchange: &Exchange| exchange.settings.kind == ExchangeKind::Topic;
        if self.read().exchanges.get(exchange).is_some_and(is_topic) {
            return rights.check_topic(right, exchange, routing_key);
        }
        Ok(())
    }

    /// Refuses the deletion of an exchange that every vhost has.
    ///
    /// # Errors
    ///
    /// `ACCESS_REFUSED` in RabbitMQ's words.
    pub fn check_deletable(&self, exchange: &str) -> Result<(), Fault> {
        not_default(exchange)?;
        if exchange.starts_with("amq.") {
            let noun = exchange_noun(exchange, &self.name);
            return Err(refused(format!("deletion of system {noun} not allowed")));
        }
        Ok(())
    }

    /// Gives a queue that is declared without a type the one of the vhost.
    pub(super) fn give_type(&self, asked: &mut QueueDeclaration) {
        let own = self.governed.metadata.read();
        let kind = own.default_queue_type.as_ref().or(self.shared.default_queue_type.get());
        asked.give_type(kind.map(String::as_str));
    }

    /// Refuses one queue too many, if `more` are added before it; the caller is changing the topology.
    pub(super) fn check_room(&self, queue: &str, more: usize) -> Result<(), Fault> {
        self.definitions.check_open()?;
        let Some(most) = self.limits().queues_max else { return Ok(()) };
        if (self.read().queues.len() + more) as u64 >= most {
            let vhost = &self.name;
            let text = format!(
                "cannot declare queue '{queue}': queue limit in vhost '{vhost}' ({most}) is reached"
            );
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        }
        Ok(())
    }

    /// The policies of its queues and exchanges.
    pub fn policies(&self) -> &Policies {
        &self.governed.policies
    }

    /// Changes policies and applies them; publishes and declarations go on meanwhile.
    pub(in crate::broker) fn change_policies(&self, change: impl FnOnce(&Policies), now: Millis) {
        let changing = self.changing();
        // Queues that are declared from now on find the new ones.
        change(&self.governed.policies);
        drop(changing);
        self.refresh_policies(now);
    }

    /// Applies the policies of now to all queues and exchanges; the caller is not changing the topology.
    pub(in crate::broker) fn refresh_policies(&self, now: Millis) {
        let queues: Vec<_> = self.read().queues.values().cloned().collect();
        self.shared.blocking.run(|| {
            for queue in queues {
                self.apply_policies(&queue, now);
            }
        });
        self.apply_alternates();
    }

    /// Applies policies to a queue.
    pub(super) fn apply_policies(&self, queue: &Queue, now: Millis) {
        let settings = queue.settings();
        let subject = PolicySubject::Queue(&settings.name, settings.kind);
        let Applied { user, operator } = self.governed.policies.applied(subject);
        let (user, operator) = (user.as_deref(), operator.as_deref());
        let limits =
            Limits::merge(&settings.wanted, user.map(Policy::limits), operator.map(Policy::limits));
        if queue.limits() != limits {
            queue.set_limits(limits, now);
        }
    }

    /// Applies policies to a new queue; most vhosts have no policies.
    pub(super) fn apply_policies_to_new(&self, queue: &Queue, now: Millis) {
        if !self.governed.policies.is_empty() {
            self.apply_policies(queue, now);
        }
    }

    /// Returns the alternate exchange, for messages that an exchange cannot route: the one it was declared with, or a
    /// policy's.
    pub(super) fn alternate(&self, settings: &ExchangeSettings) -> Option<ShortStr> {
        settings.alternate().or_else(|| {
            let applied = self.governed.policies.applied(PolicySubject::Exchange(&settings.name));
            applied.user?.alternate().cloned()
        })
    }

    /// Tells exchanges their alternate exchanges.
    fn apply_alternates(&self) {
        let topology = self.read();
        let differs =
            |exchange: &&Exchange| exchange.alternate != self.alternate(&exchange.settings);
        let names = topology.exchanges.values().filter(differs);
        let names: Vec<_> = names.map(|exchange| exchange.settings.name.clone()).collect();
        drop(topology);
        if names.is_empty() {
            return;
        }
        let mut topology = self.write();
        for name in names {
            if let Some(exchange) = topology.exchanges.get_mut(&name) {
                exchange.alternate = self.alternate(&exchange.settings);
            }
        }
    }

    /// Makes publishers look up again the routes that they remember.
    pub(in crate::broker) fn forget_routes(&self) {
        drop(self.write());
    }

    /// Deletes all rows and takes everything out of the topology; the caller gives the result to [`Self::end`].
    ///
    /// # Errors
    ///
    /// When the disk refuses; everything is as it was then.
    pub(in crate::broker) fn close(&self) -> Result<Vec<Arc<Queue>>, Fault> {
        let _changing = self.changing();
        self.definitions.close()?;
        Ok(self.take_topology())
    }

    /// Keeps the topology as it is until the vhost is closed together with others.
    pub(in crate::broker) fn hold(&self) -> MutexGuard<'_, ()> {
        self.changing()
    }

    /// Does what [`Self::close`] does for a vhost that is held and whose rows have been struck out.
    pub(in crate::broker) fn close_struck_out(
        &self,
        _held: &MutexGuard<'_, ()>,
    ) -> Vec<Arc<Queue>> {
        self.definitions.is_struck_out();
        self.take_topology()
    }

    fn take_topology(&self) -> Vec<Arc<Queue>> {
        let topology = std::mem::take(&mut *self.write());
        let Topology { queues, exchanges, .. } = topology;
        for exchange in exchanges.values() {
            self.shared.ended.exchanges.absorb(&exchange.counters);
        }
        let holders = exchanges.into_values().filter_map(|exchange| exchange.holder);
        queues.into_values().chain(holders).collect()
    }

    /// Ends the queues it had.
    pub(in crate::broker) fn end(&self, queues: Vec<Arc<Queue>>) {
        for queue in queues {
            // Without conditions nothing speaks against it.
            let _ = queue.begin_deletion(DeletionIf::default());
            queue.delete();
            self.churn.queue_deleted.add(1);
        }
    }
}
