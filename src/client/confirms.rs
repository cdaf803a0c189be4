//! The outcomes of published messages: confirmed, refused, returned, or not known yet.
//!
//! Messages are numbered from 1 in the order they were published (RabbitMQ: publisher confirms). A
//! `basic.return` carries no number: it is matched to the oldest unanswered message that is routed by the same
//! exchange, key and properties, which is the one that came back unless the topology changed in between.
//! Pure: the caller holds the lock and wakes those that wait.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use tokio::sync::oneshot;

/// Failed messages a report names; further ones are only counted, so that a report stays small.
pub const FAILED_KEPT: usize = 1000;
/// Bytes of a body that tell it from another when a message comes back.
const BODY_START: usize = 64;

/// The outcome of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The broker has taken it.
    Confirmed,
    /// No queue got it; the broker's reason (`312 NO_ROUTE`).
    Unroutable { code: u16, text: String },
    /// The broker could not take it (`basic.nack`).
    Refused,
}

/// The outcomes of all messages since the last report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// Messages the broker took and, as far as it was asked to say, routed
    pub confirmed: u64,
    /// Messages no queue got
    pub unroutable: u64,
    /// Messages the broker answered with `basic.nack`
    pub refused: u64,
    /// Numbers and outcomes of the first [`FAILED_KEPT`] messages that were not routed or refused
    pub failed: Vec<(u64, PublishOutcome)>,
}

/// The hashes by which a message that comes back is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageHash {
    /// Exchange, key, body
    route: u64,
    /// The same with the encoded properties, which a broker may change
    exact: u64,
}

impl MessageHash {
    pub(crate) fn new(exchange: &str, routing_key: &str, properties: &[u8], body: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        (exchange, routing_key, body.len()).hash(&mut hasher);
        body[..body.len().min(BODY_START)].hash(&mut hasher);
        let route = hasher.finish();
        properties.hash(&mut hasher);
        Self { route, exact: hasher.finish() }
    }
}

/// A published message the broker has not answered for.
#[derive(Debug)]
struct PendingConfirm {
    hash: Option<MessageHash>,
    returned: Option<(u16, String)>,
    waiter: Option<oneshot::Sender<PublishOutcome>>,
    is_answered: bool,
}

/// The messages of one channel in confirm mode.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    /// Messages answered for and forgotten; the first of `entries` has the next number.
    forgotten: u64,
    entries: VecDeque<PendingConfirm>,
    unanswered: usize,
    report: PublishReport,
}

impl Confirms {
    /// Counts a message that is being published; returns its number.
    ///
    /// `hash` is given for mandatory messages, `waiter` when a caller waits for this one.
    pub(crate) fn on_publish(
        &mut self,
        hash: Option<MessageHash>,
        waiter: Option<oneshot::Sender<PublishOutcome>>,
    ) -> u64 {
        self.entries.push_back(PendingConfirm { hash, returned: None, waiter, is_answered: false });
        self.unanswered += 1;
        self.published()
    }

    /// Remembers that a message came back.
    pub(crate) fn on_return(&mut self, hash: MessageHash, code: u16, text: &str) {
        let is_open = |entry: &&mut PendingConfirm| !entry.is_answered && entry.returned.is_none();
        let exact =
            |entry: &&mut PendingConfirm| entry.hash.is_some_and(|known| known.exact == hash.exact);
        let route =
            |entry: &&mut PendingConfirm| entry.hash.is_some_and(|known| known.route == hash.route);
        let mut entries = self.entries.iter_mut();
        let found = match entries.find(|entry| is_open(entry) && exact(entry)) {
            Some(entry) => Some(entry),
            None => self.entries.iter_mut().find(|entry| is_open(entry) && route(entry)),
        };
        if let Some(entry) = found {
            entry.returned = Some((code, text.to_owned()));
        }
    }

    /// Settles one message, or with `multiple` all up to it. False when the number was never given.
    pub(crate) fn on_answer(&mut self, number: u64, multiple: bool, taken: bool) -> bool {
        // Number 0 with `multiple` is "all so far" (1.8.3.13).
        let last = if number == 0 && multiple { self.published() } else { number };
        if last > self.published() || last == 0 && !multiple {
            return false;
        }
        let first = if multiple { self.forgotten + 1 } else { last.max(self.forgotten + 1) };
        for number in first..=last {
            self.answer(number, taken);
        }
        while self.entries.front().is_some_and(|entry| entry.is_answered) {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        true
    }

    /// Ends the confirms: no more answers come, and callers that wait for one are told. What was answered before stays
    /// in the report.
    pub(crate) fn give_up(&mut self) {
        self.forgotten = self.published();
        self.entries.clear();
        self.unanswered = 0;
    }

    /// Messages published and not answered for.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Takes what has become of messages since the last call.
    pub(crate) fn take_report(&mut self) -> PublishReport {
        std::mem::take(&mut self.report)
    }

    fn published(&self) -> u64 {
        self.forgotten + self.entries.len() as u64
    }

    fn answer(&mut self, number: u64, taken: bool) {
        let at = usize::try_from(number - self.forgotten - 1).ok();
        let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) else { return };
        if entry.is_answered {
            return;
        }
        entry.is_answered = true;
        self.unanswered -= 1;
        let outcome = match entry.returned.take() {
            _ if !taken => PublishOutcome::Refused,
            Some((code, text)) => PublishOutcome::Unroutable { code, text },
            None => PublishOutcome::Confirmed,
        };
        match &outcome {
            PublishOutcome::Confirmed => self.report.confirmed += 1,
            PublishOutcome::Unroutable { .. } => self.report.unroutable += 1,
            PublishOutcome::Refused => self.report.refused += 1,
        }
        if outcome != PublishOutcome::Confirmed && self.report.failed.len() < FAILED_KEPT {
            self.report.failed.push((number, outcome.clone()));
        }
        if let Some(waiter) = entry.waiter.take() {
            // The caller may have stopped waiting.
            let _ = waiter.send(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str) -> MessageHash {
        MessageHash::new("x", key, &[0, 0], b"body")
    }

    #[test]
    fn answers_settle_one_or_all_before() {
        #[rustfmt::skip]
        let cases = [
            // answers (number, multiple, taken), unanswered, confirmed, refused
            (vec![(1, false, true)],                    4, 1, 0),
            (vec![(3, true, true)],                     2, 3, 0),
            (vec![(2, false, true), (3, true, false)],  2, 1, 2), // 2 keeps its first answer
            (vec![(5, true, true), (5, true, true)],    0, 5, 0), // the second says nothing new
            (vec![(0, true, true)],                     0, 5, 0),
            (vec![(5, false, true), (4, true, true)],   0, 5, 0),
        ];
        for (answers, unanswered, confirmed, refused) in cases {
            let mut confirms = Confirms::default();
            for number in 1..=5 {
                assert_eq!(confirms.on_publish(None, None), number);
            }
            for (number, multiple, taken) in &answers {
                assert!(confirms.on_answer(*number, *multiple, *taken), "{answers:?}");
            }
            let report = confirms.take_report();
            assert_eq!(confirms.unanswered(), unanswered, "{answers:?}");
            assert_eq!((report.confirmed, report.refused), (confirmed, refused), "{answers:?}");
        }
    }

    #[test]
    fn an_answer_for_a_message_never_sent_is_a_fault() {
        let mut confirms = Confirms::default();
        confirms.on_publish(None, None);
        assert!(!confirms.on_answer(2, false, true));
        assert!(!confirms.on_answer(u64::MAX, true, true));
        assert!(!confirms.on_answer(0, false, true));
        assert_eq!(confirms.unanswered(), 1);
    }

    #[test]
    fn a_returned_message_is_matched_to_its_number() {
        let mut confirms = Confirms::default();
        for key in ["a", "b", "a", "b"] {
            confirms.on_publish(Some(hash(key)), None);
        }
        confirms.on_return(hash("b"), 312, "NO_ROUTE");
        confirms.on_return(hash("b"), 312, "NO_ROUTE");
        confirms.on_return(hash("never sent"), 312, "NO_ROUTE");
        confirms.on_answer(4, true, true);
        let report = confirms.take_report();
        assert_eq!((report.confirmed, report.unroutable), (2, 2));
        let numbers: Vec<u64> = report.failed.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 4]);
    }

    #[test]
    fn a_message_whose_properties_the_broker_changed_is_matched_by_its_route() {
        let mut confirms = Confirms::default();
        confirms.on_publish(Some(hash("a")), None);
        confirms.on_return(MessageHash::new("x", "a", &[1, 2, 3], b"body"), 312, "NO_ROUTE");
        confirms.on_answer(1, false, true);
        assert_eq!(confirms.take_report().unroutable, 1);
    }

    #[test]
    fn who_waits_for_one_message_is_told() {
        let mut confirms = Confirms::default();
        let (tx, mut rx) = oneshot::channel();
        confirms.on_publish(None, Some(tx));
        confirms.on_answer(1, false, false);
        assert_eq!(rx.try_recv(), Ok(PublishOutcome::Refused));
    }
}
