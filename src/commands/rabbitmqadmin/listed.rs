//! A list in the forms that `rabbitmqadmin` has: tables, lines, JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::dead::Dead;
use super::settings::AdminSettings;

/// Columns that come first, in this order; the others follow by their names.
const FIRST: [&str; 7] =
    ["vhost", "name", "type", "source", "destination", "destination_type", "routing_key"];
/// The width of the line between the rows of the format `long`.
const RULE: usize = 80;

/// Rows of cells in a form; `None` is a value that is null.
type WriteRows = fn(&[String], &[Vec<Option<String>>], bool) -> String;

/// Writes rows; `json` are the columns that are written as JSON.
pub(super) fn written(
    rows: &Value,
    columns: &[&str],
    json: &[&str],
    settings: &AdminSettings,
) -> Result<String, Dead> {
    match settings.format() {
        "raw_json" => return Ok(format!("{rows}\n")),
        "pretty_json" => return Ok(format!("{:#}\n", sorted(rows))),
        _ => {}
    }
    let depth = if columns.is_empty() { settings.depth()? } else { usize::MAX };
    let items: Vec<Vec<(String, Option<String>)>> =
        rows.as_array().into_iter().flatten().map(|row| flat(row, depth, json)).collect();
    let columns: Vec<String> = if columns.is_empty() {
        all_columns(&items)
    } else {
        columns.iter().map(|&name| name.to_owned()).collect()
    };
    let cell = |item: &[(String, Option<String>)], column: &String| -> Option<String> {
        match item.iter().find(|(name, _)| name == column) {
            Some((_, value)) => value.clone(),
            None => Some(String::new()),
        }
    };
    let table: Vec<Vec<Option<String>>> = items
        .iter()
        .map(|item| columns.iter().map(|column| cell(item, column)).collect())
        .collect();
    let format: WriteRows = match settings.format() {
        "table" => |columns, rows, _| ascii_table(columns, rows),
        "tsv" => tsv,
        "long" => |columns, rows, _| long(columns, rows),
        "kvp" => |columns, rows, _| pairs(columns, rows),
        "bash" => |columns, rows, _| names(columns, rows),
        other => return Err(Dead::Misused(format!("Format {other} not recognised"))),
    };
    if table.is_empty() {
        return Ok(if settings.is_verbose() { "No items\n".to_owned() } else { String::new() });
    }
    Ok(format(&columns, &table, settings.is_verbose()))
}

/// The same with the fields of objects in the order of their names.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            fields.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(fields.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The fields of a row down to a depth, by their paths. `None` is a value that is null.
fn flat(row: &Value, depth: usize, json: &[&str]) -> Vec<(String, Option<String>)> {
    let mut fields = Vec::new();
    add("", 1, row, depth, json, &mut fields);
    fields
}

fn add(
    prefix: &str,
    level: usize,
    item: &Value,
    depth: usize,
    json: &[&str],
    into: &mut Vec<(String, Option<String>)>,
) {
    for (name, value) in item.as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(_) if json.contains(&name.as_str()) => {
                into.push((path, Some(python(value))));
            }
            Value::Object(_) => {
                if level < depth {
                    add(&path, level + 1, value, depth, json, into);
                }
            }
            Value::Array(values) if values.iter().all(Value::is_string) => {
                let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                into.push((path, Some(texts.join(" "))));
            }
            Value::Array(_) => into.push((path, Some(python(value)))),
            Value::Null => into.push((path, None)),
            Value::String(text) => into.push((path, Some(text.clone()))),
            Value::Bool(is_true) => {
                into.push((path, Some(if *is_true { "True" } else { "False" }.to_owned())));
            }
            Value::Number(number) => into.push((path, Some(number.to_string()))),
        }
    }
}

/// JSON as Python writes it: with spaces behind `,` and `:`, and in ASCII.
pub(super) fn python(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{}: {}", text(name), python(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(values) => {
            format!("[{}]", values.iter().map(python).collect::<Vec<_>>().join(", "))
        }
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

fn text(string: &str) -> String {
    let quoted = Value::from(string).to_string();
    let mut ascii = String::new();
    for c in quoted.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

fn all_columns(items: &[Vec<(String, Option<String>)>]) -> Vec<String> {
    let mut columns: Vec<String> = items.iter().flatten().map(|(name, _)| name.clone()).collect();
    let rank = |name: &String| {
        let first = FIRST.iter().position(|first| first == name);
        (first.is_none(), first, name.clone())
    };
    columns.sort_by_key(rank);
    columns.dedup();
    columns
}

/// A value in a table or a line.
fn shown(cell: Option<&String>) -> &str {
    cell.map_or("", String::as_str)
}

/// A value where the program writes `None` for null.
fn or_none(cell: Option<&String>) -> &str {
    cell.map_or("None", String::as_str)
}

fn ascii_table(columns: &[String], rows: &[Vec<Option<String>>]) -> String {
    let width = |place: usize| {
        let cells = rows.iter().map(|row| shown(row[place].as_ref()).chars().count());
        cells.chain([columns[place].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let bar =
        widths.iter().fold("+".to_owned(), |bar, width| bar + &"-".repeat(width + 2) + "+") + "\n";
    let mut table = bar.clone() + "|";
    for (name, width) in columns.iter().zip(&widths) {
        let free = width - name.chars().count();
        let left = free / 2;
        let _ = write!(table, " {}{name}{} |", " ".repeat(left), " ".repeat(free - left));
    }
    table = table + "\n" + &bar;
    for row in rows {
        table.push('|');
        for (cell, width) in row.iter().zip(&widths) {
            let cell = shown(cell.as_ref());
            let _ = write!(table, " {cell}{} |", " ".repeat(width - cell.chars().count()));
        }
        table.push('\n');
    }
    table + &bar
}

fn tsv(columns: &[String], rows: &[Vec<Option<String>>], is_verbose: bool) -> String {
    let mut text = String::new();
    if is_verbose {
        text += &(columns.join("\t") + "\n");
    }
    for row in rows {
        let cells: Vec<&str> = row.iter().map(|cell| shown(cell.as_ref())).collect();
        text += &(cells.join("\t") + "\n");
    }
    text
}

fn long(columns: &[String], rows: &[Vec<Option<String>>]) -> String {
    let rule = format!("\n{}\n\n", "-".repeat(RULE));
    let width = columns.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let mut text = rule.clone();
    for row in rows {
        for (name, cell) in columns.iter().zip(row) {
            let _ = writeln!(text, "{name:>width$}: {}", or_none(cell.as_ref()));
        }
        text += &rule;
    }
    text
}

fn pairs(columns: &[String], rows: &[Vec<Option<String>>]) -> String {
    let line = |row: &Vec<Option<String>>| {
        let pairs = columns
            .iter()
            .zip(row)
            .map(|(name, cell)| format!("{name}=\"{}\"", or_none(cell.as_ref())));
        pairs.collect::<Vec<_>>().join(" ") + "\n"
    };
    rows.iter().map(line).collect()
}

fn names(columns: &[String], rows: &[Vec<Option<String>>]) -> String {
    let Some(place) = columns.iter().position(|name| name == "name") else { return String::new() };
    let names: Vec<&str> = rows.iter().map(|row| shown(row[place].as_ref())).collect();
    names.join(" ") + "\n"
}
