//! Field tables: named values of many types (4.2.5.5), with the type letters RabbitMQ gives them.
//!
//! RabbitMQ's letters differ from the specification's (its `amqp_table` errata): `l` is a signed 64-bit and
//! `s` a signed 16-bit integer, `b` and `B` are signed and unsigned octets, `x` is a byte array.
//! A value of every letter survives decoding and encoding unchanged.

use super::codec::{DecodeError, Reader, Wire, Writer};
use super::shortstr::{LongStr, ShortStr};

/// The depth to which tables and arrays may be nested: more than any client sends, and too few to overflow our stack.
pub const NESTING_MAX: usize = 64;

/// A value in a table or array, one variant a type letter.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`: `value` divided by ten to the `scale`
    Decimal { scale: u8, value: i32 },
    /// `S`
    LongStr(LongStr),
    /// `x`
    Bytes(LongStr),
    /// `A`
    Array(Vec<FieldValue>),
    /// `T`: seconds since 1970
    Timestamp(u64),
    /// `F`
    Table(FieldTable),
    /// `V`
    Void,
}

impl FieldValue {
    /// The type's name as RabbitMQ's error texts have it (`rabbit_binary_parser`).
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::I8(_) => "byte",
            Self::U8(_) => "unsignedbyte",
            Self::I16(_) => "short",
            Self::U16(_) => "unsignedshort",
            Self::I32(_) => "signedint",
            Self::U32(_) => "unsignedint",
            Self::I64(_) => "long",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::Decimal { .. } => "decimal",
            Self::LongStr(_) => "longstr",
            Self::Bytes(_) => "binary",
            Self::Array(_) => "array",
            Self::Timestamp(_) => "timestamp",
            Self::Table(_) => "table",
            Self::Void => "void",
        }
    }

    /// The value as an integer, when its type is one of the integer types.
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::U8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::I64(value) => Some(value),
            Self::Bool(_)
            | Self::F32(_)
            | Self::F64(_)
            | Self::Decimal { .. }
            | Self::LongStr(_)
            | Self::Bytes(_)
            | Self::Array(_)
            | Self::Timestamp(_)
            | Self::Table(_)
            | Self::Void => None,
        }
    }

    /// The text of a long string that is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::LongStr(text) => text.as_str(),
            _ => None,
        }
    }

    /// Reads a value that is all of `encoded`: its letter and its bytes.
    pub(super) fn read(encoded: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(encoded);
        let value = Self::decode(&mut from, 0)?;
        from.finish()?;
        Ok(value)
    }

    /// The letter and the bytes of the value.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut Writer::new(&mut bytes));
        bytes
    }

    fn decode(from: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        let letter = from.u8()?;
        Ok(match letter {
            b't' => Self::Bool(from.u8()? != 0),
            b'b' => Self::I8(from.u8()?.cast_signed()),
            b'B' => Self::U8(from.u8()?),
            b's' => Self::I16(from.u16()?.cast_signed()),
            b'u' => Self::U16(from.u16()?),
            b'I' => Self::I32(from.u32()?.cast_signed()),
            b'i' => Self::U32(from.u32()?),
            b'l' | b'L' => Self::I64(from.u64()?.cast_signed()),
            b'f' => Self::F32(f32::from_bits(from.u32()?)),
            b'd' => Self::F64(f64::from_bits(from.u64()?)),
            b'D' => Self::Decimal { scale: from.u8()?, value: from.u32()?.cast_signed() },
            b'S' => Self::LongStr(LongStr::read(from)?),
            b'x' => Self::Bytes(LongStr::read(from)?),
            b'A' => {
                let mut inner = Reader::new(from.long_bytes()?);
                let depth = deeper(depth)?;
                let mut values = Vec::new();
                while !inner.is_empty() {
                    values.push(Self::decode(&mut inner, depth)?);
                }
                Self::Array(values)
            }
            b'T' => Self::Timestamp(from.u64()?),
            b'F' => Self::Table(FieldTable::decode_at(from, deeper(depth)?)?),
            b'V' => Self::Void,
            letter => return Err(DecodeError::UnknownFieldType { letter }),
        })
    }

    pub fn encode(&self, to: &mut Writer<'_>) {
        match self {
            Self::Bool(value) => to.bytes(&[b't', u8::from(*value)]),
            Self::I8(value) => to.bytes(&[b'b', value.cast_unsigned()]),
            Self::U8(value) => to.bytes(&[b'B', *value]),
            Self::I16(value) => number(to, b's', &value.to_be_bytes()),
            Self::U16(value) => number(to, b'u', &value.to_be_bytes()),
            Self::I32(value) => number(to, b'I', &value.to_be_bytes()),
            Self::U32(value) => number(to, b'i', &value.to_be_bytes()),
            Self::I64(value) => number(to, b'l', &value.to_be_bytes()),
            Self::F32(value) => number(to, b'f', &value.to_be_bytes()),
            Self::F64(value) => number(to, b'd', &value.to_be_bytes()),
            Self::Decimal { scale, value } => {
                to.bytes(&[b'D', *scale]);
                to.bytes(&value.to_be_bytes());
            }
            Self::LongStr(text) => {
                to.u8(b'S');
                text.write(to);
            }
            Self::Bytes(bytes) => {
                to.u8(b'x');
                bytes.write(to);
            }
            Self::Array(values) => {
                to.u8(b'A');
                to.sized(|to| values.iter().for_each(|value| value.encode(to)));
            }
            Self::Timestamp(seconds) => number(to, b'T', &seconds.to_be_bytes()),
            Self::Table(table) => {
                to.u8(b'F');
                table.encode(to);
            }
            Self::Void => to.u8(b'V'),
        }
    }
}

fn number(to: &mut Writer<'_>, letter: u8, bytes: &[u8]) {
    to.u8(letter);
    to.bytes(bytes);
}

fn deeper(depth: usize) -> Result<usize, DecodeError> {
    if depth >= NESTING_MAX {
        return Err(DecodeError::TooDeep { max: NESTING_MAX });
    }
    Ok(depth + 1)
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self::LongStr(text.into())
    }
}

impl From<bool> for FieldValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<FieldTable> for FieldValue {
    fn from(table: FieldTable) -> Self {
        Self::Table(table)
    }
}

/// Named values in the order they were sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldTable(Vec<(ShortStr, FieldValue)>);

impl FieldTable {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes the entries as they are, names that repeat included, as they may come from the wire.
    pub fn from_entries(entries: Vec<(ShortStr, FieldValue)>) -> Self {
        Self(entries)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, (ShortStr, FieldValue)> {
        self.0.iter()
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Puts a value in the place of the one of that name, or at the end.
    pub fn insert(&mut self, name: ShortStr, value: FieldValue) {
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, name: &str) -> Option<FieldValue> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    /// The same entries in the order of their names, as RabbitMQ leaves a table it has put something into
    /// (`rabbit_misc:set_table_value`).
    #[must_use]
    pub fn sorted(&self) -> Self {
        let mut entries = self.0.clone();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Self(entries)
    }

    /// Adds a value of ours under a literal name and gives the table back.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<FieldValue>) -> Self {
        self.insert(super::shortstr::literal(name), value.into());
        self
    }

    /// Reads a table with its length in front.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooDeep`] beyond [`NESTING_MAX`] levels, so that no peer can exhaust the stack.
    pub fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_at(from, 0)
    }

    fn decode_at(from: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        let mut inner = Reader::new(from.long_bytes()?);
        let mut entries = Vec::new();
        while !inner.is_empty() {
            let name = ShortStr::read(&mut inner)?;
            entries.push((name, FieldValue::decode(&mut inner, depth)?));
        }
        Ok(Self(entries))
    }

    /// Writes the table with its length in front.
    pub fn encode(&self, to: &mut Writer<'_>) {
        to.sized(|to| {
            for (name, value) in &self.0 {
                to.short(name);
                value.encode(to);
            }
        });
    }
}

impl FromIterator<(ShortStr, FieldValue)> for FieldTable {
    fn from_iter<I: IntoIterator<Item = (ShortStr, FieldValue)>>(entries: I) -> Self {
        let mut table = Self::new();
        for (name, value) in entries {
            table.insert(name, value);
        }
        table
    }
}

impl<'a> IntoIterator for &'a FieldTable {
    type Item = &'a (ShortStr, FieldValue);
    type IntoIter = std::slice::Iter<'a, (ShortStr, FieldValue)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl FieldTable {
        /// A value under each type letter, for tests of code that has to keep them all.
        pub(crate) fn of_every_type() -> Self {
            Self::new()
                .with("t", true)
                .with("b", FieldValue::I8(-1))
                .with("B", FieldValue::U8(255))
                .with("s", FieldValue::I16(-300))
                .with("u", FieldValue::U16(65535))
                .with("I", FieldValue::I32(-70_000))
                .with("i", FieldValue::U32(u32::MAX))
                .with("l", FieldValue::I64(i64::MIN))
                .with("f", FieldValue::F32(1.5))
                .with("d", FieldValue::F64(-2.25))
                .with("D", FieldValue::Decimal { scale: 2, value: 12345 })
                .with("S", "text")
                .with("x", FieldValue::Bytes(vec![0, 255].into()))
                .with("A", FieldValue::Array(vec![FieldValue::Void, true.into(), "x".into()]))
                .with("T", FieldValue::Timestamp(1_700_000_000))
                .with("F", FieldTable::new().with("in", "side"))
                .with("V", FieldValue::Void)
        }
    }

    fn nested(levels: usize) -> Vec<u8> {
        let mut table = FieldTable::new();
        for _ in 1..levels {
            table = FieldTable::new().with("t", table);
        }
        let mut bytes = Vec::new();
        table.encode(&mut Writer::new(&mut bytes));
        bytes
    }

    #[test]
    fn nesting_ends_before_the_stack_does() {
        let deepest = nested(NESTING_MAX + 1);
        assert!(FieldTable::decode(&mut Reader::new(&deepest)).is_ok());
        let deeper = nested(NESTING_MAX + 2);
        assert_eq!(
            FieldTable::decode(&mut Reader::new(&deeper)),
            Err(DecodeError::TooDeep { max: NESTING_MAX })
        );
        let thousand = nested(1000);
        assert!(FieldTable::decode(&mut Reader::new(&thousand)).is_err());
    }

    #[test]
    fn every_type_letter_survives_a_round_trip() {
        let table = FieldTable::of_every_type();
        let mut bytes = Vec::new();
        table.encode(&mut Writer::new(&mut bytes));
        assert_eq!(FieldTable::decode(&mut Reader::new(&bytes)), Ok(table));
    }
}
