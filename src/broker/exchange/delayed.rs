//! `x-delayed-message`: an exchange that keeps messages with a delay until their time has come (the plugin
//! `rabbitmq_delayed_message_exchange`).
//!
//! It matches as the exchange of the type that its argument names. Messages with a delay wait before that, in a queue
//! of the exchange's own that no client sees, its holder (`broker::queue`).

use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode};

/// The name of the type.
pub(super) const NAME: &str = "x-delayed-message";

/// The argument with the type by which messages are matched.
const TYPE: &str = "x-delayed-type";

/// The name of the type by which messages are matched.
///
/// # Errors
///
/// `PRECONDITION_FAILED` in the plugin's words when there is none or it is a delayed one again.
pub(super) fn inner(arguments: &FieldTable) -> Result<&str, Fault> {
    let refused = |text: &str| Err(Fault::new(ReplyCode::PreconditionFailed, text));
    match arguments.get(TYPE).and_then(FieldValue::as_str) {
        None => refused("Invalid argument, 'x-delayed-type' must be an existing exchange type"),
        Some(NAME) => {
            refused("Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'")
        }
        Some(name) => Ok(name),
    }
}
