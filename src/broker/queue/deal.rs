//! Deals the messages that wait to the consumers of a queue.

use super::limits::Expired;
use super::state::State;
use crate::broker::mailbox::Post;
use crate::broker::time::Millis;
use crate::moment;

impl State {
    /// Hands waiting messages to consumers with credit, one each in turn (RabbitMQ: round-robin).
    ///
    /// Cost: one mailbox lock for a run of messages to one consumer.
    #[inline]
    pub(super) fn deal(&mut self, now: Millis) {
        moment::reach_locked("queue.deal");
        let mut has_dealt = false;
        while !self.backlog.is_empty() {
            // A message that expires just now may still be delivered (a time to live of 0 means "at once or never").
            if self.expire(now.saturating_sub(1)) == Expired::Some {
                return;
            }
            let alone = self.consumers.len() == 1
                && !self.backlog.has_deadlines()
                && !self.backlog.has_priorities();
            let Some(consumer) = self.consumers.next() else { break };
            if self.backlog.is_front_missing() {
                self.ask_to_read(now);
                return;
            }
            let run = if alone { consumer.credit() } else { 1 };
            let subscription = consumer.subscription();
            let no_ack = subscription.no_ack;
            let Some(share) = consumer.share() else {
                self.consumers.block_front();
                continue;
            };
            let mut open = subscription.mailbox.open();
            let (mut taken, mut bytes) = (0, 0);
            while taken < run && open.has_room() {
                let Some(entry) = self.backlog.pop_resident() else { break };
                self.counters.redeliver += u64::from(entry.is_redelivered());
                bytes += u64::from(entry.body_len);
                if !no_ack {
                    self.after_unlock.delivered(&entry);
                }
                open.push(Post::Delivery { slot: subscription.slot, entry });
                taken += 1;
            }
            if taken == 0 {
                open.turn_away(subscription.slot);
            }
            // Counted before the other side can see them, and so before it can settle them.
            share.count(&subscription.limit, taken);
            drop(open);
            if no_ack {
                self.counters.deliver_no_ack += u64::from(taken);
            } else {
                self.counters.deliver += u64::from(taken);
                self.unacked.add(taken.into(), bytes);
            }
            consumer.count_deliveries(taken);
            if taken == 0 {
                self.consumers.block_front();
            } else {
                has_dealt = true;
                self.consumers.rotate();
                self.backlog.select_highest();
            }
        }
        if has_dealt && self.backlog.is_missing_any() {
            self.ask_ahead(now);
        }
    }
}
