//! A check that every message arrives once, in its publisher's order and unchanged.
//!
//! Publishers count what they send to each queue, consumers note what comes ([`ReceivedMessages`]); after the run both
//! are laid side by side ([`Verdict::of`]). A note costs a bit for each message, and nothing for what came without a
//! gap.

use std::collections::VecDeque;

use crate::client::blocking::Delivered;

use super::stamp::{BodyPattern, EVERY_QUEUE, MessageIdentity, read_head};

/// Numbers in one word of a set.
const WORD_BITS: u64 = 64;

/// The faults that a verified run has found, as numbers of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Sent and not refused, and they never came
    pub lost: u64,
    /// Came once more than they should
    pub duplicates: u64,
    /// Came to a consumer behind one that the same publisher had sent to the same queue later, and was not redelivered
    pub misordered: u64,
    /// Not as they were sent, or in a queue they were not sent to
    pub corrupt: u64,
}

impl Verdict {
    /// Lays side by side how many each publisher sent to each queue (publisher first), how many of all were refused,
    /// and what the consumers have seen. In a fanout each queue gets all, and there is one count a publisher.
    pub(super) fn of(
        sent: &[Vec<u64>],
        refused: u64,
        copies: u64,
        received: Vec<ReceivedMessages>,
    ) -> Self {
        let mut verdict = Self::default();
        let mut seen: Vec<Vec<FromPublisher>> = Vec::new();
        for witness in received {
            verdict.misordered += witness.misordered;
            verdict.corrupt += witness.corrupt;
            verdict.duplicates += witness.duplicates;
            for (queue, publishers) in witness.seen.into_iter().enumerate() {
                let queue = at(&mut seen, queue);
                for (publisher, more) in publishers.into_iter().enumerate() {
                    verdict.duplicates += at(queue, publisher).seen.absorb(more.seen);
                }
            }
        }
        let queues = seen.len().max(sent.iter().map(Vec::len).max().unwrap_or(0));
        for (publisher, counts) in sent.iter().enumerate() {
            for queue in 0..queues {
                let count = if copies > 1 { counts.first() } else { counts.get(queue) };
                let came = seen.get(queue).and_then(|of| of.get(publisher));
                let came = came.map_or(0, |of| of.seen.count());
                verdict.lost += count.map_or(0, |count| count.saturating_sub(came));
            }
        }
        // What the broker has refused it need not deliver.
        verdict.lost = verdict.lost.saturating_sub(refused * copies);
        verdict
    }

    /// True if no fault was found.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    pub fn absorb(&mut self, other: &Self) {
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.misordered += other.misordered;
        self.corrupt += other.corrupt;
    }
}

/// The record of the messages that one consumer got.
#[derive(Debug, Default)]
pub(super) struct ReceivedMessages {
    /// By the place of the queue, and by publisher
    seen: Vec<Vec<FromPublisher>>,
    duplicates: u64,
    misordered: u64,
    corrupt: u64,
}

/// The messages of one publisher in one queue.
#[derive(Debug, Default)]
struct FromPublisher {
    seen: NumberSet,
    highest: Option<u64>,
}

impl ReceivedMessages {
    /// Notes a delivery. `claimed` says how many messages a publisher has sent at most by now, in all; what is not of
    /// a publisher that it knows is corrupt, so that a broken number sizes nothing.
    ///
    /// Cost: a comparison of the body, a bit set.
    pub(super) fn note(
        &mut self,
        delivered: &Delivered<'_>,
        pattern: &BodyPattern,
        claimed: impl Fn(u32) -> Option<u64>,
    ) {
        let queue = delivered.consumer;
        let known = read_head(delivered.body).filter(|identity| {
            (identity.queue == queue || identity.queue == EVERY_QUEUE)
                && claimed(identity.publisher).is_some_and(|sent| identity.sequence < sent)
                && pattern.is_whole(delivered.body, identity.publisher)
        });
        let Some(MessageIdentity { publisher, sequence, .. }) = known else {
            self.corrupt += 1;
            return;
        };
        let of = at(at(&mut self.seen, queue as usize), publisher as usize);
        if !of.seen.insert(sequence) {
            self.duplicates += 1;
        } else if of.highest > Some(sequence) && !delivered.is_redelivered {
            self.misordered += 1;
        }
        of.highest = of.highest.max(Some(sequence));
    }
}

/// The element at `place`; the list grows up to it.
fn at<T: Default>(list: &mut Vec<T>, place: usize) -> &mut T {
    if list.len() <= place {
        list.resize_with(place + 1, T::default);
    }
    &mut list[place]
}

/// A set of numbers of which nearly all up to the largest are in it: those below the first gap cost nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NumberSet {
    /// Every number in front of the first word is in the set.
    full_words: u64,
    words: VecDeque<u64>,
}

impl NumberSet {
    /// Puts a number in; says whether it is new.
    fn insert(&mut self, number: u64) -> bool {
        let Some(word) = (number / WORD_BITS).checked_sub(self.full_words) else { return false };
        let word = usize::try_from(word).unwrap_or(usize::MAX);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (number % WORD_BITS);
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.drop_full_words();
        is_new
    }

    /// Puts another set in; answers how many numbers were in both.
    fn absorb(&mut self, other: Self) -> u64 {
        let before = self.count() + other.count();
        let (mut larger, smaller) = if self.full_words >= other.full_words {
            (std::mem::take(self), other)
        } else {
            (other, std::mem::take(self))
        };
        let skip = larger.full_words - smaller.full_words;
        for (at, bits) in
            (0_u64..).zip(smaller.words).skip(usize::try_from(skip).unwrap_or(usize::MAX))
        {
            let word = usize::try_from(at - skip).unwrap_or(usize::MAX);
            if larger.words.len() <= word {
                larger.words.resize(word + 1, 0);
            }
            larger.words[word] |= bits;
        }
        larger.drop_full_words();
        *self = larger;
        before - self.count()
    }

    fn drop_full_words(&mut self) {
        while self.words.front() == Some(&u64::MAX) {
            self.words.pop_front();
            self.full_words += 1;
        }
    }

    fn count(&self) -> u64 {
        let bits: u64 = self.words.iter().map(|word| u64::from(word.count_ones())).sum();
        self.full_words * WORD_BITS + bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::bench::stamp::write_head;

    const LEN: usize = 100;

    /// The messages a consumer got: queue it came from, publisher, queue it was sent to, sequence, redelivered.
    type Came = (u32, u32, u32, u64, bool);

    fn witness(came: &[Came]) -> ReceivedMessages {
        let pattern = BodyPattern::new(LEN);
        let mut witness = ReceivedMessages::default();
        for (consumer, publisher, queue, sequence, is_redelivered) in came.iter().copied() {
            let mut body = pattern.body(publisher).to_vec();
            write_head(&mut body, 1, MessageIdentity { publisher, queue, sequence });
            let delivered =
                Delivered { consumer, tag: 1, is_redelivered, body: &body, body_len: LEN as u64 };
            witness.note(&delivered, &pattern, |publisher| (publisher < 2).then_some(1000));
        }
        witness
    }

    fn of(publisher: u32, queue: u32, sequences: &[u64]) -> Vec<Came> {
        sequences.iter().map(|sequence| (queue, publisher, queue, *sequence, false)).collect()
    }

    fn verdict(lost: u64, duplicates: u64, misordered: u64, corrupt: u64) -> Verdict {
        Verdict { lost, duplicates, misordered, corrupt }
    }

    #[test]
    fn every_fault_is_found_and_nothing_else() {
        let redelivered = vec![(0, 0, 0, 0, false), (0, 0, 0, 2, false), (0, 0, 0, 1, true)];
        let strayed = vec![(0, 0, 1, 0, false)];
        let stranger = vec![(0, 7, 0, 0, false), (0, 0, 0, 1 << 40, false)];
        #[rustfmt::skip]
        let cases: [(&str, Vec<Came>, Vec<u64>, Verdict); 9] = [
            // what came                                  sent   lost, twice, order, corrupt
            ("all",          of(0, 0, &[0, 1, 2]),        vec![3], verdict(0, 0, 0, 0)),
            ("none",         vec![],                      vec![3], verdict(3, 0, 0, 0)),
            ("the last lost", of(0, 0, &[0, 1]),          vec![3], verdict(1, 0, 0, 0)),
            ("one lost",     of(0, 0, &[0, 2]),           vec![3], verdict(1, 0, 0, 0)),
            ("one twice",    of(0, 0, &[0, 1, 1, 2]),     vec![3], verdict(0, 1, 0, 0)),
            ("one late",     of(0, 0, &[0, 2, 1]),        vec![3], verdict(0, 0, 1, 0)),
            ("redelivered",  redelivered,                 vec![3], verdict(0, 0, 0, 0)),
            ("another queue's", strayed,                  vec![0, 1], verdict(1, 0, 0, 1)),
            ("a stranger's", stranger,                    vec![0], verdict(0, 0, 0, 2)),
        ];
        for (name, came, sent, expected) in cases {
            let verdict = Verdict::of(&[sent], 0, 1, vec![witness(&came)]);
            assert_eq!(verdict, expected, "{name}");
            assert_eq!(verdict.is_clean(), expected == Verdict::default(), "{name}");
        }
    }

    #[test]
    fn consumers_of_one_queue_are_taken_together() {
        let (even, odd): (Vec<u64>, Vec<u64>) = (0..500).partition(|number| number % 2 == 0);
        let both = || vec![witness(&of(0, 0, &even)), witness(&of(0, 0, &odd))];
        assert_eq!(Verdict::of(&[vec![500]], 0, 1, both()), Verdict::default());
        let mut again = both();
        again.push(witness(&of(0, 0, &[7, 8, 9])));
        assert_eq!(Verdict::of(&[vec![500]], 0, 1, again), verdict(0, 3, 0, 0));
    }

    #[test]
    fn publishers_and_queues_are_kept_apart() {
        let came = [of(0, 0, &[0, 1]), of(0, 1, &[0]), of(1, 0, &[0, 1, 2])].concat();
        let sent = [vec![2, 1], vec![3, 1]];
        assert_eq!(Verdict::of(&sent, 0, 1, vec![witness(&came)]), verdict(1, 0, 0, 0));
        assert_eq!(Verdict::of(&sent, 1, 1, vec![witness(&came)]), verdict(0, 0, 0, 0));
    }

    #[test]
    fn in_a_fanout_every_queue_gets_all() {
        let to = |queue, sequences: &[u64]| -> Vec<Came> {
            sequences.iter().map(|number| (queue, 0, EVERY_QUEUE, *number, false)).collect()
        };
        let came = [to(0, &[0, 1, 2]), to(1, &[0, 1])].concat();
        assert_eq!(Verdict::of(&[vec![3, 0]], 0, 2, vec![witness(&came)]), verdict(1, 0, 0, 0));
    }

    #[test]
    fn a_changed_body_is_corrupt() {
        let pattern = BodyPattern::new(LEN);
        let mut body = pattern.body(0).to_vec();
        write_head(&mut body, 1, MessageIdentity { publisher: 0, queue: 0, sequence: 0 });
        body[60] ^= 0x40;
        let mut witness = ReceivedMessages::default();
        let delivered =
            Delivered { consumer: 0, tag: 1, is_redelivered: false, body: &body, body_len: 100 };
        witness.note(&delivered, &pattern, |_| Some(10));
        assert_eq!(Verdict::of(&[vec![1]], 0, 1, vec![witness]), verdict(1, 0, 0, 1));
    }

    #[test]
    fn a_set_without_gaps_costs_nothing() {
        let mut set = NumberSet::default();
        assert!((0..100_000).all(|number| set.insert(number)));
        assert!(set.words.len() <= 1 && !set.insert(5) && set.insert(200_000));
        assert_eq!(set.count(), 100_001);
        let mut other = NumberSet::default();
        other.insert(100_000);
        other.insert(200_000);
        let mut turned = other.clone();
        assert_eq!(turned.absorb(set.clone()), 1);
        assert_eq!(set.absorb(other), 1);
        assert_eq!((set.count(), &turned), (100_002, &set));
    }
}
