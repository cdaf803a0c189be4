//! A channel: what it remembers, and which method goes where.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::assembly::{self, Assembly};
use super::confirms::Confirms;
use super::patience::Notes;
use super::tx::Transaction;
use super::unacked::Outstanding;
use super::{CONTENT_HEADER_MIN_LEN, Context, Running, decode_method, split_method};
use crate::broker::mailbox::{ConsumerSlot, Post};
use crate::broker::queue::{ChannelLimit, Millis};
use crate::broker::registry;
use crate::broker::trace::Tracer;
use crate::wire::constants::{CLASS_BASIC, FRAME_BODY, FRAME_HEADER, FRAME_METHOD};
use crate::wire::frame::{self, Frame};
use crate::wire::method::{access, basic, channel, confirm, tx};
use crate::wire::{DecodeError, Fault, LongStr, Method, Reader, ReplyCode, ShortStr};

/// An open channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) number: u16,
    pub(super) info: Arc<registry::Channel>,
    pub(super) tracer: Arc<Tracer>,
    pub(super) assembly: Assembly,
    pub(super) mode: Mode,
    /// The tag of the last delivery.
    pub(super) last_tag: u64,
    pub(super) unacked: Outstanding,
    /// Some of them were taken back, and only their tags are left.
    pub(super) has_void: bool,
    /// When which of them were given, roughly.
    pub(super) notes: Notes,
    pub(super) consumers: HashMap<ShortStr, ConsumerSlot>,
    /// What `basic.qos` said for consumers to come.
    pub(super) prefetch: u32,
    pub(super) limit: Arc<ChannelLimit>,
    /// How often its queues were asked to go on, for the limit.
    pub(super) resumed: usize,
    /// The queue that an empty name stands for.
    pub(super) last_queue: Option<ShortStr>,
    pub(super) reply: Option<ReplyConsumer>,
    /// We closed it; its frames are ignored until `channel.close-ok`.
    pub(super) awaits_close_ok: bool,
    /// It is on the list of those whose round has work left.
    pub(super) has_round_work: bool,
}

/// What a channel promises for its publishes.
#[derive(Debug)]
pub(super) enum Mode {
    Plain,
    Confirm(Confirms),
    Transaction(Transaction),
}

/// The consumer of direct replies.
#[derive(Debug)]
pub(super) struct ReplyConsumer {
    pub(super) tag: ShortStr,
    /// What `reply_to` of the channel's requests is rewritten to.
    pub(super) name: ShortStr,
}

impl Channel {
    fn new(info: Arc<registry::Channel>, tracer: Arc<Tracer>) -> Self {
        Self {
            number: info.number,
            info,
            tracer,
            assembly: Assembly::default(),
            mode: Mode::Plain,
            last_tag: 0,
            unacked: Outstanding::default(),
            has_void: false,
            notes: Notes::default(),
            consumers: HashMap::new(),
            prefetch: 0,
            limit: Arc::default(),
            resumed: 0,
            last_queue: None,
            reply: None,
            awaits_close_ok: false,
            has_round_work: false,
        }
    }

    /// The name, or the last declared queue's when it is empty.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when the channel has declared none.
    pub(super) fn queue_name(&self, name: &ShortStr) -> Result<ShortStr, Fault> {
        if !name.is_empty() {
            return Ok(strip(name));
        }
        self.last_queue
            .clone()
            .ok_or_else(|| Fault::new(ReplyCode::NotFound, "no previously declared queue"))
    }

    /// Brings what listings show up to date and gives memory back.
    pub(super) fn end_round(&mut self, now: Millis) {
        self.has_round_work = false;
        self.assembly.shrink();
        self.info.active_at.set(now);
        self.info.unacked.set(self.unacked.len() as u64);
        if let Mode::Transaction(transaction) = &self.mode {
            self.info.uncommitted.set(transaction.publishes());
            self.info.uncommitted_acks.set(transaction.settled());
        }
    }
}

/// A name without line ends (RabbitMQ: `rabbit_channel:strip_cr_lf`).
pub(super) fn strip(name: &ShortStr) -> ShortStr {
    if !name.contains(['\r', '\n']) {
        return name.clone();
    }
    ShortStr::truncated(&name.replace(['\r', '\n'], ""))
}

impl Running {
    /// Takes a method, header or body frame of a channel.
    ///
    /// Cost: one hash look-up; the three frames of a publish are handled without decoding into values.
    #[inline]
    pub(super) fn on_channel_frame(
        &mut self,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        frame: Frame<'_>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(channel) = self.channels.get_mut(&frame.channel) else {
            return self.on_unopened(cx, frame, now, out);
        };
        if channel.awaits_close_ok {
            self.on_frame_while_closing_channel(frame, out);
            return Ok(());
        }
        if !channel.has_round_work {
            channel.has_round_work = true;
            self.gathered.push(frame.channel);
        }
        let content = match frame.kind {
            FRAME_METHOD => {
                if !channel.assembly.is_idle() {
                    return Err(channel.assembly.unexpected_method());
                }
                let (class, method, arguments) = split_method(frame.payload)?;
                if (class, method) != (CLASS_BASIC, basic::Publish::METHOD_ID) {
                    let decoded = decode_method(frame.payload)?;
                    return self
                        .on_method(cx, posts, frame.channel, decoded, now, out)
                        .map_err(|fault| fault.in_method(class, method));
                }
                begin_publish(&mut channel.assembly, arguments)
                    .map_err(|error| Fault::undecodable(error, class, method, arguments))?;
                return Ok(());
            }
            FRAME_HEADER if frame.payload.len() >= CONTENT_HEADER_MIN_LEN => {
                channel.assembly.on_header(frame.payload, self.message_bytes_max, &cx.broker)?
            }
            FRAME_BODY => channel.assembly.on_body(frame.payload)?,
            _ => return Err(frame::broken(frame.kind, frame.payload, "unknown_frame")),
        };
        match content {
            None => Ok(()),
            Some(content) => self
                .on_publish(cx, frame.channel, content, now, out)
                .map_err(|fault| fault.in_method(CLASS_BASIC, basic::Publish::METHOD_ID)),
        }
    }

    /// A frame on a channel that is not open: `channel.open`, or an error.
    fn on_unopened(
        &mut self,
        cx: &Context,
        frame: Frame<'_>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if frame.kind != FRAME_METHOD {
            return Err(assembly::out_of_place());
        }
        let method = decode_method(frame.payload)?;
        match method {
            Method::ChannelOpen(_) if self.channels.len() >= usize::from(self.channel_max) => {
                let text = format!(
                    "number of channels opened ({}) has reached the negotiated channel_max ({})",
                    self.channels.len(),
                    self.channel_max
                );
                Err(Fault::new(ReplyCode::NotAllowed, text))
            }
            Method::ChannelOpen(_) => {
                let open = cx.broker.churn.channels_open();
                cx.broker.limits.check_channels(open, &cx.broker.node)?;
                cx.broker.check_channels(&self.user)?;
                let info = cx.connection.add_channel(frame.channel, now);
                cx.broker.churn.channel_created.add(1);
                let channel = Channel::new(info, Arc::clone(&self.tracer));
                self.channels.insert(frame.channel, Box::new(channel));
                let open_ok = channel::OpenOk { channel_id: LongStr::default() };
                frame::write_method(out, frame.channel, &open_ok.into());
                Ok(())
            }
            // Both sides closed the channel at the same time.
            Method::ChannelCloseOk(_) => Ok(()),
            other => {
                let (class_id, method_id) = other.ids();
                let fault = Fault::new(ReplyCode::ChannelError, "expected 'channel.open'");
                Err(fault.in_method(class_id, method_id))
            }
        }
    }

    fn on_frame_while_closing_channel(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        if frame.kind != FRAME_METHOD {
            return;
        }
        match split_method(frame.payload) {
            Ok((channel::CLASS_ID, channel::CloseOk::METHOD_ID, _)) => {}
            Ok((channel::CLASS_ID, channel::Close::METHOD_ID, _)) => {
                frame::write_method(out, frame.channel, &channel::CloseOk {}.into());
            }
            Ok(_) | Err(_) => return,
        }
        self.channels.remove(&frame.channel);
    }

    fn on_method(
        &mut self,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        number: u16,
        method: Method,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match method {
            Method::BasicAck(ack) => self.on_ack(number, &ack, now),
            Method::BasicNack(nack) => self.on_nack(number, &nack, now),
            Method::BasicReject(reject) => self.on_reject(number, &reject, now),
            Method::BasicGet(get) => self.on_get(cx, number, &get, now, out),
            Method::BasicQos(qos) => self.on_qos(cx, number, &qos, now, out),
            Method::BasicConsume(consume) => self.on_consume(cx, number, consume, now, out),
            Method::BasicCancel(cancel) => self.on_cancel(cx, posts, number, &cancel, now, out),
            Method::BasicRecover(recover) => {
                self.on_recover(number, recover.requeue, now)?;
                frame::write_method(out, number, &basic::RecoverOk {}.into());
                Ok(())
            }
            Method::BasicRecoverAsync(recover) => self.on_recover(number, recover.requeue, now),
            Method::ChannelOpen(_) => {
                Err(Fault::new(ReplyCode::ChannelError, "second 'channel.open' seen"))
            }
            Method::ChannelClose(_) => {
                self.leave_channel(number, cx, posts, now, out);
                self.channels.remove(&number);
                frame::write_method(out, number, &channel::CloseOk {}.into());
                Ok(())
            }
            Method::ChannelFlow(flow) if flow.active => {
                frame::write_method(out, number, &channel::FlowOk { active: true }.into());
                Ok(())
            }
            Method::ChannelFlow(_) => Err(Fault::new(ReplyCode::NotImplemented, "active=false")),
            Method::ConfirmSelect(select) => self.on_confirm_select(number, &select, out),
            Method::TxSelect(_) => self.on_tx_select(number, out),
            Method::TxCommit(_) => self.on_tx_commit(cx, number, now, out),
            Method::TxRollback(_) => self.on_tx_rollback(number, out),
            Method::AccessRequest(_) => {
                frame::write_method(out, number, &access::RequestOk { ticket: 1 }.into());
                Ok(())
            }
            other => self.on_topology_method(cx, number, other, now, out),
        }
    }

    /// The channel of a method that is being handled.
    pub(super) fn channel(&mut self, number: u16) -> Result<&mut Channel, Fault> {
        self.channels
            .get_mut(&number)
            .map(Box::as_mut)
            .ok_or_else(|| Fault::new(ReplyCode::ChannelError, "expected 'channel.open'"))
    }

    fn on_confirm_select(
        &mut self,
        number: u16,
        select: &confirm::Select,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let channel = self.channel(number)?;
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Confirm(Confirms::default()),
            Mode::Confirm(_) => {}
            Mode::Transaction(_) => {
                let text = "cannot switch from tx to confirm mode";
                return Err(Fault::new(ReplyCode::PreconditionFailed, text));
            }
        }
        channel.info.is_confirm.set(1);
        if !select.nowait {
            frame::write_method(out, number, &confirm::SelectOk {}.into());
        }
        Ok(())
    }

    fn on_tx_select(&mut self, number: u16, out: &mut Vec<u8>) -> Result<(), Fault> {
        let channel = self.channel(number)?;
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Transaction(Transaction::default()),
            Mode::Transaction(_) => {}
            Mode::Confirm(_) => {
                let text = "cannot switch from confirm to tx mode";
                return Err(Fault::new(ReplyCode::PreconditionFailed, text));
            }
        }
        channel.info.is_transactional.set(1);
        frame::write_method(out, number, &tx::SelectOk {}.into());
        Ok(())
    }

    /// Marks a channel that we closed: it exists until the client says `channel.close-ok`.
    pub(super) fn await_close_ok(&mut self, number: u16) {
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.awaits_close_ok = true;
        }
    }
}

/// Reads the arguments of `basic.publish` where they stand.
#[inline]
fn begin_publish(assembly: &mut Assembly, arguments: &[u8]) -> Result<(), DecodeError> {
    let mut from = Reader::new(arguments);
    let _ticket = from.u16()?;
    let names = from.rest();
    from.skip_short_text()?;
    from.skip_short_text()?;
    let names = &names[..names.len() - from.rest().len()];
    let (is_mandatory, is_immediate) = (from.bit()?, from.bit()?);
    from.finish()?;
    assembly.begin(names, is_mandatory, is_immediate);
    Ok(())
}
