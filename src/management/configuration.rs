//! The configuration in effect, by the keys of `rabbitmq.conf`.
//!
//! RabbitMQ answers with Erlang terms, which nothing but Erlang reads. This is JSON instead: a list of objects with the
//! key, its value, and the place that the value comes from.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::lock::RwLock;

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

    /// Replaces the entries whose keys begin with `prefix` by this one, which has been set while the broker runs.
    pub(super) fn replace(&self, prefix: &str, entry: ConfigurationEntry) {
        let mut entries = self.0.write();
        let place = entries.iter().position(|one| one.key.starts_with(prefix));
        entries.retain(|one| !one.key.starts_with(prefix));
        let place = place.unwrap_or(entries.len());
        entries.insert(place, entry);
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
