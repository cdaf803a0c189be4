//! Consumers and what is dealt to them: `basic.consume`, `cancel`, `get`, `qos`, and deliveries from the mailbox.

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::ReplyConsumer;
use super::deliver::{
    Delivery, Origin, Source, Unacked, write_annotated_delivery, write_delivery, write_get_ok,
};
use super::publish::unique_name;
use super::{Context, Running};
use crate::broker::arguments::queue_noun;
use crate::broker::auth::{Resource, Right};
use crate::broker::compat::Compat;
use crate::broker::mailbox::{ConsumerSlot, Post};
use crate::broker::message::Message;
use crate::broker::queue::{EndIf, Entry, Left, Millis, Queue, Subscription};
use crate::broker::replies::REPLY_TO;
use crate::wire::frame;
use crate::wire::method::basic;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, ShortStr};

fn precondition(text: &str) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// Checks the arguments of `basic.consume`.
fn check_arguments(arguments: &FieldTable, noun: &str, compat: Compat) -> Result<(), Fault> {
    let invalid = |name: &str, why: &str| {
        Err(precondition(&format!("invalid arg '{name}' for {noun}: {why}")))
    };
    let no_integer = |kind: &str| format!("\"expected integer, got {kind}\"");
    if let Some(value) = arguments.get("x-priority")
        && value.as_integer().is_none()
    {
        return invalid("x-priority", &no_integer(value.type_name()));
    }
    let failover = "x-cancel-on-ha-failover";
    match arguments.get(failover).filter(|_| compat.is_3_10()) {
        None | Some(FieldValue::Bool(_)) => {}
        Some(value) => {
            return invalid(failover, &format!("{{unacceptable_type,{}}}", value.type_name()));
        }
    }
    let timeout = "x-consumer-timeout";
    match arguments.get(timeout).filter(|_| compat.is_strict()) {
        None => Ok(()),
        Some(value) => match value.as_integer() {
            None => invalid(timeout, &no_integer(value.type_name())),
            Some(number) if number < 0 => invalid(timeout, &format!("{{value_negative,{number}}}")),
            Some(_) => Ok(()),
        },
    }
}

/// `x-consumer-timeout`, which only 4.3 reads.
fn consumer_timeout(arguments: &FieldTable) -> Option<Millis> {
    let value = arguments.get("x-consumer-timeout").and_then(FieldValue::as_integer);
    value.and_then(|ms| Millis::try_from(ms).ok())
}

impl Running {
    pub(super) fn on_consume(
        &mut self,
        cx: &Context,
        number: u16,
        consume: basic::Consume,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let channel = self.channel(number)?;
        let tag = match consume.consumer_tag.as_str() {
            "" => unique_name("amq.ctag-"),
            _ => consume.consumer_tag.clone(),
        };
        if consume.queue == REPLY_TO {
            return self.on_consume_replies(cx, number, &consume, tag, out);
        }
        if channel.consumers.contains_key(&tag) {
            let text = format!("attempt to reuse consumer tag '{tag}'");
            return Err(Fault::new(ReplyCode::NotAllowed, text));
        }
        cx.broker.limits.check_consumers(channel.consumers.len())?;
        let name = channel.queue_name(&consume.queue)?;
        self.rights.check(Right::Read, Resource::Queue(&name))?;
        let channel = self.channel(number)?;
        let (prefetch, limit) = (channel.prefetch, Arc::clone(&channel.limit));
        let queue = self.vhost.queue(&name, cx.connection.id)?;
        queue.check_consumer_arguments(&consume.arguments)?;
        let noun = queue_noun(&name, self.vhost.name());
        if queue.is_quorum() && limit.most() > 0 {
            let text = format!("{noun} does not support global qos");
            return Err(Fault::new(ReplyCode::NotImplemented, text));
        }
        check_arguments(&consume.arguments, &noun, cx.broker.compat())?;
        let slot = self.sources.reserve();
        let no_ack = consume.no_ack;
        let timeout_ms = consumer_timeout(&consume.arguments);
        let subscription = Subscription {
            tag: tag.clone(),
            connection: Arc::clone(&cx.connection.peer.name),
            channel: number,
            slot,
            mailbox: Arc::clone(&cx.connection.mailbox),
            limit,
            prefetch,
            no_ack,
            exclusive: consume.exclusive,
            arguments: consume.arguments,
        };
        let consumer = match queue.subscribe(subscription, now) {
            Ok(id) => Some(id),
            Err(fault) => {
                self.sources.release(slot);
                return Err(fault);
            }
        };
        let is_stream = queue.is_stream();
        let annotates = is_stream || queue.is_quorum();
        let origin =
            Arc::new(Origin { queue, consumer, no_ack, is_stream, timeout_ms, is_void: false });
        self.be_patient(&origin, cx, now);
        self.sources.set(slot, Source { channel: number, tag: tag.clone(), annotates, origin });
        let channel = self.channel(number)?;
        channel.consumers.insert(tag.clone(), slot);
        channel.info.consumers.set(channel.consumers.len() as u64);
        if !consume.nowait {
            frame::write_method(out, number, &basic::ConsumeOk { consumer_tag: tag }.into());
        }
        Ok(())
    }

    /// Registers the channel for direct replies.
    fn on_consume_replies(
        &mut self,
        cx: &Context,
        number: u16,
        consume: &basic::Consume,
        tag: ShortStr,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let channel = self.channel(number)?;
        if !consume.no_ack {
            return Err(precondition("reply consumer cannot acknowledge"));
        }
        if channel.reply.is_some() {
            return Err(precondition("reply consumer already set"));
        }
        let name = cx.broker.replies.add(Arc::clone(&cx.connection.mailbox), number);
        channel.reply = Some(ReplyConsumer { tag: tag.clone(), name });
        if !consume.nowait {
            frame::write_method(out, number, &basic::ConsumeOk { consumer_tag: tag }.into());
        }
        Ok(())
    }

    pub(super) fn on_cancel(
        &mut self,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        number: u16,
        cancel: &basic::Cancel,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let tag = &cancel.consumer_tag;
        let channel = self.channel(number)?;
        if let Some(slot) = channel.consumers.remove(tag) {
            channel.info.consumers.set(channel.consumers.len() as u64);
            let handing_over = self.unsubscribe(slot, now);
            // What was dealt before the consumer left is sent before `cancel-ok`.
            self.flush_posts(cx, posts, None, now, out);
            // The news that its queue is gone may have been among them, and has released the slot.
            if self.sources.get(slot).is_some() {
                self.sources.release(slot);
            }
            if let Some(queue) = handing_over {
                queue.hand_over(now);
            }
        } else if channel.reply.as_ref().is_some_and(|reply| reply.tag == *tag)
            && let Some(reply) = channel.reply.take()
        {
            cx.broker.replies.remove(&reply.name);
        }
        if !cancel.nowait {
            let cancel_ok = basic::CancelOk { consumer_tag: tag.clone() };
            frame::write_method(out, number, &cancel_ok.into());
        }
        Ok(())
    }

    /// Takes a consumer away from its queue, which may be the end of that queue. Answers with the queue if it is to be
    /// told when everything is back ([`Queue::hand_over`]).
    pub(super) fn unsubscribe(&self, slot: ConsumerSlot, now: Millis) -> Option<Arc<Queue>> {
        let source = self.sources.get(slot)?;
        let Origin { queue, consumer: Some(id), .. } = &*source.origin else { return None };
        match queue.unsubscribe(*id, now) {
            Left::Stays => None,
            Left::HandsOver => Some(Arc::clone(queue)),
            Left::DeleteQueue => {
                let only = EndIf { unused: true, ..EndIf::default() };
                self.vhost.remove_queue(queue, only, now);
                // Somebody else may use it by now, and then it stays.
                Some(Arc::clone(queue))
            }
        }
    }

    /// The same for all consumers of a channel.
    pub(super) fn unsubscribe_channel(&self, number: u16, now: Millis) -> Vec<Arc<Queue>> {
        let Some(channel) = self.channels.get(&number) else { return Vec::new() };
        let slots = channel.consumers.values();
        slots.filter_map(|slot| self.unsubscribe(*slot, now)).collect()
    }

    /// The same for all consumers of a connection.
    pub(super) fn unsubscribe_all(&self, now: Millis) -> Vec<Arc<Queue>> {
        let numbers = self.channels.keys();
        numbers.flat_map(|number| self.unsubscribe_channel(*number, now)).collect()
    }

    pub(super) fn on_get(
        &mut self,
        cx: &Context,
        number: u16,
        get: &basic::Get,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let name = self.channel(number)?.queue_name(&get.queue)?;
        self.rights.check(Right::Read, Resource::Queue(&name))?;
        let queue = self.vhost.queue(&name, cx.connection.id)?;
        let got = queue.get(get.no_ack, now)?;
        let (frame_max, is_traced) = (self.frame_max, self.vhost.is_traced());
        let channel = self.channel(number)?;
        let Some((mut entry, left)) = got else {
            channel.info.counters.get_empty.add(1);
            let empty = basic::GetEmpty { cluster_id: ShortStr::empty() };
            frame::write_method(out, number, &empty.into());
            return Ok(());
        };
        channel.last_tag += 1;
        let tag = channel.last_tag;
        write_get_ok(out, number, tag, &entry, left, frame_max);
        if is_traced {
            let (message, redelivered) = (entry.message(), entry.redelivered);
            channel.tracer.delivered(message, queue.name(), redelivered, number, now);
        }
        if get.no_ack {
            channel.info.counters.get_no_ack.add(1);
            if let Some(place) = entry.place {
                self.disk.settled.push(place);
            }
        } else {
            channel.info.counters.get.add(1);
            let origin = Arc::new(Origin::of_get(queue));
            entry.forget_message();
            channel.unacked.push(Unacked { tag, origin: Arc::clone(&origin), entry });
            self.be_patient(&origin, cx, now);
        }
        Ok(())
    }

    /// RabbitMQ 4.3 takes a prefetch of the channel for one of each consumer (`global_qos` is deprecated).
    pub(super) fn on_qos(
        &mut self,
        cx: &Context,
        number: u16,
        qos: &basic::Qos,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if qos.prefetch_size != 0 {
            let text = format!("prefetch_size!=0 ({})", qos.prefetch_size);
            return Err(Fault::new(ReplyCode::NotImplemented, text));
        }
        let channel = self.channel(number)?;
        let count = u32::from(qos.prefetch_count);
        if qos.global && !cx.broker.compat().is_strict() {
            channel.limit.set_most(count);
            channel.info.global_prefetch.set(u64::from(count));
            self.resume_channel(number, now);
        } else {
            channel.prefetch = count;
            channel.info.prefetch.set(u64::from(count));
        }
        frame::write_method(out, number, &basic::QosOk {}.into());
        Ok(())
    }

    /// Asks the queues of a channel's consumers to deal again, another one first each time: what the channel's limit
    /// leaves goes round (RabbitMQ: `rabbit_limiter:notify_queues`, which takes turns by chance).
    pub(super) fn resume_channel(&mut self, number: u16, now: Millis) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.resumed = channel.resumed.wrapping_add(1);
        let first = channel.resumed;
        let Some(channel) = self.channels.get(&number) else { return };
        self.resume_from(first, channel.consumers.values().copied(), now);
    }

    /// Asks the queues of these consumers to deal to them again, each queue once.
    pub(super) fn resume(&self, slots: impl IntoIterator<Item = ConsumerSlot>, now: Millis) {
        self.resume_from(0, slots, now);
    }

    /// The same, from the `first` queue on, and round to the one before it.
    fn resume_from(
        &self,
        first: usize,
        slots: impl IntoIterator<Item = ConsumerSlot>,
        now: Millis,
    ) {
        let sources = slots.into_iter().filter_map(|slot| self.sources.get(slot));
        let mut origins: Vec<_> = sources.map(|source| &*source.origin).collect();
        origins.sort_by_key(|origin| Arc::as_ptr(&origin.queue));
        let mut of_queues: Vec<_> =
            origins.chunk_by(|one, next| Arc::ptr_eq(&one.queue, &next.queue)).collect();
        let first = first % of_queues.len().max(1);
        of_queues.rotate_left(first);
        for of_queue in of_queues {
            of_queue[0].queue.resume(of_queue.iter().filter_map(|origin| origin.consumer), now);
        }
    }

    /// Sends a message that a queue has dealt to a consumer.
    ///
    /// Cost: two look-ups by index and hash, one append, one unacked entry unless the consumer needs no
    /// acknowledgements.
    #[inline]
    pub(super) fn on_delivery(
        &mut self,
        slot: ConsumerSlot,
        mut entry: Entry,
        now: Millis,
        out: &mut Vec<u8>,
    ) {
        let Some(source) = self.sources.get(slot) else { return };
        let Some(channel) = self.channels.get_mut(&source.channel) else { return };
        channel.last_tag += 1;
        let delivery = Delivery {
            channel: source.channel,
            consumer_tag: &source.tag,
            tag: channel.last_tag,
            redelivered: entry.redelivered,
            message: entry.message(),
        };
        if source.annotates {
            let is_stream = source.origin.is_stream;
            write_annotated_delivery(out, &delivery, &entry, is_stream, self.frame_max);
        } else {
            write_delivery(out, &delivery, self.frame_max);
        }
        if self.vhost.is_traced() {
            let queue = source.origin.queue.name();
            self.tracer.delivered(delivery.message, queue, entry.redelivered, source.channel, now);
        }
        if source.annotates && source.origin.is_stream {
            // The stream keeps it, and it does not come back.
            entry.message = None;
        }
        channel.info.counters.redeliver.add(u64::from(entry.redelivered));
        channel.info.active_at.set(now);
        if source.origin.no_ack {
            channel.info.counters.deliver_no_ack.add(1);
            if let Some(place) = entry.place {
                self.disk.settled.push(place);
            }
        } else {
            channel.info.counters.deliver.add(1);
            let origin = Arc::clone(&source.origin);
            entry.forget_message();
            channel.unacked.push(Unacked { tag: channel.last_tag, origin, entry });
            channel.info.unacked.set(channel.unacked.len() as u64);
        }
    }

    /// Sends a direct reply.
    pub(super) fn on_reply(&mut self, number: u16, message: &Message, out: &mut Vec<u8>) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let Some(reply) = &channel.reply else { return };
        channel.last_tag += 1;
        let delivery = Delivery {
            channel: number,
            consumer_tag: &reply.tag,
            tag: channel.last_tag,
            redelivered: false,
            message,
        };
        write_delivery(out, &delivery, self.frame_max);
        channel.info.counters.deliver_no_ack.add(1);
    }

    /// Tells a client that the queue of one of its consumers is gone.
    pub(super) fn on_cancelled(&mut self, slot: ConsumerSlot, out: &mut Vec<u8>) {
        let Some(source) = self.sources.get(slot) else { return };
        let (number, tag) = (source.channel, source.tag.clone());
        self.sources.release(slot);
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.consumers.remove(&tag);
        channel.info.consumers.set(channel.consumers.len() as u64);
        if self.wants_cancel_notify {
            let cancel = basic::Cancel { consumer_tag: tag, nowait: true };
            frame::write_method(out, number, &cancel.into());
        }
    }
}
