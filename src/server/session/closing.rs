//! How errors and ends become frames: the only place that does so.
//!
//! After a channel close the client's frames on that channel are ignored until `channel.close-ok`; after a
//! connection close everything is, but its `close-ok` (RabbitMQ: `rabbit_reader`, `CLOSING_TIMEOUT`). A client
//! that closes its connection is also the one that closes the stream: some report it as lost when we do.

use super::{Phase, Session, decode_method};
use crate::broker::queue::Millis;
use crate::wire::constants::FRAME_METHOD;
use crate::wire::fault::Level;
use crate::wire::frame::{self, Frame};
use crate::wire::method::{channel, connection};
use crate::wire::{Fault, Method, ReplyCode};

/// How long a client has to answer `connection.close`, or to close the stream behind its own.
const CLOSING_MS: Millis = 30_000;

impl Session {
    /// Tells a fault to the peer: closes the channel it happened on, or the connection.
    #[cold]
    pub(super) fn on_fault(&mut self, channel: u16, fault: &Fault, now: Millis, out: &mut Vec<u8>) {
        let name = &self.cx.connection.peer.name;
        match &mut self.phase {
            Phase::Running(running) if channel != 0 && fault.level() == Level::Channel => {
                tracing::info!(connection = %name, channel, %fault, "channel closed");
                if let Some(failed) = running.channels.get_mut(&channel) {
                    // What was taken before the fault is the broker's, and the client is to know.
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
            Phase::Closing { .. } | Phase::Silent { .. } | Phase::Closed => {}
            Phase::Running(_) | Phase::Handshake(_) => {
                tracing::info!(connection = %name, %fault, "connection closed");
                self.end(now);
                let close = connection::Close {
                    reply_code: fault.code.code(),
                    reply_text: fault.reply_text(),
                    class_id: fault.class_id,
                    method_id: fault.method_id,
                };
                frame::write_method(out, 0, &close.into());
                self.phase = Phase::Closing { until: now + CLOSING_MS };
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

    /// A method on channel 0 of an open connection.
    pub(super) fn on_connection_method(
        &mut self,
        method: &Method,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let (class_id, method_id) = method.ids();
        match method {
            Method::ConnectionClose(_) => {
                self.end(now);
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
}
