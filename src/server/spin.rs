//! Keeps the thread of a small machine awake for a moment when the next bytes are about to come.
//!
//! Putting a core to sleep and waking it again takes longer than routing a message, many times longer in a virtual
//! machine. A call and its reply are four such wake-ups. If bytes have kept coming after short gaps, the thread polls
//! for more instead of sleeping, and yields its core to others between two polls. After longer gaps, or a poll without
//! result, it sleeps again, as it does in a broker that has nothing to do, or one message each millisecond.
//!
//! It runs as a task, so it needs a runtime whose one thread also waits for the sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Notify, watch};

use super::clock::Clock;

/// Microseconds to look for more. A sleep and a wake-up cost about as much.
const LOOK_US: u64 = 100;
/// A gap up to this would have been worth it: the look and the wake-up that it saves.
const SHORT_US: u64 = 160;
/// Less is no gap: one connection woke another.
const NONE_US: u64 = 10;
/// Short gaps count one up, long ones two down; from [`WORTH_IT`] on it looks.
const SCORE_MAX: i32 = 8;
const WORTH_IT: i32 = 4;

/// The times at which connections had something to do, and whether looking for more is worth it.
#[derive(Debug)]
pub(super) struct Spin {
    clock: Clock,
    last_us: AtomicU64,
    score: AtomicI32,
    is_looking: AtomicBool,
    bell: Notify,
}

impl Spin {
    /// Starts the task, in a runtime where it can help: one thread for the sockets, and a core for others beside it.
    /// It ends when the server begins to stop.
    pub(super) fn start(clock: Clock, mut stop: watch::Receiver<bool>) -> Option<Arc<Self>> {
        let runtime = Handle::current();
        let has_one_thread = runtime.runtime_flavor() == RuntimeFlavor::MultiThread
            && runtime.metrics().num_workers() == 1;
        let has_cores = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        if !has_one_thread || !has_cores {
            return None;
        }
        let spin = Arc::new(Self::new(clock));
        let looker = Arc::clone(&spin);
        runtime.spawn(async move {
            loop {
                let has_come = tokio::select! {
                    // Cancel-safe: there is nothing to look for any more.
                    () = looker.bell.notified() => true,
                    _ = stop.wait_for(|stopping| *stopping) => false,
                };
                if !has_come {
                    return;
                }
                looker.look().await;
            }
        });
        Some(spin)
    }

    fn new(clock: Clock) -> Self {
        Self {
            clock,
            last_us: AtomicU64::new(0),
            score: AtomicI32::new(0),
            is_looking: AtomicBool::new(false),
            bell: Notify::new(),
        }
    }

    /// A connection begins to do something.
    pub(super) fn on_begin(&self) {
        // Saturates because another thread may have stored a later time since.
        self.on_gap(self.clock.now_us().saturating_sub(self.last_us.load(Relaxed)));
    }

    fn on_gap(&self, gap_us: u64) {
        if gap_us > NONE_US {
            self.count(gap_us <= SHORT_US);
        }
    }

    /// Notes that a connection has done all its work.
    pub(super) fn on_end(&self) {
        self.last_us.store(self.clock.now_us(), Relaxed);
        if self.is_worth_it() && !self.is_looking.swap(true, Relaxed) {
            self.bell.notify_one();
        }
    }

    fn count(&self, is_short: bool) {
        let score = self.score.load(Relaxed) + if is_short { 1 } else { -2 };
        self.score.store(score.clamp(0, SCORE_MAX), Relaxed);
    }

    fn is_worth_it(&self) -> bool {
        self.score.load(Relaxed) >= WORTH_IT
    }

    /// Looks for more until nothing has come for a while.
    async fn look(&self) {
        while self.is_worth_it() {
            // Saturates as in `on_begin`.
            if self.clock.now_us().saturating_sub(self.last_us.load(Relaxed)) > LOOK_US {
                self.count(false);
                break;
            }
            // First the core to other threads, then the thread to whatever has come for it.
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
        self.is_looking.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(gaps_us: impl IntoIterator<Item = u64>) -> Spin {
        let spin = Spin::new(Clock::start());
        gaps_us.into_iter().for_each(|gap| spin.on_gap(gap));
        spin
    }

    #[test]
    fn calls_are_worth_looking_for_and_ticks_are_not() {
        assert!(after([60; 4]).is_worth_it(), "a call and its reply");
        assert!(after([0, 2, 60].into_iter().cycle().take(30)).is_worth_it(), "with its wake-ups");
        assert!(!after([900; 20]).is_worth_it(), "a message each millisecond");
        assert!(!after([900, 60].into_iter().cycle().take(40)).is_worth_it(), "with its ack");
        assert!(!after([3; 100]).is_worth_it(), "no gap at all: there is no sleep to be saved");
    }

    #[test]
    fn a_pause_ends_it_soon() {
        let spin = after([60; 100]);
        (0..3).for_each(|_| spin.on_gap(5_000));
        assert!(!spin.is_worth_it());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_look_in_vain_ends_and_is_begun_again_by_the_next_connection() {
        let spin = after([60; 100]);
        for _ in 0..3 {
            spin.on_end();
            assert!(spin.is_looking.load(Relaxed));
            spin.look().await;
            assert!(!spin.is_looking.load(Relaxed));
        }
        assert!(!spin.is_worth_it(), "three in vain are enough");
        spin.on_end();
        assert!(!spin.is_looking.load(Relaxed));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn with_several_threads_one_of_them_waits_for_all_sockets_and_nobody_looks() {
        let stop = watch::Sender::new(false);
        assert!(Spin::start(Clock::start(), stop.subscribe()).is_none());
    }
}
