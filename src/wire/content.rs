//! The content header frame: how long the body is, and the properties, kept as they came (4.2.6.1).

use super::codec::{DecodeError, Reader};

/// A content header; its properties stay encoded because the broker seldom needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    pub class_id: u16,
    /// Bytes of body that are announced. A peer can announce anything: never size an allocation with it.
    pub body_size: u64,
    /// Property flags and property list, encoded; see [`super::properties`].
    pub properties: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// Reads the payload of a header frame; the properties are not looked into.
    #[inline]
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(payload);
        let class_id = from.u16()?;
        let _weight = from.u16()?;
        let body_size = from.u64()?;
        let properties = from.rest();
        if properties.len() < 2 {
            return Err(DecodeError::Truncated);
        }
        Ok(Self { class_id, body_size, properties })
    }
}
