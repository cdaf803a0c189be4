//! The table for people: aligned columns, a quiet frame.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::paint::{Paint, painted};
use super::visible::visible;

/// The character of the line between headers and rows.
const DOUBLE_RULE: char = '═';

/// The properties of the output that a table is written on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TableStyle {
    /// Columns of the terminal; cells are broken to fit. `None` for a pipe, or a terminal that does not know.
    pub(super) width: Option<u16>,
    /// True if headers may be bold.
    pub(super) is_painted: bool,
    pub(super) is_headless: bool,
}

/// Writes the cells under their headers; the columns whose place is in `right` are numbers.
pub(super) fn write(
    to: &mut dyn Write,
    paper: TableStyle,
    headers: &[String],
    rows: Vec<Vec<String>>,
    right: &[usize],
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    match paper.width {
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    if !paper.is_headless {
        table.set_header(headers);
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| visible(cell).into_owned()));
    }
    for place in right {
        if let Some(column) = table.column_mut(*place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let is_bold = paper.is_painted && !paper.is_headless;
    // The headers stand between the first line, which is a rule, and the double rule.
    let mut is_header = false;
    for (at, line) in table.lines().enumerate() {
        if line.starts_with(DOUBLE_RULE) {
            is_header = false;
        }
        if is_bold && is_header {
            writeln!(to, "{}", painted(Paint::Bold, &line))?;
        } else {
            writeln!(to, "{line}")?;
        }
        is_header |= at == 0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_header_of_a_painted_table_is_bold() {
        let (headers, rows) = (["name".to_owned()], vec![vec!["q1".to_owned()]]);
        let mut written = Vec::new();
        let paper = TableStyle { is_painted: true, ..TableStyle::default() };
        write(&mut written, paper, &headers, rows, &[]).unwrap();
        let text = String::from_utf8(written).unwrap();
        let bold: Vec<_> = text.lines().map(|line| line.starts_with("\x1b[1m")).collect();
        assert_eq!(bold, [false, true, false, false, false], "{text}");
    }
}
