//! The administration commands: those of rabbitmqctl and its relatives, from one table.
//!
//! A row of [`table`] says a command's name, operands and switches, the call of the management API, and the output. The
//! command line, the help, the manual and the names that RabbitMQ's programs have are made of it. Work that is more than
//! one call is a function beside its row.
//!
//! Reading order: [`row`] (what a row says), [`users`] (rows and functions), [`table`] (all of them).

mod backup;
mod connections;
mod definitions;
mod end;
mod facts;
mod features;
mod given;
mod health;
mod lists;
mod never;
mod node;
mod operation;
mod parameters;
mod permissions;
mod plugins;
mod policies;
mod queues;
mod row;
mod secret;
mod show;
mod table;
mod users;
mod vhosts;

use clap::error::ErrorKind;
use clap::{
    Arg, ArgAction, ArgMatches, Args as _, Command, FromArgMatches, Subcommand, value_parser,
};

use serde_json::Value;

use self::given::Given;
use self::row::{AdminGroup, AdminRow, AdminWork, Operand, Switch, WordCount};
use self::table::TABLE;
use super::examples::examples;
use super::list::ListOptions;
use super::{Answer, CommandError, Context};
use crate::engine::Fields;

pub use self::row::Program;
pub(super) use connections::{Closing, close_each, pid};
pub(super) use end::shut_down;
pub(super) use operation::{check_log_level, disk_limit, memory_limit};

/// One of the administration commands, as it was asked for.
#[derive(Clone, Debug)]
pub struct AdminCommand {
    row: &'static AdminRow,
    matches: ArgMatches,
}

fn rows() -> impl Iterator<Item = &'static AdminRow> {
    TABLE.iter().flat_map(|group: &AdminGroup| group.rows)
}

/// The names of the commands that the main help shows under headings of their own.
pub fn is_grouped(name: &str) -> bool {
    let mut headed = TABLE.iter().filter(|group| group.heading.is_some());
    headed.any(|group| group.rows.iter().any(|row| row.name == name))
}

/// The headings of the main help with the names under them, a pair each. Commands that do not exist here are left out.
pub fn groups() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    TABLE.iter().filter_map(|group| {
        let here = group.rows.iter().filter(|row| !row.is_refused());
        let names: Vec<&str> = here.map(|row| row.name).collect();
        (!names.is_empty()).then_some((group.heading?, names))
    })
}

/// The names of the commands that do not exist here.
pub fn refused() -> impl Iterator<Item = &'static str> {
    rows().filter(|row| row.is_refused()).map(|row| row.name)
}

impl Subcommand for AdminCommand {
    fn augment_subcommands(command: Command) -> Command {
        // Those with a heading are added by `grouped` as far as they are wanted.
        let shown = TABLE.iter().filter(|group| group.heading.is_none());
        let rows = shown.flat_map(|group| group.rows);
        command.subcommands(rows.map(|row| Command::new(row.name).about(row.about)))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        rows().any(|row| row.name == name)
    }
}

impl FromArgMatches for AdminCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (name, matches) =
            matches.subcommand().ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        let row = rows().find(|row| row.name == name);
        let row = row.ok_or_else(|| clap::Error::new(ErrorKind::InvalidSubcommand))?;
        Ok(Self { row, matches: matches.clone() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The commands that the main help shows under headings, without their arguments.
pub fn grouped() -> impl Iterator<Item = Command> {
    let headed = TABLE.iter().filter(|group| group.heading.is_some());
    headed.flat_map(|group| group.rows).map(|row| Command::new(row.name).about(row.about))
}

/// Gives an administration command its arguments, which it does not have from the start: to make those of a hundred
/// commands takes longer than to run one. Any other command stays as it is.
pub fn filled(command: Command) -> Command {
    match rows().find(|row| row.name == command.get_name()) {
        Some(row) => of_row(row, command),
        None => command,
    }
}

fn of_row(row: &'static AdminRow, command: Command) -> Command {
    let programs: Vec<String> = row
        .programs
        .iter()
        .map(|program| format!("`{} {}`", program.name(), row.original_name()))
        .collect();
    let mut long = row.about.to_owned();
    if let AdminWork::List(_) = row.work {
        long.push_str("\n\n--format json prints every field of the management API.");
    }
    long = format!("{long}\n\nIn RabbitMQ: {}.", programs.join(", "));
    let operands = row.operands.iter().map(|one| operand(row, one));
    let switches = row.switches.iter().map(switch);
    let command = command.long_about(long);
    let mut command = command.args(operands).args(switches);
    if let AdminWork::List(_) = row.work {
        command = ListOptions::augment_args(command);
    }
    if row.examples.is_empty() {
        return command;
    }
    command.after_help(examples(row.examples))
}

/// For a command that does not exist here any words will do.
fn operand(row: &AdminRow, operand: &Operand) -> Arg {
    let is_foreign = row.is_refused();
    let name = operand.name.replace('_', "-").to_uppercase();
    let argument = Arg::new(operand.name).value_name(name).help(operand.help);
    match operand.count {
        WordCount::One => argument.required(true),
        WordCount::OneAtMost => argument,
        WordCount::AtLeastOne => argument.required(true).action(ArgAction::Append).num_args(1..),
        WordCount::Any => {
            argument.action(ArgAction::Append).num_args(0..).allow_hyphen_values(is_foreign)
        }
    }
}

fn switch(switch: &Switch) -> Arg {
    let argument = Arg::new(switch.name).long(switch.name).help(switch.help);
    let argument = match switch.short {
        Some(short) => argument.short(short),
        None => argument,
    };
    match switch.value {
        None => argument.action(ArgAction::SetTrue),
        Some(name) if switch.is_number => {
            argument.value_name(name).value_parser(value_parser!(u64))
        }
        Some(name) => argument.value_name(name),
    }
}

impl AdminCommand {
    /// The error of a command that needs no broker, because it exists on none of ours.
    pub fn refusal(&self) -> Option<CommandError> {
        let command = self.row.original_name();
        match self.row.work {
            AdminWork::Never(feature) => Some(CommandError::Foreign { command, feature }),
            AdminWork::NotImplemented(instead) => {
                Some(CommandError::NotImplemented { command, instead })
            }
            _ => None,
        }
    }
}

/// The words about a command, under either of its names.
pub(super) fn about(name: &str) -> Option<&'static str> {
    found(name).map(|row| row.about)
}

/// The operands and switches of a command, with the words about them.
pub(super) fn arguments(name: &str) -> Vec<(String, &'static str)> {
    let Some(row) = found(name).filter(|row| !row.is_refused()) else { return Vec::new() };
    let operands = row.operands.iter().map(|one| (format!("<{}>", one.name), one.help));
    let switches = row.switches.iter().map(|one| match one.value {
        Some(value) => (format!("--{} <{}>", one.name, value.to_lowercase()), one.help),
        None => (format!("--{}", one.name), one.help),
    });
    operands.chain(switches).collect()
}

/// The error of a command that does not exist here.
pub(super) fn refusal_of(name: &str) -> Option<CommandError> {
    let row = found(name)?;
    AdminCommand { row, matches: ArgMatches::default() }.refusal()
}

fn found(name: &str) -> Option<&'static AdminRow> {
    let name = name.replace('_', "-");
    rows().find(|row| row.name == name)
}

/// A command with its arguments, as another program of the same table asks for it.
fn asked(name: &str, arguments: Vec<String>) -> Result<AdminCommand, CommandError> {
    let unknown = || CommandError::usage(format!("there is no command '{name}'"));
    let row = found(name).ok_or_else(unknown)?;
    let command = of_row(row, Command::new(row.name)).no_binary_name(true);
    let matches = command.try_get_matches_from(arguments);
    let matches = matches.map_err(|error| CommandError::usage(error.to_string()))?;
    Ok(AdminCommand { row, matches })
}

/// Runs a command of the table.
pub(super) async fn perform(
    name: &str,
    arguments: Vec<String>,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    run(asked(name, arguments)?, cx).await
}

/// The rows of a list of the table.
pub(super) async fn list_rows(
    name: &str,
    arguments: Vec<String>,
    cx: &mut Context,
) -> Result<Vec<Value>, CommandError> {
    let asked = asked(name, arguments)?;
    let given = Given::new(asked.matches, cx.engine.inspect().vhost());
    match &asked.row.work {
        AdminWork::List(list) => {
            lists::rows(asked.row.name, list, Fields::All, &given, &cx.engine).await
        }
        _ => Err(CommandError::usage(format!("'{name}' is no list"))),
    }
}

/// Does the work of the row.
pub async fn run(asked: AdminCommand, cx: &mut Context) -> Result<Answer, CommandError> {
    if let Some(error) = asked.refusal() {
        return Err(error);
    }
    let given = Given::new(asked.matches, cx.engine.inspect().vhost());
    match &asked.row.work {
        AdminWork::Change(change) => show::change(change, &given, cx).await,
        AdminWork::List(list) => lists::show(asked.row.name, list, &given, cx).await,
        AdminWork::Check { path, good } => {
            show::check(asked.row.name, &given.path(path), good, cx).await
        }
        AdminWork::Run(run) => run(&given, cx).await,
        AdminWork::Nothing(why) => show::nothing(asked.row.name, why, cx).await,
        AdminWork::Never(_) | AdminWork::NotImplemented(_) => unreachable!("refused before"),
    }
}
