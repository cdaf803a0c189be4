//! The error for a text that is no pattern.

/// An invalid pattern: the fault in PCRE's words, and its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{{\"{what}\",{at}}}")]
pub struct BadPattern {
    what: String,
    at: usize,
}

impl BadPattern {
    pub(super) fn new(what: &str, at: usize) -> Self {
        Self { what: what.to_owned(), at }
    }

    /// The fault, in PCRE's words.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The byte at which it was found.
    pub fn at(&self) -> usize {
        self.at
    }
}
