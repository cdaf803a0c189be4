//! Passwords that a person types, or that come from a pipe.

use std::io::{self, BufRead, IsTerminal};

use super::CommandError;
use crate::render::Output;

/// The first line of stdin, or on a terminal the answer to a question, which is not shown.
pub(super) fn typed(question: &str, out: &mut Output) -> Result<String, CommandError> {
    if io::stdin().is_terminal() {
        return match out.ask_secretly(question) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Err(CommandError::Interrupted)
            }
            other => Ok(other?),
        };
    }
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|source| CommandError::File {
        doing: "read the password from stdin".into(),
        source,
    })?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
