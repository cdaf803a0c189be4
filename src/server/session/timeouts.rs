//! Deadlines of a connection: heartbeats, peers that are silent or slow, consumer timeouts.

use super::state::{Phase, Session};
use crate::broker::time::Millis;

impl Session {
    /// Does the work that is due at `now`, if there is any.
    pub(super) fn on_time(&mut self, now: Millis, out: &mut Vec<u8>) {
        if self.deadline().is_none_or(|at| now < at) {
            return;
        }
        match &mut self.phase {
            Phase::Running(running)
                if self.cx.heartbeat.is_peer_lost(now) && !running.waits.is_held() =>
            {
                let interval_s = self.cx.heartbeat.interval_s();
                let why = format!("missed heartbeats from the client, agreed on {interval_s} s");
                self.lose_peer(&why, now);
            }
            Phase::Running(running) => {
                self.cx.heartbeat.beat(now, out);
                running.publisher.rest();
                self.enforce_consumer_timeouts(now, out);
                self.tell_settled();
            }
            Phase::Handshake(_) => {
                self.lose_peer("the client did not finish the handshake in time", now);
            }
            Phase::Closing { .. } => self.lose_peer("connection.close was not answered", now),
            Phase::Silent { .. } => {
                self.lose_peer("the client did not close the TCP connection", now);
            }
            Phase::Closed | Phase::Dropped => {}
        }
    }
}
