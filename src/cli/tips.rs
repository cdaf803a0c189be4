//! Names that clap offers for a word it does not know: only those that help shows.
//!
//! Commands also answer to rabbitmqctl's names and options to older ones, so that scripts go on working. Help does
//! not teach them.

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

/// The error with the shown name in place of a hidden one.
pub(super) fn shown(mut error: clap::Error, definition: &Command) -> clap::Error {
    let kinds =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    for kind in kinds {
        let names = match error.get(kind) {
            Some(ContextValue::String(name)) => vec![name.clone()],
            Some(ContextValue::Strings(names)) => names.clone(),
            _ => continue,
        };
        let mut better: Vec<String> = Vec::new();
        for name in &names {
            if let Some(name) = shown_name(name, definition)
                && !better.contains(&name)
            {
                better.push(name);
            }
        }
        if better != names {
            error.remove(kind);
            let is_one = matches!(kind, ContextKind::SuggestedArg);
            match better.first() {
                Some(first) if is_one => {
                    error.insert(kind, ContextValue::String(first.clone()));
                }
                Some(_) => {
                    error.insert(kind, ContextValue::Strings(better));
                }
                None => {}
            }
        }
    }
    error
}

/// The name that help shows; `None` when it shows none.
fn shown_name(name: &str, definition: &Command) -> Option<String> {
    let Some(option) = name.strip_prefix("--") else {
        let command = definition.find_subcommand(name);
        return Some(command.map_or(name, Command::get_name).to_owned());
    };
    let is_meant = |argument: &&Arg| {
        argument.get_long() == Some(option)
            || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&option))
    };
    let all = arguments(definition);
    let mut meant = all.into_iter().filter(is_meant).peekable();
    if meant.peek().is_none() {
        return Some(name.to_owned());
    }
    let shown = meant.find(|argument| !argument.is_hide_set());
    shown.and_then(Arg::get_long).map(|long| format!("--{long}"))
}

fn arguments(command: &Command) -> Vec<&Arg> {
    let below = command.get_subcommands().flat_map(arguments);
    command.get_arguments().chain(below).collect()
}
