//! How long a client may keep deliveries to itself (`consumer_timeout`): a channel with one that is unacknowledged for
//! longer is closed, and what it holds goes back.
//!
//! RabbitMQ 4.3 is kinder to quorum queues' consumers, the only ones it times: such a consumer is cancelled where its
//! client knows how to be told, and its overdue deliveries go back. Their tags may still be settled, to no effect.
//!
//! A delivery costs nothing for it. Now and then each channel notes which tag it gave last; what is still open of a
//! note that is as old as the timeout came too long ago. So a channel is closed up to one [`Looks::interval`] late,
//! as RabbitMQ does it by its channels' ticks. Begin with [`Session::lose_patience`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::Channel;
use super::deliver::Origin;
use super::settle::Outcome;
use super::{Context, Phase, Running, Session};
use crate::broker::mailbox::{ConsumerSlot, Post};
use crate::broker::queue::{Millis, Patience};
use crate::wire::{Fault, ReplyCode};

/// How often channels are looked at, at least and at most.
const INTERVAL_MS: std::ops::RangeInclusive<Millis> = 100..=5_000;

/// Notes that a channel keeps; of more, every other one is forgotten.
const NOTES_MAX: usize = 64;

/// When a connection's channels are looked at next, and how often: by the shortest time there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    shortest_ms: Millis,
    pub(super) at: Millis,
}

impl Looks {
    pub(super) fn new(shortest_ms: Millis, now: Millis) -> Self {
        let fresh = Self { shortest_ms, at: now };
        Self { at: now.saturating_add(fresh.interval()), ..fresh }
    }

    fn interval(self) -> Millis {
        (self.shortest_ms / 10).clamp(*INTERVAL_MS.start(), *INTERVAL_MS.end())
    }
}

/// Which tags a channel had given when it was looked at.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<(u64, Millis)>);

impl Notes {
    /// Notes the last tag given, and forgets what is older than the oldest that is not settled.
    fn note(&mut self, oldest: Option<u64>, last: u64, now: Millis) {
        let Some(oldest) = oldest else {
            self.0.clear();
            return;
        };
        // What is settled is of no interest any more.
        while self.0.pop_front_if(|(tag, _)| *tag < oldest).is_some() {}
        if self.0.back().is_none_or(|(tag, _)| *tag < last) {
            self.0.push_back((last, now));
        }
        if self.0.len() > NOTES_MAX {
            // The last one stays; who was on a note that goes is thought to be as young as the next.
            let mut is_kept = self.0.len().is_multiple_of(2);
            self.0.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
        }
    }

    /// By when a delivery had been given for certain.
    fn given_by(&self, tag: u64) -> Option<Millis> {
        let at = self.0.partition_point(|(noted, _)| *noted < tag);
        self.0.get(at).map(|(_, at)| *at)
    }

    fn is_overdue(&self, tag: u64, timeout_ms: Millis, now: Millis) -> bool {
        self.given_by(tag).is_some_and(|at| at.saturating_add(timeout_ms) <= now)
    }
}

/// What a channel keeps for too long.
enum Overdue {
    /// Something, and this was the time for it.
    Channel(Millis),
    /// Deliveries of one origin each up to a tag.
    Origins(Vec<(Arc<Origin>, u64, Millis)>),
}

impl Channel {
    /// What is kept for too long, if anything: only the oldest delivery counts (RabbitMQ 4:
    /// `rabbit_channel:evaluate_consumer_timeout`).
    fn overdue(&self, node_ms: Option<Millis>, now: Millis) -> Option<Overdue> {
        let (tag, origin) = self.unacked.iter().next()?;
        let timeout_ms = timeout_of(origin, node_ms)?;
        self.notes.is_overdue(tag, timeout_ms, now).then_some(Overdue::Channel(timeout_ms))
    }

    /// The same for 4.3, where each delivery counts.
    ///
    /// Cost: a look at each delivery that is older than the shortest time.
    fn overdue_4_3(&self, node_ms: Option<Millis>, looks: Looks, now: Millis) -> Option<Overdue> {
        let mut overdue: Vec<(Arc<Origin>, u64, Millis)> = Vec::new();
        let mut last: Option<(&Arc<Origin>, Option<Millis>)> = None;
        let is_old = |tag: u64| self.notes.is_overdue(tag, looks.shortest_ms, now);
        for (tag, origin) in self.unacked.iter().take_while(|(tag, _)| is_old(*tag)) {
            let timeout_ms = match last {
                _ if origin.is_void => continue,
                Some((known, timeout_ms)) if Arc::ptr_eq(known, origin) => timeout_ms,
                Some(_) | None => timeout_of(origin, node_ms),
            };
            last = Some((origin, timeout_ms));
            let Some(timeout_ms) = timeout_ms else { continue };
            if !self.notes.is_overdue(tag, timeout_ms, now) {
                continue;
            }
            match overdue.iter_mut().rev().find(|(known, ..)| Arc::ptr_eq(known, origin)) {
                Some((_, up_to, _)) => *up_to = tag,
                None if origin.consumer.is_none() => return Some(Overdue::Channel(timeout_ms)),
                None => overdue.push((Arc::clone(origin), tag, timeout_ms)),
            }
        }
        (!overdue.is_empty()).then_some(Overdue::Origins(overdue))
    }
}

fn timeout_of(origin: &Origin, node_ms: Option<Millis>) -> Option<Millis> {
    origin.queue.consumer_timeout(Patience { consumer_ms: origin.timeout_ms, node_ms })
}

impl Running {
    /// Looks at the channels as often as the time for deliveries of this origin asks for.
    pub(super) fn be_patient(&mut self, origin: &Origin, cx: &Context, now: Millis) {
        let node_ms = cx.broker.limits.consumer_timeout_ms;
        let Some(timeout_ms) = timeout_of(origin, node_ms) else { return };
        match self.looks {
            Some(looks) if looks.shortest_ms <= timeout_ms => {}
            Some(_) | None => self.looks = Some(Looks::new(timeout_ms, now)),
        }
    }

    /// The queue of a consumer has another time.
    pub(super) fn on_time_limited(&mut self, slot: ConsumerSlot, cx: &Context, now: Millis) {
        if let Some(source) = self.sources.get(slot) {
            let origin = Arc::clone(&source.origin);
            self.be_patient(&origin, cx, now);
        }
    }

    /// The channels whose clients have kept a delivery for too long.
    fn overdue(&mut self, cx: &Context, now: Millis) -> Vec<(u16, Overdue)> {
        let Some(looks) = &mut self.looks else { return Vec::new() };
        if now < looks.at {
            return Vec::new();
        }
        looks.at = now.saturating_add(looks.interval());
        let (looks, node_ms) = (*looks, cx.broker.limits.consumer_timeout_ms);
        let is_4_3 = cx.broker.compat().is_strict();
        let overdue_of = |channel: &mut Channel| {
            channel.notes.note(channel.unacked.first_tag(), channel.last_tag, now);
            let overdue = if is_4_3 {
                channel.overdue_4_3(node_ms, looks, now)
            } else {
                channel.overdue(node_ms, now)
            };
            overdue.map(|overdue| (channel.number, overdue))
        };
        self.channels.values_mut().filter_map(|channel| overdue_of(channel)).collect()
    }

    /// Takes overdue deliveries of a consumer back and cancels it.
    fn give_up_on(
        &mut self,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        number: u16,
        (origin, up_to): (&Arc<Origin>, u64),
        now: Millis,
        out: &mut Vec<u8>,
    ) {
        let is_its = |slot: &ConsumerSlot| {
            self.sources.get(*slot).is_some_and(|source| Arc::ptr_eq(&source.origin, origin))
        };
        let Some(channel) = self.channels.get(&number) else { return };
        // Its client may have cancelled it long ago.
        let consumer = channel.consumers.iter().find(|(_, slot)| is_its(slot));
        let consumer = consumer.map(|(tag, slot)| (tag.clone(), *slot));
        let handing_over = consumer.as_ref().and_then(|(_, slot)| self.unsubscribe(*slot, now));
        // What was dealt before the consumer left is sent before it is cancelled.
        self.flush_posts(cx, posts, None, now, out);
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let taken = channel.unacked.take_back(origin, up_to);
        channel.has_void = true;
        self.settle_now(number, taken, Outcome::Requeue { is_failure: false }, now);
        if let Some((tag, slot)) = consumer
            && self.sources.get(slot).is_some()
        {
            self.on_cancelled(slot, out);
            tracing::info!(connection = %cx.connection.peer.name, channel = number, %tag, "consumer timed out");
        }
        if let Some(queue) = handing_over {
            queue.hand_over(now);
        }
    }
}

impl Session {
    /// Closes the channels whose clients have kept a delivery for too long, or cancels the consumers that have.
    pub(super) fn lose_patience(&mut self, now: Millis, out: &mut Vec<u8>) {
        let Phase::Running(running) = &mut self.phase else { return };
        for (number, overdue) in running.overdue(&self.cx, now) {
            let Phase::Running(running) = &mut self.phase else { return };
            let timeout_ms = match overdue {
                Overdue::Origins(origins) if running.wants_cancel_notify => {
                    for (origin, up_to, _) in origins {
                        let late = (&origin, up_to);
                        running.give_up_on(&self.cx, &mut self.posts, number, late, now, out);
                    }
                    continue;
                }
                Overdue::Origins(origins) => {
                    origins.first().map_or(0, |(.., timeout_ms)| *timeout_ms)
                }
                Overdue::Channel(timeout_ms) => timeout_ms,
            };
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
        let mut look = |oldest: Option<u64>, last, now| {
            notes.note(oldest, last, now);
            oldest.is_some_and(|oldest| notes.is_overdue(oldest, 100, now))
        };
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

    /// A short time of another queue has the channel looked at very often.
    #[test]
    fn a_channel_keeps_few_notes_and_the_last_one() {
        let mut notes = Notes::default();
        for now in 1..=10_000 {
            notes.note(Some(1), now, now);
            assert!(notes.0.len() <= NOTES_MAX, "at {now}");
            assert_eq!(notes.given_by(now), Some(now));
        }
        assert_eq!(notes.given_by(1), Some(1));
    }
}
