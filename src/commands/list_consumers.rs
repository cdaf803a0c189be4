//! `mq list-consumers`: the consumers of the virtual host.

use super::listing::{self, ListOptions};
use super::{Answer, CommandError, Context};
use crate::engine::Listing;
use crate::render::Column;

const COLUMNS: &[Column] = &[
    Column::plain("queue_name").at("queue.name"),
    Column::plain("consumer_tag"),
    Column::plain("ack_required"),
    Column::plain("prefetch_count"),
    Column::plain("active"),
    Column::plain("channel").at("channel_details.name"),
    Column::plain("activity_status"),
    Column::plain("arguments"),
    Column::plain("exclusive"),
    Column::plain("user").at("channel_details.user"),
    Column::plain("vhost").at("queue.vhost"),
];
/// How many of them are shown when no column is named: what rabbitmqctl shows.
const USUAL: usize = 6;

/// List the consumers of the virtual host
///
/// With --format json every field of the management API is there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: ListOptions,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    listing::list(Listing::Consumers, COLUMNS, USUAL, args.options, cx).await
}
