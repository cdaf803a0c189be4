//! `mq list-connections`: the connections of clients to the broker.

use super::listing::{self, ListOptions};
use super::{Answer, CommandError, Context};
use crate::engine::Listing;
use crate::render::Column;

const COLUMNS: &[Column] = &[
    Column::plain("user"),
    Column::plain("peer_host"),
    Column::plain("peer_port"),
    Column::plain("state"),
    Column::plain("name"),
    Column::plain("vhost"),
    Column::count("channels"),
    Column::plain("protocol"),
    Column::plain("auth_mechanism"),
    Column::plain("host"),
    Column::plain("port"),
    Column::plain("ssl"),
    Column::plain("timeout"),
    Column::plain("frame_max"),
    Column::plain("channel_max"),
    Column::plain("connected_at"),
    Column::plain("product").at("client_properties.product"),
    Column::plain("client_properties"),
    Column::bytes("recv_oct"),
    Column::count("recv_cnt"),
    Column::bytes("send_oct"),
    Column::count("send_cnt"),
    Column::bytes("send_pend"),
];
/// How many of them are shown when no column is named: what rabbitmqctl shows.
const USUAL: usize = 4;

/// List the connections of clients to the broker
///
/// With --format json every field of the management API is there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: ListOptions,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    listing::list(Listing::Connections, COLUMNS, USUAL, args.options, cx).await
}
