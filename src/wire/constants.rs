//! Numbers of the AMQP 0-9-1 specification and of RabbitMQ that both sides of a connection use.

/// The eight bytes a client opens with (4.2.2).
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// Frame type of a method frame (4.2.3).
pub const FRAME_METHOD: u8 = 1;
/// Frame type of a content header frame.
pub const FRAME_HEADER: u8 = 2;
/// Frame type of a content body frame.
pub const FRAME_BODY: u8 = 3;
/// Frame type of a heartbeat frame.
pub const FRAME_HEARTBEAT: u8 = 8;
/// The octet that ends every frame.
pub const FRAME_END: u8 = 0xCE;

/// Bytes in front of a frame's payload: type, channel, size.
pub const FRAME_PREFIX: usize = 7;
/// Bytes a frame adds around its payload: the prefix and the end octet.
pub const FRAME_OVERHEAD: usize = FRAME_PREFIX + 1;

/// Smallest `frame_max` a peer may ask for, in bytes (spec constant `frame-min-size`).
pub const FRAME_MIN_SIZE: u32 = 4096;
/// Largest frame, in bytes, that is offered and accepted by default (RabbitMQ: `frame_max`).
pub const FRAME_MAX_DEFAULT: u32 = 131_072;
/// Bytes by which a frame may pass the negotiated size (RabbitMQ: `FRAME_SIZE_FUDGE`).
pub const FRAME_SIZE_FUDGE: u32 = 8;
/// Most channels a connection may open by default (RabbitMQ: `channel_max`).
pub const CHANNEL_MAX_DEFAULT: u16 = 2047;
/// Heartbeat interval offered by default, in seconds (RabbitMQ: `heartbeat`).
pub const HEARTBEAT_DEFAULT_S: u16 = 60;
/// Largest message body accepted by default, in bytes (RabbitMQ 3: `max_message_size`; RabbitMQ 4 takes 16 MiB).
pub const MESSAGE_SIZE_MAX_DEFAULT: u64 = 128 << 20;

/// TCP port of `amqp://`.
pub const PORT_AMQP: u16 = 5672;
/// TCP port of `amqps://`.
pub const PORT_AMQPS: u16 = 5671;
/// TCP port of the management API.
pub const PORT_MANAGEMENT: u16 = 15672;

/// Class of `basic`, the only one that carries content.
pub const CLASS_BASIC: u16 = 60;
