//! The routes a connection remembers, so that most publishes take no topology lock and match no patterns.
//!
//! A route holds until the vhost's epoch changes, which a change of permissions also does: the user's rights are
//! checked when the route is found. A route that depends on more than the key is never remembered. There is room for
//! 1024 routes, and for up to 16 times as many if keys come again. A full cache replaces one route for every 64 misses
//! only, because keys that come in turn would otherwise each drive out the one that comes next.
//!
//! Start at [`Routes::find`].

use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::broker::auth::{Resource, Right, Rights};
use crate::broker::message::Message;
use crate::broker::route::Route;
use crate::broker::vhost::Vhost;
use crate::wire::{Fault, Reader, ShortStr};

/// Routes there is room for at first: about 200 KiB.
const ROUTES_FIRST: usize = 1024;

/// Routes a connection remembers at most: about 3 MiB, for keys that do come again.
const ROUTES_MAX: usize = 16 * ROUTES_FIRST;

/// One in so many routes that there is no room for is remembered in the place of another.
const ADMIT_EVERY: usize = 64;

/// The number of routes without room after which the worth of the others is looked at.
const LOOK_EVERY: usize = 16 << 10;

/// The number of times one of those must have been asked for meanwhile to be worth more room.
const WORTH: usize = LOOK_EVERY / 128;

/// A route that is remembered.
#[derive(Debug)]
struct CachedRoute {
    route: Route,
    /// It was asked for since its place was looked at last.
    is_used: bool,
}

/// Routes by exchange and routing key, as the two encoded short strings they came in.
#[derive(Debug)]
pub(super) struct Routes {
    vhost: Arc<Vhost>,
    rights: Arc<Rights>,
    epoch: u64,
    known: IndexMap<Box<[u8]>, CachedRoute, FxBuildHasher>,
    room: usize,
    /// The place that is looked at next for a route to forget.
    hand: usize,
    /// The numbers of routes that were known, and of those without room, since that was last looked at.
    found: usize,
    missed: usize,
    /// A route that must not be remembered.
    once: Option<Route>,
    /// A route has been asked for since the last [`Self::rest`].
    is_used: bool,
}

impl Routes {
    pub(super) fn new(vhost: Arc<Vhost>, rights: Arc<Rights>) -> Self {
        Self {
            vhost,
            rights,
            epoch: 0,
            known: IndexMap::default(),
            room: ROUTES_FIRST,
            hand: 0,
            found: 0,
            missed: 0,
            once: None,
            is_used: false,
        }
    }

    /// Finds where a message with these names and encoded properties goes.
    ///
    /// Cost: one hash of the names when the route is known.
    #[inline]
    pub(super) fn find(&mut self, names: &[u8], properties: &[u8]) -> Result<&Route, Fault> {
        self.is_used = true;
        let epoch = self.vhost.epoch();
        if epoch != self.epoch {
            self.known = IndexMap::default();
            self.epoch = epoch;
        }
        if let Some(at) = self.known.get_index_of(names) {
            self.found = self.found.wrapping_add(1);
            let known = &mut self.known[at];
            known.is_used = true;
            return Ok(&known.route);
        }
        self.find_anew(names, properties)
    }

    #[inline(never)]
    fn find_anew(&mut self, names: &[u8], properties: &[u8]) -> Result<&Route, Fault> {
        let mut from = Reader::new(names);
        let exchange = from.short_text().unwrap_or_default();
        let routing_key = from.short_text().unwrap_or_default();
        check(&self.rights, &self.vhost, exchange, routing_key)?;
        let route = self.vhost.route(exchange, &[routing_key], properties)?;
        if !route.is_by_key_alone() || !self.make_room() {
            return Ok(self.once.insert(route));
        }
        let (at, _) = self.known.insert_full(names.into(), CachedRoute { route, is_used: false });
        Ok(&self.known[at].route)
    }

    /// Finds where a message with these further routing keys goes, for most none.
    #[inline]
    pub(super) fn find_all(
        &mut self,
        message: &Message,
        copies: &[ShortStr],
    ) -> Result<&Route, Fault> {
        if copies.is_empty() {
            return self.find(message.names(), message.properties());
        }
        let (exchange, routing_key) = message.exchange_and_key();
        for key in std::iter::once(routing_key).chain(copies.iter().map(ShortStr::as_str)) {
            check(&self.rights, &self.vhost, exchange, key)?;
        }
        let route = find_by_all(&self.vhost, message, copies)?;
        Ok(self.once.insert(route))
    }

    /// Refuses a user who may not publish to the default exchange, where no route is asked for.
    #[inline]
    pub(super) fn check_default(&self) -> Result<(), Fault> {
        self.rights.check(Right::Write, Resource::Exchange(""))
    }

    /// Makes a place for one more route, if it is to have one.
    fn make_room(&mut self) -> bool {
        if self.known.len() < self.room {
            return true;
        }
        self.missed += 1;
        if !self.missed.is_multiple_of(ADMIT_EVERY) {
            return false;
        }
        if self.missed >= LOOK_EVERY {
            self.missed = 0;
            let is_worth_it = std::mem::take(&mut self.found) >= WORTH;
            if is_worth_it && self.room < ROUTES_MAX {
                self.room *= 2;
                return true;
            }
        }
        self.forget_one();
        true
    }

    /// Forgets the next route that was not asked for since its place was looked at.
    ///
    /// Cost: one step for each route that was asked for meanwhile.
    fn forget_one(&mut self) {
        loop {
            if self.hand >= self.known.len() {
                self.hand = 0;
            }
            if !std::mem::take(&mut self.known[self.hand].is_used) {
                break;
            }
            self.hand += 1;
        }
        self.known.swap_remove_index(self.hand);
        self.hand += 1;
    }

    /// Gives the memory back if no route has been asked for since this was called last.
    pub(super) fn rest(&mut self) {
        if !std::mem::take(&mut self.is_used) {
            *self = Self::new(Arc::clone(&self.vhost), Arc::clone(&self.rights));
        }
    }
}

/// Finds where a message goes by its own routing key and further ones.
pub(super) fn find_by_all(
    vhost: &Vhost,
    message: &Message,
    copies: &[ShortStr],
) -> Result<Route, Fault> {
    let (exchange, key) = message.exchange_and_key();
    let keys: Vec<_> = std::iter::once(key).chain(copies.iter().map(ShortStr::as_str)).collect();
    vhost.route(exchange, &keys, message.properties())
}

/// Checks the permissions of a publish: to write to the exchange, and to use the routing key of a topic exchange
/// (RabbitMQ: `rabbit_channel`, `check_write_permitted_on_topics`).
fn check(rights: &Rights, vhost: &Vhost, exchange: &str, key: &str) -> Result<(), Fault> {
    if rights.is_everything() {
        return Ok(());
    }
    rights.check(Right::Write, Resource::Exchange(exchange))?;
    vhost.check_topic(rights, Right::Write, exchange, key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Broker;
    use crate::wire::{ShortStr, Writer};

    fn routes() -> Routes {
        let broker = Broker::new("mq@test".into());
        let rights = broker.permissions.rights("guest", "/").unwrap();
        Routes::new(broker.vhost("/").unwrap(), rights)
    }

    impl Routes {
        /// Publishes to the default exchange; answers whether the route was known.
        fn ask(&mut self, key: usize) -> bool {
            let mut names = Vec::new();
            let mut to = Writer::new(&mut names);
            to.short(&ShortStr::empty());
            to.short(&ShortStr::try_from(key.to_string()).unwrap());
            let is_known = self.known.contains_key(&names[..]);
            self.find(&names, &[]).unwrap();
            assert!(self.known.len() <= self.room && self.room <= ROUTES_MAX);
            is_known
        }

        /// Returns how many of a hundred are known when all these keys are asked for, one after the other.
        fn share(&mut self, keys: std::ops::Range<usize>) -> usize {
            let len = keys.len();
            keys.filter(|&key| self.ask(key)).count() * 100 / len
        }
    }

    #[test]
    fn keys_that_come_in_turn_are_known_though_there_are_more_than_there_is_room_for() {
        #[rustfmt::skip]
        let cases = [
            // keys    known of a hundred, at least
            (1_000,    100),
            (10_000,   100),
            (20_000,   70),
            (40_000,   30),
        ];
        for (keys, at_least) in cases {
            let mut routes = routes();
            (0..20).for_each(|_| _ = routes.share(0..keys));
            let share = routes.share(0..keys);
            assert!(share >= at_least, "{share} of a hundred with {keys} keys");
        }
    }

    #[test]
    fn ever_new_keys_take_no_more_room_and_leave_those_alone_that_come_again() {
        let mut routes = routes();
        for key in 0..100_000 {
            routes.ask(1_000_000 + key);
        }
        assert_eq!(routes.room, ROUTES_FIRST);
        // One in ten is an old acquaintance.
        let mut known = 0;
        for key in 0..100_000 {
            routes.ask(2_000_000 + key);
            known += usize::from(key % 10 == 0 && routes.ask(key / 10 % 10));
        }
        assert!(known > 8_000, "{known} of 10,000");
    }

    #[test]
    fn keys_of_today_take_the_place_of_those_of_yesterday() {
        let mut routes = routes();
        let (yesterday, today) = (0..ROUTES_MAX, ROUTES_MAX..ROUTES_MAX + 1000);
        (0..20).for_each(|_| _ = routes.share(yesterday.clone()));
        assert_eq!(routes.known.len(), ROUTES_MAX);
        (0..500).for_each(|_| _ = routes.share(today.clone()));
        let share = routes.share(today);
        assert!(share >= 99, "{share} of a hundred");
    }

    #[test]
    fn memory_comes_back_when_nobody_asks() {
        let mut routes = routes();
        (0..20).for_each(|_| _ = routes.share(0..10_000));
        routes.rest();
        assert_eq!(routes.known.len(), 10_000, "somebody has asked");
        routes.rest();
        assert_eq!((routes.known.capacity(), routes.room), (0, ROUTES_FIRST));
        assert!(!routes.ask(1));
        assert!(routes.ask(1));
    }
}
