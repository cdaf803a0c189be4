//! What clients were told over all rounds, and what must be true of the queues at the end because of it.
//!
//! A message is a publisher's number and its own, and its body follows from both. Start at [`Journal::compare`].

use std::collections::{BTreeMap, BTreeSet};

use super::{FANOUT, FANOUT_QUEUES, TX_FROM, TX_TO};
use crate::support::peer::Peer;

/// What one worker was told in one round.
pub(super) enum Told {
    Published {
        target: &'static str,
        confirmed: BTreeSet<u64>,
        next: u64,
    },
    /// Acknowledgements that were sent, which may have been taken or not.
    Consumed {
        queue: &'static str,
        acked: BTreeSet<u64>,
    },
    Transacted(Transacted),
}

/// What became of transactions.
#[derive(Default)]
pub(super) struct Transacted {
    pub(super) published: BTreeSet<u64>,
    pub(super) moved: BTreeSet<u64>,
    /// Of the commit that was not answered.
    pub(super) perhaps_published: BTreeSet<u64>,
    pub(super) perhaps_moved: BTreeSet<u64>,
    /// Published and rolled back.
    pub(super) rolled_back: BTreeSet<u64>,
    pub(super) next: u64,
}

#[derive(Default)]
pub(super) struct Journal {
    confirmed: BTreeMap<&'static str, BTreeSet<u64>>,
    next: BTreeMap<&'static str, u64>,
    acked: BTreeMap<&'static str, BTreeSet<u64>>,
    transacted: Transacted,
    left: BTreeMap<&'static str, Vec<u64>>,
}

/// The body of a message: its number, then as much as follows from it.
pub(super) fn body(target: &str, number: u64) -> Vec<u8> {
    let words = match target {
        "large" => 2_000 + number % 10_000,
        _ => number * 37 % 200,
    };
    let mut body = number.to_le_bytes().to_vec();
    let word = number.wrapping_mul(0x0101_0101_0101_0101).to_le_bytes();
    body.extend(word.repeat(usize::try_from(words).unwrap()));
    body
}

/// The number in a body, which must be whole.
pub(super) fn number_of(target: &str, bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert!(
        body(target, number) == bytes,
        "message {number} of '{target}' is not as it was published"
    );
    number
}

/// What is published to, where a queue's messages come from.
pub(super) fn target_of(queue: &'static str) -> &'static str {
    match queue {
        _ if FANOUT_QUEUES.contains(&queue) => FANOUT,
        TX_TO => TX_FROM,
        queue => queue,
    }
}

impl Journal {
    /// The number of the next message to a target.
    pub(super) fn next(&self, target: &str) -> u64 {
        self.next.get(target).copied().unwrap_or_default()
    }

    /// Messages that were moved by transactions that are committed.
    pub(super) fn moved(&self) -> BTreeSet<u64> {
        self.transacted.moved.clone()
    }

    pub(super) fn add(&mut self, told: Told) {
        match told {
            Told::Published { target, confirmed, next } => {
                self.confirmed.entry(target).or_default().extend(confirmed);
                self.next.insert(target, next);
            }
            Told::Consumed { queue, acked } => {
                self.acked.entry(queue).or_default().extend(acked);
            }
            Told::Transacted(told) => {
                self.next.insert(TX_FROM, told.next);
                let all = &mut self.transacted;
                all.published.extend(told.published);
                all.moved.extend(told.moved);
                all.perhaps_published.extend(told.perhaps_published);
                all.perhaps_moved.extend(told.perhaps_moved);
                all.rolled_back.extend(told.rolled_back);
            }
        }
    }

    /// Takes everything out of a queue.
    pub(super) fn drain(&mut self, queue: &'static str, peer: &mut Peer) {
        let count = peer.depth(queue);
        peer.consume(queue, 0, true);
        let numbers = (0..count).map(|_| number_of(target_of(queue), &peer.delivered().body));
        self.left.insert(queue, numbers.collect());
    }

    /// Compares what was told with what was left.
    pub(super) fn compare(&self) {
        let mut kept = 0;
        for (queue, left) in &self.left {
            if [TX_FROM, TX_TO].contains(queue) {
                continue;
            }
            assert!(left.is_sorted_by(|one, next| one < next), "'{queue}' is out of order");
            let nothing = BTreeSet::new();
            let acked = self.acked.get(queue).unwrap_or(&nothing);
            let confirmed = &self.confirmed[target_of(queue)];
            let left: BTreeSet<u64> = left.iter().copied().collect();
            let lost: Vec<_> =
                confirmed.iter().filter(|id| !acked.contains(id) && !left.contains(id)).collect();
            assert!(lost.is_empty(), "lost of '{queue}': {lost:?}");
            kept += left.len();
        }
        assert!(kept > 0, "the work was done before anything was killed");
        self.compare_transactions();
    }

    fn compare_transactions(&self) {
        let Transacted { published, moved, perhaps_published, perhaps_moved, rolled_back, .. } =
            &self.transacted;
        let all = |queue| -> BTreeSet<u64> { self.left[queue].iter().copied().collect() };
        let (from, to) = (all(TX_FROM), all(TX_TO));
        assert!(
            self.left[TX_FROM].is_sorted_by(|one, next| one < next),
            "'{TX_FROM}' is out of order"
        );
        let lost: Vec<_> =
            published.iter().filter(|id| !from.contains(id) && !to.contains(id)).collect();
        assert!(lost.is_empty(), "lost of committed transactions: {lost:?}");
        let lost: Vec<_> = moved.iter().filter(|id| !to.contains(id)).collect();
        assert!(lost.is_empty(), "committed, and not in '{TX_TO}': {lost:?}");
        let again: Vec<_> = from.intersection(moved).collect();
        assert!(again.is_empty(), "acknowledged in committed transactions, and back: {again:?}");
        for (queue, left) in [(TX_FROM, &from), (TX_TO, &to)] {
            let unknown: Vec<_> = left
                .iter()
                .filter(|id| !published.contains(id) && !perhaps_published.contains(id))
                .collect();
            assert!(unknown.is_empty(), "never committed, and in '{queue}': {unknown:?}");
            assert!(left.is_disjoint(rolled_back), "rolled back, and in '{queue}'");
        }
        let unmoved: Vec<_> =
            to.iter().filter(|id| !moved.contains(id) && !perhaps_moved.contains(id)).collect();
        assert!(unmoved.is_empty(), "never moved, and in '{TX_TO}': {unmoved:?}");
    }
}
