//! `x-stream-filter`: selects the messages that a consumer wants, by the values that their publishers gave them.
//!
//! RabbitMQ looks at chunks of messages through a bloom filter and so sends more than was asked for, which its clients
//! must expect; here each message is looked at.

use crate::wire::properties::Encoded;
use crate::wire::{FieldTable, FieldValue};

/// The header with which a publisher gives a message a filter value.
const VALUE_HEADER: &str = "x-stream-filter-value";

/// The filter values that a consumer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) struct Filter {
    values: Vec<String>,
    /// Messages without a filter value are wanted, too.
    takes_unfiltered: bool,
}

impl Filter {
    /// Reads the arguments of `basic.consume`; a value that is no text asks for nothing (RabbitMQ:
    /// `rabbit_stream_queue:filter_spec`).
    pub(in crate::broker::queue) fn of(arguments: &FieldTable) -> Option<Self> {
        let text = |value: &FieldValue| value.as_str().map(str::to_owned);
        let values = match arguments.get("x-stream-filter")? {
            FieldValue::Array(values) => values.iter().filter_map(text).collect(),
            value => vec![text(value)?],
        };
        let unfiltered = arguments.get("x-stream-match-unfiltered");
        Some(Self { values, takes_unfiltered: unfiltered == Some(&FieldValue::Bool(true)) })
    }

    /// Answers whether a message with these properties is wanted.
    ///
    /// Cost: none of its headers is decoded unless the name of this one is among their bytes.
    pub(in crate::broker::queue) fn takes(&self, properties: &[u8]) -> bool {
        let named = |bytes: &[u8]| {
            bytes.windows(VALUE_HEADER.len()).any(|name| name == VALUE_HEADER.as_bytes())
        };
        let found = Encoded::scan(properties).unwrap_or_default();
        if !found.headers.is_some_and(named) {
            return self.takes_unfiltered;
        }
        let headers = found.headers();
        match headers.get(VALUE_HEADER).and_then(FieldValue::as_str) {
            None => self.takes_unfiltered,
            Some(value) => self.values.iter().any(|wanted| wanted == value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::properties::Properties;

    fn message(headers: Option<FieldTable>) -> Vec<u8> {
        Properties { headers, ..Properties::default() }.to_bytes()
    }

    #[test]
    fn a_filter_takes_its_values_and_if_asked_to_what_has_none() {
        let value = |value: &str| FieldTable::new().with(VALUE_HEADER, value);
        let list = FieldValue::Array(vec!["a".into(), "b".into(), FieldValue::I32(7)]);
        #[rustfmt::skip]
        let cases = [
            // filter,     headers,                                   also unfiltered: no, yes
            ("a".into(),   Some(value("a")),                          true,  true),
            ("a".into(),   Some(value("b")),                          false, false),
            ("a".into(),   None,                                      false, true),
            ("a".into(),   Some(FieldTable::new().with("h", "a")),    false, true),
            ("a".into(),   Some(FieldTable::new().with(VALUE_HEADER, FieldValue::I32(1))), false, true),
            // The name stands in a value.
            ("a".into(),   Some(FieldTable::new().with("h", VALUE_HEADER)), false, true),
            (list.clone(), Some(value("b")),                          true,  true),
            (list,         Some(value("c")),                          false, false),
        ];
        for (wanted, headers, alone, both) in cases {
            let arguments = FieldTable::new().with("x-stream-filter", wanted);
            let filter = Filter::of(&arguments).unwrap();
            assert_eq!(filter.takes(&message(headers.clone())), alone, "{headers:?}");
            let arguments = arguments.with("x-stream-match-unfiltered", true);
            let filter = Filter::of(&arguments).unwrap();
            assert_eq!(filter.takes(&message(headers.clone())), both, "{headers:?}");
        }
        assert_eq!(Filter::of(&FieldTable::new()), None);
        assert_eq!(
            Filter::of(&FieldTable::new().with("x-stream-filter", FieldValue::I32(1))),
            None
        );
    }
}
