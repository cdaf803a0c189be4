//! `mq status`: the broker at a glance, with the alarms that are in effect.

use serde_json::Value;

use super::examples::examples;
use super::{Answer, CommandError, Context};
use crate::engine::Error;
use crate::render::{Format, words};

/// Show the broker's version, its connections, queues and messages, and the alarms in effect
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&["mq status", "mq status -o json"]))]
pub struct Args {}

/// The values shown: a name, and the pointer to the value in the management API's overview.
const SHOWN: [(&str, &str); 13] = [
    ("product", "/product_name"),
    ("version", "/product_version"),
    ("speaks as RabbitMQ", "/rabbitmq_version"),
    ("node", "/node"),
    ("connections", "/object_totals/connections"),
    ("channels", "/object_totals/channels"),
    ("exchanges", "/object_totals/exchanges"),
    ("queues", "/object_totals/queues"),
    ("consumers", "/object_totals/consumers"),
    ("messages", "/queue_totals/messages"),
    ("messages ready", "/queue_totals/messages_ready"),
    ("messages unacknowledged", "/queue_totals/messages_unacknowledged"),
    ("alarms", "/alarms"),
];

/// The alarms in effect, in words; `None` if the user may not ask for them.
async fn alarms(cx: &Context) -> Result<Option<String>, CommandError> {
    match cx.engine.inspect().alarms().await {
        Ok(none) if none.is_empty() => Ok(Some("none".to_owned())),
        Ok(alarms) => {
            let words = |(node, resource)| format!("node '{node}' is short of {resource}");
            Ok(Some(alarms.into_iter().map(words).collect::<Vec<_>>().join(", ")))
        }
        Err(Error::Refused { code: 401, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub async fn run(_: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    if cx.out.format() == Some(Format::Raw) {
        return Err(CommandError::usage("a status has no format 'raw'"));
    }
    let mut overview = cx.engine.inspect().overview().await?;
    if let Some(Format::Json | Format::Jsonl) = cx.out.format() {
        cx.out.json_line(&overview)?;
        return Ok(Answer::Yes);
    }
    if let Some(alarms) = alarms(cx).await? {
        overview["alarms"] = alarms.into();
    }
    if let Some(format @ (Format::Table | Format::Csv | Format::Tsv)) = cx.out.format() {
        let known = SHOWN.iter().filter_map(|(word, path)| Some((word, overview.pointer(path)?)));
        let row: serde_json::Map<String, Value> =
            known.map(|(word, value)| ((*word).to_owned(), value.clone())).collect();
        let columns: Vec<String> = row.keys().cloned().collect();
        cx.out.rows(format, &columns, &[row.into()], true)?;
        return Ok(Answer::Yes);
    }
    for (word, path) in SHOWN {
        let value = match overview.pointer(path) {
            Some(Value::String(text)) => text.clone(),
            Some(number) if number.is_u64() && cx.out.is_terminal() => {
                words::grouped(number.as_u64().unwrap_or_default())
            }
            Some(value) => value.to_string(),
            None => continue,
        };
        cx.out.line(&format!("{word}: {value}"))?;
    }
    Ok(Answer::Yes)
}
