//! `mq completions`: the script by which a shell completes commands and options.

use clap_complete::Shell;

use super::examples::examples;
use super::{Answer, CommandError};
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
    mut definition: clap::Command,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition, "mq", &mut script);
    out.bytes(&script)?;
    Ok(Answer::Yes)
}
