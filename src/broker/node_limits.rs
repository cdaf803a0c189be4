//! The limits of one node for its clients, all together and each: options of `mq serve`.
//!
//! They are set before the broker is used and never changed. The values agreed on for a connection (frames, channels)
//! are in `wire::constants`; vhosts and users have limits of their own.

use super::time::Millis;
use crate::wire::constants::{HEARTBEAT_DEFAULT_S, MESSAGE_SIZE_MAX_DEFAULT};
use crate::wire::{Fault, ReplyCode};

/// Bytes that must stay free on the disk (RabbitMQ: `disk_free_limit.absolute`).
pub const DISK_FREE_MIN_DEFAULT: u64 = 50_000_000;

/// The limits of a node; `None` is none.
#[derive(Clone, Debug)]
pub struct NodeLimits {
    /// Connections at a time (RabbitMQ: `connection_max`)
    pub connections_max: Option<u32>,
    /// Channels of all connections at a time (RabbitMQ: `channel_max_per_node`)
    pub channels_max: Option<u32>,
    /// Consumers of a channel (RabbitMQ: `consumer_max_per_channel`)
    pub consumers_max: Option<u32>,
    /// Bytes of a message's body (RabbitMQ: `max_message_size`)
    pub message_bytes_max: u64,
    /// The seconds between heartbeats that clients are offered; 0 offers none
    pub heartbeat_s: u16,
    /// The time for which a consumer may leave a message unacknowledged (RabbitMQ: `consumer_timeout`)
    pub consumer_timeout_ms: Option<Millis>,
    /// Bytes of memory above which publishers pause (RabbitMQ: `vm_memory_high_watermark`)
    pub memory_bytes_max: Option<u64>,
    /// Bytes below which, free on the data directory's disk, publishers pause (RabbitMQ: `disk_free_limit`)
    pub disk_free_bytes_min: u64,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self {
            connections_max: None,
            channels_max: None,
            consumers_max: None,
            message_bytes_max: MESSAGE_SIZE_MAX_DEFAULT,
            heartbeat_s: HEARTBEAT_DEFAULT_S,
            consumer_timeout_ms: None,
            memory_bytes_max: None,
            disk_free_bytes_min: DISK_FREE_MIN_DEFAULT,
        }
    }
}

impl NodeLimits {
    /// Largest message that may be allowed, in bytes (RabbitMQ: `MAX_MSG_SIZE`).
    pub const MESSAGE_BYTES_CAP: u64 = 512 << 20;

    /// Checks that one more connection may be opened; `open` counts it already.
    ///
    /// # Errors
    ///
    /// `NOT_ALLOWED` in RabbitMQ's words (`rabbit_reader:is_over_node_connection_limit`).
    pub fn check_connections(&self, open: usize) -> Result<(), Fault> {
        let Some(max) = exceeded(self.connections_max, open) else { return Ok(()) };
        refuse(format!("connection refused: node connection limit ({max}) is reached"))
    }

    /// Checks that one more channel may be opened beside `open` others on the node.
    ///
    /// # Errors
    ///
    /// `NOT_ALLOWED` in RabbitMQ's words (`rabbit_reader`, on `channel.open`).
    pub fn check_channels(&self, open: usize, node: &str) -> Result<(), Fault> {
        let Some(max) = exceeded(self.channels_max, open + 1) else { return Ok(()) };
        refuse(format!(
            "number of channels opened on node '{node}' has reached the maximum allowed limit of {max}"
        ))
    }

    /// Checks that a channel may have one more consumer beside `running` others.
    ///
    /// # Errors
    ///
    /// `NOT_ALLOWED` in RabbitMQ's words (`rabbit_channel`, on `basic.consume`).
    pub fn check_consumers(&self, running: usize) -> Result<(), Fault> {
        let Some(max) = exceeded(self.consumers_max, running + 1) else { return Ok(()) };
        refuse(format!("reached maximum ({max}) of consumers per channel"))
    }
}

/// The limit, when there is one and `count` is above it.
fn exceeded(max: Option<u32>, count: usize) -> Option<u32> {
    max.filter(|max| count > *max as usize)
}

fn refuse(text: String) -> Result<(), Fault> {
    Err(Fault::new(ReplyCode::NotAllowed, text))
}
