//! Rows as text: tab separated, CSV and JSON; every number exact.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::format::Format;
use super::table::{self, TableStyle};

/// The value at a dotted path, `null` when it is not there.
pub(super) fn at<'a>(row: &'a Value, path: &str) -> &'a Value {
    // A name that contains a dot itself (a header, say) wins over a path.
    if let Some(value) = row.get(path) {
        return value;
    }
    let mut value = row;
    for part in path.split('.') {
        match value.get(part) {
            Some(inner) => value = inner,
            None => return &Value::Null,
        }
    }
    value
}

/// A value without quotes; nothing for `null` and for what is empty; JSON for what is nested.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            texts.join(",")
        }
        Value::Object(map) if map.is_empty() => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// The names of an object's fields, in their order.
pub(super) fn keys(row: &Value) -> Vec<String> {
    row.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// The values of the rows' columns, as text.
pub(super) fn cells(columns: &[String], rows: &[Value]) -> Vec<Vec<String>> {
    rows.iter().map(|row| columns.iter().map(|c| unbroken(&plain(at(row, c)))).collect()).collect()
}

/// Writes rows whose columns are the fields of that name.
pub(super) fn write_rows(
    to: &mut dyn Write,
    format: Format,
    columns: &[String],
    rows: &[Value],
    has_header: bool,
) -> io::Result<()> {
    match format {
        Format::Table => {
            table::write(to, TableStyle::default(), columns, cells(columns, rows), &[])
        }
        Format::Tsv | Format::Raw => write_tsv(to, columns, rows, has_header),
        Format::Csv => write_csv(to, columns, rows, has_header),
        Format::Json => write_json(to, rows),
        Format::Jsonl => {
            for row in rows {
                serde_json::to_writer(&mut *to, row)?;
                to.write_all(b"\n")?;
            }
            Ok(())
        }
    }
}

/// One array, one row a line: whole for programs, readable in a diff.
fn write_json(to: &mut dyn Write, rows: &[Value]) -> io::Result<()> {
    let mut separator = "[\n";
    for row in rows {
        to.write_all(separator.as_bytes())?;
        serde_json::to_writer(&mut *to, row)?;
        separator = ",\n";
    }
    to.write_all(if rows.is_empty() { b"[]\n" } else { b"\n]\n" })
}

fn write_tsv(
    to: &mut dyn Write,
    columns: &[String],
    rows: &[Value],
    has_header: bool,
) -> io::Result<()> {
    if has_header {
        writeln!(to, "{}", columns.join("\t"))?;
    }
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|c| unbroken(&plain(at(row, c)))).collect();
        writeln!(to, "{}", cells.join("\t"))?;
    }
    Ok(())
}

/// Text that stays in its cell: tabs and line ends are written as `\t`, `\n`, `\r`.
pub(super) fn unbroken(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn write_csv(
    to: &mut dyn Write,
    columns: &[String],
    rows: &[Value],
    has_header: bool,
) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    if has_header {
        csv.write_record(columns)?;
    }
    for row in rows {
        csv.write_record(columns.iter().map(|column| plain(at(row, column))))?;
    }
    csv.flush()
}

/// A copy of the row with these columns only, in this order; every path becomes a flat name.
pub(super) fn narrowed(row: &Value, columns: &[(String, String)]) -> Value {
    let fields = columns.iter().map(|(name, path)| (name.clone(), at(row, path).clone()));
    Value::Object(fields.collect::<Map<String, Value>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(format: Format) -> String {
        let columns = ["name".to_owned(), "messages".to_owned(), "arguments".to_owned()];
        let rows = [
            json!({"name": "a\tb", "messages": 1_234_567, "arguments": {}}),
            json!({"name": "say \"hi\", all", "messages": null, "arguments": {"x-max": 1}}),
        ];
        let mut text = Vec::new();
        write_rows(&mut text, format, &columns, &rows, true).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn numbers_stay_exact_and_cells_stay_apart() {
        assert_eq!(
            written(Format::Tsv),
            "name\tmessages\targuments\na\\tb\t1234567\t\nsay \"hi\", all\t\t{\"x-max\":1}\n"
        );
        assert_eq!(
            written(Format::Csv),
            "name,messages,arguments\na\tb,1234567,\n\"say \"\"hi\"\", all\",,\"{\"\"x-max\"\":1}\"\n"
        );
        assert_eq!(
            written(Format::Json),
            "[\n{\"name\":\"a\\tb\",\"messages\":1234567,\"arguments\":{}},\n\
             {\"name\":\"say \\\"hi\\\", all\",\"messages\":null,\"arguments\":{\"x-max\":1}}\n]\n"
        );
    }

    #[test]
    fn no_rows_are_an_empty_document() {
        let mut text = Vec::new();
        write_rows(&mut text, Format::Json, &["name".to_owned()], &[], true).unwrap();
        assert_eq!(text, b"[]\n");
    }

    #[test]
    fn a_dotted_path_reaches_into_objects() {
        let row = json!({"a": {"b": 1}, "x.y": 2});
        assert_eq!(at(&row, "a.b"), &json!(1));
        assert_eq!(at(&row, "x.y"), &json!(2));
        assert_eq!(at(&row, "a.c"), &Value::Null);
    }
}
