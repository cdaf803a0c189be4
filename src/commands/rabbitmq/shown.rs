//! The answer of a command, and the forms in which RabbitMQ's programs print it.

use std::fmt::Write as _;
use std::io;

use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::cell::{Cell, term};
use super::failure::{Failure, UNAVAILABLE};
use crate::render::Output;

/// The formatters that are here; `string` is the usual form of a text.
const FORMATTERS: &[&str] =
    &["csv", "erlang", "json", "json_stream", "pretty_table", "string", "table"];
/// The formatters that only RabbitMQ has.
const ABSENT_FORMATTERS: &[&str] = &["inspect", "msacc", "plugins", "report", "string_per_line"];
/// The exit code of RabbitMQ's programs for a formatter that they do not know.
const UNKNOWN_FORMATTER: u8 = 1;

/// The end of a command whose formatter cannot be used.
pub(super) fn refused(formatter: &str) -> Option<Failure> {
    if FORMATTERS.contains(&formatter) {
        return None;
    }
    if ABSENT_FORMATTERS.contains(&formatter) {
        return Some(not_implemented(formatter));
    }
    let known = FORMATTERS.join(", ");
    let text = format!("there is no formatter '{formatter}': use one of {known}");
    Some(Failure::error(UNKNOWN_FORMATTER, text))
}

fn not_implemented(formatter: &str) -> Failure {
    Failure::error(UNAVAILABLE, format!("the formatter '{formatter}' is not implemented"))
}

/// The answer of a command.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Nothing,
    /// A line of text
    Text(String),
    /// Text, or a document for the formatter `json`
    Document {
        text: String,
        json: Value,
    },
    /// Text without the end of a line
    Raw(String),
    Rows(ListedRows),
}

/// A list.
#[derive(Clone, Debug)]
pub(super) struct ListedRows {
    pub(super) columns: Vec<String>,
    pub(super) cells: Vec<Vec<Cell>>,
    pub(super) usual: RowForm,
}

/// The form of a list when no formatter is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowForm {
    Table,
    /// Without a header line
    Headless,
    Pretty,
}

impl ListedRows {
    pub(super) fn new(columns: &[&str], cells: Vec<Vec<Cell>>, usual: RowForm) -> Self {
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        Self { columns, cells, usual }
    }

    /// Rows that are JSON objects of plain values.
    pub(super) fn plain(columns: &[&str], rows: &[Value], usual: RowForm) -> Self {
        let rows =
            rows.iter().map(|row| columns.iter().map(|name| Cell::plain(&row[*name])).collect());
        Self::new(columns, rows.collect(), usual)
    }
}

impl Shown {
    /// A text that is the same document as `{"message": text}`.
    pub(super) fn message(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Document { json: json!({"message": text}), text }
    }

    /// A text that a script reads as `{"result": "ok"}`.
    pub(super) fn ok(text: impl Into<String>) -> Self {
        Self::Document { json: json!({"result": "ok"}), text: text.into() }
    }

    /// Answers with itself if it can be printed in the form that was asked for.
    pub(super) fn in_form(self, asked: &Asked) -> Result<Self, Failure> {
        match (&self, asked.formatter()) {
            (Self::Rows(_), Some(formatter @ "string")) => Err(not_implemented(formatter)),
            _ => Ok(self),
        }
    }

    /// Prints it.
    pub(super) fn print(&self, asked: &Asked, out: &mut Output) -> io::Result<()> {
        let is_json = matches!(asked.formatter(), Some("json" | "json_stream"));
        match self {
            Self::Nothing => Ok(()),
            Self::Document { json, .. } if is_json => out.json_line(json),
            Self::Text(text) if is_json => out.json_line(&json!({"message": text})),
            Self::Text(text) | Self::Document { text, .. } => out.line(text),
            Self::Raw(text) => out.bytes(text.as_bytes()),
            Self::Rows(rows) => rows.print(asked, out),
        }
    }
}

impl ListedRows {
    fn print(&self, asked: &Asked, out: &mut Output) -> io::Result<()> {
        let has_headers = asked.has_headers();
        let text = match (asked.formatter(), self.usual) {
            (Some("json"), _) => self.json(),
            (Some("json_stream"), _) => self.json_lines(),
            (Some("csv"), _) => self.csv(has_headers),
            (Some("erlang"), _) => self.erlang(),
            (Some("pretty_table"), _) | (None, RowForm::Pretty) => {
                pretty(&self.columns, &self.shown())
            }
            (_, RowForm::Headless) => self.table(false),
            _ => self.table(has_headers),
        };
        out.bytes(text.as_bytes())
    }

    fn shown(&self) -> Vec<Vec<&str>> {
        self.cells.iter().map(|row| row.iter().map(|cell| cell.shown.as_str()).collect()).collect()
    }

    fn objects(&self) -> impl Iterator<Item = Value> {
        self.cells.iter().map(|row| {
            let fields = self.columns.iter().cloned().zip(row.iter().map(|cell| cell.json.clone()));
            Value::Object(fields.collect::<Map<_, _>>())
        })
    }

    fn table(&self, has_header: bool) -> String {
        let mut text = String::new();
        if has_header && !self.cells.is_empty() {
            text += &(self.columns.join("\t") + "\n");
        }
        for row in self.shown() {
            text += &(row.join("\t") + "\n");
        }
        text
    }

    /// A list that a reader may take line by line: each object but the first has a comma in front.
    fn json(&self) -> String {
        let mut text = "[\n".to_owned();
        for (place, object) in self.objects().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let _ = writeln!(text, "{comma}{object}");
        }
        text + "]\n"
    }

    fn json_lines(&self) -> String {
        self.objects().fold(String::new(), |text, object| text + &object.to_string() + "\n")
    }

    fn csv(&self, has_header: bool) -> String {
        let line = |fields: Vec<&str>| {
            let quoted = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
            quoted.collect::<Vec<_>>().join(",") + "\n"
        };
        let mut text = String::new();
        if has_header && !self.cells.is_empty() {
            text += &line(self.columns.iter().map(String::as_str).collect());
        }
        text + &self.shown().into_iter().map(line).collect::<String>()
    }

    fn erlang(&self) -> String {
        let rows = self.objects().map(|row| {
            let fields = row.as_object().into_iter().flatten();
            let fields = fields.map(|(name, value)| format!("{{{name},{}}}", term(value)));
            format!("[{}]", fields.collect::<Vec<_>>().join(","))
        });
        format!("[{}]\n", rows.collect::<Vec<_>>().join(",\n "))
    }
}

/// A table in a frame of the terminal's line characters, with bold titles and a rule between rows. An empty one is not
/// drawn.
pub(super) fn pretty(columns: &[String], rows: &[Vec<&str>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |place: usize| {
        let cells = rows.iter().map(|row| row[place].chars().count());
        cells.chain([columns[place].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let rule = |left: char, cross: char, right: char| {
        let parts: Vec<String> = widths.iter().map(|width| "q".repeat(width + 2)).collect();
        format!("\x1b(0{left}{}{right}\x1b(B\n", parts.join(&cross.to_string()))
    };
    let bar = "\x1b(0x\x1b(B";
    let line = |cells: &mut dyn Iterator<Item = (usize, String)>| {
        let cells = cells.map(|(width, cell)| format!(" {cell}{} ", " ".repeat(width)));
        format!("{bar}{}{bar}\n", cells.collect::<Vec<_>>().join(bar))
    };
    let padding = |place: usize, text: &str| widths[place] - text.chars().count();
    let mut titles = columns
        .iter()
        .enumerate()
        .map(|(at, name)| (padding(at, name), format!("\x1b[1m{name}\x1b[0m")));
    let mut text = rule('l', 'w', 'k') + &line(&mut titles);
    for row in rows {
        text += &rule('t', 'n', 'u');
        text += &line(
            &mut row.iter().enumerate().map(|(at, cell)| (padding(at, cell), (*cell).to_owned())),
        );
    }
    text + &rule('m', 'v', 'j')
}
