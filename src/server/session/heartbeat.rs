//! Heartbeats both ways (4.2.7).
//!
//! RabbitMQ (`rabbit_heartbeat`): something is sent every half interval, and a peer that sends nothing is dropped
//! without a frame. RabbitMQ checks once an interval and drops the peer at the second check without bytes, which is two
//! to three intervals after the last byte. Here it is two and a half: a peer whose clock is late loses nothing.

use crate::broker::time::Millis;
use crate::wire::frame;

/// The times of the last bytes in each direction.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// The agreed interval in milliseconds; 0 for none.
    interval_ms: Millis,
    received_at: Millis,
    sent_at: Millis,
}

impl Heartbeat {
    pub(super) fn new(now: Millis) -> Self {
        Self { interval_ms: 0, received_at: now, sent_at: now }
    }

    pub(super) fn agree(&mut self, interval_s: u16) {
        self.interval_ms = Millis::from(interval_s) * 1000;
    }

    pub(super) fn on_received(&mut self, now: Millis) {
        self.received_at = now;
    }

    pub(super) fn on_sent(&mut self, now: Millis) {
        self.sent_at = now;
    }

    /// The last time anything happened.
    pub(super) fn seen_at(&self) -> Millis {
        self.received_at.max(self.sent_at)
    }

    /// The agreed interval in seconds.
    pub(super) fn interval_s(&self) -> Millis {
        self.interval_ms / 1000
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.beats_at().map(|beats_at| self.lost_at().min(beats_at))
    }

    fn lost_at(&self) -> Millis {
        self.received_at + self.interval_ms * 5 / 2
    }

    /// Returns the time at which the next beat is due.
    pub(super) fn beats_at(&self) -> Option<Millis> {
        (self.interval_ms > 0).then(|| self.sent_at + self.interval_ms / 2)
    }

    pub(super) fn is_peer_lost(&self, now: Millis) -> bool {
        self.interval_ms > 0 && now >= self.lost_at()
    }

    /// Appends a heartbeat when one is due.
    pub(super) fn beat(&mut self, now: Millis, out: &mut Vec<u8>) {
        if self.beats_at().is_some_and(|at| now >= at) {
            frame::write_heartbeat(out);
            self.sent_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_every_half_interval_and_a_lost_peer_after_two_and_a_half() {
        let mut heartbeat = Heartbeat::new(0);
        assert_eq!(heartbeat.deadline(), None);
        heartbeat.agree(10);
        assert_eq!(heartbeat.deadline(), Some(5_000));
        let mut out = Vec::new();
        heartbeat.beat(5_000, &mut out);
        assert_eq!(out, [8, 0, 0, 0, 0, 0, 0, 0xCE]);
        assert!(!heartbeat.is_peer_lost(24_999));
        assert!(heartbeat.is_peer_lost(25_000));
        heartbeat.on_received(15_000);
        assert!(!heartbeat.is_peer_lost(39_999));
    }
}
