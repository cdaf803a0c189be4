//! `mq list-vhosts`: the virtual hosts of the broker.

use super::listing::{self, ListOptions};
use super::{Answer, CommandError, Context};
use crate::engine::Listing;
use crate::render::Column;

const COLUMNS: &[Column] = &[
    Column::plain("name"),
    Column::plain("description"),
    Column::plain("tags"),
    Column::plain("default_queue_type"),
    Column::plain("tracing"),
    Column::plain("cluster_state"),
    Column::plain("metadata"),
    Column::count("messages"),
    Column::count("messages_ready"),
    Column::count("messages_unacknowledged"),
];
/// How many of them are shown when no column is named: what rabbitmqctl shows.
const USUAL: usize = 1;

/// List the virtual hosts of the broker
///
/// With --format json every field of the management API is there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: ListOptions,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    listing::list(Listing::Vhosts, COLUMNS, USUAL, args.options, cx).await
}
