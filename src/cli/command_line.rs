//! The text that may be typed after `mq`: global options and commands.
//!
//! The commands are listed in [`crate::commands`]; each has its help, its options and its examples with its code.

use clap::{CommandFactory, Parser};

use super::global::GlobalOptions;
use crate::commands::Command;
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
    after_help = "Start with `mq tutorial`, or `mq serve` in one terminal and \
                  `mq publish --queue hello 'Hello World!'` in another."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalOptions,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line as clap sees it, with rabbitmqctl's underscore names added.
    pub fn definition() -> clap::Command {
        let mut definition = Self::command();
        if terminal_width(std::io::stdout()).is_none() {
            // As wide as on a wide terminal, rather than a word a line.
            definition = definition.term_width(HELP_WIDTH_MAX);
        }
        definition.mut_subcommands(|command| {
            let name = command.get_name();
            if name.contains('-') {
                let underscored = name.replace('-', "_");
                command.alias(underscored)
            } else {
                command
            }
        })
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
