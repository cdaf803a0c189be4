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
    /// Block publishers while the data directory's disk has less free space than this [default: 50MB]
    #[arg(long, value_name = "SIZE")]
    disk_free_limit: Option<Size>,
    /// Accept at most this many connections [default: as many as the limit on file descriptors allows]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,
    /// Allow at most this many channels, all connections together [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_channels: Option<u32>,
    /// Allow at most this many consumers on a channel [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    consumer_max_per_channel: Option<u32>,
    /// Refuse messages whose body is larger than this, at most 512MiB [default: 128MiB; 16MiB with --compat 4.3]
    #[arg(long, value_name = "SIZE")]
    max_message_size: Option<Size>,
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
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let timeout = limits.consumer_timeout_ms.map(|timeout| timeout.to_string());
        Ok(vec![
            EffectiveValue::new(key, "memory-high-watermark", Some(watermark)),
            EffectiveValue::new(
                "disk_free_limit.absolute",
                "disk-free-limit",
                Some(limits.disk_free_bytes_min.to_string()),
            ),
            EffectiveValue::new(
                "max_message_size",
                "max-message-size",
                Some(limits.message_bytes_max.to_string()),
            ),
            EffectiveValue::new("heartbeat", "heartbeat", Some(limits.heartbeat_s.to_string())),
            EffectiveValue::new("consumer_timeout", "consumer-timeout", timeout),
            EffectiveValue::new(
                "connection_max",
                "max-connections",
                number(limits.connections_max),
            ),
            EffectiveValue::new(
                "channel_max_per_node",
                "max-channels",
                number(limits.channels_max),
            ),
            EffectiveValue::new(
                "consumer_max_per_channel",
                "consumer-max-per-channel",
                number(limits.consumers_max),
            ),
        ])
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
        let timeout_ms = self.consumer_timeout.map(|timeout| timeout.as_millis());
        Ok(NodeLimits {
            connections_max: self.max_connections,
            channels_max: self.max_channels,
            consumers_max: self.consumer_max_per_channel,
            message_bytes_max,
            heartbeat_s: heartbeat.transpose().map_err(long)?.unwrap_or(usual.heartbeat_s),
            // A time that cannot be counted is never over.
            consumer_timeout_ms: timeout_ms.and_then(|timeout| u64::try_from(timeout).ok()),
            memory_bytes_max: None,
            disk_free_bytes_min: self
                .disk_free_limit
                .map_or(usual.disk_free_bytes_min, |size| size.bytes),
        })
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
