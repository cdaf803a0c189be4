//! Tables in the styles that `rabbitmqadmin` 2 has (`--table-style`), by default in boxes with round corners.

use serde_json::Value;

/// The ends, the line and the crossings of a rule: left, line, cross, right.
type BoxRule = [&'static str; 4];

/// A way to draw a table (`--table-style`).
#[derive(Debug)]
pub(super) struct BoxStyle {
    name: &'static str,
    top: Option<BoxRule>,
    below_header: Option<BoxRule>,
    between_rows: Option<BoxRule>,
    bottom: Option<BoxRule>,
    /// The texts before, between and behind the cells of a row
    bars: [&'static str; 3],
}

const ASCII: Option<BoxRule> = Some(["+-", "-", "-+-", "-+"]);
const DOTS: Option<BoxRule> = Some([":.", ".", ".:.", ".:"]);

#[rustfmt::skip]
const STYLES: &[BoxStyle] = &[
    BoxStyle { name: "modern", top: Some(["╭─", "─", "─┬─", "─╮"]), below_header: Some(["├─", "─", "─┼─", "─┤"]), between_rows: None, bottom: Some(["╰─", "─", "─┴─", "─╯"]), bars: ["│ ", " │ ", " │"] },
    BoxStyle { name: "borderless", top: None, below_header: None, between_rows: None, bottom: None, bars: [" ", "   ", " "] },
    BoxStyle { name: "markdown", top: None, below_header: Some(["|-", "-", "-|-", "-|"]), between_rows: None, bottom: None, bars: ["| ", " | ", " |"] },
    BoxStyle { name: "sharp", top: Some(["┌─", "─", "─┬─", "─┐"]), below_header: Some(["├─", "─", "─┼─", "─┤"]), between_rows: None, bottom: Some(["└─", "─", "─┴─", "─┘"]), bars: ["│ ", " │ ", " │"] },
    BoxStyle { name: "ascii", top: ASCII, below_header: ASCII, between_rows: ASCII, bottom: ASCII, bars: ["| ", " | ", " |"] },
    BoxStyle { name: "psql", top: None, below_header: Some(["-", "-", "-+-", "-"]), between_rows: None, bottom: None, bars: [" ", " | ", " "] },
    BoxStyle { name: "dots", top: Some(["..", ".", "...", ".."]), below_header: DOTS, between_rows: DOTS, bottom: DOTS, bars: [": ", " : ", " :"] },
];

/// The style for scripts (`--non-interactive`), which has no header.
const PLAIN: BoxStyle = BoxStyle {
    name: "",
    top: None,
    below_header: None,
    between_rows: None,
    bottom: None,
    bars: ["", "  ", " "],
};

impl BoxStyle {
    pub(super) const fn plain() -> &'static Self {
        &PLAIN
    }

    pub(super) fn find(name: &str) -> Option<&'static Self> {
        STYLES.iter().find(|style| style.name == name)
    }

    /// The names of all styles, for an error text.
    pub(super) fn names() -> String {
        STYLES.iter().map(|style| style.name).collect::<Vec<_>>().join(", ")
    }

    fn is_plain(&self) -> bool {
        self.name.is_empty()
    }

    /// A table of rows; a column is a name, and behind `=` the path of its value if that is another.
    pub(super) fn table(&self, columns: &[&str], rows: &[Value]) -> String {
        let columns: Vec<(&str, &str)> = columns
            .iter()
            .map(|column| column.split_once('=').unwrap_or((column, column)))
            .collect();
        let names = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let column = |row: &Value, (name, path): (&str, &str)| {
            let text = cell(row, path);
            // The fields of arguments have no line behind the last of them.
            let text = if name == "arguments" { text.trim_end_matches('\n') } else { &text };
            if self.is_plain() { text.replace('\n', ",") } else { text.to_owned() }
        };
        let cells = rows.iter().map(|row| columns.iter().map(|&one| column(row, one)).collect());
        let mut all: Vec<Vec<String>> = vec![names];
        all.extend(cells);
        self.rows(&all)
    }

    /// A table of rows, the first of which is the header.
    pub(super) fn rows(&self, rows: &[Vec<String>]) -> String {
        match (self.is_plain(), rows) {
            (true, [] | [_]) => "\n".to_owned(),
            (true, [_, rows @ ..]) | (false, rows) => self.drawn(rows, None),
        }
    }

    /// A table of two columns under a title. Without a header its first row has one cell, as the program prints it.
    pub(super) fn titled(&self, title: &str, rows: &[Vec<String>]) -> String {
        if !self.is_plain() {
            return self.drawn(rows, Some(title));
        }
        let mut rows = rows.to_vec();
        if let Some(cell) = rows.first_mut().and_then(|row| row.get_mut(1)) {
            cell.clear();
        }
        self.drawn(&rows, None)
    }

    /// An empty table is its header and nothing below it, as the program draws it.
    fn drawn(&self, rows: &[Vec<String>], title: Option<&str>) -> String {
        let mut widths = widths(rows);
        let [left, middle, right] = self.bars;
        let gap = middle.chars().count();
        let mut whole = widths.iter().map(|width| width + gap).sum::<usize>().saturating_sub(gap);
        if let Some(missing) = title.map(|title| title.chars().count().saturating_sub(whole)) {
            // The columns share what the title needs more, the last of them an odd character.
            let count = widths.len().max(1);
            for (place, width) in widths.iter_mut().enumerate() {
                *width += missing / count + usize::from(place < missing % count);
            }
            whole += missing;
        }
        let rule =
            |rule: Option<BoxRule>| rule.map_or_else(String::new, |rule| drawn_rule(&widths, rule));
        let mut text = rule(self.top);
        if let Some(title) = title {
            let free = " ".repeat(whole - title.chars().count());
            text += &[left, title, &free, right, "\n"].concat();
            text += &rule(self.below_header);
        }
        for (place, row) in rows.iter().enumerate() {
            text += &line(row, &widths, self.bars);
            let is_last = place + 1 == rows.len();
            if place == 0 && title.is_none() {
                text += &rule(self.below_header);
            } else if !is_last {
                text += &rule(self.between_rows);
            }
        }
        if rows.len() > 1 { text + &rule(self.bottom) } else { text }
    }
}

/// The value at a path in a row.
pub(super) fn at<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(row, |row, name| &row[name])
}

/// The text of a cell by the path of its value, which may end with `+` (JSON with a line behind it) or `*` (points).
fn cell(row: &Value, path: &str) -> String {
    if let Some(path) = path.strip_suffix('+') {
        return match at(row, path) {
            Value::String(text) if path != "value" => format!("{text}\n"),
            value => format!("{value}\n"),
        };
    }
    let Some(path) = path.strip_suffix('*') else { return shown(at(row, path)) };
    let values = at(row, path).as_array().into_iter().flatten();
    values.map(|value| format!("* {}", shown(value))).collect::<Vec<_>>().join("\n")
}

/// A value of a cell: objects have a line for each field.
pub(super) fn shown(value: &Value) -> String {
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

fn drawn_rule(widths: &[usize], [left, line, cross, right]: BoxRule) -> String {
    let parts: Vec<String> = widths.iter().map(|width| line.repeat(*width)).collect();
    format!("{left}{}{right}\n", parts.join(cross))
}

/// A row, which has as many lines as its highest cell.
fn line(row: &[String], widths: &[usize], [left, middle, right]: [&str; 3]) -> String {
    let cells: Vec<Vec<&str>> = row.iter().map(|cell| cell.split('\n').collect()).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(1);
    let lines = (0..height).map(|at| {
        let parts = cells.iter().zip(widths).map(|(cell, width)| {
            let text = cell.get(at).copied().unwrap_or_default();
            format!("{text}{}", " ".repeat(width - text.chars().count()))
        });
        format!("{left}{}{right}\n", parts.collect::<Vec<_>>().join(middle))
    });
    lines.collect::<Vec<_>>().concat()
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
        let modern = BoxStyle::find("modern").unwrap();
        assert_eq!(modern.table(&["name", "apply_to=apply-to", "definition"], &[row]), expected);
        assert_eq!(modern.table(&["name"], &[]), "╭──────╮\n│ name │\n├──────┤\n");
    }
}
