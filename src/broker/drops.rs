//! Messages that the broker drops for a reason of its own: each is counted, and the log says so.
//!
//! A reason of its own is none that a client or an administrator has asked for. Messages that expire, are purged,
//! overflow a queue that drops its oldest, or go with a deleted queue are not counted here; nor is a publish that no
//! queue is bound for (`drop_unroutable`), or a message that a damaged file has lost (`unreadable` of its queue).
//!
//! The log has a line for the first message of a queue and a reason, and then one a second at most with how many there
//! were since: [`Drops::count`], then [`Drops::tell`].

use std::collections::HashMap;
use std::sync::MutexGuard;

use super::stats::Counter;
use super::time::Millis;
use crate::lock::Mutex;
use crate::wire::ShortStr;

/// The time for which further drops of one queue and reason are only counted, before they are logged.
const TELL_EVERY_MS: Millis = 1_000;

/// Queues and reasons of which the log is told together; those of more are told one by one.
const TALLIES_MAX: usize = 1_000;

/// The reason why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The queue is full and rejects publishes, and the publisher has asked for no confirms.
    Refused,
    /// The queue is full and rejects publishes, and no publisher sent it the message: a dead letter, or a copy of a
    /// message.
    RefusedLetter,
    /// A dead letter, sent at most once, for which no queue is bound.
    UnroutableLetter,
    /// A delayed message whose time has come, and for which no queue is bound.
    UnroutableDelayed,
    /// A dead letter that would go back to where it came from without any client's doing.
    Cycle,
}

impl DropReason {
    const ALL: [Self; 5] = [
        Self::Refused,
        Self::RefusedLetter,
        Self::UnroutableLetter,
        Self::UnroutableDelayed,
        Self::Cycle,
    ];

    /// The name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::RefusedLetter => "refused_letter",
            Self::UnroutableLetter => "unroutable_letter",
            Self::UnroutableDelayed => "unroutable_delayed",
            Self::Cycle => "cycle",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Refused => "the queue is full, and the publisher does not use confirms",
            Self::RefusedLetter => {
                "the queue is full, and the message has no publisher to refuse it to"
            }
            Self::UnroutableLetter => "no queue is bound for its dead letters",
            Self::UnroutableDelayed => "no queue is bound for its delayed messages",
            Self::Cycle => "its dead letters would go round a cycle of queues",
        }
    }
}

/// The drops of one queue and reason that the log has not been told yet.
#[derive(Debug)]
struct DropCount {
    untold: u64,
    told_at: Millis,
}

/// A queue by the names of its vhost and its own.
type Name = (ShortStr, ShortStr);

/// The drops since the broker started.
#[derive(Debug, Default)]
pub struct Drops {
    counters: [Counter; DropReason::ALL.len()],
    tallies: Mutex<HashMap<(Name, DropReason), DropCount>>,
}

impl Drops {
    /// Returns the number of messages dropped for this reason.
    pub fn of(&self, why: DropReason) -> u64 {
        self.counters[why as usize].get()
    }

    /// Every reason with how many messages were dropped for it.
    pub fn snapshot(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DropReason::ALL.into_iter().map(|why| (why.name(), self.of(why)))
    }

    fn tallies(&self) -> MutexGuard<'_, HashMap<(Name, DropReason), DropCount>> {
        self.tallies.lock()
    }

    /// Counts a message that a queue of a vhost has dropped or refused.
    #[cold]
    pub fn count(&self, vhost: &ShortStr, queue: &ShortStr, why: DropReason, now: Millis) {
        self.counters[why as usize].add(1);
        let name = (vhost.clone(), queue.clone());
        let mut tallies = self.tallies();
        let has_room = tallies.len() < TALLIES_MAX;
        if let Some(tally) = tallies.get_mut(&(name.clone(), why)) {
            tally.untold += 1;
            tally.tell(&name, why, now);
            return;
        }
        log(&name, why, 1);
        if has_room {
            tallies.insert((name, why), DropCount { untold: 0, told_at: now });
        }
    }

    /// Tells the log the drops that it has not been told yet, and forgets queues that drop nothing any more; called
    /// every second or two.
    pub fn tell(&self, now: Millis) {
        self.tallies().retain(|(name, why), tally| {
            let is_quiet = tally.untold == 0 && now >= tally.told_at.saturating_add(TELL_EVERY_MS);
            tally.tell(name, *why, now);
            !is_quiet
        });
    }
}

impl DropCount {
    fn tell(&mut self, name: &Name, why: DropReason, now: Millis) {
        if self.untold > 0 && now >= self.told_at.saturating_add(TELL_EVERY_MS) {
            log(name, why, self.untold);
            *self = Self { untold: 0, told_at: now };
        }
    }
}

fn log((vhost, queue): &Name, why: DropReason, messages: u64) {
    tracing::warn!(%vhost, %queue, messages, why = why.text(), "messages are dropped");
}
