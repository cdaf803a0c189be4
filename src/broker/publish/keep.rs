//! The two steps of every publish: the store is given what must survive ([`keep`]), then the queues get it
//! ([`hand_out`]).

use std::sync::Arc;

use crate::broker::message::Message;
use crate::broker::queue::{Queue, Shared, StreamOrder, Taken, letters_after};
use crate::broker::route::Route;
use crate::broker::time::Millis;
use crate::store::{Appended, Refused};

/// The way in which a message is given to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) enum Append {
    /// As a publish: refused while the disk has no room.
    Plain,
    /// In place of a message that the store has, and that is settled when this one is on disk.
    Replacement,
}

/// Gives a message to the store if one of its queues must keep it; returns none for any other. If it takes `order`, the
/// caller holds that until [`hand_out`] is done.
///
/// Cost: one test for a message that no queue keeps; else one lock and one copy in the store.
#[inline]
pub(in crate::broker) fn keep<'a>(
    shared: &'a Shared,
    route: &Route,
    message: &Message,
    how: Append,
    now: Millis,
    order: &mut StreamOrder<'a>,
) -> Result<Option<Appended>, Refused> {
    if route.durable_queues(message).is_empty() {
        return Ok(None);
    }
    append(shared, route, message, how, now, order)
}

#[inline(never)]
fn append<'a>(
    shared: &'a Shared,
    route: &Route,
    message: &Message,
    how: Append,
    now: Millis,
    order: &mut StreamOrder<'a>,
) -> Result<Option<Appended>, Refused> {
    let Some(store) = shared.store() else { return Ok(None) };
    let record = message.to_record(route.durable_queues(message), shared.unix_ms(now));
    if route.has_streams() {
        order.hold(&shared.stream_order, store, &record);
    }
    match how {
        Append::Plain => store.append_without_waking(&record),
        Append::Replacement => store.append_replacement(&record),
    }
    .map(Some)
}

/// Hands a message to the histories and queues of a route, those that keep it with its place; `on_taken` is given each
/// queue's answer. A queue settles the place of what it refuses.
#[inline]
pub(in crate::broker) fn hand_out(
    route: &Route,
    message: &Message,
    kept: Option<Appended>,
    now: Millis,
    mut on_taken: impl FnMut(&Arc<Queue>, Taken),
) {
    for history in route.histories() {
        history.add(message);
    }
    match (route.queues(), kept) {
        ([], _) => {}
        ([only], kept) => {
            let place = kept.and_then(|kept| route.places(message, kept.first).next());
            on_taken(only, only.push(message.clone(), place, now));
        }
        (queues, None) => letters_after(now, || {
            for queue in queues {
                on_taken(queue, queue.push(message.clone(), None, now));
            }
        }),
        (queues, Some(kept)) => letters_after(now, || {
            // The queues that keep it come first.
            let mut places = route.places(message, kept.first);
            for queue in queues {
                on_taken(queue, queue.push(message.clone(), places.next(), now));
            }
        }),
    }
}
