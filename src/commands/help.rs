//! `mq help`: what `--help` prints, of the program or of one command.

use super::examples::examples;
use super::{Answer, CommandError, man};
use crate::render::Output;

/// Print the help of mq or of a command
///
/// The same as `mq COMMAND --help`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&["mq help publish", "mq help store check"]))]
pub struct Args {
    /// The command, and its subcommand [default: mq itself]
    command: Vec<String>,
}

pub fn run(
    args: &Args,
    mut definition: clap::Command,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    // Without this, a command's help would lack the global options and the program's name.
    definition.build();
    let mut wanted = &definition;
    for name in &args.command {
        wanted = man::find(name, wanted)?;
    }
    let page = wanted.clone().render_long_help();
    let text = if out.is_painted() { page.ansi().to_string() } else { page.to_string() };
    out.bytes(text.as_bytes())?;
    Ok(Answer::Yes)
}
