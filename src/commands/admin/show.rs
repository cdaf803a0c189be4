//! The ways in which administration commands answer.

use serde_json::{Value, json};

use super::given::Given;
use super::row::ChangeCall;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Error};
use crate::render::Format;

/// The answer of a health check that failed.
const UNHEALTHY: u16 = 503;
const NOT_FOUND: u16 = 404;

/// Makes the call of a row and says what was done.
pub(super) async fn change(
    change: &ChangeCall,
    given: &Given,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    let body = change.body.map(|body| body(given)).transpose()?;
    let call = Call { body, ..Call::new(change.method.clone(), given.path(change.path)) };
    cx.engine.inspect().send(&given.words(change.doing), &call).await?;
    done(&given.words(change.done), cx)
}

/// Says what was done.
pub(super) fn done(words: &str, cx: &mut Context) -> Result<Answer, CommandError> {
    cx.out.done(words, &json!({"message": words}))?;
    Ok(Answer::Yes)
}

/// Makes a check: good words, or the broker's reason and exit code 1.
pub(super) async fn check(
    name: &str,
    path: &str,
    good: &str,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    match cx.engine.inspect().get(&doing(name), path).await {
        Ok(_) => text(good, cx),
        Err(Error::Refused { code: UNHEALTHY, text, .. }) => Err(failed(text)),
        // There is nothing in such a path that could be missing but the check itself.
        Err(Error::Refused { code: NOT_FOUND, .. }) => Err(not_offered(name)),
        Err(error) => Err(error.into()),
    }
}

/// A check that found a problem.
pub(super) fn failed(problem: String) -> CommandError {
    CommandError::CheckFailed { problems: vec![problem] }
}

/// The error of a command for which this broker has no call.
pub(super) fn not_offered(name: &str) -> CommandError {
    Error::not_offered(doing(name), "its management API has no such call").into()
}

/// The name of a command as the end of a sentence.
pub(super) fn doing(name: &str) -> String {
    name.replace('-', " ")
}

/// On a broker of ours, says why there is nothing to do.
pub(super) async fn nothing(
    name: &str,
    why: &str,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    if is_ours(cx).await? { done(why, cx) } else { Err(not_offered(name)) }
}

/// Asks whether the broker is `mq serve`.
pub(super) async fn is_ours(cx: &Context) -> Result<bool, CommandError> {
    Ok(cx.engine.inspect().overview().await?["instance"].is_string())
}

/// Prints a text, which is the result.
pub(super) fn text(text: &str, cx: &mut Context) -> Result<Answer, CommandError> {
    match cx.out.format() {
        None | Some(Format::Raw) => cx.out.line(text)?,
        Some(_) => cx.out.done("", &json!({"message": text}))?,
    }
    Ok(Answer::Yes)
}

/// Prints an object: a line for each field, or as the format says.
pub(super) fn object(object: &Value, cx: &mut Context) -> Result<Answer, CommandError> {
    cx.out.object(object)?;
    Ok(Answer::Yes)
}

/// Prints rows with these columns, as the format says.
pub(super) fn rows(
    columns: &[&str],
    rows: &[Value],
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
    let (format, has_header) = (cx.out.list_format(), !cx.out.is_headless());
    cx.out.rows(format, &columns, rows, has_header)?;
    Ok(Answer::Yes)
}
