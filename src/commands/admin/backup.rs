//! Copies of a running broker.

use std::path::Path;

use serde_json::json;

use super::given::Given;
use super::row::{AdminRow, AdminWork, Operand};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Error};
use crate::render::words;

const NOT_FOUND: u16 = 404;
const METHOD_NOT_ALLOWED: u16 = 405;

pub(super) const ROWS: &[AdminRow] = &[AdminRow {
    name: "backup",
    programs: &[],
    about: "Copy the messages and definitions of a running broker to a directory of its machine",
    operands: &[Operand::one("directory", "The directory, which is made or is empty")],
    examples: &["mq backup ./copy --local=./data && mq store check ./copy"],
    work: AdminWork::Run(|given, cx| Box::pin(back_up(given, cx))),
    ..AdminRow::PLAIN
}];

async fn back_up(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let directory = std::path::absolute(Path::new(given.text("directory")))
        .map_err(|error| CommandError::usage(format!("no directory: {error}")))?;
    let Some(directory) = directory.to_str() else {
        return Err(CommandError::usage("the name of the directory is not UTF-8".to_owned()));
    };
    let doing = format!("copy its data to '{directory}'");
    let call = Call::post("backup", json!({"directory": directory}));
    let made = match cx.engine.inspect().send(&doing, &call).await {
        Err(Error::Refused { code: NOT_FOUND | METHOD_NOT_ALLOWED, .. }) => {
            return Err(show::not_offered("backup"));
        }
        made => made?,
    };
    if made["is_sound"] != true {
        let problem =
            format!("the copy in '{directory}' is damaged: 'mq store check' names the messages");
        return Err(show::failed(problem));
    }
    let counted =
        |name: &str, noun: &str| words::counted(made[name].as_u64().unwrap_or_default(), noun);
    let text = format!(
        "copied {} in {} to '{directory}', and read them again",
        counted("waiting_messages", "waiting message"),
        counted("files", "file"),
    );
    cx.out.done(&text, &made)?;
    Ok(Answer::Yes)
}
