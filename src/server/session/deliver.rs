//! Deliveries to consumers, direct replies, and the notice that a consumer is cancelled.

use std::sync::Arc;

use super::consumers::Annotation;
use super::outgoing::{Deliver, OutgoingDelivery, write_annotated_delivery, write_delivery};
use super::state::Running;
use super::unacked::Unacked;
use crate::broker::entry::Entry;
use crate::broker::mailbox::ConsumerSlot;
use crate::broker::message::Message;
use crate::broker::time::Millis;
use crate::moment;
use crate::wire::frame;
use crate::wire::method::basic;

impl Running {
    /// Sends a message that a queue has dealt to a consumer.
    ///
    /// Cost: two look-ups by index and hash, one append, one unacked entry unless the consumer needs no
    /// acknowledgements.
    #[inline]
    pub(super) fn on_delivery(
        &mut self,
        slot: ConsumerSlot,
        entry: Entry,
        now: Millis,
        out: &mut Vec<u8>,
    ) {
        let Some(source) = self.consumers.get(slot) else { return };
        let Some(channel) = self.channels.get_mut(&source.channel) else { return };
        let mut leaving = OutgoingDelivery::new(entry, &source.origin, now);
        moment::reach("session.delivery");
        let entry = leaving.entry();
        channel.last_tag += 1;
        // A stream counts no deliveries.
        let redelivered = entry.is_redelivered() && !source.annotates.is_offset();
        let delivery = Deliver {
            channel: source.channel,
            consumer_tag: &source.tag,
            tag: channel.last_tag,
            redelivered,
            message: entry.message(),
        };
        if source.annotates == Annotation::Nothing {
            write_delivery(out, &delivery, self.frame_max);
        } else {
            write_annotated_delivery(out, &delivery, entry, source.annotates, self.frame_max);
        }
        let queue = source.origin.queue.name();
        self.publisher.trace_delivery(delivery.message, queue, redelivered, source.channel, now);
        if source.annotates.is_offset() {
            // The stream keeps it, and it does not come back.
            leaving.entry_mut().message = None;
        }
        channel.info.counters.redeliver.add(u64::from(redelivered));
        channel.info.active_at.set(now);
        if source.origin.no_ack {
            channel.info.counters.deliver_no_ack.add(1);
            if let Some(place) = leaving.end().place {
                self.round.settled.push(place);
            }
        } else {
            channel.info.counters.deliver.add(1);
            let origin = Arc::clone(&source.origin);
            leaving.entry_mut().forget_message();
            let entry = leaving.end();
            let tag = channel.last_tag;
            channel.unacked.push(Unacked { tag, origin, entry, delivered_at: now });
            channel.info.unacked.set(channel.unacked.len() as u64);
        }
    }

    /// Sends a direct reply.
    pub(super) fn on_reply(&mut self, number: u16, message: &Message, out: &mut Vec<u8>) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let Some(reply) = &channel.reply else { return };
        channel.last_tag += 1;
        let delivery = Deliver {
            channel: number,
            consumer_tag: &reply.tag,
            tag: channel.last_tag,
            redelivered: false,
            message,
        };
        write_delivery(out, &delivery, self.frame_max);
        channel.info.counters.deliver_no_ack.add(1);
    }

    /// Forgets a consumer whose queue is gone, and sends `basic.cancel` if the client can take it.
    pub(super) fn on_cancelled(&mut self, slot: ConsumerSlot, out: &mut Vec<u8>) {
        let Some(source) = self.consumers.get(slot) else { return };
        let (number, tag) = (source.channel, source.tag.clone());
        self.consumers.release(slot);
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.consumers.remove(&tag);
        channel.info.consumers.set(channel.consumers.len() as u64);
        if self.wants_cancel_notify {
            let cancel = basic::Cancel { consumer_tag: tag, nowait: true };
            frame::write_method(out, number, &cancel.into());
        }
    }
}
