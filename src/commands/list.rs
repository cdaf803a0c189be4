//! The `list-*` commands: each is a row of [`LISTS`] with its columns.
//!
//! All of them have the same options: columns, order, filters, header and `--watch`.

use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args as _, Command, FromArgMatches, Subcommand};

use super::examples::examples;
use super::{Answer, CommandError, Context};
use crate::engine::ApiList as Kind;
use crate::render::{Column, Filter, Format, Listing, ListingOptions};

/// A command that lists something.
#[derive(Debug)]
struct List {
    command: &'static str,
    about: &'static str,
    examples: &'static [&'static str],
    kind: Kind,
    columns: &'static [Column],
    /// Columns, from the first, that are shown when none is named: those of rabbitmqctl.
    usual: usize,
}

/// Ends the long help of each list.
const ALL_FIELDS: &str = "--format json prints every field of the management API.";

/// All lists, in the order of the help.
const LISTS: &[List] = &[
    List {
        command: "list-queues",
        about: "List the queues of the virtual host",
        examples: &[
            "mq list-queues",
            "mq list-queues name messages --sort -messages",
            "mq list-queues --filter 'messages>0' -o json",
        ],
        kind: Kind::Queues,
        columns: QUEUES,
        usual: 2,
    },
    List {
        command: "list-exchanges",
        about: "List the exchanges of the virtual host",
        examples: &["mq list-exchanges", "mq list-exchanges name type --filter type==topic"],
        kind: Kind::Exchanges,
        columns: EXCHANGES,
        usual: 2,
    },
    List {
        command: "list-bindings",
        about: "List the bindings of the virtual host",
        examples: &["mq list-bindings", "mq list-bindings -o json"],
        kind: Kind::Bindings,
        columns: BINDINGS,
        usual: 5,
    },
    List {
        command: "list-consumers",
        about: "List the consumers of the virtual host",
        examples: &["mq list-consumers", "mq list-consumers -o json"],
        kind: Kind::Consumers,
        columns: CONSUMERS,
        usual: 6,
    },
    List {
        command: "list-connections",
        about: "List the connections of clients to the broker",
        examples: &["mq list-connections", "mq list-connections -o json"],
        kind: Kind::Connections,
        columns: CONNECTIONS,
        usual: 4,
    },
    List {
        command: "list-channels",
        about: "List the channels of clients to the broker",
        examples: &["mq list-channels", "mq list-channels -o json"],
        kind: Kind::Channels,
        columns: CHANNELS,
        usual: 4,
    },
    List {
        command: "list-vhosts",
        about: "List the virtual hosts of the broker",
        examples: &["mq list-vhosts", "mq list-vhosts -o json"],
        kind: Kind::Vhosts,
        columns: VHOSTS,
        usual: 1,
    },
];

const QUEUES: &[Column] = &[
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

const EXCHANGES: &[Column] = &[
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

const BINDINGS: &[Column] = &[
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

const CONSUMERS: &[Column] = &[
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

const CONNECTIONS: &[Column] = &[
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

const CHANNELS: &[Column] = &[
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

const VHOSTS: &[Column] = &[
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

#[derive(Clone, Debug, clap::Args)]
struct ListOptions {
    /// Show these columns, in this order
    #[arg(value_name = "COLUMN")]
    positional: Vec<String>,
    /// Show these columns, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', conflicts_with = "positional")]
    columns: Vec<String>,
    /// Sort by this column; -COLUMN reverses the order
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Show only rows that meet this condition: name=part, name==exact, name!=part, messages>10 (also < >= <=)
    #[arg(long, value_name = "CONDITION")]
    filter: Vec<Filter>,
    /// Print the list again at this interval until Ctrl-C, for example 1s
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    watch: Option<Duration>,
    /// Leave out the header line of tsv and csv
    #[arg(long, alias = "no-table-headers")]
    no_headers: bool,
}

/// One of the lists, as it was asked for.
#[derive(Clone, Debug)]
pub struct ListCommand {
    list: &'static List,
    options: ListOptions,
}

impl Subcommand for ListCommand {
    fn augment_subcommands(command: Command) -> Command {
        LISTS.iter().fold(command, |command, list| {
            let one = ListOptions::augment_args(Command::new(list.command));
            let long = format!("{}\n\n{ALL_FIELDS}", list.about);
            let one = one.about(list.about).long_about(long);
            command.subcommand(one.after_help(examples(list.examples)))
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        LISTS.iter().any(|list| list.command == name)
    }
}

impl FromArgMatches for ListCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (name, matches) =
            matches.subcommand().ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        let list = LISTS.iter().find(|list| list.command == name);
        let list = list.ok_or_else(|| clap::Error::new(ErrorKind::InvalidSubcommand))?;
        Ok(Self { list, options: ListOptions::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Asks for the rows and shows them, once, or with `--watch` until interrupted.
pub async fn run(asked: ListCommand, cx: &mut Context) -> Result<Answer, CommandError> {
    let ListCommand { list, options } = asked;
    let columns = if options.columns.is_empty() { options.positional } else { options.columns };
    let look = ListingOptions {
        columns,
        sort: options.sort,
        filters: options.filter,
        is_headless: options.no_headers,
    };
    if cx.out.format() == Some(Format::Raw) {
        return Err(CommandError::usage("a list has no format 'raw'"));
    }
    let mut listing = Listing::new(list.columns, list.usual, look);
    loop {
        let rows = cx.engine.inspect().list(list.kind).await?;
        if let Some(column) = listing.unknown_column(&rows) {
            return Err(unknown_column(&column, &listing));
        }
        listing.show(&mut cx.out, rows)?;
        let Some(pause) = options.watch else { return Ok(Answer::Yes) };
        tokio::time::sleep(pause).await;
        if matches!(cx.out.list_format(), Format::Table | Format::Tsv | Format::Csv) {
            cx.out.redraw()?;
        }
    }
}

fn unknown_column(column: &str, listing: &Listing) -> CommandError {
    let similarity = |name: &&str| (strsim::jaro_winkler(column, name) * 1000.0).round();
    let nearest =
        listing.names().max_by(|left, right| similarity(left).total_cmp(&similarity(right)));
    CommandError::Usage {
        problem: format!("there is no column '{column}'"),
        hint: nearest.map(|name| format!("did you mean '{name}'? All columns: `--format json`")),
    }
}
