//! The options of `mq declare-queue` that are queue arguments, one for each row of the broker's table that has one.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::commands::CommandError;
use crate::commands::options::age::Age;
use crate::commands::options::argument::Argument;
use crate::commands::options::size::Size;
use crate::engine::{
    FieldValue, Flag, FlagValue, QueueArgument, ShortStr, literal, queue_arguments,
};

/// The short form of `--queue-mode lazy`, which stands before it in the help.
const LAZY: &str = "lazy";
const QUEUE_MODE: &str = "queue-mode";

/// The arguments that were given as options.
#[derive(Clone, Debug)]
pub(super) struct QueueOptions(Vec<(&'static QueueArgument, OptionValue)>);

/// A value as it was given.
#[derive(Clone, Debug)]
enum OptionValue {
    Duration(Duration),
    Number(i64),
    Size(Size),
    Switch,
    Text(String),
}

/// The rows that have an option, in the order of the help.
fn rows() -> Vec<(&'static QueueArgument, &'static Flag)> {
    let with_flag = queue_arguments().iter().filter_map(|row| Some((row, row.flag.as_ref()?)));
    let mut rows: Vec<_> = with_flag.collect();
    rows.sort_by_key(|(_, flag)| flag.place);
    rows
}

fn arg(row: &QueueArgument, flag: &'static Flag) -> Arg {
    let default = flag.default.map(|default| format!(" [default: {default}]"));
    let help = format!("{} ({}){}", flag.help, row.name, default.unwrap_or_default());
    let mut arg = Arg::new(flag.long).long(flag.long).help(help);
    if let Some(alias) = flag.alias {
        arg = arg.alias(alias);
    }
    if let Some(other) = flag.requires {
        arg = arg.requires(other);
    }
    if flag.value == FlagValue::Switch {
        return arg.action(ArgAction::SetTrue);
    }
    let arg = arg.value_name(flag.value_name);
    match flag.value {
        FlagValue::Age => arg.value_parser(value_parser!(Age)),
        FlagValue::Byte { min } => arg.value_parser(value_parser!(u8).range(i64::from(min)..)),
        FlagValue::Count => arg.value_parser(value_parser!(u32)),
        FlagValue::CountOrNone => {
            arg.allow_negative_numbers(true).value_parser(value_parser!(i32).range(-1..))
        }
        FlagValue::Duration => arg.value_parser(humantime::parse_duration),
        FlagValue::Name => arg.value_parser(value_parser!(ShortStr)),
        FlagValue::Size => arg.value_parser(value_parser!(Size)),
        FlagValue::Switch => arg,
        FlagValue::Word(words) => arg.value_parser(PossibleValuesParser::new(words)),
    }
}

/// The value of an option, if it was given.
fn given(flag: &Flag, matches: &ArgMatches) -> Option<OptionValue> {
    let id = flag.long;
    match flag.value {
        FlagValue::Age => {
            matches.get_one::<Age>(id).map(|age| OptionValue::Text(age.as_str().into()))
        }
        FlagValue::Byte { .. } => {
            matches.get_one::<u8>(id).map(|it| OptionValue::Number((*it).into()))
        }
        FlagValue::Count => matches.get_one::<u32>(id).map(|it| OptionValue::Number((*it).into())),
        FlagValue::CountOrNone => {
            matches.get_one::<i32>(id).map(|it| OptionValue::Number((*it).into()))
        }
        FlagValue::Duration => matches.get_one(id).copied().map(OptionValue::Duration),
        FlagValue::Name => {
            matches.get_one::<ShortStr>(id).map(|it| OptionValue::Text(it.to_string()))
        }
        FlagValue::Size => matches.get_one(id).copied().map(OptionValue::Size),
        FlagValue::Switch => matches.get_flag(id).then_some(OptionValue::Switch),
        FlagValue::Word(_) => matches.get_one(id).cloned().map(OptionValue::Text),
    }
}

impl clap::Args for QueueOptions {
    fn augment_args(mut command: Command) -> Command {
        for (row, flag) in rows() {
            if flag.long == QUEUE_MODE {
                let lazy = Arg::new(LAZY).long(LAZY).action(ArgAction::SetTrue);
                let lazy = lazy.conflicts_with(QUEUE_MODE);
                command = command.arg(lazy.help(
                    "Keep messages on disk rather than in memory; the same as --queue-mode lazy",
                ));
            }
            command = command.arg(arg(row, flag));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for QueueOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |flag: &Flag| match given(flag, matches) {
            None if flag.long == QUEUE_MODE && matches.get_flag(LAZY) => {
                Some(OptionValue::Text(LAZY.to_owned()))
            }
            given => given,
        };
        let given = rows().into_iter().filter_map(|(row, flag)| Some((row, value(flag)?)));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl QueueOptions {
    /// The arguments for the broker.
    ///
    /// # Errors
    ///
    /// A usage error for a time or a size that the broker cannot count.
    pub(super) fn arguments(self) -> Result<Vec<Argument>, CommandError> {
        let argument = |(row, given): (&QueueArgument, OptionValue)| {
            Ok(Argument { name: literal(row.name), value: given.value()? })
        };
        self.0.into_iter().map(argument).collect()
    }
}

impl OptionValue {
    fn value(self) -> Result<FieldValue, CommandError> {
        let long = |_| CommandError::usage("a time is longer than the broker can count");
        let large = |_| CommandError::usage("a size is larger than the broker can count");
        Ok(match self {
            Self::Duration(time) => FieldValue::I64(i64::try_from(time.as_millis()).map_err(long)?),
            Self::Number(number) => FieldValue::I64(number),
            Self::Size(size) => FieldValue::I64(i64::try_from(size.bytes).map_err(large)?),
            Self::Switch => FieldValue::Bool(true),
            Self::Text(text) => FieldValue::from(text.as_str()),
        })
    }
}
