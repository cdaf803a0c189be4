//! The shapes an answer can have.

use std::fmt;
use std::str::FromStr;

/// The shape of what goes to stdout (`--format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns for people; numbers are shortened.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma separated, quoted where needed, with a header line.
    Csv,
    /// Tab separated, with a header line.
    Tsv,
    /// The bytes of a message and nothing else.
    Raw,
}

/// An unknown format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not a format: use one of {}", Format::NAMES.join(", "))]
pub struct UnknownFormat {
    name: String,
}

impl Format {
    /// Every format's name, in the order help shows them.
    pub const NAMES: [&'static str; 6] = ["table", "json", "jsonl", "csv", "tsv", "raw"];

    /// The name users type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Raw => "raw",
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Ok(match name {
            "table" => Self::Table,
            "json" => Self::Json,
            "jsonl" => Self::Jsonl,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "raw" => Self::Raw,
            _ => return Err(UnknownFormat { name: name.to_owned() }),
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for name in Format::NAMES {
            assert_eq!(name.parse::<Format>().unwrap().name(), name);
        }
        let unknown = "yaml".parse::<Format>().unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "'yaml' is not a format: use one of table, json, jsonl, csv, tsv, raw"
        );
    }
}
