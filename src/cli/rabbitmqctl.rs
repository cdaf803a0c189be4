//! The options of rabbitmqctl that every command takes beside those of `mq`, so that scripts go on working.
//!
//! They are not shown in help, which teaches the names of `mq`: `--vhost`, `--timeout`, `--quiet`. A short name that a
//! command has for something of its own keeps that meaning there.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::global::{GlobalOptions, duration};

const VHOST: &str = "rabbitmqctl-vhost";
const NODE: &str = "rabbitmqctl-node";
const TIMEOUT: &str = "rabbitmqctl-timeout";
const SILENT: &str = "rabbitmqctl-silent";
const NO_HEADERS: &str = "rabbitmqctl-no-table-headers";

fn options() -> [Arg; 5] {
    let option = |id: &'static str, help: &'static str| Arg::new(id).help(help).hide(true);
    [
        option(VHOST, "Work in this virtual host, as --vhost").short('p').value_name("VHOST"),
        option(NODE, "Accepted and ignored: --url names the broker")
            .short('n')
            .long("node")
            .value_name("NODE"),
        option(TIMEOUT, "Wait so many seconds for each reply, as --timeout")
            .short('t')
            .value_name("SECONDS")
            .value_parser(duration),
        option(SILENT, "Print the rows and errors only")
            .short('s')
            .long("silent")
            .action(ArgAction::SetTrue),
        option(NO_HEADERS, "Print lists without their header line")
            .long("no-table-headers")
            .action(ArgAction::SetTrue),
    ]
}

/// Adds the options to a command, as far as their names are free there.
pub(super) fn added_to(command: Command) -> Command {
    let has = |is_it: &dyn Fn(&Arg) -> bool| command.get_arguments().any(is_it);
    let free = options().into_iter().filter_map(|option| {
        let short = option.get_short();
        let long = option.get_long().unwrap_or_default().to_owned();
        let is_long = |one: &Arg| {
            one.get_long() == Some(&long)
                || one.get_all_aliases().is_some_and(|names| names.contains(&long.as_str()))
        };
        match (short.is_some() && has(&|one| one.get_short() == short), long.is_empty()) {
            (true, true) => None,
            (_, false) if has(&is_long) => None,
            (true, false) => Some(option.short(None)),
            (false, _) => Some(option),
        }
    });
    let free: Vec<Arg> = free.collect();
    command.args(free)
}

/// Takes the options over, from before and behind the command. Answers whether a node was named.
pub(super) fn taken_over(global: &mut GlobalOptions, matches: &ArgMatches) -> bool {
    let command = matches.subcommand().map(|(_, matches)| matches);
    let places = || command.into_iter().chain([matches]);
    let text = |id: &str| {
        places().find_map(|matches| matches.try_get_one::<String>(id).ok().flatten().cloned())
    };
    let time =
        || places().find_map(|matches| matches.try_get_one::<Duration>(TIMEOUT).ok().flatten());
    let is_set = |id: &str| {
        places().any(|matches| matches.try_get_one::<bool>(id).ok().flatten() == Some(&true))
    };
    global.vhost = global.vhost.take().or_else(|| text(VHOST));
    global.timeout = global.timeout.or_else(|| time().copied());
    global.quiet |= is_set(SILENT);
    global.is_headless = is_set(SILENT) || is_set(NO_HEADERS);
    text(NODE).is_some()
}
