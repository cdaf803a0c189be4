//! The errors that clients get when definitions cannot be written.

use std::error::Error;

use crate::store::StoreError;
use crate::wire::{Fault, ReplyCode};

/// The error that the clients of a deleted vhost get.
pub(in crate::broker) fn vhost_deleted(vhost: &str) -> Fault {
    Fault::new(ReplyCode::ConnectionForced, format!("vhost '{vhost}' is deleted"))
}

/// Reports that something could not be written. The client learns the cause; only the log has the path.
///
/// 506 is AMQP's code for a lack of resources. It ends the connection, as RabbitMQ's 541 does when its own database
/// refuses.
pub(super) fn unwritten(noun: &str, error: &StoreError) -> Fault {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    tracing::error!(%error, %cause, "{noun} cannot be written to disk");
    Fault::new(ReplyCode::ResourceError, format!("{noun} cannot be written to disk: {cause}"))
}
