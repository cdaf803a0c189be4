//! The histories of all objects whose numbers change.
//!
//! Memory: at most [`BYTES_MAX`], however many objects there are. If they take more, those that have not changed for the
//! longest time go first; an object without a history is told as if it had always been as it is now. An idle queue has
//! none.

use std::collections::HashMap;

use super::history::{KEPT_S, NumberHistory};
use super::subject::Subject;

/// Bytes of all histories: 1,300 objects that change all the time for 30 days, or 35,000 that change now and then.
const BYTES_MAX: usize = 32 << 20;
/// The part of them that is left when they have become too many.
const BYTES_AFTER: usize = BYTES_MAX / 4 * 3;
/// The time after which an object that has not changed needs no history.
const IDLE_MAX_S: u64 = KEPT_S[KEPT_S.len() - 1];

/// The histories of all objects whose numbers change.
#[derive(Debug, Default)]
pub(super) struct Histories {
    all: HashMap<Subject, NumberHistory>,
}

impl Histories {
    /// Notes the values of an object; `before` are those of the last sample that knew it.
    pub(super) fn note(
        &mut self,
        subject: &Subject,
        before: Option<&[u64]>,
        values: &[u64],
        now_s: u64,
    ) {
        if let Some(history) = self.all.get_mut(subject)
            && history.newest().len() == values.len()
        {
            if history.newest() != values {
                history.note(values, now_s);
            }
            return;
        }
        let zeros = vec![0; values.len()];
        let before = before.filter(|before| before.len() == values.len()).unwrap_or(&zeros);
        if before != values {
            let mut history = NumberHistory::new(before, now_s);
            history.note(values, now_s);
            self.all.insert(subject.clone(), history);
        }
    }

    /// Forgets objects that are gone or idle, and more if the rest takes too much memory.
    pub(super) fn tidy(&mut self, is_there: impl Fn(&Subject) -> bool, now_s: u64) {
        let is_idle =
            |history: &NumberHistory| now_s.saturating_sub(history.changed_at_s()) > IDLE_MAX_S;
        self.all.retain(|subject, history| is_there(subject) && !is_idle(history));
        let mut bytes = self.bytes();
        if bytes <= BYTES_MAX {
            return;
        }
        let mut oldest: Vec<_> = self
            .all
            .iter()
            .map(|(subject, history)| (history.changed_at_s(), subject.clone()))
            .collect();
        oldest.sort_by_key(|(changed_at, subject)| (subject.is_sum(), *changed_at));
        for (_, subject) in oldest {
            if bytes <= BYTES_AFTER {
                break;
            }
            bytes -= self.all.remove(&subject).map_or(0, |history| history.bytes());
        }
        self.all.shrink_to_fit();
    }

    /// The values of an object at these times, the newest first; none if it has no history.
    pub(super) fn at(
        &self,
        subject: &Subject,
        times_s: &[u64],
        now_s: u64,
    ) -> Option<Vec<Box<[u64]>>> {
        self.all.get(subject).map(|history| history.at(times_s, now_s))
    }

    fn bytes(&self) -> usize {
        self.all.values().map(NumberHistory::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ShortStr;

    fn queue(number: u64) -> Subject {
        let name = ShortStr::truncated(&number.to_string());
        Subject::Queue(ShortStr::truncated("/"), name)
    }

    #[test]
    fn objects_that_never_change_have_no_history() {
        let mut histories = Histories::default();
        for now in (0..600).step_by(5) {
            for number in 0..100 {
                histories.note(&queue(number), Some(&[number; 9]), &[number; 9], now);
                histories.note(&queue(1000 + number), None, &[0; 9], now);
            }
            histories.tidy(|_| true, now);
        }
        assert_eq!(histories.bytes(), 0);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut histories = Histories::default();
        histories.note(&queue(1), None, &[1], 5);
        histories.tidy(|_| true, 5);
        assert!(histories.at(&queue(1), &[5], 5).is_some());
        histories.tidy(|_| false, 10);
        assert_eq!(histories.bytes(), 0);
    }

    #[test]
    fn the_memory_of_many_objects_is_bounded_and_the_sums_stay() {
        let mut histories = Histories::default();
        histories.note(&Subject::Messages, None, &[1], 0);
        for number in 0..60_000 {
            histories.note(&queue(number), None, &[1; 9], number / 1000);
        }
        assert!(histories.bytes() > BYTES_MAX);
        histories.tidy(|_| true, 60);
        assert!(histories.bytes() <= BYTES_AFTER);
        assert!(histories.at(&Subject::Messages, &[0], 60).is_some());
        assert!(histories.at(&queue(59_999), &[0], 60).is_some());
        assert!(histories.at(&queue(0), &[0], 60).is_none());
    }
}
