//! A list with its columns, rows and order.

use std::collections::BTreeSet;
use std::io;

use serde_json::Value;

use super::filter::Filter;
use super::format::Format;
use super::output::Output;
use super::{text, words};

/// A column that a list knows by name.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name that users type and that the header shows.
    pub name: &'static str,
    /// The path of the value in a row: a field, or fields with dots between.
    pub path: &'static str,
    unit: ColumnUnit,
}

/// The form in which a table writes a number for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnUnit {
    Exact,
    Count,
    Bytes,
}

impl Column {
    /// A column of texts or of numbers that are names.
    pub const fn plain(name: &'static str) -> Self {
        Self { name, path: name, unit: ColumnUnit::Exact }
    }

    /// A column of counts, grouped by thousands in a table; `--watch` shows how fast they change.
    pub const fn count(name: &'static str) -> Self {
        Self { name, path: name, unit: ColumnUnit::Count }
    }

    /// A column of sizes.
    pub const fn bytes(name: &'static str) -> Self {
        Self { name, path: name, unit: ColumnUnit::Bytes }
    }

    /// The same column, its value found elsewhere in the row.
    #[must_use]
    pub const fn at(self, path: &'static str) -> Self {
        Self { path, ..self }
    }
}

/// Stands where RabbitMQ has not counted yet: its statistics come some seconds after the thing itself.
const NOT_YET: &str = "not yet";
/// The note beside a list with such cells.
const LATE: &str = "note: the broker has not counted all of this yet; RabbitMQ counts every 5 s: repeat the command, or use --watch 1s";

/// The user's options for a list.
#[derive(Clone, Debug, Default)]
pub struct ListingOptions {
    /// Names of columns; empty for the usual ones.
    pub columns: Vec<String>,
    /// The column to sort by; a `-` in front turns the order around.
    pub sort: Option<String>,
    /// Conditions a row must meet, all of them.
    pub filters: Vec<Filter>,
    /// True to leave the header line out.
    pub is_headless: bool,
}

/// A list with its columns, ready for rows.
#[derive(Debug)]
pub struct Listing {
    known: &'static [Column],
    usual: usize,
    look: ListingOptions,
    /// The rows shown before, for the rates of `--watch`.
    before: Option<Vec<Value>>,
}

/// A column as it will be written.
#[derive(Clone, Debug)]
struct Chosen {
    name: String,
    path: String,
    unit: ColumnUnit,
}

impl Chosen {
    /// True if the row lacks a number that each row has at some time; counts of events are there once there was one.
    fn is_late(&self, row: &Value) -> bool {
        self.unit != ColumnUnit::Exact
            && !self.path.contains('.')
            && text::at(row, &self.path).is_null()
    }
}

impl Listing {
    /// A list that knows these columns and shows the first `usual` of them unless told otherwise.
    pub fn new(known: &'static [Column], usual: usize, look: ListingOptions) -> Self {
        Self { known, usual, look, before: None }
    }

    /// Every name the list knows.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.known.iter().map(|column| column.name)
    }

    /// The paths of all values that the list reads in a row; `None` if it shows the whole row.
    pub fn fields(&self, format: Format) -> Option<Vec<String>> {
        if matches!(format, Format::Json | Format::Jsonl) && self.look.columns.is_empty() {
            return None;
        }
        let sort = self.look.sort.iter().map(|name| name.trim_start_matches('-'));
        let looked_at = sort.chain(self.look.filters.iter().map(Filter::column));
        let looked_at = looked_at.map(|name| self.path(name).to_owned());
        let shown = self.chosen().into_iter().map(|column| column.path);
        // The changes between two lists are found by these.
        let identity = self.known.first().map(|column| column.path).into_iter().chain(["vhost"]);
        let all: BTreeSet<_> = shown.chain(looked_at).chain(identity.map(str::to_owned)).collect();
        Some(all.into_iter().collect())
    }

    /// A column the user named that neither the list knows nor any row has.
    pub fn unknown_column(&self, rows: &[Value]) -> Option<String> {
        let sort = self.look.sort.iter().map(|name| name.trim_start_matches('-'));
        let filters = self.look.filters.iter().map(Filter::column);
        let named = self.look.columns.iter().map(String::as_str).chain(sort).chain(filters);
        let is_known = |name: &str| {
            self.known.iter().any(|column| column.name == name)
                || rows.iter().any(|row| !text::at(row, name).is_null())
        };
        named.into_iter().find(|name| !is_known(name)).map(str::to_owned)
    }

    /// Writes the rows that pass, in order, in the output's format.
    pub fn show(&mut self, out: &mut Output, rows: Vec<Value>) -> io::Result<()> {
        let rows = self.arranged(rows);
        let format = out.list_format();
        let chosen = self.chosen();
        let is_late = rows.iter().any(|row| chosen.iter().any(|column| column.is_late(row)));
        match format {
            Format::Table => {
                let headers: Vec<String> = chosen.iter().map(|c| c.name.clone()).collect();
                let right: Vec<usize> = (0..chosen.len())
                    .filter(|place| {
                        let path = &chosen[*place].path;
                        rows.iter().any(|row| text::at(row, path).is_number())
                    })
                    .collect();
                let cells = rows.iter().map(|row| self.cells(row, &chosen)).collect();
                out.table(&headers, cells, &right, !self.look.is_headless)?;
            }
            Format::Json | Format::Jsonl if self.look.columns.is_empty() => {
                out.rows(format, &[], &rows, true)?;
            }
            Format::Json | Format::Jsonl | Format::Csv | Format::Tsv | Format::Raw => {
                let pairs: Vec<(String, String)> =
                    chosen.iter().map(|c| (c.name.clone(), c.path.clone())).collect();
                let mut narrow: Vec<Value> =
                    rows.iter().map(|row| text::narrowed(row, &pairs)).collect();
                if matches!(format, Format::Csv | Format::Tsv) {
                    for (narrow, row) in narrow.iter_mut().zip(&rows) {
                        for late in chosen.iter().filter(|column| column.is_late(row)) {
                            narrow[&late.name] = Value::from(NOT_YET);
                        }
                    }
                }
                let names: Vec<String> = pairs.into_iter().map(|(name, _)| name).collect();
                let has_header = !self.look.is_headless;
                out.rows(format, &names, &narrow, has_header)?;
            }
        }
        self.before = Some(rows);
        out.flush()?;
        if is_late { out.note(LATE) } else { Ok(()) }
    }

    fn chosen(&self) -> Vec<Chosen> {
        let of = |column: &Column| Chosen {
            name: column.name.to_owned(),
            path: column.path.to_owned(),
            unit: column.unit,
        };
        if self.look.columns.is_empty() {
            return self.known[..self.usual].iter().map(of).collect();
        }
        let named = self.look.columns.iter().map(|name| {
            self.known.iter().find(|column| column.name == name).map_or_else(
                || Chosen { name: name.clone(), path: name.clone(), unit: ColumnUnit::Exact },
                of,
            )
        });
        named.collect()
    }

    /// Returns the path of a name's value in a row.
    fn path<'a>(&self, name: &'a str) -> &'a str {
        self.known.iter().find(|column| column.name == name).map_or(name, |column| column.path)
    }

    fn arranged(&self, mut rows: Vec<Value>) -> Vec<Value> {
        rows.retain(|row| {
            let passes =
                |filter: &Filter| filter.accepts(text::at(row, self.path(filter.column())));
            self.look.filters.iter().all(passes)
        });
        if let Some(sort) = &self.look.sort {
            let name = sort.trim_start_matches('-');
            rows.sort_by(|left, right| {
                compared(text::at(left, self.path(name)), text::at(right, self.path(name)))
            });
            if sort.starts_with('-') {
                rows.reverse();
            }
        }
        rows
    }

    fn cells(&self, row: &Value, chosen: &[Chosen]) -> Vec<String> {
        let identity = self.known.first().map(|column| column.path);
        let before = identity.and_then(|path| {
            let same = |old: &&Value| {
                text::at(old, path) == text::at(row, path) && old.get("vhost") == row.get("vhost")
            };
            self.before.as_ref()?.iter().find(same)
        });
        let cell = |column: &Chosen| {
            let value = text::at(row, &column.path);
            if column.is_late(row) {
                return NOT_YET.to_owned();
            }
            let mut written = human(value, column.unit);
            if let Some(change) = before.and_then(|old| change(text::at(old, &column.path), value))
                && column.unit == ColumnUnit::Count
            {
                written.push_str(&change);
            }
            written
        };
        chosen.iter().map(cell).collect()
    }
}

/// Returns the difference of a counter since the last look: ` (+5)`; `None` if there is none.
fn change(old: &Value, new: &Value) -> Option<String> {
    let difference = new.as_i64()? - old.as_i64()?;
    (difference != 0).then(|| format!(" ({difference:+})"))
}

fn human(value: &Value, unit: ColumnUnit) -> String {
    match (unit, value.as_u64()) {
        (ColumnUnit::Count, Some(number)) => words::grouped(number),
        (ColumnUnit::Bytes, Some(bytes)) => words::size(bytes),
        (ColumnUnit::Exact | ColumnUnit::Count | ColumnUnit::Bytes, _) => {
            text::unbroken(&text::plain(value))
        }
    }
}

/// Numbers by size, the rest as text.
fn compared(left: &Value, right: &Value) -> std::cmp::Ordering {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        _ => text::plain(left).cmp(&text::plain(right)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;
    use crate::render::OutputSettings;

    const COLUMNS: &[Column] = &[
        Column::plain("name"),
        Column::count("messages"),
        Column::bytes("memory"),
        Column::plain("user").at("owner.user"),
    ];

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(format: Format, look: ListingOptions) -> String {
        let stdout = Shared::default();
        let settings = OutputSettings { format: Some(format), is_quiet: false, is_headless: false };
        let mut out = Output::to_writers(settings, Box::new(stdout.clone()), Box::new(io::sink()));
        let rows = vec![
            json!({"name": "b", "messages": 1500, "memory": 2048, "owner": {"user": "guest"}}),
            json!({"name": "a", "messages": 9, "memory": 10, "owner": {"user": "eve"}}),
        ];
        Listing::new(COLUMNS, 2, look).show(&mut out, rows).unwrap();
        let bytes = stdout.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn columns(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_usual_columns_are_shown_unless_others_are_named() {
        assert_eq!(
            shown(Format::Tsv, ListingOptions::default()),
            "name\tmessages\nb\t1500\na\t9\n"
        );
        let look =
            ListingOptions { columns: columns(&["user", "name"]), ..ListingOptions::default() };
        assert_eq!(shown(Format::Csv, look), "user,name\nguest,b\neve,a\n");
    }

    #[test]
    fn json_has_every_field_unless_columns_are_named() {
        let all = shown(Format::Jsonl, ListingOptions::default());
        assert!(all.starts_with("{\"name\":\"b\",\"messages\":1500,\"memory\":2048,"), "{all}");
        let look = ListingOptions { columns: columns(&["messages"]), ..ListingOptions::default() };
        assert_eq!(shown(Format::Jsonl, look), "{\"messages\":1500}\n{\"messages\":9}\n");
    }

    #[test]
    fn only_what_is_looked_at_is_asked_for() {
        let look = ListingOptions {
            columns: columns(&["user", "arguments.x-max-length"]),
            sort: Some("-memory".to_owned()),
            filters: vec!["messages>10".parse().unwrap()],
            is_headless: false,
        };
        let listing = Listing::new(COLUMNS, 2, look);
        let fields =
            ["arguments.x-max-length", "memory", "messages", "name", "owner.user", "vhost"];
        for format in [Format::Table, Format::Tsv, Format::Csv, Format::Json, Format::Jsonl] {
            assert_eq!(listing.fields(format), Some(columns(&fields)));
        }
        let usual = Listing::new(COLUMNS, 2, ListingOptions::default());
        assert_eq!(usual.fields(Format::Tsv), Some(columns(&["messages", "name", "vhost"])));
        assert_eq!(usual.fields(Format::Json), None);
    }

    #[test]
    fn rows_are_sorted_and_filtered() {
        let look =
            ListingOptions { sort: Some("messages".to_owned()), ..ListingOptions::default() };
        assert_eq!(shown(Format::Tsv, look), "name\tmessages\na\t9\nb\t1500\n");
        let look = ListingOptions {
            sort: Some("-name".to_owned()),
            filters: vec!["user=e".parse().unwrap(), "messages>10".parse().unwrap()],
            is_headless: true,
            ..ListingOptions::default()
        };
        assert_eq!(shown(Format::Tsv, look), "b\t1500\n");
    }

    #[test]
    fn a_table_writes_numbers_for_people() {
        let look = ListingOptions {
            columns: columns(&["name", "messages", "memory"]),
            ..ListingOptions::default()
        };
        let table = shown(Format::Table, look);
        assert!(table.contains("1,500") && table.contains("2.0 KiB"), "{table}");
    }

    #[test]
    fn what_is_not_counted_yet_is_told_instead_of_an_empty_cell() {
        for (format, expected) in [
            (Format::Tsv, "name\tmessages\nq\tnot yet\n"),
            (Format::Csv, "name,messages\nq,not yet\n"),
            (Format::Jsonl, "{\"name\":\"q\"}\n"),
        ] {
            let (stdout, stderr) = (Shared::default(), Shared::default());
            let settings =
                OutputSettings { format: Some(format), is_quiet: false, is_headless: false };
            let writers = (Box::new(stdout.clone()), Box::new(stderr.clone()));
            let mut out = Output::to_writers(settings, writers.0, writers.1);
            let mut listing = Listing::new(COLUMNS, 2, ListingOptions::default());
            listing.show(&mut out, vec![json!({"name": "q"})]).unwrap();
            assert_eq!(String::from_utf8(stdout.0.lock().unwrap().clone()).unwrap(), expected);
            let said = String::from_utf8(stderr.0.lock().unwrap().clone()).unwrap();
            assert!(said.starts_with("note: the broker has not counted all of this yet"), "{said}");
        }
        let look =
            ListingOptions { columns: columns(&["name", "user"]), ..ListingOptions::default() };
        assert_eq!(shown(Format::Tsv, look), "name\tuser\nb\tguest\na\teve\n");
    }

    #[test]
    fn a_column_nobody_has_is_named() {
        let look =
            ListingOptions { columns: columns(&["name", "nmae"]), ..ListingOptions::default() };
        let listing = Listing::new(COLUMNS, 2, look);
        assert_eq!(listing.unknown_column(&[]), Some("nmae".to_owned()));
        assert_eq!(listing.unknown_column(&[json!({"nmae": 1})]), None);
    }
}
