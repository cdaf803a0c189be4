//! `mq list-queues`: the queues of the virtual host.

use super::listing::{self, ListOptions};
use super::{Answer, CommandError, Context};
use crate::engine::Listing;
use crate::render::Column;

const COLUMNS: &[Column] = &[
    Column::plain("name"),
    Column::count("messages"),
    Column::count("messages_ready"),
    Column::count("messages_unacknowledged"),
    Column::count("consumers"),
    Column::plain("state"),
    Column::plain("type"),
    Column::plain("durable"),
    Column::plain("exclusive"),
    Column::plain("auto_delete"),
    Column::plain("arguments"),
    Column::plain("policy"),
    Column::plain("vhost"),
    Column::plain("node"),
    Column::bytes("memory"),
    Column::bytes("message_bytes"),
    Column::bytes("message_bytes_ready"),
    Column::bytes("message_bytes_unacknowledged"),
    Column::plain("consumer_utilisation"),
    Column::plain("idle_since"),
    Column::count("published").at("message_stats.publish"),
    Column::count("delivered").at("message_stats.deliver_get"),
    Column::count("acknowledged").at("message_stats.ack"),
];
/// How many of them are shown when no column is named: what rabbitmqctl shows.
const USUAL: usize = 2;

/// List the queues of the virtual host
///
/// With --format json every field of the management API is there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: ListOptions,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    listing::list(Listing::Queues, COLUMNS, USUAL, args.options, cx).await
}
