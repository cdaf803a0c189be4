//! The outbox of a queue: its dead letters, in the order in which their messages died, until they are published.
//!
//! ```text
//!                first letter              more than one run publishes, the disk is
//!   Idle ------------------------> UnderWay ---- behind, or a letter is refused ----> Later(time)
//!    ^                              |    ^                                               |
//!    '---- all letters are gone ----'    '------------- the timer comes -----------------'
//! ```
//!
//! One run at a time publishes letters; [`Publishing`] says so. Of a queue that sends its letters at least once
//! (`x-dead-letter-strategy`) those that no queue takes stay in front and are tried again, up to [`PREFETCH`] of them
//! at a time. `dead_letters` moves letters in and out.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use crate::broker::entry::Entry;
use crate::broker::time::Millis;
use crate::store::{DEAD_BIT, Place, Waiting};
use crate::wire::ShortStr;

/// Letters that may wait for a queue before those behind them wait as well (RabbitMQ:
/// `dead_letter_worker_consumer_prefetch`).
pub(in crate::broker) const PREFETCH: usize = 32;

/// The pause before letters are tried again that the disk refused or no queue took. It is long enough that neither is
/// kept busy by it. RabbitMQ waits three minutes for a queue.
pub(in crate::broker) const RETRY_MS: Millis = 1_000;

/// Letters that are read and recorded with one call, which is as many as are published in one run.
const RECORDED_AT_ONCE: usize = 128;

/// The reason why a message became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathReason {
    /// A client has rejected it.
    Rejected,
    /// Its time to live has passed.
    Expired,
    /// Its queue had no room for it.
    MaxLen,
    /// It was delivered too often.
    DeliveryLimit,
    /// It has not died: a delayed exchange has kept it, and its time has come.
    Due,
}

impl DeathReason {
    const ALL: [Self; 5] =
        [Self::Rejected, Self::Expired, Self::MaxLen, Self::DeliveryLimit, Self::Due];

    /// The number by which the store notes it of a letter that was not published yet.
    pub(in crate::broker) fn code(self) -> u64 {
        self as u64
    }

    /// The reason with this number.
    fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The name in the headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLen => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
            Self::Due => "due",
        }
    }
}

/// A message that died and is not published at its dead letter exchange yet.
#[derive(Clone, Debug)]
pub(in crate::broker) struct DeadLetter {
    pub(in crate::broker) entry: Entry,
    pub(in crate::broker) reason: DeathReason,
    /// The time of its death in milliseconds since 1970; known once it was tried.
    pub(in crate::broker) died_at_unix_ms: Option<u64>,
    /// The queues that have it, while others have refused it.
    pub(in crate::broker) taken_by: Vec<ShortStr>,
    /// The store knows that it is a dead letter.
    pub(in crate::broker) is_recorded: bool,
}

thread_local! {
    /// This thread may wait for messages to be read.
    static MAY_READ: Cell<bool> = const { Cell::new(false) };
}

/// Runs work on a thread that may wait for messages to be read.
pub(super) fn while_reading<T>(work: impl FnOnce() -> T) -> T {
    MAY_READ.set(true);
    let done = work();
    MAY_READ.set(false);
    done
}

impl DeadLetter {
    fn new(entry: Entry, reason: DeathReason) -> Self {
        Self { entry, reason, died_at_unix_ms: None, taken_by: Vec::new(), is_recorded: false }
    }

    /// Answers whether only the store has its message.
    fn is_unread(&self) -> bool {
        self.entry.message.is_none() && self.entry.place.is_some()
    }

    /// The place of its message in the store, if that is to be read.
    pub(super) fn unread_place(&self) -> Option<Place> {
        self.entry.place.filter(|_| self.is_unread())
    }

    /// A letter that the store had when the broker started.
    fn recovered(waiting: &Waiting) -> Option<Self> {
        let noted = waiting.time_to_live_ms.filter(|noted| noted & DEAD_BIT != 0)?;
        Some(Self {
            died_at_unix_ms: Some(waiting.published_at),
            is_recorded: true,
            ..Self::new(
                Entry::recovered(waiting, Millis::MAX),
                DeathReason::from_code(noted & !DEAD_BIT)?,
            )
        })
    }
}

/// The state of publishing; the diagram is at the top of the file.
#[derive(Debug, Default)]
enum Publishing {
    #[default]
    Idle,
    /// A thread publishes letters now, or will when it has given the queue's lock back.
    UnderWay,
    /// The timer goes on at this time. The queue is kept until then, though it may be deleted.
    Later(
        Millis,
        #[expect(dead_code, reason = "it is kept, not asked")] Arc<dyn Any + Send + Sync>,
    ),
}

/// The dead letters of a queue that are not published yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    letters: VecDeque<DeadLetter>,
    /// Bytes of their bodies.
    bytes: u64,
    /// The number of those whose messages must be read first.
    unread: usize,
    /// The store's reading thread is about to publish some.
    is_with_reader: bool,
    /// The connections that wait until it has.
    waiting: Vec<Waker>,
    publishing: Publishing,
    /// The number of those in front that no queue takes.
    stuck: usize,
}

/// The letters that one run leaves unpublished.
#[derive(Debug, Default)]
pub(in crate::broker) struct Unpublished {
    /// Letters that no queue takes, of a queue that keeps them.
    pub(in crate::broker) stuck: VecDeque<DeadLetter>,
    /// Letters behind those, in their order.
    pub(in crate::broker) untried: VecDeque<DeadLetter>,
    /// The letter at which a bug stopped, which may do so again: all others go first.
    pub(in crate::broker) last: Option<DeadLetter>,
    /// The time at which those are tried again that the disk has refused or a bug has stopped.
    pub(in crate::broker) again_at: Option<Millis>,
}

/// The step that follows when a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextRun {
    Nothing,
    /// Another run, now.
    Now,
    /// Another run at this time.
    At(Millis),
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Bytes of the bodies.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The time at which the timer is to go on.
    pub(super) fn due_at(&self) -> Option<Millis> {
        match self.publishing {
            Publishing::Idle | Publishing::UnderWay => None,
            Publishing::Later(at, _) => Some(at),
        }
    }

    /// Adds a letter; answers whether a run is to begin.
    pub(super) fn add(&mut self, entry: Entry, reason: DeathReason) -> bool {
        self.push_back(DeadLetter::new(entry, reason));
        let is_waiting = matches!(self.publishing, Publishing::Later(..));
        // Those that no queue takes hold up no others while they are few.
        let may_pass = (1..PREFETCH).contains(&self.stuck) && is_waiting;
        let begins = may_pass || matches!(self.publishing, Publishing::Idle);
        if begins {
            self.publishing = Publishing::UnderWay;
        }
        begins
    }

    /// Adds a letter while the broker starts: until then no queue takes anything.
    pub(super) fn add_before_start(&mut self, entry: Entry, reason: DeathReason) {
        self.push_back(DeadLetter::new(entry, reason));
    }

    /// Takes back a letter that the store had when the broker started; answers whether it is one.
    pub(super) fn recover(&mut self, waiting: &Waiting) -> bool {
        let letter = DeadLetter::recovered(waiting);
        let is_letter = letter.is_some();
        if let Some(letter) = letter {
            self.push_back(letter);
        }
        is_letter
    }

    /// Answers whether a run is to begin because its time has come.
    pub(super) fn begins_at(&mut self, now: Millis) -> bool {
        let is_due = self.due_at().is_some_and(|at| at <= now);
        if is_due {
            self.publishing = Publishing::UnderWay;
        }
        is_due
    }

    /// Leaves the next run to the timer.
    pub(super) fn wait_until(&mut self, at: Millis, queue: Arc<dyn Any + Send + Sync>) {
        self.publishing = Publishing::Later(at, queue);
    }

    fn count_in(&mut self, letter: &DeadLetter) {
        self.bytes += u64::from(letter.entry.body_len);
        self.unread += usize::from(letter.is_unread());
    }

    fn push_back(&mut self, letter: DeadLetter) {
        self.count_in(&letter);
        self.letters.push_back(letter);
    }

    fn push_front(&mut self, letter: DeadLetter) {
        self.count_in(&letter);
        self.letters.push_front(letter);
    }

    /// Answers whether some must be read by another thread than this one.
    fn awaits_reader(&self) -> bool {
        self.unread > 0 && !MAY_READ.get()
    }

    /// Answers whether the store's reading thread is to do the run, as some must be read first; if so, it counts as
    /// begun there.
    pub(super) fn leave_to_reader(&mut self) -> bool {
        self.is_with_reader |= self.awaits_reader();
        self.awaits_reader()
    }

    /// Ends the work of the store's reading thread; returns the connections that waited for it.
    pub(super) fn end_reading(&mut self) -> Vec<Waker> {
        self.is_with_reader = false;
        std::mem::take(&mut self.waiting)
    }

    /// Answers whether letters are being read; if so, the waker that `reader` makes is woken when that has ended.
    pub(super) fn await_reading(&mut self, reader: impl FnOnce() -> Waker) -> bool {
        if self.is_with_reader {
            self.waiting.push(reader());
        }
        self.is_with_reader
    }

    /// Takes out the first letters for a run; none if another thread is to read some of them.
    pub(super) fn take(&mut self, most: usize) -> VecDeque<DeadLetter> {
        if self.awaits_reader() { VecDeque::new() } else { self.take_out(most) }
    }

    /// Takes out letters as long as the store does not know some of them to be dead letters: the last ones.
    pub(super) fn take_unrecorded(&mut self) -> Option<VecDeque<DeadLetter>> {
        let last = self.letters.back()?;
        let is_unrecorded = !last.is_recorded && last.entry.place.is_some();
        // The next run is the reader's.
        (is_unrecorded && !self.awaits_reader()).then(|| self.take_out(RECORDED_AT_ONCE))
    }

    fn take_out(&mut self, most: usize) -> VecDeque<DeadLetter> {
        let len = most.min(self.letters.len());
        let taken: VecDeque<DeadLetter> = self.letters.drain(..len).collect();
        self.bytes -= taken.iter().map(|letter| u64::from(letter.entry.body_len)).sum::<u64>();
        self.unread -= taken.iter().filter(|letter| letter.is_unread()).count();
        taken
    }

    /// Takes out all letters that no run has in hand.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = DeadLetter> + use<> {
        let taken = self.take_out(usize::MAX);
        self.stuck = 0;
        if matches!(self.publishing, Publishing::Later(..)) {
            self.publishing = Publishing::Idle;
        }
        taken.into_iter()
    }

    /// Takes back the letters that a run leaves; returns the next step, and whether letters are stuck that were not
    /// before.
    pub(super) fn end_run(&mut self, left: Unpublished, now: Millis) -> (NextRun, bool) {
        let Unpublished { stuck, untried, last, again_at } = left;
        let (stuck_len, has_more) = (stuck.len(), untried.len() + self.letters.len() > 0);
        let was_stuck = std::mem::replace(&mut self.stuck, stuck_len) > 0;
        for letter in stuck.into_iter().chain(untried).rev() {
            self.push_front(letter);
        }
        if let Some(last) = last {
            self.push_back(last);
        }
        #[cfg(debug_assertions)]
        if self.letters.len() < 2 * PREFETCH {
            self.assert_sound();
        }
        let next = match again_at {
            Some(at) => NextRun::At(at),
            // There are more that may go.
            None if (1..PREFETCH).contains(&stuck_len) && has_more => NextRun::At(now),
            None if stuck_len > 0 => NextRun::At(now.saturating_add(RETRY_MS)),
            None if self.letters.is_empty() => {
                self.publishing = Publishing::Idle;
                NextRun::Nothing
            }
            None => NextRun::Now,
        };
        (next, !was_stuck && stuck_len > 0)
    }

    /// Panics unless the counts agree with the letters.
    #[cfg(debug_assertions)]
    pub(super) fn assert_sound(&self) {
        let bytes = self.letters.iter().map(|letter| u64::from(letter.entry.body_len)).sum();
        let unread = self.letters.iter().filter(|letter| letter.is_unread()).count();
        assert_eq!((self.bytes, self.unread), (bytes, unread), "the counts of dead letters");
    }
}
