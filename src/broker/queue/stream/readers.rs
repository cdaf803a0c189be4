//! The consumers of a stream come and go, and get credit back.

use super::Stream;
use super::filter::Filter;
use super::reader::Reader;
use super::start::Start;
use crate::broker::queue::consumers::consumer::{ConsumerId, Subscription};

impl Stream {
    /// Makes a consumer that begins where it asks to.
    pub(in crate::broker::queue) fn reader(
        &self,
        subscription: &Subscription,
        start: Start,
        filter: Option<Filter>,
    ) -> Reader {
        Reader::new(subscription, start.find(&self.index), filter)
    }

    pub(in crate::broker::queue) fn add_reader(&mut self, id: ConsumerId, reader: Reader) {
        self.readers.insert(id, reader);
    }

    /// Forgets a consumer that has left.
    pub(in crate::broker::queue) fn remove_reader(&mut self, id: ConsumerId) {
        if let Some(reader) = self.readers.remove(&id) {
            self.ahead_bytes -= reader.ahead_bytes;
        }
        self.at_end.retain(|at_end| *at_end != id);
    }

    /// Gives a consumer credit for deliveries that were settled, in whatever way.
    pub(in crate::broker::queue) fn give_credit(&mut self, id: ConsumerId, count: u32) {
        if let Some(reader) = self.readers.get_mut(&id) {
            reader.give_credit(count);
        }
    }
}
