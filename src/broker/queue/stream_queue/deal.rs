//! Deals the messages of a stream to its consumers, and takes back their deliveries.

use crate::broker::queue::consumers::consumer::ConsumerId;
use crate::broker::queue::settled::{Returned, Settled};
use crate::broker::queue::state::{Queue, State};
use crate::broker::time::Millis;

impl Queue {
    /// Deals to these consumers. Their deliveries are not counted as unacknowledged, because the stream has the
    /// messages all the same.
    pub(super) fn deal_to(
        &self,
        state: &mut State,
        consumers: impl IntoIterator<Item = ConsumerId>,
        now: Millis,
    ) {
        let Some(stream) = state.kind.stream_mut() else { return };
        for id in consumers {
            let dealt = stream.deal(id);
            state.counters.deliver += dealt.count;
            if dealt.wants_reading {
                state.after_unlock.read_stream(id, now);
            }
        }
        stream.report(&self.shared.memory);
    }

    /// Gives a consumer credit for deliveries that were settled, in whatever way.
    pub(in crate::broker::queue) fn settle_with_stream(
        &self,
        state: &mut State,
        consumer: Option<ConsumerId>,
        settled: Settled,
        now: Millis,
    ) {
        let Some(id) = consumer else { return };
        let Some(stream) = state.kind.stream_mut() else { return };
        stream.give_credit(id, u32::try_from(settled.count).unwrap_or(u32::MAX));
        self.deal_to(state, [id], now);
        state.await_sync(now);
    }

    /// Takes back deliveries: the stream has the messages anyway, and they are not delivered again (RabbitMQ:
    /// `rabbit_stream_queue:settle`).
    pub(in crate::broker::queue) fn put_back_to_stream(
        &self,
        state: &mut State,
        returned: &[Returned],
        now: Millis,
    ) {
        for one in returned {
            if let (Some(stream), Some(id)) = (state.kind.stream_mut(), one.consumer) {
                stream.give_credit(id, 1);
            }
        }
        for of_one in returned.chunk_by(|one, next| one.consumer == next.consumer) {
            self.deal_to(state, of_one[0].consumer, now);
        }
        state.await_sync(now);
    }
}
