//! `mq list-bindings`: the bindings of the virtual host.

use super::listing::{self, ListOptions};
use super::{Answer, CommandError, Context};
use crate::engine::Listing;
use crate::render::Column;

const COLUMNS: &[Column] = &[
    Column::plain("source"),
    Column::plain("destination"),
    Column::plain("destination_type"),
    Column::plain("routing_key"),
    Column::plain("arguments"),
    Column::plain("properties_key"),
    Column::plain("vhost"),
    Column::plain("source_name").at("source"),
    Column::plain("destination_name").at("destination"),
    Column::plain("destination_kind").at("destination_type"),
];
/// How many of them are shown when no column is named: what rabbitmqctl shows.
const USUAL: usize = 5;

/// List the bindings of the virtual host
///
/// With --format json every field of the management API is there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: ListOptions,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    listing::list(Listing::Bindings, COLUMNS, USUAL, args.options, cx).await
}
