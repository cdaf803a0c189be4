//! Incidents: messages that a test of a program wants to hear of, counted by what happened and where.
//!
//! Nothing is counted until somebody asks for it ([`Incidents::watch`]); until then an incident costs one look at a flag,
//! off the way of other messages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lock::Mutex;
use crate::wire::ShortStr;

/// Incidents that are counted apart; those of more places are counted together.
const PLACES_MAX: usize = 10_000;

/// The event and its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incident {
    /// A message was published that no queue is bound for.
    Unroutable { vhost: ShortStr, exchange: ShortStr, routing_key: ShortStr },
    /// A message died in a queue that has a dead letter exchange.
    DeadLettered { vhost: ShortStr, queue: ShortStr, reason: &'static str },
    /// A channel or connection ended with a message of this queue that it had not settled.
    Unacked { vhost: ShortStr, queue: ShortStr },
    /// Those of more places than are counted apart.
    Elsewhere,
}

/// The incidents since somebody watches.
#[derive(Debug, Default)]
pub struct Incidents {
    is_watched: AtomicBool,
    counts: Mutex<BTreeMap<Incident, u64>>,
}

impl Incidents {
    /// Counts from now on.
    pub fn watch(&self) {
        self.is_watched.store(true, Ordering::Relaxed);
    }

    /// Counts messages to which this happened, if somebody watches.
    #[inline]
    pub(crate) fn count(&self, messages: u64, incident: impl FnOnce() -> Incident) {
        if messages > 0 && self.is_watched.load(Ordering::Relaxed) {
            self.add(messages, incident());
        }
    }

    #[cold]
    fn add(&self, messages: u64, incident: Incident) {
        let mut counts = self.counts.lock();
        let has_room = counts.len() < PLACES_MAX || counts.contains_key(&incident);
        *counts.entry(if has_room { incident } else { Incident::Elsewhere }).or_default() +=
            messages;
    }

    /// The incidents with the number of messages of each, in the order of their places.
    pub fn counted(&self) -> Vec<(Incident, u64)> {
        self.counts.lock().iter().map(|(incident, count)| (incident.clone(), *count)).collect()
    }
}

/// The end of a sentence about a vhost that is not the usual one; nothing for that one.
pub(crate) struct Within<'a>(pub(crate) &'a ShortStr);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self.0 == "/" { Ok(()) } else { write!(f, " in virtual host '{}'", self.0) }
    }
}

/// Completes "3 messages ".
impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unroutable { vhost, exchange, routing_key } => {
                let exchange: &str =
                    if exchange.is_empty() { "(default)" } else { exchange.as_str() };
                let within = Within(vhost);
                write!(
                    f,
                    "reached no queue: exchange '{exchange}', routing key '{routing_key}'{within}"
                )
            }
            Self::DeadLettered { vhost, queue, reason } => {
                write!(f, "dead-lettered by queue '{queue}'{}: {reason}", Within(vhost))
            }
            Self::Unacked { vhost, queue } => {
                let within = Within(vhost);
                write!(f, "of queue '{queue}'{within} delivered and not acknowledged at the end")
            }
            Self::Elsewhere => f.write_str("in yet other places"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shortstr::literal;

    fn unacked(number: usize) -> Incident {
        let queue = ShortStr::try_from(format!("q{number}").as_str()).unwrap();
        Incident::Unacked { vhost: literal("/"), queue }
    }

    #[test]
    fn nothing_is_counted_until_somebody_watches() {
        let incidents = Incidents::default();
        incidents.count(1, || unreachable!("nobody watches"));
        incidents.watch();
        incidents.count(0, || unreachable!("nothing happened"));
        incidents.count(2, || unacked(1));
        incidents.count(1, || unacked(1));
        assert_eq!(incidents.counted(), [(unacked(1), 3)]);
    }

    #[test]
    fn the_places_are_bounded() {
        let incidents = Incidents::default();
        incidents.watch();
        (0..PLACES_MAX + 5).for_each(|number| incidents.count(1, || unacked(number)));
        incidents.count(1, || unacked(0));
        let counted = incidents.counted();
        assert_eq!(counted.len(), PLACES_MAX + 1);
        assert!(counted.contains(&(unacked(0), 2)) && counted.contains(&(Incident::Elsewhere, 5)));
    }
}
