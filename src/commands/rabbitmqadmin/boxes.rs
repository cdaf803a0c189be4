//! Tables in boxes with round corners, as `rabbitmqadmin` 2 draws them.

use serde_json::Value;

/// A table of rows; a column is a name, and behind `=` the path of its value if that is another.
pub(super) fn table(columns: &[&str], rows: &[Value], is_plain: bool) -> String {
    let columns: Vec<(&str, &str)> =
        columns.iter().map(|column| column.split_once('=').unwrap_or((column, column))).collect();
    let at =
        |row: &Value, path: &str| path.split('.').fold(row.clone(), |row, name| row[name].clone());
    let names = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let cells =
        rows.iter().map(|row| columns.iter().map(|(_, path)| shown(&at(row, path))).collect());
    let mut all: Vec<Vec<String>> = vec![names];
    all.extend(cells);
    if is_plain {
        let lines = all.iter().skip(1).map(|row| row.join("\t").replace('\n', " ") + "\n");
        return lines.collect();
    }
    drawn(&all, true)
}

/// A table of two columns under a title.
pub(super) fn titled(title: &str, rows: &[Vec<String>]) -> String {
    let widths = widths(rows);
    let whole: usize = widths.iter().map(|width| width + 3).sum::<usize>() - 3;
    rule(&widths, ['╭', '┬', '╮'])
        + &format!("│ {title}{} │\n", " ".repeat(whole.saturating_sub(title.chars().count())))
        + &rule(&widths, ['├', '┼', '┤'])
        + &rows.iter().map(|row| line(row, &widths)).collect::<Vec<_>>().concat()
        + &rule(&widths, ['╰', '┴', '╯'])
}

/// A value of a cell: objects have a line for each field.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let lines = fields.iter().map(|(name, value)| format!("{name}: {value}\n"));
            lines.collect::<Vec<_>>().concat()
        }
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        Value::Bool(_) => value.to_string(),
    }
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let count = rows.first().map_or(0, Vec::len);
    let width = |place: usize| {
        let lines = rows.iter().flat_map(|row| row[place].split('\n'));
        lines.map(|line| line.chars().count()).max().unwrap_or_default()
    };
    (0..count).map(width).collect()
}

fn rule(widths: &[usize], [left, cross, right]: [char; 3]) -> String {
    let parts: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
    format!("{left}{}{right}\n", parts.join(&cross.to_string()))
}

/// A row, which has as many lines as its highest cell.
fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<Vec<&str>> = row.iter().map(|cell| cell.split('\n').collect()).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(1);
    let lines = (0..height).map(|at| {
        let parts = cells.iter().zip(widths).map(|(cell, width)| {
            let text = cell.get(at).copied().unwrap_or_default();
            format!(" {text}{} ", " ".repeat(width - text.chars().count()))
        });
        format!("│{}│\n", parts.collect::<Vec<_>>().join("│"))
    });
    lines.collect::<Vec<_>>().concat()
}

/// An empty table is its header and nothing below it, as the program draws it.
fn drawn(rows: &[Vec<String>], has_header: bool) -> String {
    let widths = widths(rows);
    let mut text = rule(&widths, ['╭', '┬', '╮']);
    for (place, row) in rows.iter().enumerate() {
        text += &line(row, &widths);
        if place == 0 && has_header {
            text += &rule(&widths, ['├', '┼', '┤']);
        }
    }
    if rows.len() > 1 { text + &rule(&widths, ['╰', '┴', '╯']) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_drawn_as_rabbitmqadmin_2_draws_them() {
        let row = json!({"name": "ttl", "apply-to": "queues", "definition": {"a": 1, "b": "x"}});
        let expected = "╭──────┬──────────┬────────────╮\n\
                        │ name │ apply_to │ definition │\n\
                        ├──────┼──────────┼────────────┤\n\
                        │ ttl  │ queues   │ a: 1       │\n\
                        │      │          │ b: \"x\"     │\n\
                        │      │          │            │\n\
                        ╰──────┴──────────┴────────────╯\n";
        assert_eq!(table(&["name", "apply_to=apply-to", "definition"], &[row], false), expected);
        assert_eq!(table(&["name"], &[], false), "╭──────╮\n│ name │\n├──────┤\n");
    }
}
