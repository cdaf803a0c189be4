//! Slots for connections, so that the store always has file descriptors left.
//!
//! A file that cannot be opened stops every publisher of persistent messages; a client that is accepted a little later
//! has lost nothing. AMQP and the management API have slots of their own, so that many connections of one kind do not
//! lock out the other. Start at [`ConnectionSlots::new`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::broker::Broker;
use crate::broker::alarm::Shortage;

/// Descriptors that are not for clients: files of the store, listeners, the runtime (RabbitMQ: `RESERVED_FOR_OTHERS`).
const RESERVED: usize = 100;
/// Most connections to the management API: its clients ask now and then.
const HTTP_MAX: usize = 256;
/// The alarm ends when this part of the slots is free again, so that it does not come and go with each client.
const FREE_AGAIN: usize = 20;

/// The slots of a server. One is taken when a connection is accepted, and is free when it has ended.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    amqp: Arc<Semaphore>,
    amqp_max: usize,
    http: Arc<Semaphore>,
    /// The system gave no descriptor for a connection, though there were slots.
    is_starved: AtomicBool,
}

/// A slot that is taken.
pub(super) type ConnectionSlot = OwnedSemaphorePermit;

impl ConnectionSlots {
    /// Makes slots for the descriptors that this process may have.
    pub(super) fn new() -> Self {
        Self::of(raise_descriptor_limit())
    }

    fn of(descriptors_max: usize) -> Self {
        // Of few descriptors, half are for the store.
        let for_clients = descriptors_max - RESERVED.min(descriptors_max / 2);
        let http_max = (for_clients / 4).clamp(1, HTTP_MAX);
        // Saturates where the process may open next to nothing: then there is one slot of each kind.
        let amqp_max = for_clients.saturating_sub(http_max).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            amqp: Arc::new(Semaphore::new(amqp_max)),
            amqp_max,
            http: Arc::new(Semaphore::new(http_max)),
            is_starved: AtomicBool::new(false),
        }
    }

    /// The slots of the management API.
    pub(super) fn http(&self) -> Arc<Semaphore> {
        Arc::clone(&self.http)
    }

    /// Takes a slot for a client of AMQP, and waits while there is none: then the alarm is on.
    ///
    /// Cancel-safe: a wait that is given up has taken none.
    pub(super) async fn take(&self, broker: &Broker) -> ConnectionSlot {
        self.is_starved.store(false, Ordering::Relaxed);
        match Arc::clone(&self.amqp).try_acquire_owned() {
            Ok(slot) => slot,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                broker.raise_alarm(Shortage::Descriptors);
                let slot = Arc::clone(&self.amqp).acquire_owned().await;
                slot.expect("the semaphore is never closed")
            }
        }
    }

    /// Notes that a connection was not accepted because there was no descriptor for it.
    pub(super) fn on_starved(&self, broker: &Broker) {
        self.is_starved.store(true, Ordering::Relaxed);
        broker.raise_alarm(Shortage::Descriptors);
    }

    /// Ends the alarm when there are enough slots again.
    pub(super) fn look(&self, broker: &Broker) {
        let is_free = self.amqp.available_permits() > self.amqp_max / FREE_AGAIN;
        if is_free && !self.is_starved.load(Ordering::Relaxed) {
            broker.end_alarm(Shortage::Descriptors);
        }
    }
}

/// Lets the process open as many files as it may (the soft limit is often 1024); answers how many that is.
fn raise_descriptor_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit on open files cannot be raised");
            current
        }
    };
    in_force.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_has_its_part_of_the_descriptors() {
        #[rustfmt::skip]
        let cases = [
            // descriptors  amqp                    http
            (1_048_576,     1_048_476 - 256,        256),
            (1024,          924 - 231,              231),
            (256,           156 - 39,               39),
            (64,            32 - 8,                 8),
            (4,             1,                      1),
        ];
        for (descriptors, amqp, http) in cases {
            let slots = ConnectionSlots::of(descriptors);
            let found = (slots.amqp.available_permits(), slots.http.available_permits());
            assert_eq!(found, (amqp, http), "{descriptors}");
        }
        assert!(ConnectionSlots::of(usize::MAX).amqp_max > 1_000_000);
    }

    #[tokio::test]
    async fn the_alarm_is_on_from_the_first_client_that_waits_until_there_is_room() {
        let broker = Broker::new("mq@test".into());
        let slots = ConnectionSlots::of(64);
        let mut taken = Vec::new();
        for _ in 0..24 {
            taken.push(slots.take(&broker).await);
        }
        assert!(!broker.alarm.is_short_of_descriptors(), "no client waits");
        {
            let mut waiting = std::pin::pin!(slots.take(&broker));
            let polled = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(waiting.as_mut().poll(cx).is_ready())
            });
            assert!(!polled.await);
        }
        slots.look(&broker);
        assert!(broker.alarm.is_short_of_descriptors());
        assert!(!broker.alarm.is_on(), "publishers go on");
        taken.truncate(20);
        slots.look(&broker);
        assert!(!broker.alarm.is_short_of_descriptors());
        slots.on_starved(&broker);
        slots.look(&broker);
        assert!(broker.alarm.is_short_of_descriptors());
    }
}
