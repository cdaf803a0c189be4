//! Refusals that several calls have in common, in RabbitMQ's words.

use crate::broker::arguments::queue_noun;
use crate::wire::{Fault, ReplyCode};

pub(super) fn refused(text: String) -> Fault {
    Fault::new(ReplyCode::AccessRefused, text)
}

pub(super) fn not_default(exchange: &str) -> Result<(), Fault> {
    if exchange.is_empty() {
        return Err(refused("operation not permitted on the default exchange".to_owned()));
    }
    Ok(())
}

pub(super) fn not_reserved(kind: &str, name: &str) -> Result<(), Fault> {
    if name.starts_with("amq.") {
        let text = format!("{kind} name '{name}' contains reserved prefix 'amq.*'");
        return Err(refused(text));
    }
    Ok(())
}

pub(super) fn no_queue(name: &str, vhost: &str) -> Fault {
    Fault::new(ReplyCode::NotFound, format!("no {}", queue_noun(name, vhost)))
}

pub(super) fn locked(noun: &str) -> Fault {
    let text = format!(
        "cannot obtain exclusive access to locked {noun}. It could be originally declared on another \
         connection or the exclusive property value does not match that of the original declaration."
    );
    Fault::new(ReplyCode::ResourceLocked, text)
}
