//! The lists: columns, order, filters, header and `--watch`, which all of them have.

use std::time::Duration;

use serde_json::Value;

use super::{Answer, CommandError, Context};
use crate::engine::{Engine, Fields};
use crate::render::{Column, Filter, Format, Listing, ListingOptions, Output};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListOptions {
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

/// Asks the broker for the rows and shows them, once, or with `--watch` until interrupted. The first `usual` of the
/// columns are shown if none is named.
pub(super) async fn show(
    columns: &'static [Column],
    usual: usize,
    options: ListOptions,
    rows: impl AsyncFn(&Engine, Fields<'_>) -> Result<Vec<Value>, CommandError>,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    let Context { engine, out, .. } = cx;
    show_rows(columns, usual, options, async |fields: Fields<'_>| rows(engine, fields).await, out)
        .await
}

/// The same for rows that do not come from a broker.
pub(super) async fn show_rows(
    columns: &'static [Column],
    usual: usize,
    options: ListOptions,
    rows: impl AsyncFn(Fields<'_>) -> Result<Vec<Value>, CommandError>,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    let named = if options.columns.is_empty() { options.positional } else { options.columns };
    let look = ListingOptions {
        columns: named,
        sort: options.sort,
        filters: options.filter,
        is_headless: options.no_headers || out.is_headless(),
    };
    if out.format() == Some(Format::Raw) {
        return Err(CommandError::usage("a list has no format 'raw'"));
    }
    let mut listing = Listing::new(columns, usual, look);
    let fields = listing.fields(out.list_format());
    let fields = fields.as_deref().map_or(Fields::All, Fields::At);
    loop {
        let rows = rows(fields).await?;
        if let Some(column) = listing.unknown_column(&rows) {
            return Err(unknown_column(&column, &listing));
        }
        listing.show(out, rows)?;
        let Some(pause) = options.watch else { return Ok(Answer::Yes) };
        tokio::time::sleep(pause).await;
        if matches!(out.list_format(), Format::Table | Format::Tsv | Format::Csv) {
            out.redraw()?;
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
