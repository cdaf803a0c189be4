//! The invariants of a queue, which hold whenever its lock is free. In debug builds each unlock checks them.
//!
//! Every test, simulation and fuzz run checks them that way. The cheap ones are asserted each time. The messages and
//! consumers are visited if they are few, and otherwise once in [`WALK_EVERY`] unlocks.

use super::kind::Kind;
use super::life::Life;
use super::state::State;
use super::unacked::Unacked;

/// Unlocks from one walk to the next.
const WALK_EVERY: u32 = 64;

/// Messages and consumers up to which each unlock visits them.
const FEW: usize = 64;

impl State {
    /// Asserts that the counts, sums and orders of the queue are right.
    pub(super) fn assert_sound(&mut self) {
        self.unlocks = (self.unlocks + 1) % WALK_EVERY;
        let walks = self.unlocks == 0;
        self.backlog.assert_sound();
        if walks || self.backlog.len() < FEW {
            self.backlog.assert_whole();
        }
        if walks || self.consumers.len() < FEW {
            self.consumers.assert_whole();
        }
        assert!(self.unacked.count() > 0 || self.unacked.bytes() == 0, "{:?}", self.unacked);
        match self.kind {
            Kind::Stream(_) => {
                assert_eq!(self.backlog.len(), 0, "a stream has no backlog");
                assert_eq!(self.unacked, Unacked::default(), "a stream keeps what it delivers");
            }
            Kind::Classic | Kind::Quorum(_) => {
                let is_known = !walks || self.consumers.in_flight() <= self.unacked.count();
                assert!(is_known, "a delivery in flight is unacknowledged");
            }
            Kind::Delayed(_) => assert_eq!(self.backlog.len(), 0, "they are held elsewhere"),
        }
        let is_plain = self.limits.is_none()
            && !self.backlog.has_priorities()
            && self.kind.takes_publishes_plainly();
        assert_eq!(self.is_special, !is_plain, "publishes take the right way");
        assert!(self.life != Life::Deleted || self.consumers.len() == 0, "consumers are told");
    }
}
