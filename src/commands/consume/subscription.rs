//! The options of a consumer: its priority among others of its queue, and the offset in a stream at which it starts.

use std::str::FromStr;

use crate::commands::options::age::Age;
use crate::commands::options::argument;
use crate::engine::{FieldTable, FieldValue, literal};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct SubscriptionOptions {
    /// Consume with this priority: consumers with a higher one get messages first, up to their prefetch; may be
    /// negative (x-priority)
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Be the queue's only consumer
    #[arg(long)]
    exclusive: bool,
    /// Start at this offset of a stream: first, last, next, a number, a time such as 2026-11-22T16:00:00Z, or an age
    /// such as 1h (x-stream-offset) [default: next]
    #[arg(long, value_name = "OFFSET")]
    offset: Option<Offset>,
    /// Consume only messages with this filter value from a stream; may be given several times (x-stream-filter)
    #[arg(long = "filter", value_name = "VALUE")]
    filters: Vec<String>,
    /// Also consume messages without a filter value (x-stream-match-unfiltered)
    #[arg(long, requires = "filters")]
    match_unfiltered: bool,
}

impl SubscriptionOptions {
    pub(super) fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// Answers whether only a stream can be meant.
    pub(super) fn is_of_stream(&self) -> bool {
        self.offset.is_some() || !self.filters.is_empty()
    }

    /// The consumer's arguments.
    pub(super) fn arguments(&self) -> FieldTable {
        let text = |text: &String| FieldValue::from(text.as_str());
        let filter = match self.filters.as_slice() {
            [] => None,
            [one] => Some(text(one)),
            several => Some(FieldValue::Array(several.iter().map(text).collect())),
        };
        let arguments = [
            ("x-priority", self.priority.map(FieldValue::I32)),
            ("x-stream-offset", self.offset.as_ref().map(|offset| offset.0.clone())),
            ("x-stream-filter", filter),
            ("x-stream-match-unfiltered", self.match_unfiltered.then_some(FieldValue::Bool(true))),
        ];
        let given = arguments.into_iter().filter_map(|(name, value)| Some((literal(name), value?)));
        given.collect()
    }
}

/// A place in a stream, as the broker is told it.
#[derive(Clone, Debug, PartialEq)]
struct Offset(FieldValue);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not an offset of a stream: write first, last, next, a number, a time such as \
     2026-11-22T16:00:00Z, or an age such as 1h"
)]
struct InvalidOffset {
    text: String,
}

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(text: &str) -> Result<Self, InvalidOffset> {
        let invalid = || InvalidOffset { text: text.to_owned() };
        if ["first", "last", "next"].contains(&text) || text.parse::<Age>().is_ok() {
            return Ok(Self(FieldValue::from(text)));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(|number| Self(FieldValue::I64(number))).map_err(|_| invalid());
        }
        argument::seconds(text)
            .map(|seconds| Self(FieldValue::Timestamp(seconds)))
            .ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_stream() {
        #[rustfmt::skip]
        let cases = [
            ("first",                Some(FieldValue::from("first"))),
            ("0",                    Some(FieldValue::I64(0))),
            ("1700000000",           Some(FieldValue::I64(1_700_000_000))),
            ("2023-11-14T22:13:20Z", Some(FieldValue::Timestamp(1_700_000_000))),
            ("1h",                   Some(FieldValue::from("1h"))),
            ("-1",                   None),
            ("begin",                None),
            ("99999999999999999999", None),
            ("",                     None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Offset>().ok().map(|offset| offset.0), expected, "{text}");
        }
    }
}
