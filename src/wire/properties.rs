//! The fourteen properties of a message (`basic` class), encoded and decoded.
//!
//! The broker keeps them encoded and asks [`Encoded`] for the one or two it needs; [`Properties`] is the whole
//! set as values, for the client and for the rare feature that changes one.

use super::codec::{DecodeError, Reader, Wire, Writer};
use super::field::{FieldTable, FieldValue};
use super::headers;
use super::raw::RawTable;
use super::shortstr::ShortStr;

macro_rules! properties {
    ($($bit:literal $field:ident: $type:ty,)*) => {
        /// All properties of a message as values; `None` is a property that is not there.
        ///
        /// Names and meaning: class `basic` of the specification. `timestamp` is in seconds since 1970,
        /// `expiration` a text of milliseconds, `delivery_mode` 2 for a persistent message.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Properties {
            $(pub $field: Option<$type>,)*
        }

        impl Properties {
            /// Reads property flags and list.
            pub fn decode(encoded: &[u8]) -> Result<Self, DecodeError> {
                let mut from = Reader::new(encoded);
                let flags = read_flags(&mut from)?;
                let read = Self {
                    $($field: if flags & (1 << $bit) == 0 { None } else { Some(<$type>::read(&mut from)?) },)*
                };
                from.finish()?;
                Ok(read)
            }

            /// Writes property flags and list.
            pub fn encode(&self, to: &mut Writer<'_>) {
                let mut flags = 0_u16;
                $(if self.$field.is_some() { flags |= 1 << $bit; })*
                to.u16(flags);
                $(if let Some(value) = &self.$field { value.write(to); })*
            }
        }
    };
}

properties! {
    15 content_type: ShortStr,
    14 content_encoding: ShortStr,
    13 headers: FieldTable,
    12 delivery_mode: u8,
    11 priority: u8,
    10 correlation_id: ShortStr,
    9 reply_to: ShortStr,
    8 expiration: ShortStr,
    7 message_id: ShortStr,
    6 timestamp: u64,
    5 kind: ShortStr,
    4 user_id: ShortStr,
    3 app_id: ShortStr,
    2 cluster_id: ShortStr,
}

/// Bit 0 of the flags would say that more flags follow; `basic` needs none (4.2.6.1).
pub(super) fn read_flags(from: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let flags = from.u16()?;
    if flags & 0b11 != 0 {
        return Err(DecodeError::LeftOver { count: from.rest().len() });
    }
    Ok(flags)
}

impl Properties {
    /// The encoded form as bytes of its own.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut Writer::new(&mut bytes));
        bytes
    }

    /// True if the message asks to survive a restart (`delivery_mode` 2).
    pub fn is_persistent(&self) -> bool {
        self.delivery_mode == Some(2)
    }
}

const HAS_HEADERS: u16 = 1 << 13;
const HAS_DELIVERY_MODE: u16 = 1 << 12;
const HAS_PRIORITY: u16 = 1 << 11;
const HAS_CORRELATION_ID: u16 = 1 << 10;
const HAS_REPLY_TO: u16 = 1 << 9;
const HAS_EXPIRATION: u16 = 1 << 8;
const HAS_MESSAGE_ID: u16 = 1 << 7;
const HAS_TIMESTAMP: u16 = 1 << 6;
const HAS_KIND: u16 = 1 << 5;
const HAS_USER_ID: u16 = 1 << 4;

/// The part of a message's properties that the broker looks at, borrowed from their encoded form.
///
/// Cost: one walk over the property list, no allocation; headers are skipped, not parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// The header table with its length in front, still encoded.
    pub headers: Option<&'a [u8]>,
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub reply_to: Option<&'a [u8]>,
    pub expiration: Option<&'a [u8]>,
    pub user_id: Option<&'a [u8]>,
}

impl<'a> Encoded<'a> {
    /// Walks over the list; checks that lengths stay inside and that nothing is left over.
    #[inline]
    pub fn scan(encoded: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(encoded);
        let flags = read_flags(&mut from)?;
        let has = |flag: u16| flags & flag != 0;
        let mut found = Self::default();
        for bit in [15, 14] {
            if has(1 << bit) {
                from.short_bytes()?;
            }
        }
        if has(HAS_HEADERS) {
            let start = from.rest();
            let table = from.long_bytes()?;
            found.headers = start.get(..table.len() + 4);
        }
        if has(HAS_DELIVERY_MODE) {
            found.delivery_mode = Some(from.u8()?);
        }
        if has(HAS_PRIORITY) {
            found.priority = Some(from.u8()?);
        }
        if has(HAS_CORRELATION_ID) {
            from.short_bytes()?;
        }
        if has(HAS_REPLY_TO) {
            found.reply_to = Some(from.short_bytes()?);
        }
        if has(HAS_EXPIRATION) {
            found.expiration = Some(from.short_bytes()?);
        }
        if has(HAS_MESSAGE_ID) {
            from.short_bytes()?;
        }
        if has(HAS_TIMESTAMP) {
            from.u64()?;
        }
        if has(HAS_KIND) {
            from.short_bytes()?;
        }
        if has(HAS_USER_ID) {
            found.user_id = Some(from.short_bytes()?);
        }
        for bit in [3, 2] {
            if has(1 << bit) {
                from.short_bytes()?;
            }
        }
        from.finish()?;
        Ok(found)
    }

    /// The header table as values, as far as they can be read.
    pub fn headers(&self) -> FieldTable {
        self.headers.map(|bytes| RawTable::split(bytes).readable()).unwrap_or_default()
    }
}

/// The properties with one more header, which takes the place of one of its name.
///
/// Cost: one allocation and one copy; the headers are taken apart only when the name is among their bytes.
pub fn with_header(encoded: &[u8], name: &str, value: &FieldValue) -> Vec<u8> {
    let found = Encoded::scan(encoded).unwrap_or_default();
    let is_named = |headers: &[u8]| headers.windows(name.len()).any(|at| at == name.as_bytes());
    let kept = match found.headers {
        Some(headers) if is_named(headers) => without(headers, name),
        Some(headers) => headers[4..].to_vec(),
        None => Vec::new(),
    };
    with_table(encoded, &found, &[kept, entry_of(name, value)].concat(), None)
}

/// The properties of a message as RabbitMQ 4 delivers it from a stream: with one more header in the order of names, and
/// with a delivery mode, which it has become there when the publisher said none.
///
/// Cost: two allocations and copies; no header is decoded.
pub fn as_streams_deliver(encoded: &[u8], name: &str, value: &FieldValue) -> Vec<u8> {
    let found = Encoded::scan(encoded).unwrap_or_default();
    let old = found.headers.map_or(&[][..], |headers| &headers[4..]);
    let place = headers::place_of(old, name);
    let table = [&old[..place.start], &entry_of(name, value), &old[place.end..]].concat();
    let mode = if found.delivery_mode == Some(2) { 2 } else { 1 };
    with_table(encoded, &found, &table, Some(mode))
}

/// The properties with the headers in the order of their names, as RabbitMQ 4 delivers them; `None` when they are so.
#[inline]
pub fn with_headers_in_order(encoded: &[u8], found: &Encoded<'_>) -> Option<Vec<u8>> {
    let headers = &found.headers?[4..];
    let is_done = headers::is_in_order(headers);
    (!is_done).then(|| with_table(encoded, found, &headers::in_order(headers), None))
}

/// The properties with these headers, and perhaps this delivery mode, in the place of their own.
fn with_table(
    encoded: &[u8],
    found: &Encoded<'_>,
    table: &[u8],
    delivery_mode: Option<u8>,
) -> Vec<u8> {
    let (start, old_len) = match found.headers {
        Some(headers) => (headers.as_ptr() as usize - encoded.as_ptr() as usize, headers.len()),
        None => (headers_start(encoded), 0),
    };
    let mut made = Vec::with_capacity(encoded.len() + table.len() + 5);
    made.extend_from_slice(encoded.get(..start).unwrap_or(&[0, 0]));
    made.extend_from_slice(&u32::try_from(table.len()).unwrap_or(u32::MAX).to_be_bytes());
    made.extend_from_slice(table);
    let mut added = HAS_HEADERS;
    let mut end = start + old_len;
    if let Some(persistence) = delivery_mode {
        added |= HAS_DELIVERY_MODE;
        end += usize::from(found.delivery_mode.is_some());
        made.push(persistence);
    }
    made.extend_from_slice(encoded.get(end..).unwrap_or_default());
    if let [high, ..] = made.as_mut_slice() {
        *high |= (added >> 8) as u8;
    }
    made
}

/// One entry of a table.
fn entry_of(name: &str, value: &FieldValue) -> Vec<u8> {
    let mut table = FieldTable::new();
    table.insert(ShortStr::truncated(name), value.clone());
    entries_of(&table)
}

/// The entries of a header table but for this one.
fn without(headers: &[u8], name: &str) -> Vec<u8> {
    let mut kept = RawTable::split(headers);
    kept.remove(name);
    let mut bytes = Vec::new();
    kept.encode(&mut Writer::new(&mut bytes));
    bytes.split_off(4)
}

/// A table without its length.
fn entries_of(table: &FieldTable) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.encode(&mut Writer::new(&mut bytes));
    bytes.split_off(4)
}

/// Returns the offset of the headers in properties that have none yet: behind content type and encoding.
fn headers_start(encoded: &[u8]) -> usize {
    let mut from = Reader::new(encoded);
    let flags = read_flags(&mut from).unwrap_or(0);
    for bit in [15, 14] {
        if flags & (1 << bit) != 0 && from.short_bytes().is_err() {
            break;
        }
    }
    encoded.len() - from.rest().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shortstr::literal;

    fn full() -> Properties {
        Properties {
            content_type: Some(literal("text/plain")),
            content_encoding: Some(literal("utf-8")),
            headers: Some(FieldTable::new().with("k", "v")),
            delivery_mode: Some(2),
            priority: Some(9),
            correlation_id: Some(literal("c")),
            reply_to: Some(literal("r")),
            expiration: Some(literal("60000")),
            message_id: Some(literal("m")),
            timestamp: Some(1_700_000_000),
            kind: Some(literal("t")),
            user_id: Some(literal("guest")),
            app_id: Some(literal("a")),
            cluster_id: Some(literal("x")),
        }
    }

    #[test]
    fn all_properties_survive_a_round_trip() {
        let bytes = full().to_bytes();
        assert_eq!(Properties::decode(&bytes), Ok(full()));
        assert_eq!(Properties::default().to_bytes(), [0, 0]);
    }

    #[test]
    fn a_header_is_added_or_takes_the_place_of_its_like() {
        let header = |properties: &Properties| properties.headers.clone().unwrap();
        let added = |properties: Properties| {
            let bytes = with_header(&properties.to_bytes(), "x-offset", &FieldValue::I64(7));
            Properties::decode(&bytes).unwrap()
        };
        let offset = FieldTable::new().with("x-offset", FieldValue::I64(7));
        let bare = added(Properties::default());
        assert_eq!(bare, Properties { headers: Some(offset.clone()), ..Properties::default() });
        let without_headers = Properties { headers: None, ..full() };
        assert_eq!(added(without_headers), Properties { headers: Some(offset), ..full() });
        let with_another = FieldTable::new().with("k", "v").with("x-offset", FieldValue::I64(7));
        let all = added(full());
        assert_eq!(header(&all), with_another);
        assert_eq!(Properties { headers: full().headers, ..all }, full());
        let old = FieldTable::new().with("x-offset", "old").with("k", "v");
        let replaced = added(Properties { headers: Some(old), ..full() });
        assert_eq!(header(&replaced), with_another);
    }

    #[test]
    fn from_a_stream_headers_are_in_order_and_a_delivery_mode_is_there() {
        let delivered = |properties: &Properties| {
            let bytes = as_streams_deliver(&properties.to_bytes(), "x-m", &FieldValue::I64(7));
            Properties::decode(&bytes).unwrap()
        };
        let offset = || FieldTable::new().with("x-m", FieldValue::I64(7));
        for (given, mode) in [(None, 1), (Some(1), 1), (Some(2), 2), (Some(0), 1)] {
            let bare = Properties { delivery_mode: given, ..Properties::default() };
            let expected =
                Properties { delivery_mode: Some(mode), headers: Some(offset()), ..bare.clone() };
            assert_eq!(delivered(&bare), expected);
            let full = Properties { delivery_mode: given, headers: None, ..full() };
            let expected =
                Properties { delivery_mode: Some(mode), headers: Some(offset()), ..full.clone() };
            assert_eq!(delivered(&full), expected);
        }
        let around = FieldTable::new().with("a", "v").with("x-m", "old").with("z", "v");
        let told = delivered(&Properties { headers: Some(around), ..full() });
        let expected =
            FieldTable::new().with("a", "v").with("x-m", FieldValue::I64(7)).with("z", "v");
        assert_eq!(told, Properties { headers: Some(expected), ..full() });
    }

    #[test]
    fn headers_are_put_in_order_and_all_else_stays() {
        let in_order = |properties: &Properties| {
            let bytes = properties.to_bytes();
            let found = Encoded::scan(&bytes).unwrap();
            with_headers_in_order(&bytes, &found).map(|bytes| Properties::decode(&bytes).unwrap())
        };
        assert_eq!(in_order(&full()), None);
        assert_eq!(in_order(&Properties { headers: None, ..full() }), None);
        let turned = FieldTable::new().with("z", "1").with("a", "2");
        let sorted = Properties { headers: Some(turned.sorted()), ..full() };
        assert_eq!(in_order(&Properties { headers: Some(turned), ..full() }), Some(sorted));
    }

    #[test]
    fn a_scan_finds_what_a_decode_finds() {
        let bytes = full().to_bytes();
        let found = Encoded::scan(&bytes).unwrap();
        assert_eq!(found.delivery_mode, Some(2));
        assert_eq!(found.priority, Some(9));
        assert_eq!(found.reply_to, Some(&b"r"[..]));
        assert_eq!(found.expiration, Some(&b"60000"[..]));
        assert_eq!(found.user_id, Some(&b"guest"[..]));
        assert_eq!(found.headers(), FieldTable::new().with("k", "v"));
        for len in 0..bytes.len() {
            assert!(Encoded::scan(&bytes[..len]).is_err(), "cut at {len}");
            assert!(Properties::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }
}
