//! `mq route`: the queues that a message would reach, and why not the others; nothing is published.
//!
//! On a terminal the answer is a tree ([`tree`]), elsewhere a row for each binding.

mod tree;

use serde_json::{Value, json};

use super::examples::examples;
use super::options::argument::{self, Argument};
use super::{Answer, CommandError, Context};
use crate::engine::ShortStr;
use crate::engine::route::{
    AlternateUse, BindingEnd, BindingStep, Certainty, ExchangeStep, RouteQuestion, RouteReport,
};
use crate::render::{Column, Format, Listing, ListingOptions, words};

/// Bindings that do not match shown of an exchange, unless all are asked for: the nearest of them.
const MISSES_SHOWN: usize = 5;

const COLUMNS: &[Column] = &[
    Column::plain("exchange"),
    Column::plain("type"),
    Column::plain("destination_type"),
    Column::plain("destination"),
    Column::plain("routing_key"),
    Column::plain("arguments"),
    Column::plain("matches"),
    Column::plain("why"),
];

/// Explain which queues a message would reach, and why not the others
///
/// Nothing is published: mq reads exchanges and bindings from the management API, and shows for each exchange on the
/// way, alternate exchanges included, how it would route a message with this key and these headers. Exits with code 1
/// if the message would reach no queue.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq route --exchange prices --key eu.price",
    "mq route --key orders -o json",
]))]
pub struct Args {
    /// The exchange that the message would be published to [default: the default exchange]
    #[arg(
        long,
        short = 'e',
        value_name = "EXCHANGE",
        default_value = "",
        hide_default_value = true
    )]
    exchange: ShortStr,
    /// The message's routing key
    #[arg(
        long = "key",
        short = 'k',
        value_name = "KEY",
        default_value = "",
        hide_default_value = true
    )]
    key: ShortStr,
    /// A header of the message, as NAME=VALUE or NAME:TYPE=VALUE; may be given several times
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    headers: Vec<Argument>,
    /// Show every binding that does not match, not only the nearest
    #[arg(long)]
    all: bool,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    if cx.out.format() == Some(Format::Raw) {
        return Err(CommandError::usage("a route has no format 'raw'"));
    }
    let question = RouteQuestion {
        exchange: args.exchange,
        routing_key: args.key,
        headers: argument::table(&args.headers),
    };
    let mut way = cx.engine.route(&question).await?;
    let misses_max = if args.all { usize::MAX } else { MISSES_SHOWN };
    let hidden: Vec<usize> =
        way.exchanges.iter_mut().map(|asked| keep_nearest(asked, misses_max)).collect();
    if cx.out.format().is_none() && cx.out.is_terminal() {
        for line in tree::lines(&way, &hidden) {
            cx.out.line(&line)?;
        }
    } else {
        let rows = way.exchanges.iter().flat_map(rows).collect();
        Listing::new(COLUMNS, COLUMNS.len(), ListingOptions::default()).show(&mut cx.out, rows)?;
        let hidden: usize = hidden.iter().sum();
        if hidden > 0 {
            let bindings = words::counted(hidden as u64, "more binding");
            cx.out.note(&format!("note: {bindings} would not match; --all shows them"))?;
        }
    }
    let (summary, answer) = summary(&way);
    cx.out.note(&summary)?;
    Ok(answer)
}

/// Puts the bindings that match first, then the nearest of those that do not; answers how many are left out.
fn keep_nearest(asked: &mut ExchangeStep, misses_max: usize) -> usize {
    asked.tried.sort_by(|one, other| {
        other.matches.cmp(&one.matches).then(other.likeness.total_cmp(&one.likeness))
    });
    let matches = asked.tried.iter().take_while(|tried| tried.matches).count();
    let shown = matches.saturating_add(misses_max).min(asked.tried.len());
    let hidden = asked.tried.len() - shown;
    asked.tried.truncate(shown);
    hidden
}

/// Sums the way up in a sentence, and answers whether a queue gets the message.
fn summary(way: &RouteReport) -> (String, Answer) {
    if let Some(refusal) = &way.refusal {
        return (format!("the broker would refuse it: {refusal}"), Answer::No);
    }
    let named = |sure: Certainty| {
        let queues = way.queues.iter().filter(move |reached| reached.sure == sure);
        words::listed(queues.map(|reached| reached.queue.as_str()))
    };
    match (named(Certainty::Yes), named(Certainty::Maybe)) {
        (sure, maybe) if sure.is_empty() && maybe.is_empty() => {
            ("it would reach no queue".to_owned(), Answer::No)
        }
        (sure, maybe) if maybe.is_empty() => (format!("it would reach {sure}"), Answer::Yes),
        (sure, maybe) if sure.is_empty() => {
            (format!("it would reach some of {maybe}"), Answer::Yes)
        }
        (sure, maybe) => (format!("it would reach {sure} and some of {maybe}"), Answer::Yes),
    }
}

/// A row for each binding of an exchange, and for its alternate.
fn rows(asked: &ExchangeStep) -> Vec<Value> {
    let row = |to: &BindingEnd, key: &str, arguments: &Value, matches: &str, why: &str| {
        let (kind, name) = match to {
            BindingEnd::Queue(name) => ("queue", name),
            BindingEnd::Exchange(name) => ("exchange", name),
        };
        json!({
            "exchange": asked.exchange,
            "type": asked.kind,
            "destination_type": kind,
            "destination": name,
            "routing_key": key,
            "arguments": arguments,
            "matches": matches,
            "why": why,
        })
    };
    let of_binding = |tried: &BindingStep| {
        let matches = match (tried.matches, &asked.chooses) {
            (false, _) => "no",
            (true, Some(_)) => "maybe",
            (true, None) => "yes",
        };
        row(&tried.to, &tried.routing_key, &tried.arguments, matches, &tried.why)
    };
    let mut rows: Vec<Value> = asked.tried.iter().map(of_binding).collect();
    if let Some(alternate) = &asked.alternate {
        let matches = if alternate.used == AlternateUse::Yes { "yes" } else { "no" };
        let to = BindingEnd::Exchange(alternate.exchange.clone());
        let why = about_alternate(alternate.used);
        rows.push(row(&to, "", &json!({"alternate": true}), matches, why));
    }
    rows
}

/// The reason why an alternate exchange gets the message or not.
fn about_alternate(used: AlternateUse) -> &'static str {
    match used {
        AlternateUse::Yes => "the alternate exchange: no binding matched",
        AlternateUse::NotNeeded => "the alternate exchange: a binding matched",
        AlternateUse::Missing => "the alternate exchange: it does not exist",
    }
}
