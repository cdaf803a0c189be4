//! `x-stream-offset`: the offset at which a consumer of a stream begins.

use super::index::{Index, Located};
use crate::broker::arguments::max_age_ms;
use crate::wire::{FieldTable, FieldValue};

/// The start that a consumer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) enum Start {
    First,
    /// The last message; RabbitMQ begins with the last that were written together.
    Last,
    /// Messages that come from now on.
    Next,
    /// This offset, or the first there is after it.
    Offset(u64),
    /// Messages published at this time, in milliseconds since 1970, or later.
    At(u64),
}

impl Start {
    /// Reads the argument of `basic.consume`; `unix_ms` is the time now.
    ///
    /// # Errors
    ///
    /// The value as RabbitMQ's text shows it.
    pub(in crate::broker::queue) fn of(
        arguments: &FieldTable,
        unix_ms: u64,
    ) -> Result<Self, String> {
        let Some(value) = arguments.get("x-stream-offset") else { return Ok(Self::Next) };
        let refused = |shown: String| format!("{{{},{shown}}}", value.type_name());
        match value {
            FieldValue::Timestamp(seconds) => Ok(Self::At(seconds.saturating_mul(1000))),
            FieldValue::LongStr(text) => match text.to_text().as_str() {
                "first" => Ok(Self::First),
                "last" => Ok(Self::Last),
                "next" => Ok(Self::Next),
                text => max_age_ms(text)
                    .map(|age_ms| Self::At(unix_ms.saturating_sub(age_ms)))
                    .ok_or_else(|| refused(format!("<<\"{text}\">>"))),
            },
            FieldValue::Bool(value) => Err(refused(value.to_string())),
            other => match other.as_integer() {
                Some(offset) => Ok(Self::Offset(u64::try_from(offset).unwrap_or(0))),
                None => Err(refused(other.type_name().to_owned())),
            },
        }
    }

    /// Finds the offset of that now.
    pub(super) fn find(self, index: &Index) -> StartOffset {
        let from = |next| StartOffset { next, not_before: None };
        match self {
            Self::First => from(index.first()),
            Self::Last => from(index.next().saturating_sub(1).max(index.first())),
            Self::Next => from(index.next()),
            Self::Offset(offset) => from(offset.max(index.first())),
            Self::At(at) => {
                let next = index.before(at);
                match index.at(next) {
                    Some(Located::Here(first, places)) => {
                        let before = places.iter().take_while(|stored| stored.deadline() < at);
                        from(first + before.count() as u64)
                    }
                    Some(Located::Paged(..)) => StartOffset { next, not_before: Some(at) },
                    None => from(next),
                }
            }
        }
    }
}

/// The offset at which a consumer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) struct StartOffset {
    pub(in crate::broker::queue) next: u64,
    /// Messages published before this time are passed over; their times are known once they have been read.
    pub(in crate::broker::queue) not_before: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_start_is_known() {
        const NOW: u64 = 100_000_000;
        #[rustfmt::skip]
        let cases = [
            (Some("first".into()), Ok(Start::First)),
            (Some("last".into()), Ok(Start::Last)),
            (Some("next".into()), Ok(Start::Next)),
            (None, Ok(Start::Next)),
            (Some(FieldValue::I32(5)), Ok(Start::Offset(5))),
            (Some(FieldValue::I64(1 << 40)), Ok(Start::Offset(1 << 40))),
            (Some(FieldValue::I64(-1)), Ok(Start::Offset(0))),
            (Some(FieldValue::Timestamp(7)), Ok(Start::At(7_000))),
            (Some("1h".into()), Ok(Start::At(NOW - 3_600_000))),
            (Some("7D".into()), Ok(Start::At(0))),
            (Some("bogus".into()), Err("{longstr,<<\"bogus\">>}")),
            (Some("".into()), Err("{longstr,<<\"\">>}")),
            (Some(true.into()), Err("{bool,true}")),
        ];
        for (value, start) in cases {
            let mut arguments = FieldTable::new();
            if let Some(value) = value.clone() {
                arguments = arguments.with("x-stream-offset", value);
            }
            let found = Start::of(&arguments, NOW);
            assert_eq!(found, start.map_err(str::to_owned), "{value:?}");
        }
    }
}
