//! `mq completions`: the script by which a shell completes commands and options.

use clap_complete::Shell;

use super::examples::examples;
use super::{Answer, CommandError, admin};
use crate::render::Output;

/// Print the completion script of a shell
///
/// bash reads it from ~/.local/share/bash-completion/completions/mq, zsh from a directory of $fpath.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&["mq completions bash > mq.bash", "mq completions zsh > _mq"]))]
pub struct Args {
    /// The shell for which to complete
    shell: Shell,
}

pub fn run(
    args: &Args,
    definition: &clap::Command,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    let mut definition = with_few_globals(definition);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition, "mq", &mut script);
    out.bytes(&script)?;
    Ok(Answer::Yes)
}

/// The global options that are completed for the administration commands. With all of them for each of the hundred
/// commands a shell would read half a megabyte whenever it starts.
const FEW: [&str; 4] = ["url", "vhost", "format", "quiet"];

/// The definition without the commands that do not exist here, and with its global options given to each command by
/// itself, to the administration commands a few.
fn with_few_globals(definition: &clap::Command) -> clap::Command {
    let all: Vec<_> = definition.get_arguments().cloned().collect();
    let few: Vec<_> =
        all.iter().filter(|argument| FEW.contains(&argument.get_id().as_str())).cloned().collect();
    let is_here =
        |command: &&clap::Command| admin::refused().all(|refused| refused != command.get_name());
    let with_globals = |command: &clap::Command| {
        let globals = if admin::is_grouped(command.get_name()) { &few } else { &all };
        command.clone().args(globals)
    };
    clap::Command::new("mq")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(all.iter().map(|argument| argument.clone().global(false)))
        .subcommands(definition.get_subcommands().filter(is_here).map(with_globals))
}
