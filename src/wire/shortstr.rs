//! The two string types of AMQP, each with the proof that it fits its length field.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// A text that fits AMQP's short string: at most 255 bytes of UTF-8 (4.2.5.3).
///
/// Checked once, here; every encoder may then write the length as one byte.
/// Cloning copies a pointer, so names travel freely between layers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortStr(Arc<str>);

/// A text too long for a short string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a short string may have at most 255 bytes, this one has {len}")]
pub struct TooLong {
    len: usize,
}

impl ShortStr {
    /// The empty string: the name of the default exchange and of "the server chooses".
    ///
    /// Cost: one counter; all empty strings share their memory.
    pub fn empty() -> Self {
        Self(Arc::default())
    }

    /// Takes a text of our own (a reply text); one over 255 bytes ends in three dots instead.
    ///
    /// Names are checked with `try_from`, never truncated.
    pub fn truncated(text: &str) -> Self {
        const DOTS: &str = "...";
        if let Ok(whole) = Self::try_from(text) {
            return whole;
        }
        let end = text.floor_char_boundary(255 - DOTS.len());
        Self(format!("{}{DOTS}", &text[..end]).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for ShortStr {
    type Error = TooLong;

    fn try_from(text: &str) -> Result<Self, TooLong> {
        match u8::try_from(text.len()) {
            Ok(_) => Ok(Self(text.into())),
            Err(_) => Err(TooLong { len: text.len() }),
        }
    }
}

impl TryFrom<String> for ShortStr {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        Self::try_from(text.as_str())
    }
}

impl std::str::FromStr for ShortStr {
    type Err = TooLong;

    fn from_str(text: &str) -> Result<Self, TooLong> {
        Self::try_from(text)
    }
}

/// Takes a literal of our own as a short string.
///
/// # Panics
///
/// When the literal has more than 255 bytes: a bug in our source.
pub fn literal(text: &'static str) -> ShortStr {
    ShortStr::try_from(text).expect("a literal of ours fits a short string")
}

impl Default for ShortStr {
    fn default() -> Self {
        Self::empty()
    }
}

impl Deref for ShortStr {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ShortStr {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ShortStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for ShortStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for ShortStr {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for ShortStr {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

/// A long string: bytes, usually but not always UTF-8, at most 4 GiB (4.2.5.3).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LongStr(Bytes);

impl LongStr {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text with what is no UTF-8 replaced.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl From<&str> for LongStr {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for LongStr {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&[u8]> for LongStr {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl From<Vec<u8>> for LongStr {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for LongStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_text(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_string_ends_at_255_bytes() {
        let longest = "x".repeat(255);
        assert_eq!(ShortStr::try_from(longest.as_str()).unwrap().len(), 255);
        let longer = "x".repeat(256);
        assert_eq!(ShortStr::try_from(longer.as_str()), Err(TooLong { len: 256 }));
    }

    #[test]
    fn a_reply_text_is_cut_between_characters() {
        let text = format!("{}é-and-more", "x".repeat(251));
        assert_eq!(ShortStr::truncated(&text).as_str(), format!("{}...", "x".repeat(251)));
        let fits = format!("{}é", "x".repeat(253));
        assert_eq!(ShortStr::truncated(&fits).as_str(), fits);
    }
}
