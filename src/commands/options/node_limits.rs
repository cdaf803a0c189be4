//! The limits of a node as options of `mq serve`, under RabbitMQ's names.

use std::str::FromStr;
use std::time::Duration;

use super::effective::EffectiveValue;
use super::size::Size;
use crate::commands::CommandError;
use crate::engine::{Compat, NodeLimits, Watermark};

/// RabbitMQ 4's limit of a message's size, which is lower than that of earlier releases and ours.
const STRICT_MESSAGE_BYTES: u64 = 16 << 20;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(in crate::commands) struct LimitOptions {
    /// Block publishers while the process uses more memory than this: a fraction of the machine's memory, such as 0.6,
    /// or a size, such as 2GiB
    #[arg(long, value_name = "PART|SIZE", default_value = "0.6")]
    memory_high_watermark: MemoryWatermark,
    /// Take this for the machine's memory when a limit is a part of it, for example 2GiB [default: the machine's, or
    /// what its control group is given]
    #[arg(long, value_name = "SIZE")]
    total_memory: Option<Size>,
    /// Block publishers while the data directory's disk has less free space than this [default: 50MB]
    #[arg(long, value_name = "SIZE")]
    disk_free_limit: Option<Size>,
    /// Accept at most this many connections [default: as many as the limit on file descriptors allows]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,
    /// Allow at most this many channels, all connections together [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_channels: Option<u32>,
    /// Allow at most this many channels on a connection; 0 sets no limit [default: 2047]
    #[arg(long, value_name = "NUMBER")]
    channel_max: Option<u16>,
    /// Allow at most this many consumers on a channel [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    consumer_max_per_channel: Option<u32>,
    /// Refuse messages whose body is larger than this, at most 512MiB [default: 128MiB; 16MiB with --compat 4.3]
    #[arg(long, value_name = "SIZE")]
    max_message_size: Option<Size>,
    /// Allow at most this many virtual hosts [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    vhost_max: Option<u32>,
    /// Allow at most this many queues, all virtual hosts together [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    cluster_queue_limit: Option<u32>,
    /// Allow at most this many exchanges, all virtual hosts together; each has 7 from the start [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    cluster_exchange_limit: Option<u32>,
    /// Propose frames of at most this size to clients, from 4096 bytes to 16MiB [default: 131072]
    #[arg(long, value_name = "SIZE")]
    frame_max: Option<Size>,
    /// Accept frames of at most this size before a client has logged in, from 4096 bytes to 16MiB [default: 8192]
    #[arg(long, value_name = "SIZE")]
    initial_frame_max: Option<Size>,
    /// Close a connection that is not open after this time, for example 10s; none waits forever [default: 10s]
    #[arg(long, value_name = "DURATION")]
    handshake_timeout: Option<TimeLimit>,
    /// Close a TLS connection whose handshake takes longer than this, for example 5s [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    tls_handshake_timeout: Option<Duration>,
    /// Propose this heartbeat interval to clients, for example 30s; 0s proposes no heartbeats [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    heartbeat: Option<Duration>,
    /// Close channels that hold a message unacknowledged for longer than this, for example 30m [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    consumer_timeout: Option<Duration>,
}

impl LimitOptions {
    /// Returns the memory that the broker may use.
    pub(in crate::commands) fn watermark(&self) -> Watermark {
        self.memory_high_watermark.0
    }

    /// Returns the memory that relative limits are a part of, if it is not the machine's.
    fn machine_bytes(&self) -> Option<u64> {
        self.total_memory.map(|size| size.bytes)
    }

    /// The value of each key of rabbitmq.conf, and the option that sets it.
    pub(in crate::commands) fn effective(
        &self,
        compat: Compat,
    ) -> Result<Vec<EffectiveValue>, CommandError> {
        let limits = self.limits(compat)?;
        let (key, watermark) = match self.watermark() {
            Watermark::Relative(part) => ("vm_memory_high_watermark.relative", part.to_string()),
            Watermark::Absolute(bytes) => ("vm_memory_high_watermark.absolute", bytes.to_string()),
        };
        let text = |number: u64| Some(number.to_string());
        let or_none = |limit: Option<u64>, none: &str| {
            Some(limit.map_or_else(|| none.to_owned(), |limit| limit.to_string()))
        };
        let number = |limit: Option<u32>| limit.map(|limit| limit.to_string());
        let total = self.machine_bytes().map(|bytes| bytes.to_string());
        #[rustfmt::skip]
        let all = [
            (key, "memory-high-watermark", Some(watermark)),
            ("total_memory_available_override_value", "total-memory", total),
            ("disk_free_limit.absolute", "disk-free-limit", text(limits.disk_free_bytes_min)),
            ("max_message_size", "max-message-size", text(limits.message_bytes_max)),
            ("heartbeat", "heartbeat", text(limits.heartbeat_s.into())),
            ("consumer_timeout", "consumer-timeout", limits.consumer_timeout_ms.map(|limit| limit.to_string())),
            ("max_connections", "max-connections", number(limits.connections_max)),
            ("max_channels_per_connection", "channel-max", text(limits.channels_per_connection_max.into())),
            ("channel_max_per_node", "max-channels", number(limits.channels_max)),
            ("consumer_max_per_channel", "consumer-max-per-channel", number(limits.consumers_max)),
            ("vhost_max", "vhost-max", number(limits.vhosts_max)),
            ("cluster_queue_limit", "cluster-queue-limit", number(limits.queues_max)),
            ("cluster_exchange_limit", "cluster-exchange-limit", number(limits.exchanges_max)),
            ("frame_max", "frame-max", text(limits.frame_bytes_max.into())),
            ("initial_frame_max", "initial-frame-max", text(limits.handshake_frame_bytes_max.into())),
            ("handshake_timeout", "handshake-timeout", or_none(limits.handshake_ms, "infinity")),
            ("ssl_handshake_timeout", "tls-handshake-timeout", text(limits.tls_handshake_ms)),
        ];
        let value = |(key, option, value)| EffectiveValue::new(key, option, value);
        Ok(all.into_iter().map(value).collect())
    }

    /// All other limits.
    pub(in crate::commands) fn limits(&self, compat: Compat) -> Result<NodeLimits, CommandError> {
        let usual = NodeLimits::default();
        let usual_message =
            if compat.is_strict() { STRICT_MESSAGE_BYTES } else { usual.message_bytes_max };
        let message_bytes_max = self.max_message_size.map_or(usual_message, |size| size.bytes);
        if message_bytes_max > NodeLimits::MESSAGE_BYTES_CAP {
            return Err(CommandError::usage("--max-message-size may be at most 512MiB"));
        }
        let heartbeat = self.heartbeat.map(|heartbeat| u16::try_from(heartbeat.as_secs()));
        let long = |_| CommandError::usage("--heartbeat may be at most 65535s");
        Ok(NodeLimits {
            connections_max: self.max_connections,
            channels_max: self.max_channels,
            channels_per_connection_max: self
                .channel_max
                .unwrap_or(usual.channels_per_connection_max),
            consumers_max: self.consumer_max_per_channel,
            vhosts_max: self.vhost_max,
            queues_max: self.cluster_queue_limit,
            exchanges_max: self.cluster_exchange_limit,
            frame_bytes_max: frame("--frame-max", self.frame_max, usual.frame_bytes_max)?,
            handshake_frame_bytes_max: frame(
                "--initial-frame-max",
                self.initial_frame_max,
                usual.handshake_frame_bytes_max,
            )?,
            handshake_ms: self
                .handshake_timeout
                .map_or(usual.handshake_ms, |TimeLimit(limit)| limit),
            tls_handshake_ms: self.tls_handshake_timeout.map_or(usual.tls_handshake_ms, millis),
            message_bytes_max,
            heartbeat_s: heartbeat.transpose().map_err(long)?.unwrap_or(usual.heartbeat_s),
            consumer_timeout_ms: self.consumer_timeout.map(millis),
            total_memory_bytes: self.machine_bytes(),
            memory_bytes_max: None,
            disk_free_bytes_min: self
                .disk_free_limit
                .map_or(usual.disk_free_bytes_min, |size| size.bytes),
            is_disk_watched: true,
        })
    }
}

/// The bytes of frames that may be set.
///
/// # Errors
///
/// When a frame could not hold what it must, or is larger than a connection has room for.
fn frame(option: &str, size: Option<Size>, usual: u32) -> Result<u32, CommandError> {
    let Some(Size { bytes }) = size else { return Ok(usual) };
    let range = NodeLimits::FRAME_BYTES;
    u32::try_from(bytes).ok().filter(|bytes| range.contains(bytes)).ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        CommandError::usage(format!("{option} must be a size from {least} to {most} bytes"))
    })
}

/// A time in milliseconds; one that cannot be counted is never over.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time in milliseconds, or the word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TimeLimit(Option<u64>);

impl FromStr for TimeLimit {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        humantime::parse_duration(text).map(|time| Self(Some(millis(time))))
    }
}

/// A part of the machine's memory, or a size.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MemoryWatermark(Watermark);

impl FromStr for MemoryWatermark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(part) = text.parse::<f64>()
            && (0.0..=1.0).contains(&part)
        {
            return Ok(Self(Watermark::Relative(part)));
        }
        match text.parse::<Size>() {
            Ok(size) => Ok(Self(Watermark::Absolute(size.bytes))),
            Err(_) => Err(format!(
                "'{text}' is neither a part of the machine's memory from 0 to 1, nor a size such as 2GiB"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_is_a_part_or_a_size() {
        #[rustfmt::skip]
        let cases = [
            ("0.6",   Some(Watermark::Relative(0.6))),
            ("1",     Some(Watermark::Relative(1.0))),
            ("0",     Some(Watermark::Relative(0.0))),
            ("2GiB",  Some(Watermark::Absolute(2 << 30))),
            ("4096",  Some(Watermark::Absolute(4096))),
            ("1.5",   None),
            ("-0.1",  None),
            ("much",  None),
        ];
        for (text, expected) in cases {
            let found = text.parse::<MemoryWatermark>().ok().map(|watermark| watermark.0);
            assert_eq!(found, expected, "{text}");
        }
    }
}
