//! Reading and writing AMQP's elementary types (4.2.5).
//!
//! [`Reader`] walks over a slice and never past it. [`Writer`] appends to a `Vec` and packs consecutive bits
//! into octets. [`Wire`] ties a Rust type to its encoding, so that `method` can be a table of fields.

use super::field::FieldTable;
use super::shortstr::{LongStr, ShortStr};

/// The reason why bytes cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the bytes end before the value does")]
    Truncated,
    #[error("a short string is not UTF-8")]
    BadUtf8,
    #[error("a table is nested deeper than {max} levels")]
    TooDeep { max: usize },
    #[error("a table holds a value of unknown type '{}'", .letter.escape_ascii())]
    UnknownFieldType { letter: u8 },
    #[error("there is no method {method} in class {class}")]
    UnknownMethod { class: u16, method: u16 },
    #[error("{count} bytes are left over after the value")]
    LeftOver { count: usize },
}

/// A position in bytes that are being decoded.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    bits: u8,
    bits_left: u8,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, bits: 0, bits_left: 0 }
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        self.bits_left = 0;
        match self.bytes.split_at_checked(count) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(DecodeError::Truncated),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.bits_left = 0;
        match self.bytes.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => Err(DecodeError::Truncated),
        }
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    #[inline]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// The next bit of a run of bits; a run starts a new octet (4.2.5.1).
    #[inline]
    pub fn bit(&mut self) -> Result<bool, DecodeError> {
        if self.bits_left == 0 {
            self.bits = self.u8()?;
            self.bits_left = 8;
        }
        let bit = self.bits & 1 == 1;
        self.bits >>= 1;
        self.bits_left -= 1;
        Ok(bit)
    }

    /// A short string without copying it, not checked to be UTF-8.
    #[inline]
    pub fn short_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    /// A short string without copying it.
    #[inline]
    pub fn short_text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.short_bytes()?).map_err(|_| DecodeError::BadUtf8)
    }

    /// Passes over a short string that is UTF-8.
    ///
    /// Cost: less than [`Self::short_text`] for ASCII, which names mostly are.
    #[inline]
    pub fn skip_short_text(&mut self) -> Result<(), DecodeError> {
        let bytes = self.short_bytes()?;
        if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
            Ok(())
        } else {
            Err(DecodeError::BadUtf8)
        }
    }

    /// A long string without copying it.
    #[inline]
    pub fn long_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u32()?;
        self.take(usize::try_from(len).map_err(|_| DecodeError::Truncated)?)
    }

    /// Says whether everything was read.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.bytes.len() {
            0 => Ok(()),
            count => Err(DecodeError::LeftOver { count }),
        }
    }
}

/// Bytes that are being encoded, appended to a buffer the caller owns.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    bits_used: u8,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, bits_used: 0 }
    }

    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bits_used = 0;
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    pub fn bit(&mut self, value: bool) {
        if self.bits_used == 0 || self.bits_used == 8 {
            self.out.push(0);
            self.bits_used = 0;
        }
        if let Some(last) = self.out.last_mut() {
            *last |= u8::from(value) << self.bits_used;
        }
        self.bits_used += 1;
    }

    #[inline]
    pub fn short(&mut self, text: &ShortStr) {
        let len = u8::try_from(text.len()).expect("a ShortStr has at most 255 bytes");
        self.u8(len);
        self.bytes(text.as_bytes());
    }

    pub fn long(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("a long string of ours is below 4 GiB");
        self.u32(len);
        self.bytes(bytes);
    }

    /// Writes what `body` writes with its length, 4 bytes, in front.
    pub fn sized(&mut self, body: impl FnOnce(&mut Writer<'_>)) {
        self.bits_used = 0;
        let start = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        body(&mut Writer::new(self.out));
        let len = u32::try_from(self.out.len() - start - 4).expect("a table is below 4 GiB");
        self.out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    }
}

/// A type with one encoding on the wire.
pub trait Wire: Sized {
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
    fn write(&self, to: &mut Writer<'_>);
}

macro_rules! wire_number {
    ($($type:ident)*) => {$(
        impl Wire for $type {
            #[inline]
            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                from.$type()
            }
            #[inline]
            fn write(&self, to: &mut Writer<'_>) {
                to.$type(*self);
            }
        }
    )*};
}
wire_number!(u8 u16 u32 u64);

impl Wire for bool {
    #[inline]
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.bit()
    }
    #[inline]
    fn write(&self, to: &mut Writer<'_>) {
        to.bit(*self);
    }
}

impl Wire for ShortStr {
    #[inline]
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text = from.short_text()?;
        Ok(ShortStr::try_from(text).expect("its length came in one byte"))
    }
    fn write(&self, to: &mut Writer<'_>) {
        to.short(self);
    }
}

impl Wire for LongStr {
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(from.long_bytes()?.into())
    }
    fn write(&self, to: &mut Writer<'_>) {
        to.long(self.as_bytes());
    }
}

impl Wire for FieldTable {
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        FieldTable::decode(from)
    }
    fn write(&self, to: &mut Writer<'_>) {
        self.encode(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_bits_share_octets() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        for at in 0..9 {
            writer.bit(at % 2 == 0);
        }
        writer.u8(7);
        writer.bit(true);
        assert_eq!(out, [0b0101_0101, 1, 7, 1]);
        let mut reader = Reader::new(&out);
        for at in 0..9 {
            assert_eq!(reader.bit(), Ok(at % 2 == 0), "bit {at}");
        }
        assert_eq!(reader.u8(), Ok(7));
        assert_eq!(reader.bit(), Ok(true));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_reader_never_passes_its_end() {
        let mut reader = Reader::new(&[5, b'a']);
        assert_eq!(reader.short_bytes(), Err(DecodeError::Truncated));
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(reader.long_bytes(), Err(DecodeError::Truncated));
    }
}
