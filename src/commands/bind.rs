//! `mq bind`: bind a queue or an exchange to an exchange.

use serde::Serialize;

use super::examples::examples;
use super::options::argument::{self, Argument, word};
use super::options::name;
use super::{Answer, CommandError, Context};
use crate::engine::{BindingSpec, Destination, ShortStr, literal};
use crate::render::words;

/// Bind a queue or an exchange to an exchange
///
/// Without --key the routing key is empty; each further --key makes another binding.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq bind --exchange prices --queue jobs --key 'eu.*' --key 'us.*'",
    "mq bind --exchange amq.headers --queue jobs --header kind=order --match all",
]))]
pub struct Args {
    #[command(flatten)]
    binding: BindingOptions,
}

/// The bindings to make or to remove: the options of `bind` and `unbind`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BindingOptions {
    /// The exchange from which messages come
    #[arg(long, short = 'e', value_name = "EXCHANGE", value_parser = name::exchange)]
    exchange: ShortStr,
    /// The queue to which messages go
    #[arg(long, value_name = "QUEUE", value_parser = name::queue, required_unless_present = "to_exchange")]
    queue: Option<ShortStr>,
    /// The exchange to which messages go, instead of a queue
    #[arg(long, value_name = "EXCHANGE", value_parser = name::exchange, conflicts_with = "queue")]
    to_exchange: Option<ShortStr>,
    /// The routing key or pattern; may be given several times
    #[arg(long = "key", short = 'k', value_name = "KEY")]
    keys: Vec<ShortStr>,
    /// A header that messages must have, as NAME=VALUE or NAME:TYPE=VALUE; for headers exchanges
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    headers: Vec<Argument>,
    /// Match messages that have all headers, or any of them; only the values with -with-x compare headers whose name
    /// begins with x- (x-match) [default: all]
    #[arg(long = "match", value_name = "RULE", value_enum, requires = "headers")]
    rule: Option<Match>,
    /// The share of messages for this binding of a consistent-hash exchange, for example 2; it is sent as the routing
    /// key
    #[arg(
        long,
        value_name = "NUMBER",
        conflicts_with_all = ["keys", "headers"],
        value_parser = clap::value_parser!(u16).range(1..=10_000)
    )]
    weight: Option<u16>,
}

/// The rule for the headers of a binding: a message must have all of them, or any.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Match {
    All,
    Any,
    AllWithX,
    AnyWithX,
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
        let arguments = arguments(&self.headers, self.rule);
        let spec = |routing_key: ShortStr| BindingSpec {
            source: self.exchange.clone(),
            destination: destination.clone(),
            routing_key,
            arguments: argument::table(&arguments),
        };
        self.keys().into_iter().map(spec).collect()
    }

    fn keys(&self) -> Vec<ShortStr> {
        match self.weight {
            Some(weight) => vec![ShortStr::truncated(&weight.to_string())],
            None if self.keys.is_empty() => vec![ShortStr::default()],
            None => self.keys.clone(),
        }
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
        if let Some(weight) = self.weight {
            text += " with the weight ";
            text += &weight.to_string();
        } else if !self.keys.is_empty() {
            text += " by ";
            text += &words::listed(self.keys.iter().map(|key| &**key));
        }
        let keys = if self.weight.is_some() { self.keys() } else { self.keys.clone() };
        let bound = Bound {
            source: exchange.to_string(),
            destination,
            destination_type,
            routing_keys: keys.iter().map(ToString::to_string).collect(),
        };
        cx.out.done(&text, &bound)?;
        Ok(Answer::Yes)
    }
}

/// The arguments of a binding to a headers exchange.
pub(super) fn arguments(headers: &[Argument], rule: Option<Match>) -> Vec<Argument> {
    let mut arguments = headers.to_vec();
    if let Some(rule) = rule {
        arguments.push(Argument { name: literal("x-match"), value: word(rule) });
    }
    arguments
}
