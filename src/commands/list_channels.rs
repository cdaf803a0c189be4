//! `mq list-channels`: the channels of clients to the broker.

use super::listing::{self, ListOptions};
use super::{Answer, CommandError, Context};
use crate::engine::Listing;
use crate::render::Column;

const COLUMNS: &[Column] = &[
    Column::plain("name"),
    Column::plain("user"),
    Column::count("consumer_count"),
    Column::count("messages_unacknowledged"),
    Column::plain("number"),
    Column::plain("connection").at("connection_details.name"),
    Column::plain("vhost"),
    Column::plain("state"),
    Column::plain("transactional"),
    Column::plain("confirm"),
    Column::plain("prefetch_count"),
    Column::plain("global_prefetch_count"),
    Column::count("messages_unconfirmed"),
    Column::count("messages_uncommitted"),
    Column::count("acks_uncommitted"),
    Column::plain("idle_since"),
];
/// How many of them are shown when no column is named: what rabbitmqctl shows.
const USUAL: usize = 4;

/// List the channels of clients to the broker
///
/// With --format json every field of the management API is there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: ListOptions,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    listing::list(Listing::Channels, COLUMNS, USUAL, args.options, cx).await
}
