//! The state of a connection, and its changes by frames that come in.
//!
//! Plain functions under one lock: callers append to `outbound` and wait for their reply, the driver feeds in
//! bytes. No waiting and no I/O here. What the peer can make us keep is bounded: replies only to calls that
//! wait, deliveries up to [`WAITING_MAX`] and then the stream is not read (see [`State::may_read`]).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, MutexGuard};

use bytes::{Buf, BytesMut};
use tokio::sync::{Notify, oneshot};

use super::assembly::{Assembly, Carrier, Content, decode_properties};
use super::confirms::{Confirms, MessageHash};
use super::error::{Error, Refusal};
use super::handshake::{Tuned, decode_method, refused};
use super::message::{Delivery, Reply};
use crate::lock::Mutex;
use crate::wire::constants::{FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD};
use crate::wire::fault::FaultLevel;
use crate::wire::method::{basic, channel, connection};
use crate::wire::{Method, ShortStr, frame};

/// Bytes of deliveries that may wait for the program before the stream is no longer read: room for one message
/// of the largest size RabbitMQ takes by default.
const WAITING_MAX: usize = 16 << 20;
/// The same while a call waits for its answer, which comes behind what a broker had on its way already.
const WAITING_MAX_IN_CALL: usize = 4 * WAITING_MAX;
/// Bytes a waiting delivery is counted with beyond its body, so that empty messages are bounded too.
const WAITING_OVERHEAD: usize = 256;

/// A connection's state, and the bells that tell of changes in it.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Rung when the driver has something to do.
    pub(super) bell: Notify,
    /// Rung when the outbound buffer was emptied or the connection ended.
    pub(super) room: Notify,
}

impl Shared {
    pub(super) fn new(tuned: Tuned) -> Self {
        let state = State {
            tuned,
            phase: Phase::Open,
            outbound: Vec::new(),
            channels: HashMap::new(),
            last_channel: 0,
            blocked: None,
            waiting_bytes: 0,
        };
        Self { state: Mutex::new(state), bell: Notify::new(), room: Notify::new() }
    }

    /// A panic under the lock is a bug that its own task reports; the state stays usable for a goodbye.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// The phase of a connection after its handshake.
///
/// ```text
/// Open --we send connection.close--> Closing --close-ok--> Over(Closed)
///  |                                    |
///  +-- connection.close came, the stream ended, the peer was silent or broke the protocol --> Over(why)
/// ```
///
/// A connection that is over stays so, with the first reason; each call then fails with it.
#[derive(Debug)]
pub(super) enum Phase {
    /// Calls and publishes may be sent.
    Open,
    /// We have sent `connection.close` and wait for the answer; nothing else is sent.
    Closing,
    /// The connection has ended, for this reason.
    Over(Error),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) tuned: Tuned,
    pub(super) phase: Phase,
    /// Frames the driver has not taken yet
    pub(super) outbound: Vec<u8>,
    pub(super) channels: HashMap<u16, ChannelState>,
    last_channel: u16,
    /// The reason why the broker blocks publishes now
    pub(super) blocked: Option<String>,
    waiting_bytes: usize,
}

/// One channel as this side knows it; there from `channel.open` until its handle is gone and closed.
#[derive(Debug, Default)]
pub(super) struct ChannelState {
    /// Set when the broker closed the channel or the connection ended.
    pub(super) over: Option<Error>,
    /// We have sent `channel.close`; the broker answers it even when its own crossed.
    is_closing: bool,
    pending: VecDeque<Pending>,
    assembly: Assembly,
    pub(super) confirms: Option<Confirms>,
    pub(super) inboxes: HashMap<ShortStr, InboxState>,
    /// Rung when confirms came.
    pub(super) answered: Arc<Notify>,
}

/// A call that waits for its reply.
#[derive(Debug)]
struct Pending {
    request: (u16, u16),
    reply: oneshot::Sender<Result<Reply, Error>>,
}

/// The deliveries that have come for one consumer.
#[derive(Debug, Default)]
pub(super) struct InboxState {
    deliveries: VecDeque<Delivery>,
    pub(super) is_cancelled: bool,
    pub(super) arrived: Arc<Notify>,
}

impl InboxState {
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }
}

impl State {
    /// Answers whether deliveries may be taken in: more of them while a call waits, because its answer comes behind
    /// them.
    pub(super) fn may_read(&self) -> bool {
        let calls = || self.channels.values().any(|channel| !channel.pending.is_empty());
        self.waiting_bytes < WAITING_MAX || (self.waiting_bytes < WAITING_MAX_IN_CALL && calls())
    }

    /// Fails when nothing can be sent any more.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Closing => Err(Error::Closed),
            Phase::Over(error) => Err(error.clone()),
        }
    }

    /// Takes a channel number and sends `channel.open`; its reply is not waited for.
    pub(super) fn open_channel(&mut self) -> Result<u16, Error> {
        self.check_open()?;
        let max = self.tuned.channel_max;
        if self.channels.len() >= usize::from(max) {
            return Err(Error::protocol(format!("all {max} channels of the connection are open")));
        }
        while self.last_channel == 0 || self.channels.contains_key(&self.last_channel) {
            self.last_channel = if self.last_channel >= max { 1 } else { self.last_channel + 1 };
        }
        let id = self.last_channel;
        self.channels.insert(id, ChannelState::default());
        self.call(id, &channel::Open::default().into())?;
        Ok(id)
    }

    /// The channel, when it can still be used.
    pub(super) fn channel(&mut self, id: u16) -> Result<&mut ChannelState, Error> {
        self.check_open()?;
        let channel = self.channels.get_mut(&id).ok_or(Error::Closed)?;
        match &channel.over {
            Some(error) => Err(error.clone()),
            None => Ok(channel),
        }
    }

    /// Sends a method that is answered; the reply comes through the receiver, which may be dropped.
    pub(super) fn call(
        &mut self,
        id: u16,
        method: &Method,
    ) -> Result<oneshot::Receiver<Result<Reply, Error>>, Error> {
        let (reply, receiver) = oneshot::channel();
        let pending = Pending { request: method.ids(), reply };
        let channel = self.channel(id)?;
        channel.is_closing |= matches!(method, Method::ChannelClose(_));
        channel.pending.push_back(pending);
        frame::write_method(&mut self.outbound, id, method);
        Ok(receiver)
    }

    /// Lets go of a channel whose handle is gone.
    pub(super) fn release_channel(&mut self, id: u16) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        for (_, inbox) in channel.inboxes.drain() {
            let waiting: usize = inbox.deliveries.iter().map(weight).sum();
            self.waiting_bytes -= waiting;
        }
        if channel.is_closing {
            return;
        }
        if channel.over.is_some() {
            self.channels.remove(&id);
        } else if self.check_open().is_ok() {
            let close = channel::Close { reply_code: 200, ..Default::default() };
            // The channel was seen to be open two lines above.
            let _ = self.call(id, &close.into());
        }
    }

    /// Takes the next delivery of a consumer.
    pub(super) fn take_delivery(&mut self, id: u16, tag: &ShortStr) -> Option<Delivery> {
        let inbox = self.channels.get_mut(&id)?.inboxes.get_mut(tag)?;
        let delivery = inbox.deliveries.pop_front()?;
        self.waiting_bytes -= weight(&delivery);
        Some(delivery)
    }

    /// Ends the connection: every call that waits fails with `error`.
    pub(super) fn end(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        self.phase = Phase::Over(error.clone());
        for channel in self.channels.values_mut() {
            channel.end(error);
        }
    }

    /// Handles every whole frame in `inbound` and leaves the rest.
    pub(super) fn on_bytes(&mut self, inbound: &mut BytesMut) -> Result<(), Error> {
        let mut used = 0;
        loop {
            let found = frame::parse(&inbound[used..], self.tuned.frame_max);
            let Some(frame) = found.map_err(|fault| Error::protocol(fault.to_string()))? else {
                break;
            };
            used += frame.encoded_len();
            match (frame.kind, frame.channel) {
                (FRAME_METHOD, 0) => self.on_connection_method(decode_method(frame.payload)?)?,
                (FRAME_METHOD, id) => self.on_channel_method(id, decode_method(frame.payload)?)?,
                (FRAME_HEADER, id) => {
                    let content = self.known(id)?.assembly.on_header(frame.payload)?;
                    self.on_content(id, content)?;
                }
                (FRAME_BODY, id) => {
                    let content = self.known(id)?.assembly.on_body(frame.payload)?;
                    self.on_content(id, content)?;
                }
                (FRAME_HEARTBEAT, 0) => {}
                (kind, id) => {
                    let why = format!("a frame of type {kind} on channel {id}");
                    return Err(Error::protocol(why));
                }
            }
            if matches!(self.phase, Phase::Over(_)) {
                break;
            }
        }
        inbound.advance(used);
        Ok(())
    }

    fn known(&mut self, id: u16) -> Result<&mut ChannelState, Error> {
        let unknown = || Error::protocol(format!("a frame on channel {id}, which is not open"));
        self.channels.get_mut(&id).ok_or_else(unknown)
    }

    fn on_connection_method(&mut self, method: Method) -> Result<(), Error> {
        match method {
            Method::ConnectionClose(close) => {
                // Nothing sent before matters to a broker that has closed.
                self.outbound.clear();
                frame::write_method(&mut self.outbound, 0, &connection::CloseOk {}.into());
                self.end(&refused(&close));
                Ok(())
            }
            Method::ConnectionCloseOk(_) if matches!(self.phase, Phase::Closing) => {
                self.end(&Error::Closed);
                Ok(())
            }
            Method::ConnectionBlocked(blocked) => {
                self.blocked = Some(blocked.reason.to_string());
                Ok(())
            }
            Method::ConnectionUnblocked(_) => {
                self.blocked = None;
                Ok(())
            }
            other => Err(Error::protocol(format!("{} on channel 0", other.name()))),
        }
    }

    fn on_channel_method(&mut self, id: u16, method: Method) -> Result<(), Error> {
        let channel = self.known(id)?;
        if let Method::ChannelClose(close) = method {
            channel.end(&channel_refused(&close));
            frame::write_method(&mut self.outbound, id, &channel::CloseOk {}.into());
            return Ok(());
        }
        if channel.over.is_some() {
            // What was on its way when the channel ended; close-ok crosses with the broker's close.
            if matches!(method, Method::ChannelCloseOk(_)) {
                self.channels.remove(&id);
            }
            return Ok(());
        }
        let Some(method) = channel.assembly.on_method(method)? else { return Ok(()) };
        match method {
            Method::BasicAck(ack) => channel.on_answer(ack.delivery_tag, ack.multiple, true),
            Method::BasicNack(nack) => channel.on_answer(nack.delivery_tag, nack.multiple, false),
            Method::BasicCancel(cancel) => {
                channel.on_cancel(&cancel);
                if !cancel.nowait {
                    let done = basic::CancelOk { consumer_tag: cancel.consumer_tag };
                    frame::write_method(&mut self.outbound, id, &done.into());
                }
                Ok(())
            }
            Method::ChannelFlow(flow) => {
                let done = channel::FlowOk { active: flow.active };
                frame::write_method(&mut self.outbound, id, &done.into());
                Ok(())
            }
            reply => {
                let is_last = matches!(reply, Method::ChannelCloseOk(_));
                channel.on_reply(Reply { method: reply, message: None })?;
                if is_last {
                    // Tells consumers of the channel, which wait for more.
                    channel.end(&Error::Closed);
                    self.channels.remove(&id);
                }
                Ok(())
            }
        }
    }

    fn on_content(&mut self, id: u16, content: Option<Content>) -> Result<(), Error> {
        let Some(Content { carrier, properties, body }) = content else { return Ok(()) };
        let channel = self.known(id)?;
        match carrier {
            Carrier::Deliver(deliver) => {
                let Some(inbox) = channel.inboxes.get_mut(&deliver.consumer_tag) else {
                    return Ok(()); // our consumer is gone; the message returns with the channel
                };
                let delivery = Delivery {
                    tag: deliver.delivery_tag,
                    redelivered: deliver.redelivered,
                    exchange: deliver.exchange,
                    routing_key: deliver.routing_key,
                    properties: decode_properties(&properties)?,
                    body,
                };
                let arrived = weight(&delivery);
                inbox.deliveries.push_back(delivery);
                inbox.arrived.notify_one();
                self.waiting_bytes += arrived;
            }
            Carrier::Return(returned) => {
                if let Some(confirms) = &mut channel.confirms {
                    let hash = MessageHash::new(
                        &returned.exchange,
                        &returned.routing_key,
                        &properties,
                        &body,
                    );
                    confirms.on_return(hash, returned.reply_code, &returned.reply_text);
                }
            }
            Carrier::GetOk(got) => {
                let properties = decode_properties(&properties)?;
                let method = Method::BasicGetOk(got);
                channel.on_reply(Reply { method, message: Some((properties, body)) })?;
            }
        }
        Ok(())
    }
}

impl ChannelState {
    /// Ends the channel: its waiting callers are told why, what has been delivered can still be taken.
    fn end(&mut self, error: &Error) {
        if self.over.is_none() {
            self.over = Some(error.clone());
        }
        self.assembly = Assembly::Idle;
        for pending in self.pending.drain(..) {
            let _ = pending.reply.send(Err(error.clone()));
        }
        if let Some(confirms) = &mut self.confirms {
            confirms.give_up();
        }
        self.answered.notify_one();
        for inbox in self.inboxes.values() {
            inbox.arrived.notify_one();
        }
    }

    fn on_answer(&mut self, number: u64, multiple: bool, taken: bool) -> Result<(), Error> {
        let known = self.confirms.as_mut().is_some_and(|c| c.on_answer(number, multiple, taken));
        if !known {
            return Err(Error::protocol(format!("a confirm of message {number}, never published")));
        }
        self.answered.notify_one();
        Ok(())
    }

    fn on_cancel(&mut self, cancel: &basic::Cancel) {
        if let Some(inbox) = self.inboxes.get_mut(&cancel.consumer_tag) {
            inbox.is_cancelled = true;
            inbox.arrived.notify_one();
        }
    }

    /// Gives a reply to the oldest call that waits; calls of a channel are answered in order (2.2.5).
    fn on_reply(&mut self, reply: Reply) -> Result<(), Error> {
        let ids = reply.method.ids();
        match self.pending.pop_front_if(|pending| is_answer(pending.request, ids)) {
            Some(pending) => {
                // The caller may have stopped waiting.
                let _ = pending.reply.send(Ok(reply));
                Ok(())
            }
            None => Err(Error::protocol(format!("{} answers no call", reply.method.name()))),
        }
    }
}

/// Answers whether `reply` fits `request`: it has the next number of its class, with three exceptions.
fn is_answer(request: (u16, u16), reply: (u16, u16)) -> bool {
    match request {
        (40, 40) => reply == (40, 51),
        (50, 50) => reply == (50, 51),
        (60, 70) => reply == (60, 71) || reply == (60, 72),
        (class, method) => reply == (class, method + 1),
    }
}

fn channel_refused(close: &channel::Close) -> Error {
    let refusal = Refusal {
        level: FaultLevel::Channel,
        code: close.reply_code,
        text: close.reply_text.to_string(),
        method: (close.class_id, close.method_id),
    };
    Error::Refused(refusal.into())
}

fn weight(delivery: &Delivery) -> usize {
    delivery.body.len() + WAITING_OVERHEAD
}
