//! The columns of a list, and those that a command line asks for.

use serde_json::Value;

use super::asked::Asked;
use super::cell::Cell;
use super::failure::WrongWords;
use super::names::CtlRelease;
use super::shown::{ListedRows, RowForm};

/// A column of a list.
#[derive(Debug)]
pub(super) struct ListColumn {
    pub(super) name: &'static str,
    pub(super) value: fn(&Value) -> Cell,
}

/// The columns of a list.
#[derive(Debug)]
pub(super) struct ListColumns {
    pub(super) all: &'static [ListColumn],
    /// Columns that are shown when none is named
    pub(super) usual: &'static [&'static str],
    /// Columns that only RabbitMQ 3.10 has
    pub(super) until_3: &'static [&'static str],
    /// Columns that only RabbitMQ 4 has
    pub(super) since_4: &'static [&'static str],
    /// Shown in the order of the list, not in the one that was asked for
    pub(super) has_own_order: bool,
}

impl ListColumns {
    pub(super) const PLAIN: Self =
        Self { all: &[], usual: &[], until_3: &[], since_4: &[], has_own_order: false };

    /// The names that a release has.
    pub(super) fn names(&self, release: CtlRelease) -> Vec<&'static str> {
        let missing = match release {
            CtlRelease::V3_10 => self.since_4,
            CtlRelease::V4_3 => self.until_3,
        };
        self.all.iter().map(|column| column.name).filter(|name| !missing.contains(name)).collect()
    }

    /// The columns that are asked for: words, or parts of words with commas between.
    fn asked(&self, asked: &Asked) -> Vec<&'static ListColumn> {
        let named = named(asked);
        let is_asked = |name: &str| named.iter().any(|one| one == name);
        if named.is_empty() || self.has_own_order {
            let is_wanted = |name: &str| {
                if named.is_empty() { self.usual.contains(&name) } else { is_asked(name) }
            };
            return self.all.iter().filter(|column| is_wanted(column.name)).collect();
        }
        named.iter().filter_map(|name| self.all.iter().find(|column| column.name == name)).collect()
    }

    pub(super) fn rows(&self, rows: &[Value], asked: &Asked) -> ListedRows {
        let columns = self.asked(asked);
        let cells =
            rows.iter().map(|row| columns.iter().map(|column| (column.value)(row)).collect());
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        ListedRows::new(&names, cells.collect(), RowForm::Table)
    }
}

fn named(asked: &Asked) -> Vec<String> {
    let words = asked.words.iter().flat_map(|word| word.split([',', ' ']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Checks that the columns are the list's.
pub(super) fn check(columns: &ListColumns, asked: &Asked) -> Result<(), WrongWords> {
    let known = columns.names(asked.release);
    let unknown: Vec<String> =
        named(asked).into_iter().filter(|name| !known.contains(&name.as_str())).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(WrongWords::Said(format!("Info key(s) {} are not supported", unknown.join(","))))
}
