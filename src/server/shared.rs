//! The state that all tasks of a server share.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::clock::Clock;
use super::maintenance::Maintenance;
use super::slots::ConnectionSlots;
use super::spin::Spin;
use crate::broker::Broker;

/// The state that the tasks of all listeners and connections share.
pub(super) struct Shared {
    pub(super) broker: Arc<Broker>,
    pub(super) clock: Clock,
    pub(super) stop: watch::Sender<bool>,
    /// Nothing is sent. Each running task holds this struct, so the channel closes when the last of them ends.
    #[expect(dead_code, reason = "its end is what counts")]
    pub(super) running: mpsc::Sender<()>,
    pub(super) spin: Option<Arc<Spin>>,
    pub(super) slots: ConnectionSlots,
    pub(super) maintenance: Maintenance,
    /// Clients over TCP come through a proxy that says first where they are from.
    pub(super) proxy_protocol: bool,
}
