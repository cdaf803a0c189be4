//! What a queue has to tell the store: gathered under the queue's lock, told when that has been given back.
//!
//! A queue settles what it drops itself (what expires, is purged or goes with the queue) and remembers what it has
//! delivered. Whoever is given a message settles that one. So a slot is settled once, by one side.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use super::State;
use crate::store::{Place, Runs, Store};

/// What the store is to be told.
#[derive(Debug, Default)]
pub(super) struct Errands {
    delivered: Runs,
    dropped: Runs,
}

impl Errands {
    /// Remembers that a message was given to a client, who is to settle it.
    #[inline]
    pub(super) fn delivered(&mut self, place: Option<Place>) {
        if let Some(place) = place {
            self.delivered.push(place);
        }
    }

    /// Remembers that the queue itself dropped messages.
    #[inline]
    pub(super) fn dropped(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            self.dropped.push(place);
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.delivered.is_empty() && self.dropped.is_empty()
    }
}

/// The locked state of a queue; its errands are run when the lock has been given back.
///
/// Cost beside the lock: two comparisons when there are none.
pub(super) struct Held<'a> {
    state: MutexGuard<'a, State>,
    /// Behind the guard, as fields are dropped in this order.
    after: After<'a>,
}

struct After<'a> {
    store: Option<&'a Store>,
    errands: Errands,
}

impl<'a> Held<'a> {
    #[inline]
    pub(super) fn new(state: MutexGuard<'a, State>, store: Option<&'a Store>) -> Self {
        Self { state, after: After { store, errands: Errands::default() } }
    }
}

impl Deref for Held<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.state.errands.is_empty() {
            self.after.errands = std::mem::take(&mut self.state.errands);
        }
    }
}

impl Drop for After<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(store) = self.store
            && !self.errands.is_empty()
        {
            self.errands.run(store);
        }
    }
}

impl Errands {
    #[cold]
    fn run(&self, store: &Store) {
        if !self.delivered.is_empty() {
            store.mark_delivered(&self.delivered);
        }
        if !self.dropped.is_empty() {
            store.settle(&self.dropped);
        }
    }
}
