//! Methods of a channel: gives each to the part of the session that carries it out; opens channels.

use std::collections::VecDeque;

use super::assembly;
use super::channel::{Channel, Mode};
use super::confirms::Confirms;
use super::payload::{decode_method, split_method};
use super::state::{Context, Running};
use crate::broker::mailbox::Post;
use crate::broker::time::Millis;
use crate::wire::constants::FRAME_METHOD;
use crate::wire::frame::{self, Frame};
use crate::wire::method::{access, basic, channel, confirm};
use crate::wire::{Fault, LongStr, Method, ReplyCode};

impl Running {
    /// Handles a frame on a channel that is not open: `channel.open`, or an error.
    pub(super) fn on_unopened(
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
                cx.broker.limits.get().check_channels(open, &cx.broker.node)?;
                cx.broker.check_channels(&self.user)?;
                let info = cx.connection.add_channel(frame.channel, now);
                cx.broker.churn.channel_created.add(1);
                let channel = Channel::new(info);
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

    pub(super) fn on_frame_while_closing_channel(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
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

    pub(super) fn on_method(
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
            Method::BasicNack(nack) => self.on_nack(cx, number, &nack, now),
            Method::BasicReject(reject) => self.on_reject(cx, number, &reject, now),
            Method::BasicGet(get) => self.on_get(cx, number, get, now, out),
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
        channel.info.begin_confirms();
        if !select.nowait {
            frame::write_method(out, number, &confirm::SelectOk {}.into());
        }
        Ok(())
    }
}
