//! Maintenance: a node that is drained accepts no clients of AMQP over TCP until it is revived.
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
use crate::wire::{Fault, ReplyCode};

/// The pause between two attempts to listen again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The maintenance of a node; copies share it.
#[derive(Clone, Debug)]
pub struct Maintenance(Arc<watch::Sender<bool>>);

impl Default for Maintenance {
    /// The node is in service.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Maintenance {
    /// Answers whether the node is drained.
    pub fn is_on(&self) -> bool {
        *self.0.borrow()
    }

    /// Closes the listeners of AMQP and all its connections. On a node that is drained already, it closes connections
    /// that are left.
    pub fn drain(&self, broker: &Broker) {
        tracing::warn!(
            "this node is put into maintenance: it accepts no clients until it is revived"
        );
        self.0.send_replace(true);
        let text = "Node was put into maintenance mode";
        broker.registry.close_all(&Fault::new(ReplyCode::ConnectionForced, text));
    }

    /// Lets clients in again.
    pub fn revive(&self) {
        tracing::info!("this node is back in service: it accepts clients again");
        self.0.send_replace(false);
    }

    /// Ready when the node is drained, or is not any more.
    pub(super) async fn becomes(&self, is_on: bool) {
        // The sender lives as long as this copy.
        let _ = self.0.subscribe().wait_for(|now| *now == is_on).await;
    }
}

/// Closes a listener; answers with another one at the same address when the node is back in service.
pub(super) async fn paused(
    listener: TcpListener,
    maintenance: &Maintenance,
) -> io::Result<TcpListener> {
    let address = listener.local_addr()?;
    drop(listener);
    loop {
        maintenance.becomes(false).await;
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) => tracing::error!(%address, %error, "cannot listen again yet"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}
