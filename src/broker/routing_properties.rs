//! The properties of a message that take part in routing: headers, ids and the timestamp for some types of exchange,
//! further routing keys (`CC`, `BCC`), and the delay of a delayed message.

use std::cell::OnceCell;

use crate::wire::raw::{RawProperties, RawTable};
use crate::wire::{Fault, FieldTable, FieldValue, Properties, ReplyCode, ShortStr};

/// The properties that a message may be matched by, beside its routing key.
#[derive(Clone, Debug, Default)]
pub struct Details {
    pub headers: FieldTable,
    pub correlation_id: Option<ShortStr>,
    pub message_id: Option<ShortStr>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
}

impl Details {
    /// Reads them from encoded properties, as far as they can be read.
    pub fn read(properties: &[u8]) -> Self {
        let Properties { headers, correlation_id, message_id, timestamp, .. } =
            RawProperties::split(properties).readable();
        let headers = headers.unwrap_or_default();
        Self { headers, correlation_id, message_id, timestamp }
    }

    /// Returns the time for which a delayed exchange keeps the message, in milliseconds, if it keeps it at all.
    pub fn delay_ms(&self) -> Option<u64> {
        let asked = self.headers.get(DELAY)?;
        let ms = match asked {
            FieldValue::LongStr(text) => text.to_text().trim().parse().ok()?,
            other => other.as_integer()?,
        };
        u64::try_from(ms).ok().filter(|ms| *ms > 0)
    }
}

/// The details of a message, which are read from its encoded properties at the first look.
#[derive(Debug)]
pub struct LazyDetails<'a> {
    properties: &'a [u8],
    read: OnceCell<Details>,
}

impl<'a> LazyDetails<'a> {
    pub fn new(properties: &'a [u8]) -> Self {
        Self { properties, read: OnceCell::new() }
    }

    /// Details that were not read from properties.
    pub fn known(details: Details) -> Self {
        Self { properties: &[], read: OnceCell::from(details) }
    }

    pub fn get(&self) -> &Details {
        self.read.get_or_init(|| Details::read(self.properties))
    }
}

/// The header with the delay of a delayed message, in milliseconds.
pub const DELAY: &str = "x-delay";

/// Headers with further routing keys; the second is taken out before a consumer gets the message (RabbitMQ:
/// "Sender-selected Distribution").
const COPIES: [&str; 2] = ["CC", "BCC"];

/// Answers whether encoded headers may name further routing keys; a quick look that may be wrong when it says yes.
#[inline]
pub fn may_have_copies(encoded_headers: &[u8]) -> bool {
    encoded_headers.windows(3).any(|key| key == b"\x02CC" || key == b"BCC")
}

/// The further routing keys of a message, those of `CC` first.
///
/// # Errors
///
/// `PRECONDITION_FAILED` in RabbitMQ's words (`rabbit_basic:header_routes`) for what is not an array.
pub fn copies(headers: &FieldTable) -> Result<Vec<ShortStr>, Fault> {
    let mut keys = Vec::new();
    for name in COPIES {
        let Some(value) = headers.get(name) else { continue };
        let FieldValue::Array(values) = value else {
            let kind = value.type_name();
            let term = format!("{{unacceptable_type_in_header,\"{name}\",{kind}}}");
            let text = format!("invalid message: {term}");
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        };
        keys.extend(keys_in(values));
    }
    Ok(keys)
}

/// The routing keys that are told to others: those of `CC`; none for headers of another form.
pub fn told_copies(headers: &RawTable<'_>) -> Vec<ShortStr> {
    let Some(FieldValue::Array(values)) = headers.get(COPIES[0]) else { return Vec::new() };
    keys_in(&values).collect()
}

/// The texts among them, as RabbitMQ passes over all else. A long one is no routing key: nothing is bound by it.
fn keys_in(values: &[FieldValue]) -> impl Iterator<Item = ShortStr> {
    values.iter().filter_map(|value| match value {
        FieldValue::LongStr(text) => {
            ShortStr::try_from(std::str::from_utf8(text.as_bytes()).ok()?).ok()
        }
        _ => None,
    })
}

/// The properties without the header that only the broker may see, when it is there.
pub fn without_blind_copies(properties: &[u8]) -> Option<Vec<u8>> {
    let mut split = RawProperties::split(properties);
    let mut headers = split.headers();
    if !headers.has(COPIES[1]) {
        return None;
    }
    headers.remove(COPIES[1]);
    split.set_headers(&headers);
    Some(split.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(values: &[&str]) -> FieldValue {
        FieldValue::Array(values.iter().map(|text| FieldValue::from(*text)).collect())
    }

    #[test]
    fn further_keys_are_those_of_cc_and_bcc() {
        let headers = FieldTable::new().with("BCC", array(&["c"])).with("CC", array(&["a", "b"]));
        let keys: Vec<String> = copies(&headers).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(keys, ["a", "b", "c"]);
        assert_eq!(told_copies(&RawTable::from(&headers)).len(), 2);
        let properties = Properties { headers: Some(headers), ..Properties::default() };
        let left = without_blind_copies(&properties.to_bytes()).unwrap();
        let left = Properties::decode(&left).unwrap().headers.unwrap();
        assert!(left.get("BCC").is_none() && left.get("CC").is_some());
        assert_eq!(without_blind_copies(&Properties::default().to_bytes()), None);
    }

    #[test]
    fn what_is_no_array_is_refused_in_rabbitmqs_words() {
        let refused = |value: FieldValue| copies(&FieldTable::new().with("CC", value)).unwrap_err();
        let text = "invalid message: {unacceptable_type_in_header,\"CC\",longstr}";
        assert_eq!(refused("a".into()).text, text);
        let mixed = FieldValue::Array(vec![FieldValue::I32(1), "a".into()]);
        assert_eq!(copies(&FieldTable::new().with("CC", mixed)).unwrap(), ["a"]);
    }

    #[test]
    fn a_delay_is_a_positive_number() {
        let delay = |value: FieldValue| {
            Details { headers: FieldTable::new().with(DELAY, value), ..Details::default() }
                .delay_ms()
        };
        assert_eq!(delay(FieldValue::I32(5)), Some(5));
        assert_eq!(delay("1500".into()), Some(1500));
        assert_eq!(delay(FieldValue::I32(0)), None);
        assert_eq!(delay(FieldValue::I32(-5)), None);
        assert_eq!(delay(FieldValue::Bool(true)), None);
        assert_eq!(Details::default().delay_ms(), None);
    }
}
