//! Passwords: from the command line, from a pipe, or from a person.

use crate::commands::{CommandError, Context, typed_password};

/// The password: the operand, else the first line of stdin, else the answer to a question, which is not shown.
pub(super) fn password(
    given: Option<&str>,
    question: &str,
    cx: &mut Context,
) -> Result<String, CommandError> {
    let password = match given {
        Some(password) => password.to_owned(),
        None => typed_password::typed(question, &mut cx.out)?,
    };
    if password.is_empty() {
        return Err(CommandError::Usage {
            problem: "the password is empty".into(),
            hint: Some("give it as the last word, or on stdin; `mq clear-password` takes a user's password away".into()),
        });
    }
    Ok(password)
}
