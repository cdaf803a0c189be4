//! Properties and header tables taken apart without being decoded: what a client has put there stays byte for byte.
//!
//! A value may be nested deeper than [`NESTING_MAX`](super::field::NESTING_MAX), and a name or a short string need not
//! be UTF-8; RabbitMQ takes and hands on both. So code that only adds a header, or looks for one, uses
//! [`RawProperties`] and [`RawTable`]. [`check_table`] says whether a table is one at all.

use std::borrow::Cow;

use super::codec::{DecodeError, Reader, Writer};
use super::field::{FieldTable, FieldValue};
use super::properties::{Properties, read_flags};
use super::shortstr::ShortStr;

/// The encoding of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    Short,
    Table,
    Octet,
    Timestamp,
}

/// The properties in the order they are encoded in, from the highest flag down.
const KINDS: [(&str, ValueKind); 14] = [
    ("content_type", ValueKind::Short),
    ("content_encoding", ValueKind::Short),
    ("headers", ValueKind::Table),
    ("delivery_mode", ValueKind::Octet),
    ("priority", ValueKind::Octet),
    ("correlation_id", ValueKind::Short),
    ("reply_to", ValueKind::Short),
    ("expiration", ValueKind::Short),
    ("message_id", ValueKind::Short),
    ("timestamp", ValueKind::Timestamp),
    ("type", ValueKind::Short),
    ("user_id", ValueKind::Short),
    ("app_id", ValueKind::Short),
    ("cluster_id", ValueKind::Short),
];

/// A property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawValue<'a> {
    /// Without its length.
    Short(&'a [u8]),
    /// With its length in front.
    Table(&'a [u8]),
    Octet(u8),
    Timestamp(u64),
}

/// A property, by its place among [`KINDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    Headers = 2,
    Expiration = 7,
}

/// Encoded properties, each with its own bytes.
#[derive(Clone, Debug, Default)]
pub struct RawProperties<'a>([Option<Cow<'a, [u8]>>; KINDS.len()]);

impl<'a> RawProperties<'a> {
    /// Takes encoded properties apart; of damaged ones it finds what stands in front of the damage.
    pub fn split(encoded: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut from = Reader::new(encoded);
        let Ok(flags) = read_flags(&mut from) else { return found };
        for (at, (_, kind)) in KINDS.into_iter().enumerate() {
            if flags & (1 << (15 - at)) == 0 {
                continue;
            }
            let rest = from.rest();
            let read = match kind {
                ValueKind::Short => from.short_bytes().map(drop),
                ValueKind::Table => from.long_bytes().map(drop),
                ValueKind::Octet => from.u8().map(drop),
                ValueKind::Timestamp => from.u64().map(drop),
            };
            if read.is_err() {
                break;
            }
            found.0[at] = Some(Cow::Borrowed(&rest[..rest.len() - from.rest().len()]));
        }
        found
    }

    /// The encoded value of a property.
    pub fn get(&self, property: Property) -> Option<&[u8]> {
        self.0[property as usize].as_deref()
    }

    /// The text of a short string, if it is one.
    pub fn text(&self, property: Property) -> Option<ShortStr> {
        let text = Reader::new(self.get(property)?).short_text().ok()?;
        ShortStr::try_from(text).ok()
    }

    /// The properties that are there, by their names.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = (&'static str, RawValue<'_>)> {
        self.0.iter().zip(KINDS).filter_map(|(bytes, (name, kind))| {
            let bytes = bytes.as_deref()?;
            let mut from = Reader::new(bytes);
            let value = match kind {
                ValueKind::Short => RawValue::Short(from.short_bytes().ok()?),
                ValueKind::Table => RawValue::Table(bytes),
                ValueKind::Octet => RawValue::Octet(from.u8().ok()?),
                ValueKind::Timestamp => RawValue::Timestamp(from.u64().ok()?),
            };
            Some((name, value))
        })
    }

    /// Takes a property away.
    pub fn remove(&mut self, property: Property) {
        self.0[property as usize] = None;
    }

    /// The headers; none when there are none.
    pub fn headers(&self) -> RawTable<'a> {
        match &self.0[Property::Headers as usize] {
            Some(Cow::Borrowed(bytes)) => RawTable::split(bytes),
            Some(Cow::Owned(_)) | None => RawTable::default(),
        }
    }

    /// Properties that have headers only.
    pub fn of_headers(headers: &RawTable<'_>) -> Self {
        let mut made = Self::default();
        made.set_headers(headers);
        made
    }

    /// Puts other headers in the place of those that are there.
    pub fn set_headers(&mut self, headers: &RawTable<'_>) {
        let mut bytes = Vec::new();
        headers.encode(&mut Writer::new(&mut bytes));
        self.0[Property::Headers as usize] = Some(Cow::Owned(bytes));
    }

    /// Property flags and list.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0, 0];
        let mut flags = 0_u16;
        for (at, value) in self.0.iter().enumerate() {
            if let Some(value) = value {
                flags |= 1 << (15 - at);
                bytes.extend_from_slice(value);
            }
        }
        bytes[..2].copy_from_slice(&flags.to_be_bytes());
        bytes
    }

    /// The properties as values, for who shows them or routes by them: a text that is not UTF-8 has replacement
    /// characters, and headers are [`RawTable::readable`].
    pub fn readable(&self) -> Properties {
        let text = |at: usize| {
            let bytes = Reader::new(self.0[at].as_deref()?).short_bytes().ok()?;
            Some(ShortStr::truncated(&String::from_utf8_lossy(bytes)))
        };
        let octet = |at: usize| self.0[at].as_deref()?.first().copied();
        Properties {
            content_type: text(0),
            content_encoding: text(1),
            headers: self.0[2].as_ref().map(|bytes| RawTable::split(bytes).readable()),
            delivery_mode: octet(3),
            priority: octet(4),
            correlation_id: text(5),
            reply_to: text(6),
            expiration: text(7),
            message_id: text(8),
            timestamp: self.0[9].as_deref().and_then(|bytes| Reader::new(bytes).u64().ok()),
            kind: text(10),
            user_id: text(11),
            app_id: text(12),
            cluster_id: text(13),
        }
    }
}

/// An entry: its name, and the letter and bytes of its value.
type RawEntry<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The entries of an encoded table in their order.
#[derive(Clone, Debug, Default)]
pub struct RawTable<'a>(Vec<RawEntry<'a>>);

impl<'a> RawTable<'a> {
    /// Takes a table apart that has its length in front; of a damaged one it finds what stands in front of the damage.
    pub fn split(encoded: &'a [u8]) -> Self {
        let mut found = Self::default();
        let Ok(entries) = Reader::new(encoded).long_bytes() else { return found };
        let mut from = Reader::new(entries);
        while !from.is_empty() {
            let Ok(name) = from.short_bytes() else { break };
            let value = from.rest();
            if skip(&mut from).is_err() {
                break;
            }
            let value = &value[..value.len() - from.rest().len()];
            found.0.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        }
        found
    }

    /// The first value of that name; `None` as well for one that is nested too deep to be looked at.
    pub fn get(&self, name: &str) -> Option<FieldValue> {
        let (_, value) = self.0.iter().find(|(key, _)| key[..] == *name.as_bytes())?;
        FieldValue::read(value).ok()
    }

    /// True if there is a value of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key[..] == *name.as_bytes())
    }

    /// Puts a value in the place of the one of that name, or at the end.
    pub fn insert(&mut self, name: &str, value: &FieldValue) {
        self.insert_encoded(name, value.to_bytes());
    }

    /// The same of a table as a value.
    pub fn insert_table(&mut self, name: &str, table: &RawTable<'_>) {
        let mut value = vec![b'F'];
        table.encode(&mut Writer::new(&mut value));
        self.insert_encoded(name, value);
    }

    fn insert_encoded(&mut self, name: &str, value: Vec<u8>) {
        let name = name.as_bytes();
        match self.0.iter_mut().find(|(key, _)| key[..] == *name) {
            Some((_, old)) => *old = Cow::Owned(value),
            None => self.0.push((Cow::Owned(name.to_vec()), Cow::Owned(value))),
        }
    }

    /// Takes the values of that name away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key[..] != *name.as_bytes());
    }

    /// Brings the entries into the order of their names, as RabbitMQ leaves a table it has put something into
    /// (`rabbit_misc:set_table_value`).
    pub fn sort(&mut self) {
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
    }

    /// Writes the table with its length in front.
    pub fn encode(&self, to: &mut Writer<'_>) {
        to.sized(|to| {
            for (name, value) in &self.0 {
                to.u8(u8::try_from(name.len()).expect("a name came with its length in one byte"));
                to.bytes(name);
                to.bytes(value);
            }
        });
    }

    /// The entries as values, to show them or route by them: a name that is not UTF-8 has replacement characters, and of
    /// a value nested too deep it is only known that it is there.
    pub fn readable(&self) -> FieldTable {
        let entry = |(name, value): &RawEntry<'_>| {
            let name = ShortStr::truncated(&String::from_utf8_lossy(name));
            (name, FieldValue::read(value).unwrap_or(FieldValue::Void))
        };
        FieldTable::from_entries(self.0.iter().map(entry).collect())
    }
}

impl From<&FieldTable> for RawTable<'_> {
    fn from(table: &FieldTable) -> Self {
        let mut made = Self::default();
        for (name, value) in table {
            made.insert(name, value);
        }
        made
    }
}

/// Passes over a value; what is in a table or an array is not looked at.
pub(super) fn skip(from: &mut Reader<'_>) -> Result<(), DecodeError> {
    match from.u8()? {
        b'A' | b'F' => from.long_bytes().map(drop),
        letter => skip_plain(letter, from),
    }
}

fn skip_plain(letter: u8, from: &mut Reader<'_>) -> Result<(), DecodeError> {
    let bytes = match letter {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        b'S' | b'x' => return from.long_bytes().map(drop),
        letter => return Err(DecodeError::UnknownFieldType { letter }),
    };
    from.take(bytes).map(drop)
}

/// Checks that a table with its length in front is one, however deep it is nested.
///
/// Cost: one walk over the bytes; no recursion, and no allocation for a table that has no other in it.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn check_table(encoded: &[u8]) -> Result<(), DecodeError> {
    let mut from = Reader::new(encoded);
    let entries = from.long_bytes()?;
    from.finish()?;
    // How many bytes are left when each of those that were begun ends, and whether it is a table.
    let mut begun = Vec::new();
    let (mut ends_at, mut is_table) = (0, true);
    let mut from = Reader::new(entries);
    loop {
        while from.rest().len() == ends_at {
            match begun.pop() {
                Some(outer) => (ends_at, is_table) = outer,
                None => return Ok(()),
            }
        }
        if is_table {
            from.short_bytes()?;
        }
        match from.u8()? {
            letter @ (b'A' | b'F') => {
                let len = usize::try_from(from.u32()?).map_err(|_| DecodeError::Truncated)?;
                begun.push((ends_at, is_table));
                ends_at = from.rest().len().checked_sub(len).ok_or(DecodeError::Truncated)?;
                is_table = letter == b'F';
            }
            letter => skip_plain(letter, &mut from)?,
        }
        let (outer_ends_at, _) = begun.last().copied().unwrap_or_default();
        if from.rest().len() < ends_at || ends_at < outer_ends_at {
            return Err(DecodeError::Truncated);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shortstr::literal;

    fn encoded(table: &FieldTable) -> Vec<u8> {
        let mut bytes = Vec::new();
        table.encode(&mut Writer::new(&mut bytes));
        bytes
    }

    fn full() -> Properties {
        Properties {
            content_type: Some(literal("text/plain")),
            headers: Some(FieldTable::of_every_type()),
            delivery_mode: Some(2),
            priority: Some(9),
            expiration: Some(literal("60000")),
            timestamp: Some(1_700_000_000),
            kind: Some(literal("t")),
            cluster_id: Some(literal("x")),
            ..Properties::default()
        }
    }

    #[test]
    fn properties_are_taken_apart_and_put_together() {
        for properties in [full(), Properties::default()] {
            let bytes = properties.to_bytes();
            let mut raw = RawProperties::split(&bytes);
            assert_eq!(raw.to_bytes(), bytes);
            assert_eq!(raw.readable(), properties);
            let mut headers = raw.headers();
            headers.insert("new", &FieldValue::Bool(true));
            raw.set_headers(&headers);
            raw.remove(Property::Expiration);
            let headers = properties.headers.unwrap_or_default().with("new", true);
            let wanted = Properties { headers: Some(headers), expiration: None, ..full() };
            let changed = Properties::decode(&raw.to_bytes()).unwrap();
            assert_eq!(changed.headers, wanted.headers);
            assert_eq!(changed.expiration, None);
        }
    }

    #[test]
    fn a_table_that_decodes_is_one_and_what_is_cut_or_has_a_strange_letter_is_none() {
        let bytes = encoded(&FieldTable::of_every_type());
        assert_eq!(check_table(&bytes), Ok(()));
        assert_eq!(RawTable::split(&bytes).readable(), FieldTable::of_every_type());
        for at in 4..bytes.len() {
            let mut cut = bytes[..at].to_vec();
            let len = u32::try_from(at - 4).unwrap();
            cut[..4].copy_from_slice(&len.to_be_bytes());
            let decoded = FieldTable::decode(&mut Reader::new(&cut));
            assert_eq!(check_table(&cut).is_ok(), decoded.is_ok(), "cut at {at}");
        }
    }

    /// Any byte may be anything: what the walk takes the decoder takes too, but for names that are not UTF-8 and what
    /// is nested too deep.
    #[test]
    fn the_walk_and_the_decoder_agree() {
        let table = FieldTable::new()
            .with("a", FieldTable::new().with("b", FieldValue::Array(vec![FieldValue::Void])))
            .with("c", FieldValue::Array(vec!["x".into(), FieldTable::of_every_type().into()]));
        let bytes = encoded(&table);
        for at in 0..bytes.len() {
            for change in [1, 2, 4, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                let decoded = FieldTable::decode(&mut Reader::new(&changed));
                let mut rest = Reader::new(&changed);
                let is_whole = rest.long_bytes().is_ok() && rest.is_empty();
                let is_table = match decoded {
                    Ok(_) => is_whole,
                    Err(DecodeError::BadUtf8) => continue,
                    Err(_) => false,
                };
                assert_eq!(check_table(&changed).is_ok(), is_table, "{at} ^ {change}");
            }
        }
    }
}
