//! Logins by their sources, counted while somebody wants to know (RabbitMQ: `track_auth_attempt_source`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lock::Mutex;

/// Sources that are counted; further ones are not.
const SOURCES_MAX: usize = 10_000;

/// The source of a login.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoginSource {
    pub address: String,
    pub user: String,
    pub protocol: &'static str,
}

/// The logins of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceLogins {
    pub succeeded: u64,
    pub failed: u64,
}

/// The logins of all sources.
#[derive(Debug, Default)]
pub struct LoginSources {
    is_on: AtomicBool,
    all: Mutex<BTreeMap<LoginSource, SourceLogins>>,
}

impl LoginSources {
    /// Begins to count, or ends it and forgets all.
    pub fn track(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::Relaxed);
        if !is_on {
            self.all.lock().clear();
        }
    }

    /// Counts from zero again.
    pub fn reset(&self) {
        self.all.lock().clear();
    }

    /// Counts a login, if logins are counted.
    pub fn count(&self, source: impl FnOnce() -> LoginSource, has_succeeded: bool) {
        if !self.is_on.load(Ordering::Relaxed) {
            return;
        }
        let source = source();
        let mut all = self.all.lock();
        if all.len() >= SOURCES_MAX && !all.contains_key(&source) {
            return;
        }
        let logins = all.entry(source).or_default();
        if has_succeeded {
            logins.succeeded += 1;
        } else {
            logins.failed += 1;
        }
    }

    /// All sources, by address, user and protocol.
    pub fn list(&self) -> Vec<(LoginSource, SourceLogins)> {
        self.all.lock().iter().map(|(source, logins)| (source.clone(), *logins)).collect()
    }
}
