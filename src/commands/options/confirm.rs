//! `--yes` and the question before a deletion that cannot be undone.

use crate::commands::CommandError;
use crate::render::Output;

#[derive(Clone, Debug, clap::Args)]
pub(in crate::commands) struct Confirm {
    /// Do not ask for confirmation; required if there is no terminal to ask on
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Confirm {
    /// Asks on a terminal; without one only `--yes` will do.
    pub(in crate::commands) fn or_stop(
        &self,
        question: &str,
        out: &mut Output,
    ) -> Result<(), CommandError> {
        if self.yes {
            return Ok(());
        }
        match out.ask(question)? {
            Some(true) => Ok(()),
            Some(false) => Err(CommandError::Declined),
            None => Err(CommandError::Usage {
                problem: "this cannot be undone, and there is no terminal to ask on".into(),
                hint: Some("add --yes to do it without confirmation".into()),
            }),
        }
    }
}
