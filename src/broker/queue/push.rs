//! Takes a published message into a queue. Begin with [`Queue::push`].

use super::kind::Kind;
use super::life::Life;
use super::state::{Queue, State};
use super::taken::Taken;
use crate::broker::message::Message;
use crate::broker::time::Millis;
use crate::moment;
use crate::store::Place;

impl Queue {
    /// Takes one published message, which the store has at `place`: hands it to a consumer with credit, or keeps it
    /// at the tail.
    ///
    /// The hottest call of the broker: once for each queue a publish is routed to.
    /// Cost: one lock, one push, one hand-over when a consumer has credit; no allocation once the deque has
    /// grown, no copy of the message (it is shared).
    #[inline]
    pub fn push(&self, message: Message, place: Option<Place>, now: Millis) -> Taken {
        moment::reach("queue.push");
        let mut state = self.lock();
        if state.life == Life::Deleted {
            state.after_unlock.dropped(place);
            return Taken::Yes;
        }
        let message = if state.is_special {
            match self.take_specially(&mut state, message, place, now) {
                Ok(message) => message,
                Err(taken) => return taken,
            }
        } else {
            message
        };
        state.counters.publish += 1;
        let deadline = state.deadline(&message, now);
        let entry = state.backlog.place(message, place, deadline);
        if self.belongs_on_disk(&state, place) {
            self.push_on_disk(&mut state, entry);
        } else {
            state.backlog.push_back(entry);
        }
        state.backlog.select_highest();
        state.deal(now);
        if state.is_special {
            state.trim(now);
            self.arm(&mut state);
        }
        // The message itself, or one behind those that were dealt.
        if state.backlog.has_deadlines() {
            state.expire(now);
            self.arm(&mut state);
        }
        Taken::Yes
    }

    /// Does the first steps of a publish where a kind, limits or priorities apply; returns the message unless the
    /// publish is done with that.
    #[inline(never)]
    fn take_specially(
        &self,
        state: &mut State,
        message: Message,
        place: Option<Place>,
        now: Millis,
    ) -> Result<Message, Taken> {
        match state.kind {
            Kind::Stream(_) => return Err(self.push_to_stream(state, message, place, now)),
            Kind::Delayed(_) => {
                state.hold(message, place, now);
                self.arm(state);
                return Err(Taken::Yes);
            }
            Kind::Classic | Kind::Quorum(_) => {}
        }
        if state.is_full_for(&message) {
            return Err(state.refuse(message, place, now));
        }
        state.backlog.select_priority(|| message.said_priority());
        Ok(message)
    }
}
