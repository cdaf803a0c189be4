//! The fourteen properties of a message (`basic` class), encoded and decoded.
//!
//! The broker keeps them encoded and asks [`Encoded`] for the one or two it needs; [`Properties`] is the whole
//! set as values, for the client and for the rare feature that changes one.

use super::codec::{DecodeError, Reader, Wire, Writer};
use super::field::{FieldTable, FieldValue};
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
fn read_flags(from: &mut Reader<'_>) -> Result<u16, DecodeError> {
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

    /// Whether the message asks to survive a restart (`delivery_mode` 2).
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

/// What the broker looks at in a message's properties, borrowed from their encoded form.
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

    /// The header table as values.
    pub fn headers(&self) -> Result<FieldTable, DecodeError> {
        match self.headers {
            Some(bytes) => FieldTable::decode(&mut Reader::new(bytes)),
            None => Ok(FieldTable::new()),
        }
    }
}

/// The properties with one more header, which takes the place of one of its name.
///
/// Cost: one allocation and one copy; the headers are decoded only when the name is among their bytes.
pub fn with_header(encoded: &[u8], name: &str, value: &FieldValue) -> Vec<u8> {
    let found = Encoded::scan(encoded).unwrap_or_default();
    let is_named = |headers: &[u8]| headers.windows(name.len()).any(|at| at == name.as_bytes());
    let (start, old_len, kept) = match found.headers {
        Some(headers) => {
            let start = headers.as_ptr() as usize - encoded.as_ptr() as usize;
            let is_plain = !is_named(headers);
            let entries = if is_plain { headers[4..].to_vec() } else { without(&found, name) };
            (start, headers.len(), entries)
        }
        None => (headers_start(encoded), 0, Vec::new()),
    };
    let mut added = FieldTable::new();
    added.insert(ShortStr::truncated(name), value.clone());
    let table = [kept, entries_of(&added)].concat();
    let mut made = Vec::with_capacity(encoded.len() + table.len() + 4);
    made.extend_from_slice(encoded.get(..start).unwrap_or(&[0, 0]));
    if let [high, ..] = made.as_mut_slice() {
        *high |= (HAS_HEADERS >> 8) as u8;
    }
    made.extend_from_slice(&u32::try_from(table.len()).unwrap_or(u32::MAX).to_be_bytes());
    made.extend_from_slice(&table);
    made.extend_from_slice(encoded.get(start + old_len..).unwrap_or_default());
    made
}

/// The entries of a header table but for this one.
fn without(found: &Encoded<'_>, name: &str) -> Vec<u8> {
    let headers = found.headers().unwrap_or_default();
    let mut kept = FieldTable::new();
    for (key, value) in headers.into_iter().filter(|(key, _)| key.as_str() != name) {
        kept.insert(key.clone(), value.clone());
    }
    entries_of(&kept)
}

/// A table without its length.
fn entries_of(table: &FieldTable) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.encode(&mut Writer::new(&mut bytes));
    bytes.split_off(4)
}

/// Where the headers would stand in properties that have none: behind content type and encoding.
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
    fn a_scan_finds_what_a_decode_finds() {
        let bytes = full().to_bytes();
        let found = Encoded::scan(&bytes).unwrap();
        assert_eq!(found.delivery_mode, Some(2));
        assert_eq!(found.priority, Some(9));
        assert_eq!(found.reply_to, Some(&b"r"[..]));
        assert_eq!(found.expiration, Some(&b"60000"[..]));
        assert_eq!(found.user_id, Some(&b"guest"[..]));
        assert_eq!(found.headers().unwrap(), FieldTable::new().with("k", "v"));
        for len in 0..bytes.len() {
            assert!(Encoded::scan(&bytes[..len]).is_err(), "cut at {len}");
            assert!(Properties::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }
}
