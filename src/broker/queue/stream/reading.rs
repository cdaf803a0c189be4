//! Reads for a consumer that is not at the end, a piece at a time.
//!
//! Reading order: [`Stream::wanted_by`] (under the lock of the queue), [`StreamRead::read`] (under none),
//! [`Stream::take_in`].

use std::sync::Arc;

use super::Stream;
use super::filter::Filter;
use super::index::Located;
use super::reader::Offered;
use crate::broker::message::Message;
use crate::broker::queue::backlog::pages::{Pages, may_pass};
use crate::broker::queue::backlog::stored::Stored;
use crate::broker::queue::consumers::consumer::ConsumerId;
use crate::store::{Place, Store, StoreError};

/// Bytes of bodies that are read at once for a consumer.
const WINDOW_BYTES: u64 = 256 << 10;
/// The same while memory is short.
const WINDOW_BYTES_SHORT: u64 = 64 << 10;

/// A read of messages that is asked for.
pub(in crate::broker::queue) struct StreamRead {
    located: Option<Located>,
    /// The lowest offset that is wanted.
    from: u64,
    /// The offset before which the read ends.
    up_to: u64,
    not_before: Option<u64>,
    filter: Option<Arc<Filter>>,
    pages: Pages,
    bytes_max: u64,
}

/// The result of a read.
#[derive(Default)]
pub(in crate::broker::queue) struct Read {
    messages: Vec<Offered>,
    /// The offset at which reading goes on.
    next: u64,
    /// A message that is not older than the time asked for was found.
    has_begun: bool,
    pub(in crate::broker::queue) damaged: Vec<(Place, StoreError)>,
    /// Messages on a page that cannot be found.
    pub(in crate::broker::queue) lost: u64,
    pub(in crate::broker::queue) put_off: Option<StoreError>,
}

impl Stream {
    /// Names what is to be read next for a consumer; less with `is_short`, when memory is short.
    pub(in crate::broker::queue) fn wanted_by(
        &self,
        id: ConsumerId,
        is_short: bool,
    ) -> Option<StreamRead> {
        let reader = self.readers.get(&id)?;
        Some(StreamRead {
            located: self.index.at(reader.next),
            from: reader.next.max(self.index.first()),
            up_to: self.synced.up_to(),
            not_before: reader.not_before,
            filter: reader.filter.clone(),
            pages: self.index.pages().clone(),
            bytes_max: if is_short { WINDOW_BYTES_SHORT } else { WINDOW_BYTES },
        })
    }

    /// Takes in what was read for a consumer.
    pub(in crate::broker::queue) fn take_in(&mut self, id: ConsumerId, read: &mut Read) {
        let Some(reader) = self.readers.get_mut(&id) else { return };
        reader.is_reading = read.put_off.is_some();
        reader.next = reader.next.max(read.next);
        if read.has_begun {
            reader.not_before = None;
        }
        let before = reader.ahead_bytes;
        reader.offer(std::mem::take(&mut read.messages));
        self.ahead_bytes += reader.ahead_bytes - before;
    }

    /// The consumers for which messages are being read, or are to be read again.
    pub(in crate::broker::queue) fn awaiting_reads(&self) -> impl Iterator<Item = ConsumerId> {
        self.readers.iter().filter(|(_, reader)| reader.is_reading).map(|(id, _)| *id)
    }
}

impl StreamRead {
    /// Finds the places of the messages, by their offsets.
    fn places(&self, read: &mut Read) -> Vec<(u64, Stored)> {
        let (first, places) = match &self.located {
            None => return Vec::new(),
            Some(Located::Here(first, places)) => (*first, places.clone()),
            Some(Located::Paged(first, page)) => match self.pages.read(page) {
                Ok(Some(places)) => (*first, places),
                Ok(None) => {
                    read.lost += u64::from(page.count);
                    read.next = first + u64::from(page.count);
                    return Vec::new();
                }
                Err(error) => {
                    read.put_off = Some(error);
                    return Vec::new();
                }
            },
        };
        (first..self.up_to).zip(places).filter(|(offset, _)| *offset >= self.from).collect()
    }

    /// Reads the messages, as far as the store has them.
    pub(in crate::broker::queue) fn read(&self, store: &Store) -> Read {
        let mut read = Read { next: self.from, ..Read::default() };
        let mut bytes = 0;
        let mut wanted = Vec::new();
        for (offset, stored) in self.places(&mut read) {
            if self.not_before.is_some_and(|at| stored.deadline() < at) {
                read.next = offset + 1;
                continue;
            }
            read.has_begun = true;
            if bytes > 0 && bytes + u64::from(stored.body_len) > self.bytes_max {
                break;
            }
            bytes += u64::from(stored.body_len);
            wanted.push((offset, stored.place));
        }
        let places: Vec<Place> = wanted.iter().map(|(_, place)| *place).collect();
        store.read(&places, &mut |nth, record| {
            let Some(&(offset, place)) = wanted.get(nth).filter(|_| read.put_off.is_none()) else {
                return;
            };
            match record {
                Ok(record) => {
                    let properties = &record.bytes[record.names_len..][..record.properties_len];
                    if self.filter.as_ref().is_none_or(|filter| filter.takes(properties)) {
                        read.messages.push((offset, Message::from_record(&record)));
                    }
                }
                // Deleted meanwhile.
                Err(StoreError::Settled) => {}
                Err(error) if may_pass(&error) => {
                    read.put_off = Some(error);
                    return;
                }
                Err(error) => read.damaged.push((place, error)),
            }
            read.next = offset + 1;
        });
        read
    }
}
