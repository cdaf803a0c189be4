//! The words that a command was given.

use clap::ArgMatches;
use serde_json::Value;

use crate::commands::CommandError;
use crate::engine::escape;
use crate::json_text;

/// The operand that is a vhost. `vhost` is the option that all commands have.
pub(super) const NAMED_VHOST: &str = "vhost_name";

/// The operands and switches of a command, as they were given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    matches: ArgMatches,
    /// The vhost of the command line, or of the target.
    vhost: String,
}

impl Given {
    pub(super) fn new(matches: ArgMatches, vhost: &str) -> Self {
        Self { matches, vhost: vhost.to_owned() }
    }

    /// The vhost to work in: the operand of that name, if the command has one.
    pub(super) fn vhost(&self) -> &str {
        self.optional(NAMED_VHOST).unwrap_or(&self.vhost)
    }

    /// An operand or switch with one value; empty if it was not given.
    pub(super) fn text(&self, name: &str) -> &str {
        match name {
            "vhost" => self.vhost(),
            _ => self.optional(name).unwrap_or_default(),
        }
    }

    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        let given = self.matches.try_get_one::<String>(name);
        given.ok().flatten().map(String::as_str)
    }

    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let given = self.matches.try_get_many::<String>(name).ok().flatten();
        given.into_iter().flatten().map(String::as_str).collect()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.matches.try_get_one::<u64>(name).ok().flatten().copied()
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.matches.try_get_one::<bool>(name).ok().flatten().is_some_and(|is_set| *is_set)
    }

    pub(super) fn matches(&self) -> &ArgMatches {
        &self.matches
    }

    /// An operand that is JSON. The error does not repeat it, because it may hold a password.
    pub(super) fn json(&self, name: &str) -> Result<Value, CommandError> {
        json_text::read(self.text(name).as_bytes()).map_err(|error| CommandError::Usage {
            problem: format!("the {name} is not JSON: {error}"),
            hint: Some(
                "put it into single quotes, so that the shell keeps its double quotes".into(),
            ),
        })
    }

    /// An operand that is a JSON object.
    pub(super) fn object(&self, name: &str) -> Result<Value, CommandError> {
        let value = self.json(name)?;
        if value.is_object() {
            return Ok(value);
        }
        Err(CommandError::Usage {
            problem: format!("the {name} is not a JSON object"),
            hint: Some(format!("write it like '{}'", r#"{"max-length": 100}"#)),
        })
    }

    /// A template with the operands in their places.
    pub(super) fn words(&self, template: &str) -> String {
        self.filled(template, str::to_owned)
    }

    /// A path with the operands in their places, escaped.
    pub(super) fn path(&self, template: &str) -> String {
        self.filled(template, escape)
    }

    fn filled(&self, template: &str, write: fn(&str) -> String) -> String {
        let mut parts = template.split('{');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            filled.push_str(&write(self.text(name)));
            filled.push_str(rest);
        }
        filled
    }
}
