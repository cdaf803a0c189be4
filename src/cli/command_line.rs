//! The text that may be typed after `mq`: global options and commands.
//!
//! The commands are listed in [`crate::commands`]; each has its help, its options and its examples with its code.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use super::global::GlobalOptions;
use super::rabbitmqctl;
use crate::commands::serve::config::AppliedSettings;
use crate::commands::{Command, admin};
use crate::render::terminal_width;

/// Most columns of help: longer lines are hard to read.
const HELP_WIDTH_MAX: usize = 100;

/// Run and use RabbitMQ-compatible message brokers
///
/// One program: a broker (`mq serve`), and tools that work with it or with any RabbitMQ broker.
#[derive(Debug, Parser)]
#[command(
    name = "mq",
    version,
    max_term_width = HELP_WIDTH_MAX,
    subcommand_required = true,
    arg_required_else_help = false,
    after_help = after_help()
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalOptions,
    #[command(subcommand)]
    pub command: Command,
}

/// The end of the main help: the administration commands by their headings, then the first steps.
fn after_help() -> String {
    let groups = admin::groups()
        .map(|(heading, names)| format!("{heading}:\n{}\n", wrapped(&names, HELP_WIDTH_MAX)));
    format!(
        "Administration, as with rabbitmqctl (`mq help NAME`; add_user is add-user, -p is --vhost):\n\n{}\n\
         Start with `mq tutorial`, or `mq serve` in one terminal and \
         `mq publish --queue hello 'Hello World!'` in another.",
        groups.collect::<String>()
    )
}

/// Names with commas between, in indented lines of at most `width` columns.
fn wrapped(names: &[&str], width: usize) -> String {
    let mut lines = vec![String::new()];
    for (place, name) in names.iter().enumerate() {
        let comma = if place + 1 < names.len() { "," } else { "" };
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.len() + name.len() + 2 <= width => {
                line.push_str(if line.is_empty() { "  " } else { " " });
                line.push_str(name);
                line.push_str(comma);
            }
            _ => lines.push(format!("  {name}{comma}")),
        }
    }
    lines.join("\n")
}

impl Cli {
    /// Takes the settings that were made outside the command line.
    #[must_use]
    pub fn with(mut self, applied: AppliedSettings) -> Self {
        if let Command::Serve(args) = &mut self.command {
            args.set_applied(applied);
        }
        self
    }

    /// The command line as help and completions teach it.
    pub fn taught() -> clap::Command {
        Self::begun().subcommands(admin::grouped()).mut_subcommands(admin::filled)
    }

    /// The command line as clap sees it, with rabbitmqctl's underscore names and options added.
    pub fn definition() -> clap::Command {
        Self::definition_of(|_| true)
    }

    /// The same for arguments that are to be parsed: only commands that they name have their options.
    ///
    /// Cost: some 2 ms less than that of all commands.
    pub fn definition_for(arguments: &[OsString]) -> clap::Command {
        Self::definition_of(|name| {
            let underscored = name.replace('-', "_");
            arguments.iter().any(|argument| *argument == *name || *argument == *underscored)
        })
    }

    /// The administration commands that are wanted; all, for the sake of suggestions, if no command is named.
    fn grouped(
        definition: &clap::Command,
        is_wanted: &impl Fn(&str) -> bool,
    ) -> Vec<clap::Command> {
        let is_named = |command: &clap::Command| is_wanted(command.get_name());
        let all: Vec<_> = admin::grouped().collect();
        if definition.get_subcommands().chain(&all).any(is_named) {
            return all.into_iter().filter(is_named).collect();
        }
        all
    }

    fn definition_of(is_wanted: impl Fn(&str) -> bool) -> clap::Command {
        let begun = Self::begun();
        let grouped = Self::grouped(&begun, &is_wanted);
        rabbitmqctl::added_to(begun.subcommands(grouped)).mut_subcommands(|mut command| {
            if is_wanted(command.get_name()) {
                command = rabbitmqctl::added_to(admin::filled(command));
            }
            let is_grouped = admin::is_grouped(command.get_name());
            let command = command.hide(is_grouped);
            let name = command.get_name();
            if name.contains('-') {
                let underscored = name.replace('-', "_");
                command.alias(underscored)
            } else {
                command
            }
        })
    }

    /// The command line with the administration commands by name only.
    fn begun() -> clap::Command {
        let definition = Self::command();
        if terminal_width(std::io::stdout()).is_none() {
            // As wide as on a wide terminal, rather than a word a line.
            return definition.term_width(HELP_WIDTH_MAX);
        }
        definition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::definition().debug_assert();
    }

    /// Words that make a question of a help text, which is to say what the option does.
    const QUESTION_WORDS: [&str; 9] =
        ["What", "Who", "Whoever", "Whether", "How", "Where", "When", "Why", "Which"];

    fn check_help(name: &str, help: &str) {
        assert!(!help.ends_with('.'), "{name}: {help}");
        assert!(help.chars().next().is_some_and(char::is_uppercase), "{name}: {help}");
        let first = help.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        assert!(!QUESTION_WORDS.contains(&first), "{name}: {help}");
    }

    /// The names by which clap keeps the values of options: one that is given twice would be taken for the other.
    #[test]
    fn no_option_of_a_command_is_one_of_all_commands() {
        let definition = Cli::definition();
        let global: Vec<_> = definition.get_arguments().map(clap::Arg::get_id).collect();
        for command in definition.get_subcommands() {
            let own = command
                .get_arguments()
                .filter(|one| !one.get_id().as_str().starts_with("rabbitmqctl-"));
            for option in own {
                let (name, id) = (command.get_name(), option.get_id());
                assert!(!global.contains(&id), "{name}: {id}");
            }
        }
    }

    /// Rule 35: help begins with an imperative and has no full stop.
    #[test]
    fn every_first_line_of_help_says_what_is_done_without_a_full_stop() {
        for command in Cli::definition().get_subcommands() {
            let name = command.get_name();
            let about = command.get_about().expect(name).to_string();
            check_help(name, &about);
            for option in command.get_arguments() {
                let help =
                    option.get_help().unwrap_or_else(|| panic!("{name} {}", option.get_id()));
                check_help(name, &help.to_string());
            }
        }
    }
}
