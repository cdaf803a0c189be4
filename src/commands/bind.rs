//! `mq bind`: let messages of an exchange reach a queue or another exchange.

use serde::Serialize;

use super::argument::{self, Argument};
use super::{Answer, CommandError, Context};
use crate::engine::{BindingSpec, Destination, FieldValue, ShortStr, literal};
use crate::render::words;

/// Bind a queue or an exchange to an exchange
///
/// Without a key the binding has the empty one; several keys make several bindings.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    binding: BindingOptions,
}

/// Which bindings are meant; the same for `bind` and `unbind`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BindingOptions {
    /// The exchange that messages come from
    #[arg(long, short = 'e', value_name = "EXCHANGE")]
    exchange: ShortStr,
    /// The queue that messages go to
    #[arg(long, value_name = "QUEUE", required_unless_present = "to_exchange")]
    queue: Option<ShortStr>,
    /// The exchange that messages go to, instead of a queue
    #[arg(long, value_name = "EXCHANGE", conflicts_with = "queue")]
    to_exchange: Option<ShortStr>,
    /// The routing key or pattern; may be given several times
    #[arg(long = "key", short = 'k', value_name = "KEY")]
    keys: Vec<ShortStr>,
    /// A header that messages must have, as NAME=VALUE or NAME:TYPE=VALUE; for headers exchanges
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    headers: Vec<Argument>,
    /// Whether all headers must match or any of them (x-match): all, any, all-with-x or any-with-x
    #[arg(long = "match", value_name = "RULE", requires = "headers")]
    rule: Option<ShortStr>,
}

#[derive(Debug, Serialize)]
struct Bound {
    source: String,
    destination: String,
    destination_type: &'static str,
    routing_keys: Vec<String>,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    for binding in args.binding.specs() {
        cx.engine.bind(&binding).await?;
    }
    args.binding.tell("bound", "to", cx)
}

impl BindingOptions {
    /// One binding for each key.
    pub(super) fn specs(&self) -> Vec<BindingSpec> {
        let destination = match (&self.queue, &self.to_exchange) {
            (_, Some(exchange)) => Destination::Exchange(exchange.clone()),
            (queue, None) => Destination::Queue(queue.clone().unwrap_or_default()),
        };
        let arguments = arguments(&self.headers, self.rule.as_ref());
        let spec = |routing_key: ShortStr| BindingSpec {
            source: self.exchange.clone(),
            destination: destination.clone(),
            routing_key,
            arguments: argument::table(&arguments),
        };
        if self.keys.is_empty() {
            return vec![spec(ShortStr::default())];
        }
        self.keys.iter().cloned().map(spec).collect()
    }

    /// Says what was done with the bindings.
    pub(super) fn tell(
        &self,
        done: &str,
        preposition: &str,
        cx: &mut Context,
    ) -> Result<Answer, CommandError> {
        let (destination, destination_type) = match (&self.queue, &self.to_exchange) {
            (_, Some(exchange)) => (exchange.to_string(), "exchange"),
            (queue, None) => (queue.clone().unwrap_or_default().to_string(), "queue"),
        };
        let exchange = &self.exchange;
        let mut text = format!(
            "{done} {destination_type} '{destination}' {preposition} exchange '{exchange}'"
        );
        if !self.keys.is_empty() {
            text += " by ";
            text += &words::listed(self.keys.iter().map(|key| &**key));
        }
        let bound = Bound {
            source: exchange.to_string(),
            destination,
            destination_type,
            routing_keys: self.keys.iter().map(ToString::to_string).collect(),
        };
        cx.out.done(&text, &bound)?;
        Ok(Answer::Yes)
    }
}

/// The arguments of a binding to a headers exchange.
pub(super) fn arguments(headers: &[Argument], rule: Option<&ShortStr>) -> Vec<Argument> {
    let mut arguments = headers.to_vec();
    if let Some(rule) = rule {
        arguments.push(Argument { name: literal("x-match"), value: FieldValue::from(&**rule) });
    }
    arguments
}
