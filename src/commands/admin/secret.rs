//! Passwords: from the command line, from a pipe, or from a person.

use std::io::{self, BufRead, IsTerminal};

use crate::commands::{CommandError, Context};

/// The password: the operand, else the first line of stdin, else the answer to a question, which is not shown.
pub(super) fn password(
    given: Option<&str>,
    question: &str,
    cx: &mut Context,
) -> Result<String, CommandError> {
    let password = match given {
        Some(password) => password.to_owned(),
        None if io::stdin().is_terminal() => asked(question, cx)?,
        None => first_line()?,
    };
    if password.is_empty() {
        return Err(CommandError::Usage {
            problem: "the password is empty".into(),
            hint: Some("give it as the last word, or on stdin; `mq clear-password` takes a user's password away".into()),
        });
    }
    Ok(password)
}

fn asked(question: &str, cx: &mut Context) -> Result<String, CommandError> {
    match cx.out.ask_secretly(question) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(CommandError::Interrupted),
        other => Ok(other?),
    }
}

fn first_line() -> Result<String, CommandError> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|source| CommandError::File {
        doing: "read the password from stdin".into(),
        source,
    })?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
