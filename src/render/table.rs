//! The table for people: aligned columns, a quiet frame.

use std::io::{self, Write};

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};

/// Writes the cells under their headers; the columns whose place is in `right` are numbers.
pub(super) fn write(
    to: &mut dyn Write,
    headers: &[String],
    rows: Vec<Vec<String>>,
    right: &[usize],
) -> io::Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headers.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(row);
    }
    for place in right {
        if let Some(column) = table.column_mut(*place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(to, "{table}")
}
