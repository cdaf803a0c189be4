//! The routes a channel remembers, so that most publishes take no topology lock and match no patterns.
//!
//! A route holds until the vhost's epoch changes; one that depends on headers is never remembered.

use rustc_hash::FxHashMap;

use crate::broker::Route;
use crate::broker::vhost::Vhost;
use crate::wire::{Fault, FieldTable, Reader};

/// Routes a channel remembers at most, so that a publisher of ever new keys costs no more memory than this.
const ROUTES_MAX: usize = 4096;

/// Routes by exchange and routing key, as the two encoded short strings they came in.
#[derive(Debug, Default)]
pub(super) struct Routes {
    epoch: u64,
    known: FxHashMap<Box<[u8]>, Route>,
    /// A route that must not be remembered.
    once: Option<Route>,
}

impl Routes {
    /// Finds where a message with these names goes.
    ///
    /// Cost: one hash of the names when the route is known.
    #[inline]
    pub(super) fn find(
        &mut self,
        names: &[u8],
        vhost: &Vhost,
        headers: impl FnOnce() -> Result<FieldTable, Fault>,
    ) -> Result<&Route, Fault> {
        let epoch = vhost.epoch();
        if epoch != self.epoch || self.known.len() > ROUTES_MAX {
            self.known = FxHashMap::default();
            self.epoch = epoch;
        }
        if !self.known.contains_key(names) {
            let mut from = Reader::new(names);
            let exchange = from.short_text().unwrap_or_default();
            let routing_key = from.short_text().unwrap_or_default();
            let route = vhost.route(exchange, routing_key, headers)?;
            if !route.by_key_alone {
                return Ok(self.once.insert(route));
            }
            self.known.insert(names.into(), route);
        }
        Ok(&self.known[names])
    }
}
