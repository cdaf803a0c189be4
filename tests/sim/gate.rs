//! Two threads of a store that go from one operation of the disk to the next as a test says, in any order.
//!
//! A thread stops before each of its operations until it is told to go on ([`Gate::go_on`]). One that waits for a lock
//! of the other cannot go on; that is seen from its state in the operating system, and the other one must go first.

use std::cell::Cell;
use std::fs;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Who works on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    Writer,
    Maintenance,
}

thread_local! {
    static ACTOR: Cell<Option<Actor>> = const { Cell::new(None) };
}

/// Where an actor is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Outside,
    /// Before an operation of the disk.
    Gate,
    /// Told to go on, and to pass so many gates before it stops.
    Between(usize),
    End,
}

/// What became of an actor that was told to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Went {
    ToGate,
    ToEnd,
    /// It waits for a lock that the other one has.
    Blocked,
}

/// How long an actor is under way before it is looked at.
const LOCK_LOOK: Duration = Duration::from_millis(2);
/// How many looks in a row find a thread in the same sleep before it counts as blocked.
const LOOKS_ASLEEP: u32 = 10;

#[derive(Debug, Default)]
struct State {
    /// The writer, and maintenance.
    at: [At; 2],
    tids: [String; 2],
    is_open: bool,
}

/// The gate of two actors.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Runs `work` as an actor, from gate to gate.
    pub(crate) fn run(self: &Arc<Self>, actor: Actor, work: impl FnOnce()) {
        ACTOR.set(Some(actor));
        let thread = fs::read_link("/proc/thread-self").unwrap();
        self.lock().tids[actor as usize] = thread.display().to_string();
        self.pass();
        work();
        self.lock().at[actor as usize] = At::End;
        self.changed.notify_all();
        ACTOR.set(None);
    }

    /// Waits at the gate, if this thread is an actor's.
    pub(crate) fn pass(&self) {
        let Some(actor) = ACTOR.get() else { return };
        let mut state = self.lock();
        if state.is_open {
            return;
        }
        match &mut state.at[actor as usize] {
            At::Between(left @ 1..) => {
                *left -= 1;
                return;
            }
            at => *at = At::Gate,
        }
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| state.at[actor as usize] == At::Gate).unwrap());
    }

    /// Waits until both actors are at their first gate.
    pub(crate) fn wait_for_both(&self) {
        let state = self.lock();
        let wanting = |state: &mut State| state.at.iter().any(|at| *at != At::Gate);
        drop(self.changed.wait_while(state, wanting).unwrap());
    }

    /// Lets an actor do so many operations, at least one, and all it does before the next.
    pub(crate) fn go_on(&self, actor: Actor, operations: usize) -> Went {
        let mut state = self.lock();
        if matches!(state.at[actor as usize], At::Outside | At::Gate) {
            state.at[actor as usize] = At::Between(operations - 1);
            self.changed.notify_all();
        }
        let (mut last, mut asleep) = (None, 0);
        loop {
            match state.at[actor as usize] {
                At::End => return Went::ToEnd,
                At::Outside | At::Gate => return Went::ToGate,
                At::Between(_) => {}
            }
            let waited = self.changed.wait_timeout(state, LOCK_LOOK).unwrap();
            state = waited.0;
            if !waited.1.timed_out() || !matches!(state.at[actor as usize], At::Between(_)) {
                continue;
            }
            let tid = state.tids[actor as usize].clone();
            drop(state);
            let sleep = sleep_of(&tid);
            asleep = if sleep.is_some() && sleep == last { asleep + 1 } else { 0 };
            last = sleep;
            state = self.lock();
            if asleep == LOOKS_ASLEEP && matches!(state.at[actor as usize], At::Between(_)) {
                return Went::Blocked;
            }
        }
    }

    /// Lets both go where they like.
    pub(crate) fn open(&self) {
        let mut state = self.lock();
        state.is_open = true;
        for at in &mut state.at {
            if *at == At::Gate {
                *at = At::Outside;
            }
        }
        self.changed.notify_all();
    }
}

/// Which sleep a thread is in, by how often it gave up the processor; none if it is awake.
///
/// A thread that is not at the gate sleeps because of a lock. One of the store's is held for as long as the other actor
/// stands at its gate; one of the allocator's is held for a moment, though for longer if its holder has to wait for a
/// processor. So only a sleep that was seen several times is taken for a lock of the store.
fn sleep_of(tid: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let value = |name| status.lines().find_map(|line: &str| line.strip_prefix(name)).map(str::trim);
    value("State:").filter(|state| state.starts_with('S'))?;
    value("voluntary_ctxt_switches:")?.parse().ok()
}
