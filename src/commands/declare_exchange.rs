//! `mq declare-exchange`: make an exchange, or check that it is there and the same.

use serde::Serialize;

use super::argument::{self, Argument};
use super::{Answer, CommandError, Context};
use crate::engine::{ExchangeSpec, FieldValue, ShortStr, literal};

/// The argument that names where unroutable messages go.
const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// Make an exchange
///
/// One that is there already must have the same type and properties.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The exchange's name
    exchange: ShortStr,
    /// Its type: direct, fanout, topic, headers, or one of the broker's own
    #[arg(long = "type", value_name = "TYPE", default_value = "direct")]
    kind: ShortStr,
    /// Let it be gone when the broker restarts
    #[arg(long)]
    transient: bool,
    /// Delete it when its last binding goes
    #[arg(long)]
    auto_delete: bool,
    /// Take messages from other exchanges only
    #[arg(long)]
    internal: bool,
    /// Send messages that no binding matches to this exchange
    #[arg(long, value_name = "EXCHANGE")]
    alternate_exchange: Option<ShortStr>,
    /// Add any other argument, as NAME=VALUE or NAME:TYPE=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    argument: Vec<Argument>,
}

#[derive(Debug, Serialize)]
struct Declared {
    exchange: String,
    #[serde(rename = "type")]
    kind: String,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let mut arguments = args.argument;
    if let Some(alternate) = args.alternate_exchange {
        arguments.push(Argument {
            name: literal(ALTERNATE_EXCHANGE),
            value: FieldValue::from(&*alternate),
        });
    }
    let exchange = ExchangeSpec {
        name: args.exchange,
        kind: args.kind,
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
