//! How long a client may keep deliveries to itself (`consumer_timeout`): a channel with one that is unacknowledged for
//! longer is closed, and what it holds goes back.
//!
//! A delivery costs nothing for it. Now and then each channel notes which tag it gave last; what is still open of a
//! note that is as old as the timeout came too long ago. So a channel is closed up to one [`Patience::interval`] late,
//! as RabbitMQ does it by its channels' ticks. Begin with [`Session::lose_patience`].

use std::collections::VecDeque;

use super::Session;
use super::channel::Channel;
use super::{Phase, Running};
use crate::broker::queue::Millis;
use crate::wire::{Fault, ReplyCode};

/// How often channels are looked at, at most and at least.
const INTERVAL_MS: std::ops::RangeInclusive<Millis> = 10..=5_000;

/// The limit of a connection's channels, and when they are looked at next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    timeout_ms: Millis,
    pub(super) looks_at: Millis,
}

impl Patience {
    pub(super) fn new(timeout_ms: Millis, now: Millis) -> Self {
        let fresh = Self { timeout_ms, looks_at: now };
        Self { looks_at: now.saturating_add(fresh.interval()), ..fresh }
    }

    fn interval(self) -> Millis {
        (self.timeout_ms / 10).clamp(*INTERVAL_MS.start(), *INTERVAL_MS.end())
    }
}

/// Which tags a channel had given when it was looked at.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<(u64, Millis)>);

impl Notes {
    /// Whether the oldest delivery that is not settled was given `timeout_ms` ago; notes the last one given.
    fn is_overdue(
        &mut self,
        oldest: Option<u64>,
        last: u64,
        timeout_ms: Millis,
        now: Millis,
    ) -> bool {
        let Some(oldest) = oldest else {
            self.0.clear();
            return false;
        };
        // What is settled is of no interest any more.
        while self.0.pop_front_if(|(tag, _)| *tag < oldest).is_some() {}
        if self.0.back().is_none_or(|(tag, _)| *tag < last) {
            self.0.push_back((last, now));
        }
        self.0.front().is_some_and(|(_, at)| at.saturating_add(timeout_ms) <= now)
    }
}

impl Running {
    /// The channels whose clients have kept a delivery for too long.
    fn overdue(&mut self, now: Millis) -> Vec<u16> {
        let Some(patience) = &mut self.patience else { return Vec::new() };
        if now < patience.looks_at {
            return Vec::new();
        }
        patience.looks_at = now.saturating_add(patience.interval());
        let timeout_ms = patience.timeout_ms;
        let is_overdue = |channel: &mut Channel| {
            let oldest = channel.unacked.first_tag();
            channel.notes.is_overdue(oldest, channel.last_tag, timeout_ms, now)
        };
        let channels = self.channels.values_mut();
        let overdue = channels.filter_map(|channel| is_overdue(channel).then_some(channel.number));
        overdue.collect()
    }
}

impl Session {
    /// Closes the channels whose clients have kept a delivery for too long.
    pub(super) fn lose_patience(&mut self, now: Millis, out: &mut Vec<u8>) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Some(Patience { timeout_ms, .. }) = running.patience else { return };
        for number in running.overdue(now) {
            let text = format!(
                "delivery acknowledgement on channel {number} timed out. Timeout value used: {timeout_ms} ms. \
                 This timeout value can be configured, see consumers doc guide to learn more"
            );
            self.on_fault(number, &Fault::new(ReplyCode::PreconditionFailed, text), now, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_before_a_note_is_overdue_when_the_note_is_old() {
        let mut notes = Notes::default();
        let mut look = |oldest, last, now| notes.is_overdue(oldest, last, 100, now);
        assert!(!look(None, 0, 0));
        assert!(!look(Some(1), 3, 10));
        assert!(!look(Some(1), 5, 20));
        assert!(!look(Some(3), 5, 109));
        // The third was given before the first note, the fourth after it.
        assert!(look(Some(3), 5, 110));
        assert!(!look(Some(4), 5, 119));
        assert!(look(Some(4), 5, 120));
        assert!(!look(None, 5, 130));
        assert!(!look(Some(6), 6, 140));
        assert!(look(Some(6), 6, 240));
    }
}
