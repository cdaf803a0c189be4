//! What a delayed exchange is declared with (the plugin `rabbitmq_delayed_message_exchange`).
//!
//! It matches as the exchange of the type that its argument names, and keeps messages with a delay before that: in a
//! queue of its own that no client sees, the holder.

use crate::broker::compat::Compat;
use crate::broker::exchange::ExchangeKind;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode};

/// The argument with the type by which messages are matched.
pub(super) const TYPE: &str = "x-delayed-type";

/// The type by which messages are matched.
///
/// # Errors
///
/// `PRECONDITION_FAILED` in the plugin's words when there is none or it is a delayed one again; that of
/// [`ExchangeKind::from_name`] for a type nobody knows.
pub(super) fn inner(arguments: &FieldTable, compat: Compat) -> Result<ExchangeKind, Fault> {
    let refused = |text: &str| Err(Fault::new(ReplyCode::PreconditionFailed, text));
    match arguments.get(TYPE).and_then(FieldValue::as_str) {
        None => refused("Invalid argument, 'x-delayed-type' must be an existing exchange type"),
        Some(name) => match ExchangeKind::from_name(name, compat)? {
            ExchangeKind::DelayedMessage => {
                refused("Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'")
            }
            kind => Ok(kind),
        },
    }
}
