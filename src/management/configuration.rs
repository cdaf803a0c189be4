//! The configuration in effect, by the keys of `rabbitmq.conf`.
//!
//! RabbitMQ answers with Erlang terms, which nothing but Erlang reads. This is JSON instead: a list of objects with the
//! key, its value, and the place that the value comes from.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::lock::{Mutex, RwLock};

/// The source of a value that was set while the broker runs.
const SOURCE: &str = "management API";

/// Sets the level of the log; answers whether there is such a level.
type SetLevel = dyn Fn(&str) -> bool + Send + Sync;

/// Lines of the log that are remembered.
const LINES_MAX: usize = 1000;
/// Bytes of a line that are remembered; the rest is left out.
const LINE_BYTES_MAX: usize = 4096;

/// The last lines of the log.
#[derive(Debug, Default)]
pub struct LastLines(Mutex<NumberedLines>);

#[derive(Debug, Default)]
struct NumberedLines {
    /// The number of the next line; the first is 1.
    next: u64,
    lines: VecDeque<String>,
}

impl LastLines {
    /// Remembers a line as it was written.
    pub fn add(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let mut text = without_colours(text.trim_end());
        let mut end = LINE_BYTES_MAX.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        let mut all = self.0.lock();
        all.next += 1;
        if all.lines.len() == LINES_MAX {
            all.lines.pop_front();
        }
        all.lines.push_back(text);
    }

    /// The last lines, no more than `most` and behind that of number `after`; each with its number.
    fn last(&self, most: usize, after: u64) -> Vec<(u64, String)> {
        let all = self.0.lock();
        let first = all.next - all.lines.len() as u64 + 1;
        let numbered = (first..).zip(&all.lines).filter(|(number, _)| *number > after);
        let lines: Vec<_> = numbered.map(|(number, line)| (number, line.clone())).collect();
        lines[lines.len().saturating_sub(most)..].to_vec()
    }
}

/// A line without the sequences that colour it.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut parts = line.split("\u{1b}[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

/// The log of the process, if it has one; copies share it.
#[derive(Clone, Default)]
pub struct LogControl(Option<Arc<LogOfProcess>>);

struct LogOfProcess {
    set: Box<SetLevel>,
    last: Arc<LastLines>,
    /// The places that it is written to.
    places: Vec<String>,
}

impl LogControl {
    /// Takes the function that sets a level by its name, the last lines, and the places that the log is written to.
    pub fn new(
        set: impl Fn(&str) -> bool + Send + Sync + 'static,
        last: Arc<LastLines>,
        places: Vec<String>,
    ) -> Self {
        Self(Some(Arc::new(LogOfProcess { set: Box::new(set), last, places })))
    }

    /// Sets the level; answers whether there is such a level, or nothing if the level cannot be changed.
    pub(super) fn set(&self, level: &str) -> Option<bool> {
        self.0.as_ref().map(|log| (log.set)(level))
    }

    /// The last lines, each with its number; nothing if they are not remembered.
    pub(super) fn last(&self, most: usize, after: u64) -> Option<Vec<(u64, String)>> {
        self.0.as_ref().map(|log| log.last.last(most, after))
    }

    /// The places that the log is written to.
    pub(super) fn places(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |log| &log.places)
    }
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogControl").field(&self.0.is_some()).finish()
    }
}

/// A key of the configuration that has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationEntry {
    pub key: String,
    /// As a file has it, without passwords.
    pub value: String,
    /// The line of a file, the variable or the word `default`.
    pub source: String,
}

/// The configuration that the process has said to be in effect; copies share it.
#[derive(Clone, Debug, Default)]
pub struct EffectiveConfiguration(Arc<RwLock<Vec<ConfigurationEntry>>>);

impl EffectiveConfiguration {
    /// Replaces all entries.
    pub fn set(&self, entries: Vec<ConfigurationEntry>) {
        *self.0.write() = entries;
    }

    /// Replaces the entries whose keys begin with `prefix` by one that has been set while the broker runs.
    pub(super) fn replace(&self, prefix: &str, key: String, value: String) {
        let mut entries = self.0.write();
        let place = entries.iter().position(|one| one.key.starts_with(prefix));
        entries.retain(|one| !one.key.starts_with(prefix));
        let place = place.unwrap_or(entries.len());
        entries.insert(place, ConfigurationEntry { key, value, source: SOURCE.to_owned() });
    }

    /// The entries as objects.
    pub(super) fn rows(&self) -> Vec<Value> {
        let row = |entry: &ConfigurationEntry| {
            let ConfigurationEntry { key, value, source } = entry;
            json!({"key": key, "value": value, "source": source})
        };
        self.0.read().iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_remembered_without_colours() {
        let last = LastLines::default();
        assert_eq!(last.last(5, 0), []);
        for at in 1..=LINES_MAX + 2 {
            last.add(format!("\u{1b}[2mline\u{1b}[0m {at}\n").as_bytes());
        }
        let end = LINES_MAX as u64 + 2;
        assert_eq!(
            last.last(2, 0),
            [(end - 1, format!("line {}", end - 1)), (end, format!("line {end}"))]
        );
        assert_eq!(last.last(9, end - 1).len(), 1);
        assert_eq!(last.last(9, end).len(), 0);
        assert_eq!(last.last(usize::MAX, 0).len(), LINES_MAX);
        last.add("\u{e4}".repeat(LINE_BYTES_MAX).as_bytes());
        assert_eq!(last.last(1, 0)[0].1.len(), LINE_BYTES_MAX);
    }
}
