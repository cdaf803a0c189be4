//! A table in Markdown, printed row by row as the figures come.

use std::io::{self, Write};
use std::time::Duration;

use crate::broker::Memory;
use crate::flow::Rate;

/// Columns of one table.
#[derive(Debug)]
pub(crate) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Prints the title and the head.
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        let table = Self { widths: columns.iter().map(|column| column.len().max(7)).collect() };
        say(&format!("\n### {title}\n"));
        table.row(columns.iter().map(ToString::to_string));
        let rules: Vec<_> = table.widths.iter().map(|width| "-".repeat(width + 1) + ":").collect();
        say(&format!("|{}|", rules.join("|")));
        table
    }

    pub(crate) fn row(&self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().zip(&self.widths);
        let cells: Vec<_> = cells.map(|(cell, width)| format!(" {cell:>width$} ")).collect();
        say(&format!("|{}|", cells.join("|")));
    }

    /// A row of something that the broker does not have.
    pub(crate) fn refused(&self, size: usize) {
        self.row([short(size as f64), "refused".to_owned()]);
    }
}

fn say(line: &str) {
    writeln!(io::stdout(), "{line}").expect("somebody reads the tables");
}

/// `12.3k`: three figures are as much as a run is good for.
pub(crate) fn short(number: f64) -> String {
    match number {
        0.0..10.0 => format!("{number:.2}"),
        10.0..1e3 => format!("{number:.0}"),
        1e3..1e4 => format!("{:.1}k", number / 1e3),
        1e4..1e6 => format!("{:.0}k", number / 1e3),
        _ => format!("{:.2}M", number / 1e6),
    }
}

pub(crate) fn per_s(count: usize, time: Duration) -> String {
    short(count as f64 / time.as_secs_f64())
}

pub(crate) fn ms(time: Duration) -> String {
    short(time.as_secs_f64() * 1e3)
}

pub(crate) fn mib(kib: u64) -> String {
    short(kib as f64 / 1024.0)
}

/// Memory now and at its highest.
pub(crate) fn memory(memory: Memory) -> [String; 2] {
    [mib(memory.resident), mib(memory.peak)]
}

/// Messages in a second, and processor time for each.
pub(crate) fn rate(rate: Rate) -> [String; 2] {
    [short(rate.per_s), format!("{:.2}", rate.cpu_us)]
}
