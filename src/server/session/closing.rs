//! The ends of channels and connections, and the frames that tell a client of errors: no other file writes those.
//!
//! After a channel close the client's frames on that channel are ignored until `channel.close-ok`; after a
//! connection close all its frames are, except `close-ok` (RabbitMQ: `rabbit_reader`, `CLOSING_TIMEOUT`). A client
//! that closes its connection is also the one that closes the stream: some report it as lost when the broker does.

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::Mode;
use super::payload::decode_method;
use super::settle::{ReturnReason, put_back};
use super::state::{CLOSING_MS, Context, Phase, Running, SILENT_MS, Session};
use super::unacked::Unacked;
use crate::broker::mailbox::Post;
use crate::broker::queue::DeletionIf;
use crate::broker::time::Millis;
use crate::wire::constants::FRAME_METHOD;
use crate::wire::fault::FaultLevel;
use crate::wire::frame::{self, Frame};
use crate::wire::method::{channel, connection};
use crate::wire::{Fault, Method, ReplyCode};

/// The reason of a connection that its client closed with `connection.close`.
pub const CLOSED_BY_CLIENT: &str = "closed by the client";

impl Session {
    /// Tells a fault to the peer: closes the channel it happened on, or the connection.
    #[cold]
    pub(super) fn on_fault(&mut self, channel: u16, fault: &Fault, now: Millis, out: &mut Vec<u8>) {
        let name = &self.cx.connection.peer.name;
        match &mut self.phase {
            Phase::Running(running) if channel != 0 && fault.level() == FaultLevel::Channel => {
                tracing::info!(connection = %name, channel, %fault, "channel closed");
                if let Some(failed) = running.channels.get_mut(&channel) {
                    // Messages taken before the fault are the broker's, and the client is told.
                    failed.write_confirms(self.cx.broker.store.as_deref(), out);
                }
                running.leave_channel(channel, &self.cx, &mut self.posts, now, out);
                running.await_close_ok(channel);
                let close = channel::Close {
                    reply_code: fault.code.code(),
                    reply_text: fault.reply_text(),
                    class_id: fault.class_id,
                    method_id: fault.method_id,
                };
                frame::write_method(out, channel, &close.into());
            }
            Phase::Closing { .. } | Phase::Silent { .. } | Phase::Closed | Phase::Dropped => {}
            Phase::Running(_) | Phase::Handshake(_) => {
                // A client that is told of its refused login has no more time than others (RabbitMQ: `auth_fail`).
                let is_login = matches!(self.phase, Phase::Handshake(_))
                    && fault.code == ReplyCode::AccessRefused;
                let closing_ms = if is_login { SILENT_MS } else { CLOSING_MS };
                self.ends_because(format!("closed by the broker: {fault}"));
                self.leave(now);
                let close = connection::Close {
                    reply_code: fault.code.code(),
                    reply_text: fault.reply_text(),
                    class_id: fault.class_id,
                    method_id: fault.method_id,
                };
                frame::write_method(out, 0, &close.into());
                self.phase = Phase::Closing { until: now + closing_ms };
            }
        }
    }

    pub(super) fn on_frame_while_closing(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        if frame.kind != FRAME_METHOD || frame.channel != 0 {
            return;
        }
        match decode_method(frame.payload) {
            Ok(Method::ConnectionCloseOk(_)) => self.phase = Phase::Closed,
            // Both sides closed at the same time; its close-ok is still to come.
            Ok(Method::ConnectionClose(_)) => {
                frame::write_method(out, 0, &connection::CloseOk {}.into());
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// Carries out a method on channel 0 of an open connection.
    pub(super) fn on_connection_method(
        &mut self,
        method: &Method,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let (class_id, method_id) = method.ids();
        match method {
            Method::ConnectionClose(_) => {
                self.ends_because(CLOSED_BY_CLIENT);
                self.leave(now);
                frame::write_method(out, 0, &connection::CloseOk {}.into());
                self.phase = Phase::Silent { until: now + CLOSING_MS };
                Ok(())
            }
            // A login with a password does not expire (RabbitMQ: `rabbit_access_control:update_state`).
            Method::ConnectionUpdateSecret(_) => {
                frame::write_method(out, 0, &connection::UpdateSecretOk {}.into());
                Ok(())
            }
            _ => {
                let text = "unexpected method in connection state running";
                Err(Fault::new(ReplyCode::ChannelError, text).in_method(class_id, method_id))
            }
        }
    }

    /// Ends the connection without another byte, not even those that wait to leave.
    pub(super) fn lose_peer(&mut self, why: &str, now: Millis) {
        self.ends_because(why);
        self.leave(now);
        self.phase = Phase::Dropped;
    }

    /// Ends the connection: consumers leave, unacknowledged messages go back, exclusive queues are deleted.
    pub(super) fn leave(&mut self, now: Millis) {
        let phase = std::mem::replace(&mut self.phase, Phase::Closed);
        let mut posts = std::mem::take(&mut self.posts);
        if let Phase::Running(mut running) = phase {
            let to_promote = running.unsubscribe_all(now);
            posts.extend(self.cx.connection.mailbox.close());
            running.leave(&self.cx, posts, now);
            for queue in to_promote {
                queue.promote(now);
            }
        }
    }
}

impl Drop for Session {
    /// Gives messages back to their queues, so that a bug that ends the task loses none.
    fn drop(&mut self) {
        self.leave(self.cx.heartbeat.seen_at());
        self.cx.connection.mailbox.close();
        self.cx.broker.disconnect(&self.cx.connection);
    }
}

impl Running {
    /// Ends the work of a channel: its consumers leave, its deliveries go back to their queues.
    ///
    /// Deliveries in the mailbox are sent when they are for other channels, and go back when they are for this.
    pub(super) fn leave_channel(
        &mut self,
        number: u16,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        now: Millis,
        out: &mut Vec<u8>,
    ) {
        let to_promote = self.unsubscribe_channel(number, now);
        self.waits.forget_confirms(number);
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let consumers = std::mem::take(&mut channel.consumers);
        if let Some(reply) = channel.reply.take() {
            cx.broker.replies.remove(&reply.name);
        }
        put_back(channel.take_overdue(), ReturnReason::Requeued, now);
        let mode = std::mem::replace(&mut channel.mode, Mode::Plain);
        let mut unacked = channel.take_all_unacked();
        if let Mode::Transaction(transaction) = mode {
            unacked.extend(transaction.into_unsettled());
        }
        cx.broker.end_channel(&cx.connection, number, &self.vhost);
        let mut unsent = self.flush_posts(cx, posts, Some(number), now, out);
        for slot in consumers.into_values() {
            self.consumers.release(slot);
        }
        unacked.append(&mut unsent);
        put_back(unacked, ReturnReason::Lost, now);
        for queue in to_promote {
            queue.promote(now);
        }
    }

    /// Ends all channels of a connection that has ended; `posts` are those of its mailbox.
    ///
    /// Everything goes back at once, or a waiting consumer would get the later messages before the earlier ones.
    fn leave(&mut self, cx: &Context, posts: VecDeque<Post>, now: Millis) {
        let mut returned = Vec::new();
        for post in posts {
            if let Post::Delivery { slot, entry } = post
                && let Some(source) = self.consumers.get(slot)
            {
                let origin = Arc::clone(&source.origin);
                returned.push(Unacked { tag: 0, origin, entry, delivered_at: now });
            }
        }
        for (number, mut channel) in self.channels.drain() {
            if channel.awaits_close_ok {
                continue;
            }
            if let Some(reply) = &channel.reply {
                cx.broker.replies.remove(&reply.name);
            }
            returned.append(&mut channel.take_all_unacked());
            if let Mode::Transaction(transaction) = channel.mode {
                returned.extend(transaction.into_unsettled());
            }
            cx.broker.end_channel(&cx.connection, number, &self.vhost);
        }
        put_back(returned, ReturnReason::Lost, now);
        self.round.tell_settled(cx.broker.store.as_deref());
        let exclusive = self.exclusive.take();
        for queue in exclusive.into_iter().flat_map(|exclusive| exclusive.into_queues()) {
            self.vhost.remove_queue(&queue, DeletionIf::default(), now);
        }
    }

    /// Marks a channel that the broker closed: it exists until the client sends `channel.close-ok`.
    fn await_close_ok(&mut self, number: u16) {
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.awaits_close_ok = true;
        }
    }
}
