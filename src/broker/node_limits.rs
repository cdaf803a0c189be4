//! The limits of one node for its clients, all together and each: options of `mq serve`.
//!
//! They may change while the broker runs ([`LiveLimits`]): a connection that is open keeps what it was given when it
//! opened (frames, channels, messages, heartbeat). Vhosts and users have limits of their own.

use std::ops::RangeInclusive;

use super::time::Millis;
use crate::lock::RwLock;
use crate::wire::constants::{
    CHANNEL_MAX_DEFAULT, FRAME_MAX_DEFAULT, FRAME_MIN_SIZE, HEARTBEAT_DEFAULT_S,
    MESSAGE_SIZE_MAX_DEFAULT,
};
use crate::wire::{Fault, ReplyCode};

/// Bytes that must stay free on the disk (RabbitMQ: `disk_free_limit.absolute`).
pub const DISK_FREE_MIN_DEFAULT: u64 = 50_000_000;

/// Milliseconds that a handshake may take (RabbitMQ: `handshake_timeout`).
const HANDSHAKE_MS: Millis = 10_000;
/// Milliseconds that a TLS handshake may take (RabbitMQ: `ssl_handshake_timeout`).
const TLS_HANDSHAKE_MS: Millis = 5_000;
/// Largest frame before one is agreed on: the specification's minimum, as in RabbitMQ 3; room for a fat table
/// of client properties all the same.
const HANDSHAKE_FRAME_MAX: u32 = 2 * FRAME_MIN_SIZE;

/// The limits of a node; `None` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// Connections at a time (RabbitMQ: `connection_max`)
    pub connections_max: Option<u32>,
    /// Channels of all connections at a time (RabbitMQ: `channel_max_per_node`)
    pub channels_max: Option<u32>,
    /// Channels of a connection; 0 is no limit (RabbitMQ: `channel_max`)
    pub channels_per_connection_max: u16,
    /// Consumers of a channel (RabbitMQ: `consumer_max_per_channel`)
    pub consumers_max: Option<u32>,
    /// Virtual hosts (RabbitMQ: `vhost_max`)
    pub vhosts_max: Option<u32>,
    /// Queues of all virtual hosts (RabbitMQ: `cluster_queue_limit`)
    pub queues_max: Option<u32>,
    /// Exchanges of all virtual hosts, those that each has from the start included (RabbitMQ: `cluster_exchange_limit`)
    pub exchanges_max: Option<u32>,
    /// Bytes of a frame (RabbitMQ: `frame_max`)
    pub frame_bytes_max: u32,
    /// Bytes of a frame before both sides have agreed on `frame_bytes_max` (RabbitMQ: `initial_frame_max`)
    pub handshake_frame_bytes_max: u32,
    /// The time that a client has from its first byte to `connection.open`; `None` is no limit (RabbitMQ:
    /// `handshake_timeout`)
    pub handshake_ms: Option<Millis>,
    /// The time that a TLS handshake may take (RabbitMQ: `ssl_handshake_timeout`)
    pub tls_handshake_ms: Millis,
    /// Bytes of a message's body (RabbitMQ: `max_message_size`)
    pub message_bytes_max: u64,
    /// The seconds between heartbeats that clients are offered; 0 offers none
    pub heartbeat_s: u16,
    /// The time for which a consumer may leave a message unacknowledged (RabbitMQ: `consumer_timeout`)
    pub consumer_timeout_ms: Option<Millis>,
    /// Bytes of memory that relative limits are a part of; the machine's if none is given (RabbitMQ:
    /// `total_memory_available_override_value`)
    pub total_memory_bytes: Option<u64>,
    /// Bytes of memory above which publishers pause (RabbitMQ: `vm_memory_high_watermark`)
    pub memory_bytes_max: Option<u64>,
    /// Bytes below which, free on the data directory's disk, publishers pause (RabbitMQ: `disk_free_limit`)
    pub disk_free_bytes_min: u64,
    /// The free space of the disk is looked at (RabbitMQ: `activate_free_disk_space_monitoring`)
    pub is_disk_watched: bool,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self {
            connections_max: None,
            channels_max: None,
            channels_per_connection_max: CHANNEL_MAX_DEFAULT,
            consumers_max: None,
            vhosts_max: None,
            queues_max: None,
            exchanges_max: None,
            frame_bytes_max: FRAME_MAX_DEFAULT,
            handshake_frame_bytes_max: HANDSHAKE_FRAME_MAX,
            handshake_ms: Some(HANDSHAKE_MS),
            tls_handshake_ms: TLS_HANDSHAKE_MS,
            message_bytes_max: MESSAGE_SIZE_MAX_DEFAULT,
            heartbeat_s: HEARTBEAT_DEFAULT_S,
            consumer_timeout_ms: None,
            total_memory_bytes: None,
            memory_bytes_max: None,
            disk_free_bytes_min: DISK_FREE_MIN_DEFAULT,
            is_disk_watched: true,
        }
    }
}

impl NodeLimits {
    /// Largest message that may be allowed, in bytes (RabbitMQ: `MAX_MSG_SIZE`).
    pub const MESSAGE_BYTES_CAP: u64 = 512 << 20;
    /// The sizes that frames may be limited to: a thread has room for a few of the largest.
    pub const FRAME_BYTES: RangeInclusive<u32> = FRAME_MIN_SIZE..=16 << 20;

    /// Checks that one more connection may be opened; `open` counts it already.
    ///
    /// # Errors
    ///
    /// `NOT_ALLOWED` in RabbitMQ's words (`rabbit_reader:is_over_node_connection_limit`).
    pub fn check_connections(&self, open: usize) -> Result<(), Fault> {
        let Some(max) = exceeded(self.connections_max, open) else { return Ok(()) };
        refuse(format!("connection refused: node connection limit ({max}) is reached"))
    }

    /// Checks that one more vhost may be added beside `there` others.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` in RabbitMQ's words (`rabbit_vhost:are_vhosts_under_limit`).
    pub fn check_vhosts(&self, there: usize, name: &str) -> Result<(), Fault> {
        let Some(max) = exceeded(self.vhosts_max, there + 1) else { return Ok(()) };
        let text = format!("cannot create vhost '{name}': vhost limit of {max} is reached");
        Err(Fault::new(ReplyCode::PreconditionFailed, text))
    }

    /// Checks that the queue of this name may be added beside `there` others of all virtual hosts.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` in RabbitMQ's words (`rabbit_db_queue`, on a declaration).
    pub fn check_queues(&self, there: usize, name: &str) -> Result<(), Fault> {
        let Some(max) = exceeded(self.queues_max, there + 1) else { return Ok(()) };
        let text =
            format!("cannot declare queue '{name}': queue limit in cluster ({max}) is reached");
        Err(Fault::new(ReplyCode::PreconditionFailed, text))
    }

    /// The same for an exchange.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` in RabbitMQ's words (`rabbit_exchange`, on a declaration).
    pub fn check_exchanges(&self, there: usize, name: &str, vhost: &str) -> Result<(), Fault> {
        let Some(max) = exceeded(self.exchanges_max, there + 1) else { return Ok(()) };
        let text = format!(
            "cannot declare exchange '{name}' in vhost '{vhost}': exchange limit of {max} is reached"
        );
        Err(Fault::new(ReplyCode::PreconditionFailed, text))
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

/// A limit of memory, or of a disk's free space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Watermark {
    /// A part of the memory
    Relative(f64),
    /// Bytes
    Absolute(u64),
}

impl Default for Watermark {
    /// RabbitMQ's (`vm_memory_high_watermark.relative`).
    fn default() -> Self {
        Self::Relative(0.6)
    }
}

impl Watermark {
    /// Returns the limit in bytes, of a machine with `total_bytes` of memory; none if they are not known.
    pub fn bytes(self, total_bytes: Option<u64>) -> Option<u64> {
        match self {
            Self::Absolute(bytes) => Some(bytes),
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a limit of memory needs no more than the digits of a double"
            )]
            Self::Relative(part) => total_bytes.map(|bytes| (bytes as f64 * part.max(0.0)) as u64),
        }
    }
}

/// The limits in force, which may change while the broker runs.
#[derive(Debug, Default)]
pub struct LiveLimits(RwLock<NodeLimits>);

impl LiveLimits {
    /// Returns the limits as they are now.
    ///
    /// Cost: a read lock and a copy; asked for each connection, channel and consumer, and for no message.
    pub fn get(&self) -> NodeLimits {
        *self.0.read()
    }

    /// Puts other limits in force, for connections, channels and consumers to come.
    pub fn set(&self, limits: NodeLimits) {
        *self.0.write() = limits;
    }

    /// Changes some of the limits in force; the others stay.
    pub fn change(&self, change: impl FnOnce(&mut NodeLimits)) {
        change(&mut self.0.write());
    }
}

/// The limit, when there is one and `count` is above it.
fn exceeded(max: Option<u32>, count: usize) -> Option<u32> {
    max.filter(|max| count > *max as usize)
}

fn refuse(text: String) -> Result<(), Fault> {
    Err(Fault::new(ReplyCode::NotAllowed, text))
}
