//! Maintenance: a node that is drained, or whose listeners are suspended, accepts no clients of AMQP over TCP until it is
//! revived, or they are resumed.
//!
//! RabbitMQ: `rabbit_maintenance`. Its listeners for HTTP are suspended there too, because its tools have a way of their
//! own; here the management API stays, so that the node can be revived, and so does the Unix socket of the data
//! directory. The state is not kept: a node that starts again is in service.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::broker::Broker;
use crate::lock::{Condvar, Mutex};
use crate::wire::{Fault, ReplyCode};

/// The pause between two attempts to listen again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The time that listeners are waited for after a change; they need less than a millisecond.
const LISTENERS_WAIT: Duration = Duration::from_secs(2);

/// The maintenance of a node; copies share it.
#[derive(Clone, Debug)]
pub struct Maintenance(Arc<SharedMaintenance>);

#[derive(Debug)]
struct SharedMaintenance {
    state: watch::Sender<ServiceState>,
    listeners: Mutex<ListenerCount>,
    /// Wakes threads that wait for listeners.
    changed: Condvar,
}

/// The numbers of listeners that there are, and that are closed.
#[derive(Clone, Copy, Debug, Default)]
struct ListenerCount {
    all: usize,
    closed: usize,
}

/// The state of a node: in service, with listeners suspended, or drained, which suspends them too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ServiceState {
    is_drained: bool,
    is_suspended: bool,
}

impl Default for Maintenance {
    /// The node is in service.
    fn default() -> Self {
        Self(Arc::new(SharedMaintenance {
            state: watch::Sender::new(ServiceState::default()),
            listeners: Mutex::default(),
            changed: Condvar::new(),
        }))
    }
}

impl Maintenance {
    /// Answers whether the node is drained.
    pub fn is_on(&self) -> bool {
        self.0.state.borrow().is_drained
    }

    /// Answers whether the listeners of AMQP are closed.
    pub(super) fn is_suspended(&self) -> bool {
        self.0.state.borrow().is_suspended
    }

    /// Closes the listeners of AMQP and all its connections. On a node that is drained already, it closes connections
    /// that are left.
    pub fn drain(&self, broker: &Broker) {
        tracing::warn!(
            "this node is put into maintenance: it accepts no clients until it is revived"
        );
        self.0.state.send_replace(ServiceState { is_drained: true, is_suspended: true });
        self.wait_for_listeners(|listeners| listeners.closed == listeners.all);
        let text = "Node was put into maintenance mode";
        broker.registry.close_all(&Fault::new(ReplyCode::ConnectionForced, text));
    }

    /// Lets clients in again.
    pub fn revive(&self) {
        tracing::info!("this node is back in service: it accepts clients again");
        self.0.state.send_replace(ServiceState::default());
        self.wait_for_listeners(|listeners| listeners.closed == 0);
    }

    /// Closes the listeners of AMQP; connections stay.
    pub fn suspend(&self) {
        tracing::warn!("the listeners are suspended: the node accepts no new clients");
        self.0.state.send_modify(|state| state.is_suspended = true);
        self.wait_for_listeners(|listeners| listeners.closed == listeners.all);
    }

    /// Opens the listeners again. A node that is drained stays marked so, as in RabbitMQ.
    pub fn resume(&self) {
        tracing::info!("the listeners are resumed: the node accepts clients again");
        self.0.state.send_modify(|state| state.is_suspended = false);
        self.wait_for_listeners(|listeners| listeners.closed == 0);
    }

    /// Waits until the listeners have followed, so that the next client finds what was said. It may take longer if an
    /// address is taken meanwhile; then the log says so.
    fn wait_for_listeners(&self, have_followed: impl Fn(ListenerCount) -> bool) {
        let SharedMaintenance { listeners, changed, .. } = &*self.0;
        let waiting = |listeners: &mut ListenerCount| !have_followed(*listeners);
        drop(changed.wait_timeout_while(listeners.lock(), LISTENERS_WAIT, waiting));
    }

    /// Counts a listener that is open.
    pub(super) fn add_listener(&self) {
        self.0.listeners.lock().all += 1;
    }

    fn set_closed(&self, is_closed: bool) {
        let mut listeners = self.0.listeners.lock();
        if is_closed {
            listeners.closed += 1;
        } else {
            listeners.closed -= 1;
        }
        drop(listeners);
        self.0.changed.notify_all();
    }

    /// Ready when the listeners are suspended, or are not any more.
    pub(super) async fn becomes(&self, is_suspended: bool) {
        // The sender lives as long as this copy.
        let _ = self.0.state.subscribe().wait_for(|now| now.is_suspended == is_suspended).await;
    }
}

/// Closes a listener; answers with another one at the same address when the node is back in service.
pub(super) async fn paused(
    listener: TcpListener,
    maintenance: &Maintenance,
) -> io::Result<TcpListener> {
    let address = listener.local_addr()?;
    drop(listener);
    maintenance.set_closed(true);
    loop {
        maintenance.becomes(false).await;
        match TcpListener::bind(address).await {
            Ok(listener) => {
                maintenance.set_closed(false);
                return Ok(listener);
            }
            Err(error) => tracing::error!(%address, %error, "cannot listen again yet"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}
