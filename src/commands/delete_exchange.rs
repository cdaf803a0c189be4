//! `mq delete-exchange`: delete an exchange and its bindings.

use serde::Serialize;

use super::examples::examples;
use super::options::confirm::Confirm;
use super::options::name;
use super::{Answer, CommandError, Context};
use crate::engine::ShortStr;
use crate::engine::topology::DeleteExchange;

/// Delete an exchange and its bindings
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq delete-exchange later --if-unused --yes",
    "mq delete-exchange prices --yes",
]))]
pub struct Args {
    /// The exchange to delete
    #[arg(value_parser = name::exchange)]
    exchange: ShortStr,
    /// Delete only if nothing is bound to the exchange
    #[arg(long)]
    if_unused: bool,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(Debug, Serialize)]
struct Deleted {
    exchange: String,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let exchange = args.exchange.to_string();
    args.confirm
        .or_stop(&format!("delete exchange '{exchange}' and its bindings?"), &mut cx.out)?;
    let when = DeleteExchange { if_unused: args.if_unused };
    cx.engine.delete_exchange(&args.exchange, when).await?;
    cx.out.done(&format!("deleted exchange '{exchange}'"), &Deleted { exchange })?;
    Ok(Answer::Yes)
}
