//! Words between a queue and the store's thread: which messages are to be read, and what was found.
//!
//! `Ready::window` says what is wanted and `Ready::fill` takes what was read; in between the queue may give any of them
//! away, so everything is named by its position.

use crate::broker::message::Message;
use crate::store::{Place, StoreError};

/// A message that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) position: u64,
    pub(super) place: Place,
}

/// What was read for a [`Wanted`].
#[derive(Debug)]
pub(super) struct Found {
    pub(super) position: u64,
    pub(super) read: Result<Message, StoreError>,
}

/// A message that could not be read and waits no longer.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) place: Place,
    pub(super) error: StoreError,
}

/// What was amiss with the messages of a window.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) lost: Vec<Lost>,
    /// Why some of them could not be read now, and wait on.
    pub(super) put_off: Option<StoreError>,
}
