//! `mq declare-exchange`: declare an exchange, or check that the existing one is the same.

use serde::Serialize;

use super::examples::examples;
use super::options::argument::{self, Argument, word};
use super::options::name;
use super::{Answer, CommandError, Context};
use crate::engine::{ExchangeKind, ExchangeSpec, FieldValue, ShortStr, literal};

/// Declare an exchange
///
/// If the exchange exists, it must have the same type and properties.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq declare-exchange prices --type topic",
    "mq declare-exchange later --delayed-type direct",
]))]
pub struct Args {
    /// The name of the exchange
    #[arg(value_parser = name::exchange)]
    exchange: ShortStr,
    #[arg(long = "type", value_name = "TYPE", help = kind_help())]
    kind: Option<ShortStr>,
    /// Delete the exchange when the broker restarts
    #[arg(long)]
    transient: bool,
    /// Delete the exchange when its last binding is removed
    #[arg(long)]
    auto_delete: bool,
    /// Accept messages from other exchanges only
    #[arg(long)]
    internal: bool,
    /// Send messages that match no binding to this exchange (alternate-exchange)
    #[arg(long, value_name = "EXCHANGE")]
    alternate_exchange: Option<ShortStr>,
    #[command(flatten)]
    special: Special,
    /// Add any other argument, as NAME=VALUE or NAME:TYPE=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    argument: Vec<Argument>,
}

/// The options of some types only; each implies its type if none is named.
#[derive(Clone, Debug, clap::Args)]
struct Special {
    /// Delay each message by its header x-delay, then route it like this type (x-delayed-type)
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["hash_header", "hash_property", "history_length"])]
    delayed_type: Option<ShortStr>,
    /// Choose the queue by the hash of this header rather than of the routing key (hash-header)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["hash_property", "history_length"])]
    hash_header: Option<ShortStr>,
    /// Choose the queue by the hash of this property rather than of the routing key (hash-property)
    #[arg(long, value_name = "PROPERTY", value_enum, conflicts_with = "history_length")]
    hash_property: Option<HashProperty>,
    /// Send each newly bound queue this many of the last messages (x-recent-history-length)
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(u32).range(1..))]
    history_length: Option<u32>,
}

fn kind_help() -> String {
    let names = ExchangeKind::ALL.map(ExchangeKind::name).join(", ");
    format!(
        "Declare this type: {names}, or another that the broker has [default: the type that another option belongs \
         to, else direct]"
    )
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum HashProperty {
    CorrelationId,
    MessageId,
    Timestamp,
}

#[derive(Debug, Serialize)]
struct Declared {
    exchange: String,
    #[serde(rename = "type")]
    kind: String,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let kind = args.special.kind(args.kind)?;
    let mut arguments = args.special.arguments();
    let alternate = args.alternate_exchange.map(|name| FieldValue::from(&*name));
    arguments.extend(named("alternate-exchange", alternate));
    arguments.extend(args.argument);
    let exchange = ExchangeSpec {
        name: args.exchange,
        kind,
        durable: !args.transient,
        auto_delete: args.auto_delete,
        internal: args.internal,
        arguments: argument::table(&arguments),
    };
    cx.engine.declare_exchange(&exchange).await?;
    let (name, kind) = (exchange.name.to_string(), exchange.kind.to_string());
    let words = format!("exchange '{name}' of type {kind} is there");
    cx.out.done(&words, &Declared { exchange: name, kind })?;
    Ok(Answer::Yes)
}

impl Special {
    /// The option that was used, and the type that has it.
    fn used(&self) -> Option<(&'static str, &'static str)> {
        if self.delayed_type.is_some() {
            Some(("--delayed-type", "x-delayed-message"))
        } else if self.hash_header.is_some() {
            Some(("--hash-header", "x-consistent-hash"))
        } else if self.hash_property.is_some() {
            Some(("--hash-property", "x-consistent-hash"))
        } else if self.history_length.is_some() {
            Some(("--history-length", "x-recent-history"))
        } else {
            None
        }
    }

    /// The exchange's type.
    fn kind(&self, named: Option<ShortStr>) -> Result<ShortStr, CommandError> {
        match (named, self.used()) {
            (Some(kind), Some((option, owner))) if kind != owner => Err(CommandError::Usage {
                problem: format!("an exchange of type {kind} has no {option}"),
                hint: Some(format!("leave it out, or say --type {owner}")),
            }),
            (Some(kind), _) => Ok(kind),
            (None, Some((_, owner))) => Ok(literal(owner)),
            (None, None) => Ok(literal("direct")),
        }
    }

    fn arguments(&self) -> Vec<Argument> {
        let text = |text: &Option<ShortStr>| text.as_ref().map(|text| FieldValue::from(&**text));
        let length = self.history_length.map(|length| FieldValue::I64(length.into()));
        let arguments = [
            named("x-delayed-type", text(&self.delayed_type)),
            named("hash-header", text(&self.hash_header)),
            named("hash-property", self.hash_property.map(word)),
            named("x-recent-history-length", length),
        ];
        arguments.into_iter().flatten().collect()
    }
}

fn named(name: &'static str, value: Option<FieldValue>) -> Option<Argument> {
    Some(Argument { name: literal(name), value: value? })
}
