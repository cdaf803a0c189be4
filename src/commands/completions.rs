//! `mq completions`: what makes a shell complete commands and options.

use clap_complete::Shell;

use super::{Answer, CommandError};
use crate::render::Output;

/// Print the completion script of a shell
///
/// For example: mq completions bash > ~/.local/share/bash-completion/completions/mq
#[derive(Clone, Debug, clap::Args)]
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
