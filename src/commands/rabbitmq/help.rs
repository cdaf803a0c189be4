//! The help of RabbitMQ's programs: the commands of a program, and one command.
//!
//! Headings, names and arguments are those of RabbitMQ; what a command does is said in the words of `mq help`.

use std::fmt::Write as _;

use super::asked::Asked;
use super::names::{self, CommandName, CtlRelease};
use super::table;
use super::usage::{heading, usage_block};
use crate::commands::admin;
use crate::commands::admin::Program;

/// The options that every command takes.
const GENERAL: &str = "
General Options

The following options are accepted by most or all commands.

short            | long          | description
-----------------|---------------|--------------------------------
-?               | --help        | displays command help
-n <node>        | --node <node> | accepted; --http-url names the broker
-t               | --timeout <n> | wait so many seconds for each reply
-q               | --quiet       | print results and errors only
-s               | --silent      | the same, without header lines
-p               | --vhost       | work in this virtual host
                 | --formatter   | print as json, pretty_table, table, csv
                 |               | or erlang
";

fn about(command: &CommandName) -> &'static str {
    match command.name {
        "help" => "Print the commands, or the arguments of one",
        name => {
            let own = table::about(name);
            own.or_else(|| admin::about(table::admin_name(name))).unwrap_or_default()
        }
    }
}

/// The help of a program.
pub(super) fn of_program(tool: Program, release: CtlRelease) -> String {
    let commands: Vec<&CommandName> = names::of_tool(tool, release).collect();
    let width = commands.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let program = tool.name();
    let mut text = format!(
        "\n{}\n\n{program} [--node <node>] [--timeout <timeout>] [--longnames] [--quiet] <command> [<command options>]\n\n\
         Available commands:\n",
        heading("Usage", release)
    );
    let mut section = "";
    for row in commands {
        if row.section != section {
            section = row.section;
            let _ = writeln!(text, "\n{}:\n", heading(section, release));
        }
        let _ = writeln!(text, "   {:width$}  {}", row.name, about(row));
    }
    let _ = write!(text, "\nUse '{program} help <command>' to learn more about a specific command");
    text
}

/// The help of a command.
pub(super) fn of_command(asked: &Asked, command: &CommandName) -> String {
    let mut text = format!("\n{}\n\n{}.\n\n", usage_block(asked, command), about(command));
    let own = admin::arguments(table::admin_name(command.name));
    let columns = table::columns(command.name, asked.release);
    if !own.is_empty() || !columns.is_empty() {
        let _ = writeln!(text, "\n{}\n", heading("Arguments and Options", asked.release));
    }
    if !columns.is_empty() {
        let mut columns = columns;
        columns.sort_unstable();
        let _ = writeln!(text, "<column>\n\tmust be one of {}\n", columns.join(", "));
    }
    for (name, help) in own {
        let _ = writeln!(text, "{name}\n\t{help}\n");
    }
    text + &GENERAL.replace("General Options", &heading("General Options", asked.release))
}
