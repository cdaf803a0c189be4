//! The configuration in effect, by the keys of `rabbitmq.conf`.
//!
//! RabbitMQ answers with Erlang terms, which nothing but Erlang reads. This is JSON instead: a list of objects with the
//! key, its value, and the place that the value comes from.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::lock::RwLock;

/// The source of a value that was set while the broker runs.
const SOURCE: &str = "management API";

/// Sets the level of the log; answers whether there is such a level.
type SetLevel = dyn Fn(&str) -> bool + Send + Sync;

/// The way to change the level of the process's log, if there is one; copies share it.
#[derive(Clone, Default)]
pub struct LogControl(Option<Arc<SetLevel>>);

impl LogControl {
    /// Takes the function that sets a level by its name.
    pub fn new(set: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(set)))
    }

    /// Sets the level; answers whether there is such a level, or nothing if the level cannot be changed.
    pub(super) fn set(&self, level: &str) -> Option<bool> {
        self.0.as_ref().map(|set| set(level))
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
