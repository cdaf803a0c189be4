//! Delivers messages of a stream: to each consumer on its own, as far as its credit and its mailbox go.

use super::Stream;
use super::reader::Reader;
use crate::broker::delivery_count::DeliveryCount;
use crate::broker::entry::Entry;
use crate::broker::mailbox::Post;
use crate::broker::message::Message;
use crate::broker::queue::consumers::consumer::ConsumerId;
use crate::broker::time::Millis;

/// Bytes of messages read for a consumer below which more are read.
const AHEAD_BYTES_LOW: u64 = 128 << 10;

/// The outcome of one round with a consumer.
#[derive(Debug, Default)]
pub(in crate::broker::queue) struct Dealt {
    /// Messages that were delivered.
    pub(in crate::broker::queue) count: u64,
    /// More is to be read for it.
    pub(in crate::broker::queue) wants_reading: bool,
}

/// The next message for a consumer, if there is one.
enum Next {
    Message(u64, Message),
    /// It is being read, or is to be.
    Reading,
    /// There is nothing yet.
    End,
}

impl Stream {
    /// Takes the next message for a consumer.
    fn next_for(&self, reader: &mut Reader) -> Next {
        if let Some((offset, message)) = reader.take_offered() {
            return Next::Message(offset, message);
        }
        if reader.is_reading {
            return Next::Reading;
        }
        reader.next = reader.next.max(self.index.first());
        while reader.next < self.synced.up_to() {
            let recent = self.recent.get(reader.next).filter(|_| reader.not_before.is_none());
            let Some(message) = recent else { return Next::Reading };
            reader.next += 1;
            if reader.takes(message) {
                return Next::Message(reader.next - 1, message.clone());
            }
        }
        Next::End
    }

    /// Answers whether more should be read for a consumer, now that it has the messages that were ready for it.
    fn wants_reading(&self, reader: &Reader) -> bool {
        !reader.is_reading
            && reader.ahead_bytes < AHEAD_BYTES_LOW
            && reader.next < self.synced.up_to()
            && (reader.not_before.is_some() || self.recent.get(reader.next).is_none())
    }

    /// Delivers to a consumer as many messages as it has credit for.
    ///
    /// Cost: one mailbox lock for all of it.
    pub(in crate::broker::queue) fn deal(&mut self, id: ConsumerId) -> Dealt {
        let mut dealt = Dealt::default();
        let Some(mut reader) = self.readers.remove(&id) else { return dealt };
        self.ahead_bytes -= reader.ahead_bytes;
        let mailbox = std::sync::Arc::clone(&reader.mailbox);
        let mut open = mailbox.open();
        while reader.has_credit() {
            if !open.has_room() {
                open.turn_away(reader.slot);
                break;
            }
            let (offset, message) = match self.next_for(&mut reader) {
                Next::Message(offset, message) => (offset, message),
                Next::Reading => break,
                Next::End => {
                    if !std::mem::replace(&mut reader.is_at_end, true) {
                        self.at_end.push(id);
                    }
                    break;
                }
            };
            let entry = delivery(offset, message);
            dealt.count += 1;
            // Counted before the other side can see it, and so before it can settle it.
            reader.take_credit();
            open.push(Post::Delivery { slot: reader.slot, entry });
        }
        drop(open);
        dealt.wants_reading = self.wants_reading(&reader);
        reader.is_reading |= dealt.wants_reading;
        self.ahead_bytes += reader.ahead_bytes;
        self.readers.insert(id, reader);
        dealt
    }
}

/// A delivery: nothing that its receiver would have to settle with the store.
fn delivery(offset: u64, message: Message) -> Entry {
    Entry {
        body_len: u32::try_from(message.body().len()).unwrap_or(u32::MAX),
        message: Some(message),
        place: None,
        position: offset,
        deadline: Millis::MAX,
        redelivered: false,
        delivery_count: DeliveryCount::default(),
        level: 0,
    }
}
