//! `mq list-exchanges`: the exchanges of the virtual host.

use super::listing::{self, ListOptions};
use super::{Answer, CommandError, Context};
use crate::engine::Listing;
use crate::render::Column;

const COLUMNS: &[Column] = &[
    Column::plain("name"),
    Column::plain("type"),
    Column::plain("durable"),
    Column::plain("auto_delete"),
    Column::plain("internal"),
    Column::plain("arguments"),
    Column::plain("policy"),
    Column::plain("vhost"),
    Column::count("published_in").at("message_stats.publish_in"),
    Column::count("published_out").at("message_stats.publish_out"),
];
/// How many of them are shown when no column is named: what rabbitmqctl shows.
const USUAL: usize = 2;

/// List the exchanges of the virtual host
///
/// With --format json every field of the management API is there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: ListOptions,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    listing::list(Listing::Exchanges, COLUMNS, USUAL, args.options, cx).await
}
