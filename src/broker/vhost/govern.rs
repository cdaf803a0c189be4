//! What is said of a vhost, how much it may have, and its end.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Vhost, not_default, refused};
use crate::broker::admin::{VhostLimits, VhostMetadata};
use crate::broker::arguments::exchange_noun;
use crate::broker::queue::{EndIf, Queue};
use crate::broker::topology::Topology;
use crate::wire::{Fault, ReplyCode};

/// What administrators say of a vhost.
#[derive(Debug, Default)]
pub(super) struct Governed {
    metadata: RwLock<VhostMetadata>,
    limits: RwLock<VhostLimits>,
}

impl Vhost {
    /// What is said of it.
    pub fn metadata(&self) -> VhostMetadata {
        self.governed.metadata.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has something else said of it.
    pub(in crate::broker) fn describe(&self, metadata: VhostMetadata) {
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
        let Topology { queues, .. } = topology;
        Ok(queues.into_values().collect())
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
