//! Methods of a consumer, and of a client that polls: `basic.consume`, `cancel`, `get` and `qos`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use super::channel::ReplyConsumer;
use super::consumers::{Annotation, Consumer, DeliveryOrigin};
use super::names::{is_volatile, unique_name};
use super::outgoing::{OutgoingDelivery, write_get_ok};
use super::state::{Context, Running};
use super::unacked::Unacked;
use crate::broker::arguments::queue_noun;
use crate::broker::auth::{Resource, Right};
use crate::broker::compat::{Compat, Feature};
use crate::broker::mailbox::{ConsumerSlot, Post};
use crate::broker::queue::{DeletionIf, GetAnswer, Left, Queue, Refusal, Subscription};
use crate::broker::replies::REPLY_TO;
use crate::broker::time::Millis;
use crate::moment;
use crate::wire::frame;
use crate::wire::method::basic;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, ShortStr};

fn precondition(text: &str) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// Checks the arguments of `basic.consume`.
fn check_arguments(arguments: &FieldTable, queue: &Queue, compat: Compat) -> Result<(), Fault> {
    let invalid = |name: &str, why: &str| {
        Err(precondition(&format!("invalid arg '{name}' for {}: {why}", queue.noun())))
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
    // For other queues it has no meaning, and 4.3 has refused it by now.
    match arguments.get(timeout).filter(|_| queue.is_quorum() && !compat.is_3_10()) {
        None => Ok(()),
        Some(value) => match value.as_integer() {
            None => invalid(timeout, &no_integer(value.type_name())),
            Some(number) if number < 0 => invalid(timeout, &format!("{{value_negative,{number}}}")),
            Some(_) => Ok(()),
        },
    }
}

/// The value of `x-consumer-timeout`, which only quorum queues obey.
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
        cx.broker.limits.get().check_consumers(channel.consumers.len())?;
        let name = channel.queue_name(&consume.queue)?;
        self.rights.check(Right::Read, Resource::Queue(&name))?;
        if is_volatile(&cx.broker, &name) {
            let noun = queue_noun(&name, self.vhost.name());
            return Err(precondition(&format!("only creator channel may consume from {noun}")));
        }
        let channel = self.channel(number)?;
        let (prefetch, limit) = (channel.prefetch, Arc::clone(&channel.limit));
        let queue = self.vhost.queue(&name, cx.connection.id)?;
        queue.check_consumer_arguments(&consume.arguments)?;
        if queue.is_quorum() && limit.most() > 0 {
            return Err(queue.refuse(Refusal::GlobalQos));
        }
        check_arguments(&consume.arguments, &queue, cx.broker.compat())?;
        let slot = self.consumers.reserve();
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
                self.consumers.release(slot);
                return Err(fault);
            }
        };
        let is_stream = queue.is_stream();
        let annotates = Annotation::of(&queue, cx.broker.compat());
        let origin = Arc::new(DeliveryOrigin {
            queue,
            consumer,
            consumer_tag: Some(tag.clone()),
            no_ack,
            is_stream,
            timeout_ms,
            is_void: false,
        });
        self.apply_consumer_timeout(&origin, cx, now);
        self.consumers.set(slot, Consumer { channel: number, tag: tag.clone(), annotates, origin });
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
        channel.reply = Some(Box::new(ReplyConsumer { tag: tag.clone(), name }));
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
            let to_promote = self.unsubscribe(slot, now);
            // Messages dealt before the consumer left are sent before `cancel-ok`.
            self.flush_posts(cx, posts, None, now, out);
            // The news that its queue is gone may have been among them, and has released the slot.
            if self.consumers.get(slot).is_some() {
                self.consumers.release(slot);
            }
            if let Some(queue) = to_promote {
                queue.promote(now);
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

    /// Takes a consumer away from its queue, which may delete that queue. Answers with the queue if [`Queue::promote`]
    /// is to be called when all deliveries are back.
    pub(super) fn unsubscribe(&self, slot: ConsumerSlot, now: Millis) -> Option<Arc<Queue>> {
        let source = self.consumers.get(slot)?;
        let DeliveryOrigin { queue, consumer: Some(id), .. } = &*source.origin else { return None };
        match queue.unsubscribe(*id, now) {
            Left::Stays => None,
            Left::Promotes => Some(Arc::clone(queue)),
            Left::DeleteQueue => {
                let only = DeletionIf { unused: true, ..DeletionIf::default() };
                self.vhost.remove_queue(queue, only, now);
                // If it has another consumer by now, it stays.
                Some(Arc::clone(queue))
            }
        }
    }

    /// Takes all consumers of a channel away from their queues.
    pub(super) fn unsubscribe_channel(&self, number: u16, now: Millis) -> Vec<Arc<Queue>> {
        let Some(channel) = self.channels.get(&number) else { return Vec::new() };
        let slots = channel.consumers.values();
        slots.filter_map(|slot| self.unsubscribe(*slot, now)).collect()
    }

    /// Takes all consumers of the connection away from their queues.
    pub(super) fn unsubscribe_all(&self, now: Millis) -> Vec<Arc<Queue>> {
        let numbers = self.channels.keys();
        numbers.flat_map(|number| self.unsubscribe_channel(*number, now)).collect()
    }

    pub(super) fn on_get(
        &mut self,
        cx: &Context,
        number: u16,
        get: basic::Get,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let name = self.channel(number)?.queue_name(&get.queue)?;
        self.rights.check(Right::Read, Resource::Queue(&name))?;
        if is_volatile(&cx.broker, &name) {
            let noun = queue_noun(&name, self.vhost.name());
            let text = format!("basic.get not supported by volatile {noun}");
            return Err(Fault::new(ReplyCode::NotImplemented, text));
        }
        let queue = self.vhost.queue(&name, cx.connection.id)?;
        let reader = Waker::from(Arc::clone(&cx.connection.mailbox));
        let got = queue.get(get.no_ack, now, &reader)?;
        let frame_max = self.frame_max;
        let channel = self.channel(number)?;
        let (entry, left) = match got {
            GetAnswer::Message(entry, left) => (entry, left),
            GetAnswer::Nothing => {
                channel.info.counters.get_empty.add(1);
                let empty = basic::GetEmpty { cluster_id: ShortStr::empty() };
                frame::write_method(out, number, &empty.into());
                return Ok(());
            }
            GetAnswer::Unread => {
                self.waits.add_get(number, get);
                return Ok(());
            }
        };
        channel.last_tag += 1;
        let tag = channel.last_tag;
        let origin =
            Arc::new(DeliveryOrigin { no_ack: get.no_ack, ..DeliveryOrigin::of_get(queue) });
        let leaving = OutgoingDelivery::new(entry, &origin, now);
        moment::reach("session.get");
        write_get_ok(out, number, tag, leaving.entry(), left, frame_max);
        let (message, redelivered) = (leaving.entry().message(), leaving.entry().is_redelivered());
        self.publisher.trace_delivery(message, origin.queue.name(), redelivered, number, now);
        let mut entry = leaving.end();
        let channel = self.channel(number)?;
        if get.no_ack {
            channel.info.counters.get_no_ack.add(1);
            if let Some(place) = entry.place {
                self.round.settled.push(place);
            }
        } else {
            channel.info.counters.get.add(1);
            entry.forget_message();
            let delivery = Unacked { tag, origin: Arc::clone(&origin), entry, delivered_at: now };
            channel.unacked.push(delivery);
            self.apply_consumer_timeout(&origin, cx, now);
        }
        Ok(())
    }

    /// Sets the prefetch of a channel or of its consumers to come. RabbitMQ 4.3 applies the first kind to each consumer
    /// instead (`global_qos` is deprecated).
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
        if qos.global && cx.broker.compat().permits(Feature::GlobalQos) {
            channel.limit.set_most(count);
            channel.info.global_prefetch.set(qos.prefetch_count);
            self.resume_channel(number, now);
        } else {
            channel.prefetch = count;
            channel.info.prefetch.set(qos.prefetch_count);
        }
        frame::write_method(out, number, &basic::QosOk {}.into());
        Ok(())
    }

    /// Asks the queues of a channel's consumers to deal again, another one first each time, so that they take turns
    /// with the room of the channel's limit (RabbitMQ: `rabbit_limiter:notify_queues`, which chooses at random).
    pub(super) fn resume_channel(&mut self, number: u16, now: Millis) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.resumed += 1;
        let first = channel.resumed;
        let Some(channel) = self.channels.get(&number) else { return };
        self.resume_from(first, channel.consumers.values().copied(), now);
    }

    /// Asks the queues of these consumers to deal to them again, each queue once.
    pub(super) fn resume(&self, slots: impl IntoIterator<Item = ConsumerSlot>, now: Millis) {
        self.resume_from(0, slots, now);
    }

    /// Asks them in turn, from the `first` queue on and round to the one before it.
    fn resume_from(
        &self,
        first: usize,
        slots: impl IntoIterator<Item = ConsumerSlot>,
        now: Millis,
    ) {
        let sources = slots.into_iter().filter_map(|slot| self.consumers.get(slot));
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
}
