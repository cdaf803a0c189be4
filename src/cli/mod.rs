//! The command line: global options, the list of commands, one match that runs them.
//!
//! Nothing is started before it is needed: help, completions and manuals never see the async runtime, and no
//! broker is asked before the command line is known to be right. Errors are printed here and nowhere else.
//!
//! Reading order: [`Cli`] (what can be typed), [`Invocation`] (what happens then).

mod global;
mod invocation;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands;
pub use global::GlobalOptions;
pub use invocation::{Invocation, Stopped};

/// Run and use RabbitMQ-compatible message brokers
///
/// One program: a broker (`mq serve`) and the tools to work with it or with any RabbitMQ.
#[derive(Debug, Parser)]
#[command(
    name = "mq",
    version,
    max_term_width = 100,
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

/// Every command; its help and its options are with its code.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    Serve(commands::serve::Args),
    Publish(commands::publish::Args),
    Consume(commands::consume::Args),
    Get(commands::get::Args),
    RpcCall(commands::rpc_call::Args),
    RpcServe(commands::rpc_serve::Args),
    DeclareExchange(commands::declare_exchange::Args),
    DeclareQueue(commands::declare_queue::Args),
    Bind(commands::bind::Args),
    Unbind(commands::unbind::Args),
    Route(commands::route::Args),
    DeleteExchange(commands::delete_exchange::Args),
    DeleteQueue(commands::delete_queue::Args),
    PurgeQueue(commands::purge_queue::Args),
    ListQueues(commands::list_queues::Args),
    ListExchanges(commands::list_exchanges::Args),
    ListBindings(commands::list_bindings::Args),
    ListConsumers(commands::list_consumers::Args),
    ListConnections(commands::list_connections::Args),
    ListChannels(commands::list_channels::Args),
    ListVhosts(commands::list_vhosts::Args),
    Status(commands::status::Args),
    Store(commands::store::Args),
    Ping(commands::ping::Args),
    Wait(commands::wait::Args),
    Bench(commands::bench::Args),
    Tutorial(commands::tutorial::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}

impl Cli {
    /// The command line as clap sees it, with rabbitmqctl's underscore names added.
    pub fn definition() -> clap::Command {
        Self::command().mut_subcommands(|command| {
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

    /// Rule 35: help begins with an imperative and has no full stop.
    #[test]
    fn every_first_line_of_help_ends_without_a_full_stop() {
        for command in Cli::definition().get_subcommands() {
            let name = command.get_name();
            let about = command.get_about().expect(name).to_string();
            assert!(!about.ends_with('.'), "{name}: {about}");
            assert!(about.chars().next().is_some_and(char::is_uppercase), "{name}: {about}");
            for option in command.get_arguments() {
                let help =
                    option.get_help().unwrap_or_else(|| panic!("{name} {}", option.get_id()));
                assert!(!help.to_string().ends_with('.'), "{name}: {help}");
            }
        }
    }
}
