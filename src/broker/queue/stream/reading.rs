//! Reads for consumers that are not at the end: on the store's own thread and under no lock, a piece for each at a
//! time, so that a consumer that is behind keeps neither publishers nor other consumers waiting.
//!
//! Reading order: [`Queue::read_stream_later`] (asks), `Queue::read_stream` (reads, and deals).

use std::sync::Arc;

use super::filter::Filter;
use super::index::Located;
use super::reader::Offered;
use crate::broker::message::Message;
use crate::broker::queue::backlog::pages::{Pages, may_pass};
use crate::broker::queue::backlog::stored::Stored;
use crate::broker::queue::consumers::consumer::ConsumerId;
use crate::broker::queue::state::{Queue, State};
use crate::broker::time::Millis;
use crate::store::{Place, Store, StoreError};

/// Bytes of bodies that are read at once for a consumer.
const WINDOW_BYTES: u64 = 256 << 10;
/// The same while memory is short.
const WINDOW_BYTES_SHORT: u64 = 64 << 10;

/// A read of messages that is asked for.
struct Wanted {
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
struct Read {
    messages: Vec<Offered>,
    /// The offset at which reading goes on.
    next: u64,
    /// A message that is not older than the time asked for was found.
    has_begun: bool,
    damaged: Vec<(Place, StoreError)>,
    /// Messages on a page that cannot be found.
    lost: u64,
    put_off: Option<StoreError>,
}

impl Queue {
    /// Has more read for a consumer.
    pub(in crate::broker::queue) fn read_stream_later(
        &self,
        store: &Arc<Store>,
        id: ConsumerId,
        now: Millis,
    ) {
        self.read_later(store, now, move |queue, store| queue.read_stream(store, id, now));
    }

    fn read_stream(&self, store: &Store, id: ConsumerId, now: Millis) {
        let Some(wanted) = self.wanted_by(id) else { return };
        let read = wanted.read(store);
        let mut held = self.lock();
        let state = &mut *held;
        let Some(stream) = state.kind.stream_mut() else { return };
        if let Some(reader) = stream.readers.get_mut(&id) {
            reader.is_reading = read.put_off.is_some();
            reader.next = reader.next.max(read.next);
            if read.has_begun {
                reader.not_before = None;
            }
            let before = reader.ahead_bytes;
            reader.offer(read.messages);
            stream.ahead_bytes += reader.ahead_bytes - before;
        }
        state.unreadable += read.damaged.len() as u64 + read.lost;
        match read.put_off {
            Some(error) => state.backlog.put_off(&error, now),
            None => state.backlog.has_read(),
        }
        self.resume_stream(state, [id], now);
        self.arm(state);
        drop(held);
        for (place, error) in read.damaged {
            self.log_unreadable(place, &error);
        }
    }

    fn wanted_by(&self, id: ConsumerId) -> Option<Wanted> {
        let is_short = self.shared.memory.is_short();
        let state = self.lock();
        let stream = state.kind.stream()?;
        let reader = stream.readers.get(&id)?;
        Some(Wanted {
            located: stream.index.at(reader.next),
            from: reader.next.max(stream.index.first()),
            up_to: stream.synced.up_to(),
            not_before: reader.not_before,
            filter: reader.filter.clone(),
            pages: stream.index.pages().clone(),
            bytes_max: if is_short { WINDOW_BYTES_SHORT } else { WINDOW_BYTES },
        })
    }
}

impl State {
    /// Reads again for consumers whose reading had been put off.
    pub(in crate::broker::queue) fn read_stream_again(&mut self, now: Millis) {
        let Some(stream) = self.kind.stream_mut() else { return };
        for (id, reader) in &stream.readers {
            if reader.is_reading {
                self.after_unlock.read_stream(*id, now);
            }
        }
    }
}

impl Wanted {
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

    fn read(&self, store: &Store) -> Read {
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
