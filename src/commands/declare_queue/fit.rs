//! Which options go with which type of queue, told before the broker is asked.
//!
//! Only what was said on the command line is compared: without `--queue-type` the virtual host decides what type it
//! is, and the broker whether it fits.

use crate::commands::CommandError;
use crate::engine::FieldTable;

const CLASSIC: &str = "classic";
const QUORUM: &str = "quorum";
const STREAM: &str = "stream";

/// Arguments that some types of queue do not have: their option and who has them.
const OWNERS: &[(&str, &str, &[&str])] = &[
    ("x-message-ttl", "--ttl", &[CLASSIC, QUORUM]),
    ("x-expires", "--expires", &[CLASSIC, QUORUM]),
    ("x-max-length", "--max-length", &[CLASSIC, QUORUM]),
    ("x-overflow", "--overflow", &[CLASSIC, QUORUM]),
    ("x-dead-letter-exchange", "--dead-letter-exchange", &[CLASSIC, QUORUM]),
    ("x-dead-letter-routing-key", "--dead-letter-routing-key", &[CLASSIC, QUORUM]),
    ("x-dead-letter-strategy", "--dead-letter-strategy", &[QUORUM]),
    ("x-delivery-limit", "--delivery-limit", &[QUORUM]),
    ("x-single-active-consumer", "--single-active-consumer", &[CLASSIC, QUORUM]),
    ("x-max-priority", "--max-priority", &[CLASSIC]),
    ("x-queue-mode", "--queue-mode", &[CLASSIC]),
    ("x-queue-version", "--queue-version", &[CLASSIC]),
    ("x-quorum-initial-group-size", "--quorum-initial-group-size", &[QUORUM]),
    ("x-initial-cluster-size", "--initial-cluster-size", &[STREAM]),
    ("x-max-age", "--max-age", &[STREAM]),
    ("x-stream-max-segment-size-bytes", "--segment-size", &[STREAM]),
    ("x-stream-filter-size-bytes", "--filter-size", &[STREAM]),
];

/// What the type is compared with.
pub(super) struct Declaration<'a> {
    pub(super) is_named: bool,
    pub(super) is_transient: bool,
    pub(super) is_auto_delete: bool,
    pub(super) arguments: &'a FieldTable,
}

impl Declaration<'_> {
    /// Whether everything fits together.
    ///
    /// # Errors
    ///
    /// The first thing that does not, and what to do about it.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let text = |name: &str| self.arguments.get(name).and_then(|value| value.as_str());
        let Some(kind) = text("x-queue-type") else { return Ok(()) };
        for (argument, option, owners) in OWNERS {
            if self.arguments.get(argument).is_some() && !owners.contains(&kind) {
                return refuse(
                    format!("{} has no {option}", noun(kind)),
                    format!("leave it out, or make it of the type {}", owners.join(" or ")),
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
                "dead-lettering at-least-once needs a queue that refuses messages when it is full"
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
