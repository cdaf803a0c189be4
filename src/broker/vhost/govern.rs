//! What is said of a vhost, how much it may have, which policies apply in it, and its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{QueueDeclaration, Vhost, not_default, refused};
use crate::broker::admin::{VhostLimits, VhostMetadata};
use crate::broker::arguments::{Limits, exchange_noun};
use crate::broker::exchange::{Exchange, ExchangeSettings};
use crate::broker::policies::{Applied, Policies, Policy, Subject};
use crate::broker::queue::{EndIf, Millis, Queue};
use crate::broker::topology::Topology;
use crate::wire::shortstr::literal;
use crate::wire::{Fault, FieldValue, ReplyCode, ShortStr};

/// What administrators say of a vhost.
#[derive(Debug, Default)]
pub(super) struct Governed {
    metadata: RwLock<VhostMetadata>,
    limits: RwLock<VhostLimits>,
    policies: Policies,
    is_traced: AtomicBool,
}

impl Vhost {
    /// What is said of it.
    pub fn metadata(&self) -> VhostMetadata {
        self.governed.metadata.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the firehose is on.
    #[inline]
    pub fn is_traced(&self) -> bool {
        self.governed.is_traced.load(Ordering::Relaxed)
    }

    /// Has something else said of it.
    pub(in crate::broker) fn describe(&self, metadata: VhostMetadata) {
        let was_traced = self.governed.is_traced.swap(metadata.is_traced, Ordering::Relaxed);
        if was_traced != metadata.is_traced {
            // Routes that are remembered say whether they are traced.
            self.forget_routes();
        }
        *self.governed.metadata.write().unwrap_or_else(PoisonError::into_inner) = metadata;
    }

    /// How much it may have.
    pub fn limits(&self) -> VhostLimits {
        *self.governed.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::broker) fn limit(&self, limits: VhostLimits) {
        *self.governed.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Refuses the default exchange, which nobody declares, deletes or binds.
    ///
    /// # Errors
    ///
    /// `ACCESS_REFUSED` in RabbitMQ's words.
    pub fn check_not_default(exchange: &str) -> Result<(), Fault> {
        not_default(exchange)
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

    /// Gives a queue that is declared without a type the one that the vhost has for such, when it can be of any
    /// (RabbitMQ: `rabbit_amqqueue:augment_declare_args`).
    pub(super) fn give_type(&self, asked: &mut QueueDeclaration) {
        let can_be_any = asked.is_durable && !asked.is_exclusive && !asked.is_auto_delete;
        if !can_be_any || asked.arguments.get("x-queue-type").is_some() {
            return;
        }
        let metadata = self.governed.metadata.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = &metadata.default_queue_type {
            let kind = FieldValue::LongStr(kind.as_str().into());
            asked.arguments.insert(literal("x-queue-type"), kind);
        }
    }

    /// Refuses one queue too many; the caller is changing the topology.
    pub(super) fn check_room(&self, queue: &str) -> Result<(), Fault> {
        self.ledger.check_open()?;
        let Some(most) = self.limits().queues_max else { return Ok(()) };
        if self.read().queues.len() as u64 >= most {
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

    /// Changes policies and has what then applies apply; publishes and declarations go on meanwhile.
    pub(in crate::broker) fn change_policies(&self, change: impl FnOnce(&Policies), now: Millis) {
        let changing = self.changing();
        // Queues that are declared from now on find the new ones.
        change(&self.governed.policies);
        let queues: Vec<_> = self.read().queues.values().cloned().collect();
        drop(changing);
        self.shared.aside.run(|| {
            for queue in queues {
                self.apply_policies(&queue, now);
            }
        });
        self.apply_alternates();
    }

    /// Tells a queue what policies say of it.
    pub(super) fn apply_policies(&self, queue: &Queue, now: Millis) {
        let settings = queue.settings();
        let subject = Subject::Queue(&settings.name, settings.wanted.kind);
        let Applied { user, operator } = self.governed.policies.applied(subject);
        let (user, operator) = (user.as_deref(), operator.as_deref());
        let limits =
            Limits::merge(&settings.wanted, user.map(Policy::limits), operator.map(Policy::limits));
        if queue.limits() != limits {
            self.set_queue_limits(queue, limits, now);
        }
    }

    /// Tells a queue that is new; most vhosts have no policies.
    pub(super) fn apply_policies_to_new(&self, queue: &Queue, now: Millis) {
        if !self.governed.policies.is_empty() {
            self.apply_policies(queue, now);
        }
    }

    /// Where an exchange's messages go that it cannot route: where it was declared to, or a policy says.
    pub(super) fn alternate(&self, settings: &ExchangeSettings) -> Option<ShortStr> {
        settings.alternate().or_else(|| {
            let applied = self.governed.policies.applied(Subject::Exchange(&settings.name));
            applied.user?.alternate().cloned()
        })
    }

    /// Tells exchanges where their messages go that they cannot route.
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

    /// Has routes looked up again that are remembered.
    pub(in crate::broker) fn forget_routes(&self) {
        drop(self.write());
    }

    /// Strikes everything out and takes it out of sight; what it answers is to be given to [`Self::end`].
    ///
    /// # Errors
    ///
    /// When the disk refuses; everything is as it was then.
    pub(in crate::broker) fn close(&self) -> Result<Vec<Arc<Queue>>, Fault> {
        let _changing = self.changing();
        self.ledger.close()?;
        let topology = std::mem::take(&mut *self.write());
        let Topology { queues, exchanges, .. } = topology;
        let holders = exchanges.into_values().filter_map(|exchange| exchange.holder);
        Ok(queues.into_values().chain(holders).collect())
    }

    /// Ends the queues it had.
    pub(in crate::broker) fn end(&self, queues: Vec<Arc<Queue>>) {
        for queue in queues {
            // Without conditions nothing speaks against it.
            let _ = queue.begin_end(EndIf::default());
            queue.end();
            self.churn.queue_deleted.add(1);
        }
    }
}
