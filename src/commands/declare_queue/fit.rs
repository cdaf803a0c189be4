//! The options that each type of queue has, checked before the broker is asked.
//!
//! Only what was said on the command line is compared: without `--queue-type` the virtual host decides what type it
//! is, and the broker whether it fits.

use crate::commands::CommandError;
use crate::engine::{FieldTable, queue_arguments};

const CLASSIC: &str = "classic";
const STREAM: &str = "stream";

/// The part of a declaration that must fit the queue's type.
pub(super) struct Declaration<'a> {
    pub(super) is_named: bool,
    pub(super) is_transient: bool,
    pub(super) is_auto_delete: bool,
    pub(super) arguments: &'a FieldTable,
}

impl Declaration<'_> {
    /// Checks that everything fits together.
    ///
    /// # Errors
    ///
    /// The first thing that does not, and what to do about it.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let text = |name: &str| self.arguments.get(name).and_then(|value| value.as_str());
        let Some(kind) = text("x-queue-type") else { return Ok(()) };
        for row in queue_arguments() {
            let owners: Vec<_> = row.kinds().iter().map(|kind| kind.name()).collect();
            let Some(flag) = row.flag else { continue };
            if self.arguments.get(row.name).is_some() && !owners.contains(&kind) {
                return refuse(
                    format!("{} has no --{}", noun(kind), flag.long),
                    format!(
                        "leave it out, or declare the queue with the type {}",
                        owners.join(" or ")
                    ),
                );
            }
        }
        if kind != CLASSIC {
            let refused = [
                (self.is_transient, "be --transient", "leave out --transient"),
                (
                    self.is_auto_delete,
                    "be deleted with its last consumer",
                    "leave out --auto-delete",
                ),
                (!self.is_named, "get its name from the broker", "name it"),
            ];
            if let Some((_, what, remedy)) = refused.into_iter().find(|(is_asked, ..)| *is_asked) {
                return refuse(
                    format!("{} cannot {what}", noun(kind)),
                    format!("{remedy}, or declare a classic queue"),
                );
            }
        }
        let is_sure = text("x-dead-letter-strategy") == Some("at-least-once");
        if is_sure && text("x-overflow") != Some("reject-publish") {
            return refuse(
                "--dead-letter-strategy at-least-once needs a queue that refuses messages if it is full"
                    .into(),
                "add --overflow reject-publish".into(),
            );
        }
        Ok(())
    }
}

fn noun(kind: &str) -> String {
    if kind == STREAM { "a stream".into() } else { format!("a {kind} queue") }
}

fn refuse(problem: String, hint: String) -> Result<(), CommandError> {
    Err(CommandError::Usage { problem, hint: Some(hint) })
}
