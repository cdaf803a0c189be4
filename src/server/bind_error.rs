//! The error for an address that cannot be listened on.

use std::io;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    pub address: String,
    pub source: io::Error,
}

impl BindError {
    /// Makes the error of an attempt to bind `address`.
    pub(super) fn of(address: &impl ToString) -> impl FnOnce(io::Error) -> Self {
        let address = address.to_string();
        move |source| Self { address, source }
    }
}
