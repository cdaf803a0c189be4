//! RabbitMQ's command line: what `rabbitmqctl` and its relatives print, and how they end.
//!
//! Under one of their names this program reads a command line as they do, asks the management API, and prints what they
//! print: banners, tables, JSON, errors, exit codes. The work is that of the administration commands; here is its form.
//! A command that does not exist here ends with exit code 69 and says why.
//!
//! Reading order: [`program`] (the names), [`asked`] (a command line), [`names`] (all commands), [`work`] (a row of the
//! table), [`users`] (rows), [`shown`] (the forms of an answer), [`failure`] (errors).

mod asked;
mod cell;
mod changes;
mod columns;
mod facts;
mod failure;
mod health;
mod help;
mod lists;
mod members;
mod names;
mod node;
mod operation;
mod plugins;
mod policies;
mod program;
mod queues;
mod reached;
mod shown;
mod status;
mod table;
mod usage;
mod users;
mod vhosts;
mod waits;
mod work;

use self::asked::Asked;
use self::failure::{DATA, Failure, UNAVAILABLE, USAGE, WrongWords};
use self::names::CommandName;
use self::reached::{EndedWork, Reached};
use self::shown::Shown;
use self::work::{CommandWork, WorkKind, filled};
use super::admin;
use crate::commands::admin::Program;
use crate::render::{Output, OutputSettings};

pub use program::{LINK_NAMES, LinkName};

/// The likeness, by Jaro, from which on a name that is no command is taken for one.
const LIKE: f64 = 0.77;

/// Runs a program with the words behind its name; returns the exit code.
pub async fn run(tool: Program, typed: Vec<String>) -> u8 {
    // Notes of ours have no place in the output of another program.
    let settings = OutputSettings { format: None, is_quiet: true, is_headless: false };
    let out = Output::of_process(settings);
    let mut asked = Asked::read(tool, typed);
    let (ended, mut out) = match prepared(&asked) {
        Ok(ReadLine::Ended(shown)) => (Ok(shown), out),
        Ok(ReadLine::Work(work)) => worked(work, &mut asked, out).await,
        Ok(ReadLine::Own) => worked(&OWN, &mut asked, out).await,
        Err(failure) => (Err(failure), out),
    };
    let ended = ended.and_then(|shown| shown.in_form(&asked));
    let is_printed = match &ended {
        Ok(shown) => shown.print(&asked, &mut out).and_then(|()| out.flush()),
        Err(failure) => {
            let flushed = out.flush();
            if !failure.text.is_empty() {
                let _ = out.complain(&failure.text);
            }
            flushed
        }
    };
    match (is_printed, ended) {
        (Err(error), _) if error.kind() != std::io::ErrorKind::BrokenPipe => UNAVAILABLE,
        (_, Ok(_)) => 0,
        (_, Err(failure)) => failure.code,
    }
}

/// The work of a command that prints what it prints under the name of this program.
const OWN: CommandWork = CommandWork { work: WorkKind::Own, ..CommandWork::PLAIN };

/// A command line that was understood.
enum ReadLine {
    Ended(Shown),
    Work(&'static CommandWork),
    /// A command that prints what it prints under the name of this program
    Own,
}

/// Does what needs no broker: help, versions, and the checks of the command line.
fn prepared(asked: &Asked) -> Result<ReadLine, Failure> {
    if asked.is_set("version") {
        return Ok(ReadLine::Ended(Shown::Text(asked.release.version().to_owned())));
    }
    let program_help = || help::of_program(asked.tool, asked.release);
    let Some(name) = asked.name.as_deref() else {
        if asked.is_set("help") {
            return Ok(ReadLine::Ended(Shown::Text(program_help())));
        }
        return Err(Failure::plain(USAGE, program_help()));
    };
    let Some(command) = asked.command.filter(|row| row.is_in(asked.tool, asked.release)) else {
        return Err(unknown(name, asked));
    };
    match name {
        "help" => return helped(asked).map(ReadLine::Ended),
        "autocomplete" => return Ok(ReadLine::Ended(completed(asked))),
        _ if asked.is_set("help") => {
            return Ok(ReadLine::Ended(Shown::Text(help::of_command(asked, command))));
        }
        _ => {}
    }
    if !asked.invalid.is_empty() {
        let options = asked.invalid.iter().map(|(name, value)| format!("\n{name} : {value}"));
        let text = format!("Invalid options for this command:{}", options.collect::<String>());
        return Err(misused(USAGE, &text, asked, command));
    }
    if let Some(failure) = asked.formatter().and_then(shown::refused) {
        return Err(failure);
    }
    let Some(work) = table::find(name) else {
        let is_here = admin::about(table::admin_name(name)).is_some();
        let refusal = admin::refusal_of(table::admin_name(name));
        return if is_here && refusal.is_none() { Ok(ReadLine::Own) } else { Err(absent(asked)) };
    };
    let checked =
        work.counted(asked).and_then(|()| work.check.map_or(Ok(()), |check| check(asked)));
    checked.map_err(|wrong| {
        let (code, text) = match wrong {
            WrongWords::TooMany => (USAGE, "too many arguments.".to_owned()),
            WrongWords::NotEnough => (USAGE, "not enough arguments.".to_owned()),
            WrongWords::Unsupported(text) => return Failure::error(UNAVAILABLE, text),
            WrongWords::BadArgument => (DATA, "Bad argument.".to_owned()),
            WrongWords::Bad(text) => (DATA, format!("Bad argument: {text}")),
            WrongWords::Said(text) => (USAGE, text),
        };
        misused(code, &text, asked, command)
    })?;
    if let Some(node) =
        asked.optional("node").filter(|node| is_long(node) && !asked.is_set("longnames"))
    {
        let text = format!(
            "Error: operation {name} failed due to invalid node name (node: {node}, reason: short).\n\
             If using FQDN node names, use the -l / --longnames argument"
        );
        return Err(Failure::plain(DATA, text));
    }
    Ok(ReadLine::Work(work))
}

/// Answers if the host of a node's name has dots.
fn is_long(node: &str) -> bool {
    node.split_once('@').is_some_and(|(_, host)| host.contains('.'))
}

/// The failure of a command line that the command does not take.
fn misused(code: u8, text: &str, asked: &Asked, command: &CommandName) -> Failure {
    Failure::plain(
        code,
        format!(
            "Error (argument validation): {text}\nArguments given:\n\t{}\n\n{}",
            asked.typed(),
            usage::usage_block(asked, command)
        ),
    )
}

/// The failure of a name that the program does not have.
fn unknown(name: &str, asked: &Asked) -> Failure {
    let known = names::of_tool(asked.tool, asked.release).map(|row| row.name);
    let nearest = known.map(|known| (strsim::jaro(known, name), known));
    let nearest = nearest.max_by(|left, right| left.0.total_cmp(&right.0));
    let text = match nearest.filter(|(likeness, _)| *likeness >= LIKE) {
        Some((_, meant)) => {
            let end = if asked.release == names::CtlRelease::V3_10 { "\n" } else { "" };
            format!("Did you mean '{meant}'? {end}")
        }
        None => help::of_program(asked.tool, asked.release),
    };
    Failure::plain(USAGE, format!("\nCommand '{name}' not found. \n{text}"))
}

fn helped(asked: &Asked) -> Result<Shown, Failure> {
    let Some(name) = asked.words.first() else {
        if asked.is_set("list-commands") {
            let names = names::of_tool(asked.tool, asked.release).map(|row| row.name);
            return Ok(Shown::Text(names.collect::<Vec<_>>().join("\n")));
        }
        return Ok(Shown::Text(help::of_program(asked.tool, asked.release)));
    };
    let command = names::of_tool(asked.tool, asked.release).find(|row| row.name == name);
    let none = || Failure::error(USAGE, format!("\nCommand '{name}' not found."));
    Ok(Shown::Text(help::of_command(asked, command.ok_or_else(none)?)))
}

/// The names of commands that begin with a word.
fn completed(asked: &Asked) -> Shown {
    let known = names::of_tool(asked.tool, asked.release).map(|row| row.name);
    let mut found: Vec<&str> = known.filter(|name| name.starts_with(asked.word(0))).collect();
    found.sort_unstable();
    Shown::Text(found.join("\n"))
}

/// The failure of a command that RabbitMQ has and this broker has not.
fn absent(asked: &Asked) -> Failure {
    let name = asked.name.as_deref().unwrap_or_default();
    let error = admin::refusal_of(table::admin_name(name));
    let text = error.map_or_else(
        || format!("'{name}' is not implemented"),
        |error| match error.hint() {
            Some(hint) => format!("{error}\nhint: {hint}"),
            None => error.to_string(),
        },
    );
    Failure::error(UNAVAILABLE, text)
}

/// Announces a command and carries it out.
async fn worked(work: &'static CommandWork, asked: &mut Asked, mut out: Output) -> EndedWork {
    if let WorkKind::Alone(run) = work.work {
        let node = reached::node_asked_for(asked);
        announce(work, asked, &node, &mut out);
        return (run(asked), out);
    }
    if let WorkKind::Wait = work.work {
        return waits::run(asked, out).await;
    }
    let is_of_plugins =
        asked.tool == Program::Plugins && matches!(work.name, "enable" | "set" | "disable");
    if is_of_plugins && asked.is_set("offline") {
        let node = reached::node_asked_for(asked);
        announce(work, asked, &node, &mut out);
        return (plugins::offline(asked), out);
    }
    let mut reached = match Reached::open(asked, out).await {
        Ok(reached) => reached,
        // An image is made without a broker.
        Err((_, mut out)) if is_of_plugins => {
            let node = reached::node_asked_for(asked);
            announce(work, asked, &node, &mut out);
            return (plugins::offline(asked), out);
        }
        Err((_, out)) if work.name == "stop" && asked.is_set("idempotent") => {
            let text = format!("Node {} is no longer running", reached::node_asked_for(asked));
            return (Ok(Shown::message(text)), out);
        }
        Err((failure, out)) => return (Err(failure), out),
    };
    asked.release = reached.release;
    let node = reached.node.clone();
    announce(work, asked, &node, &mut reached.cx.out);
    let ended = carried_out(work, asked, &mut reached).await;
    let super::Context { engine, out, .. } = reached.cx;
    let _ = engine.close().await;
    (ended, out)
}

fn announce(work: &CommandWork, asked: &Asked, node: &str, out: &mut Output) {
    if let Some(words) =
        work.banner.words(asked, node).filter(|words| !words.is_empty() && !asked.is_quiet())
    {
        // What cannot be written now cannot be written at the end.
        let _ = out.line(&words);
    }
}

/// The options and arguments of a command.
fn arguments(asked: &Asked) -> Vec<String> {
    [asked.own_switches(), vec!["--".to_owned()], asked.words.clone()].concat()
}

async fn carried_out(
    work: &CommandWork,
    asked: &Asked,
    reached: &mut Reached,
) -> Result<Shown, Failure> {
    match work.work {
        WorkKind::Say(text) => Ok(Shown::message(filled(text, asked, &reached.node))),
        WorkKind::Same { command, refused } => {
            let arguments =
                [asked.own_switches(), vec!["--".to_owned()], asked.words.clone()].concat();
            match reached.perform(command, arguments).await {
                Ok(()) => Ok(Shown::Nothing),
                Err(error) => Err(match refused(&error, asked, reached).await {
                    Some(failure) => failure,
                    None => Failure::of(error, asked, &reached.node),
                }),
            }
        }
        WorkKind::Own => {
            let name = table::admin_name(asked.name.as_deref().unwrap_or_default());
            match reached.perform(name, arguments(asked)).await {
                Ok(()) => Ok(Shown::Nothing),
                Err(error) => Err(Failure::of(error, asked, &reached.node)),
            }
        }
        WorkKind::Run(run) => run(asked, reached).await,
        WorkKind::Alone(_) | WorkKind::Wait => unreachable!("done before"),
    }
}
