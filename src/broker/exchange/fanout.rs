//! The fanout exchange: a message goes to every destination, whatever its routing key (3.1.3.2).

use super::binding::DestinationName;
use super::targets::{Destination, Targets};

/// The destinations.
#[derive(Debug, Default)]
pub(super) struct Fanout(Targets);

impl Fanout {
    pub(super) fn bind(&mut self, destination: &Destination) {
        self.0.add(destination);
    }

    pub(super) fn unbind(&mut self, destination: &DestinationName) {
        self.0.remove(destination);
    }

    #[inline]
    pub(super) fn matches<'a>(&'a self, into: &mut Vec<&'a Destination>) {
        self.0.collect(into);
    }
}
