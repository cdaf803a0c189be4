//! The direct exchange: a message goes where a binding has exactly its routing key (3.1.3.1).

use std::collections::HashMap;

use super::binding::DestinationName;
use super::targets::{Destination, Targets};
use crate::wire::ShortStr;

/// Bindings by routing key.
#[derive(Debug, Default)]
pub(super) struct Direct(HashMap<ShortStr, Targets>);

impl Direct {
    pub(super) fn bind(&mut self, key: &ShortStr, destination: &Destination) {
        self.0.entry(key.clone()).or_default().add(destination);
    }

    pub(super) fn unbind(&mut self, key: &str, destination: &DestinationName) {
        if let Some(targets) = self.0.get_mut(key) {
            targets.remove(destination);
            if targets.is_empty() {
                self.0.remove(key);
            }
        }
    }

    pub(super) fn matches<'a>(&'a self, key: &str, into: &mut Vec<&'a Destination>) {
        if let Some(targets) = self.0.get(key) {
            targets.collect(into);
        }
    }
}
