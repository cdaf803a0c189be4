//! A consumer of a stream comes and goes.

use super::refusals::Refusal;
use crate::broker::queue::consumers::consumer::{ConsumerId, Subscription};
use crate::broker::queue::life::Life;
use crate::broker::queue::state::{Queue, State};
use crate::broker::queue::stream::filter::Filter;
use crate::broker::queue::stream::start::Start;
use crate::broker::time::Millis;
use crate::wire::{Fault, ReplyCode};

impl Queue {
    /// Adds a consumer and deals it the messages from its offset on. Any number may consume, exclusive ones too
    /// (RabbitMQ: `rabbit_stream_queue:consume`, which looks at no such flag).
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` without a prefetch limit and for a start that is none; `NOT_IMPLEMENTED`, closing the
    /// connection, without acknowledgements and with a limit of the channel.
    pub(in crate::broker::queue) fn subscribe_to_stream(
        &self,
        subscription: Subscription,
        now: Millis,
    ) -> Result<ConsumerId, Fault> {
        if subscription.prefetch == 0 {
            return Err(self.refuse(Refusal::NoPrefetch));
        }
        if subscription.no_ack {
            return Err(self.refuse(Refusal::NoAck));
        }
        if subscription.limit.most() > 0 {
            return Err(self.refuse(Refusal::GlobalQos));
        }
        let start = Start::of(&subscription.arguments, self.unix_ms(now))
            .map_err(|shown| self.refuse(Refusal::BadStart(shown)))?;
        // 3.10 knows none.
        let is_3_10 = self.shared.compat.get().is_3_10();
        let filter = Filter::of(&subscription.arguments).filter(|_| !is_3_10);
        let mut held = self.lock();
        let state = &mut *held;
        let is_living = state.life == Life::Living;
        let Some(stream) = state.kind.stream_mut().filter(|_| is_living) else {
            return Err(Fault::new(ReplyCode::NotFound, format!("no {}", self.noun())));
        };
        let reader = stream.reader(&subscription, start, filter);
        let id = state.consumers.add(subscription);
        stream.add_reader(id, reader);
        self.deal_to(state, [id], now);
        // A stream without readers does not know which of its messages are on disk by now.
        self.deal_at_end(state, now);
        Ok(id)
    }

    /// Forgets a consumer that has left.
    pub(in crate::broker::queue) fn leave_stream(state: &mut State, id: ConsumerId) {
        if let Some(stream) = state.kind.stream_mut() {
            stream.remove_reader(id);
        }
    }

    /// Deals to consumers whose mailbox has room again.
    pub(in crate::broker::queue) fn resume_stream(
        &self,
        state: &mut State,
        consumers: impl IntoIterator<Item = ConsumerId>,
        now: Millis,
    ) {
        self.deal_to(state, consumers, now);
        state.await_sync(now);
    }
}
