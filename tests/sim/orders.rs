//! A sparse file is given up while its messages are settled and delivered, in every order of the steps, with the end
//! of the broker after each.
//!
//! Maintenance copies and frees the file, the writer marks what consumers told; both stop before each operation of the
//! disk. An order is: maintenance does some operations, consumers tell something, the writer does some operations, the
//! maintenance some more, then the writer ends its work, then maintenance.
//!
//! Start reading at [`Order::play`].

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::thread;

use mq::store::{Options, Outcome, QueueId, Store};

use crate::disk::{Disk, End, Fault, Kept};
use crate::gate::{Actor, Gate, Went};
use crate::model::{Left, Mark};
use crate::world::{Habit, World};

const QUEUE: QueueId = QueueId(1);
/// A file has room for 2 KiB of records.
const OPTIONS: Options = Options { file_bytes: 6 << 10 };

/// What is told of the waiting messages of the file that is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tell {
    Delivered,
    Settled,
    SettledSynced,
}

use Tell::{Delivered, Settled, SettledSynced};

/// A directory whose sparsest file is worth giving up, with the messages that wait in it.
struct Sparse {
    world: World,
    waiting: Vec<(QueueId, u64)>,
    /// What was looked at already: a disk, and how far each message got.
    seen: Mutex<HashSet<u64>>,
}

/// How large the messages are that wait in the sparsest file: the second do not fit into one file of survivors, so
/// that one is full before the copying ends.
const BODIES: [usize; 2] = [20, 700];

/// Appends `count` messages of `len` bytes; all but the first are settled.
fn fill_file(world: &mut World, count: usize, len: usize) -> (QueueId, u64) {
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(world.append_sized(QUEUE, len));
    }
    world.step();
    world.settle_keys(&keys[1..]);
    keys[0]
}

fn sparse(body: usize) -> Sparse {
    let mut world = World::new(1, OPTIONS, Habit::Sparse, 600);
    assert_eq!(world.open(Left::Closed), Ok(true));
    // The sparsest: three of many wait.
    let mut waiting: Vec<_> = (0..2).map(|_| world.append_sized(QUEUE, body)).collect();
    let (count, len) = if body < 100 { (20, 20) } else { (3, 100) };
    let last = if body < 100 {
        fill_file(&mut world, count, len)
    } else {
        // Few bytes are left for those that are settled.
        let keys: Vec<_> = (0..7).map(|_| world.append_sized(QUEUE, 0)).collect();
        world.settle_keys(&keys);
        waiting[0]
    };
    waiting.push(last);
    waiting.sort_unstable();
    waiting.dedup();
    for _ in 0..4 {
        fill_file(&mut world, 6, 264);
    }
    world.append_sized(QUEUE, 264);
    world.step();
    world.disk = world.disk.clone();
    world.store.as_ref().unwrap().step();
    world.model.advance(Mark::Told, Mark::Written);
    world.store = None;
    world.disk = Disk::with_files(&world.disk.files());
    world.model.advance(Mark::Written, Mark::Safe);
    Sparse { world, waiting, seen: Mutex::default() }
}

/// One order of the steps.
#[derive(Clone, Copy, Debug)]
struct Order<'a> {
    /// What is told of each waiting message.
    tell: &'a [Tell],
    /// What maintenance does before that, the writer behind it, and maintenance then.
    maintenance_before: usize,
    writer_before: usize,
    maintenance_after: usize,
    /// An operation of the disk that fails, counted from the beginning.
    fails_at: Option<u64>,
}

/// Which parts an actor could not do whole, as it ended or waits for the other: more of it would be the same order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    maintenance_before: bool,
    writer_before: bool,
    maintenance_after: bool,
}

/// A store that is being worked on.
struct Stage<'a> {
    world: &'a mut World,
    store: &'a Store,
    gate: &'a Gate,
    is_faulty: bool,
    seen: &'a Mutex<HashSet<u64>>,
}

impl Stage<'_> {
    fn tell(&mut self, waiting: &[(QueueId, u64)], tell: &[Tell]) {
        for (key, tell) in waiting.iter().zip(tell) {
            let message = self.world.model.messages.get_mut(key).unwrap();
            let slot = [message.place].into_iter().collect();
            match tell {
                Delivered => {
                    self.store.mark_delivered(&slot);
                    message.delivered = Mark::Told;
                }
                Settled => {
                    self.store.settle(&slot);
                    message.settled = Mark::Told;
                }
                SettledSynced => {
                    message.settling = Some(self.store.settle_synced(&slot));
                    message.settled = Mark::Told;
                }
            }
        }
    }

    /// Does up to `steps` operations of an actor; answers whether it could do no more.
    fn go(&mut self, actor: Actor, steps: usize) -> bool {
        steps > 0 && self.gate.go_on(actor, steps) != Went::ToGate
    }

    /// Ends an actor's work, and the broker after each of its operations.
    fn go_to_end(&mut self, actor: Actor) -> Result<(), String> {
        loop {
            let went = self.gate.go_on(actor, 1);
            let is_written = actor == Actor::Writer && went == Went::ToEnd && !self.is_faulty;
            if is_written {
                self.world.model.advance(Mark::Told, Mark::Written);
            }
            self.check_ends()?;
            match went {
                Went::ToEnd => return Ok(()),
                Went::ToGate => {}
                // The other one has a lock: it goes on for as long as that lasts.
                Went::Blocked => {
                    let other = match actor {
                        Actor::Writer => Actor::Maintenance,
                        Actor::Maintenance => Actor::Writer,
                    };
                    self.gate.go_on(other, 1);
                }
            }
        }
    }

    /// Ends the broker here in every way, and looks at what the next one finds.
    fn check_ends(&mut self) -> Result<(), String> {
        let operations = self.world.disk.operations();
        let store = self.store;
        self.world.model.on_synced(|batch| store.outcome(batch) == Outcome::Synced);
        let mut hasher = DefaultHasher::new();
        self.world.disk.fingerprint().hash(&mut hasher);
        for message in self.world.model.messages.values() {
            (message.settled as u8, message.delivered as u8).hash(&mut hasher);
        }
        if !self.seen.lock().unwrap().insert(hasher.finish()) {
            return Ok(());
        }
        for (end, left) in [
            (End::Killed, Left::Killed),
            (End::PowerCut(Kept::Nothing), Left::PowerCut),
            (End::PowerCut(Kept::AnySector), Left::PowerCut),
        ] {
            check_end(self.world, end, left)
                .map_err(|problem| format!("{end:?} at {operations}: {problem}"))?;
        }
        Ok(())
    }
}

/// Ends the broker, and the next one after it has done some work.
fn check_end(world: &World, end: End, left: Left) -> Result<(), String> {
    let mut next = world.on(world.disk.clone());
    next.end(end, world.disk.operations());
    next.open(left)?;
    next.step();
    next.step_round();
    next.end(End::Killed, 0);
    next.open(Left::Killed)?;
    Ok(())
}

impl Order<'_> {
    /// Plays the order; answers which parts were not done whole.
    fn play(&self, sparse: &Sparse) -> Result<Ends, String> {
        let mut world = sparse.world.on(Disk::with_files(&sparse.world.disk.files()));
        assert_eq!(world.open(Left::Killed), Ok(true));
        let store = Arc::new(world.store.take().unwrap());
        let gate = Arc::new(Gate::default());
        if let Some(operation) = self.fails_at {
            world.disk.fail(Fault::FailsAt(world.disk.operations() + operation));
        }
        world.disk.set_gate(&gate);
        let ends = thread::scope(|scope| {
            scope.spawn(|| gate.run(Actor::Maintenance, || store.step_round()));
            scope.spawn(|| gate.run(Actor::Writer, || store.step_writer()));
            gate.wait_for_both();
            let is_faulty = self.fails_at.is_some();
            let mut stage = Stage {
                world: &mut world,
                store: &store,
                gate: &gate,
                is_faulty,
                seen: &sparse.seen,
            };
            let ends = self.direct(&mut stage, &sparse.waiting);
            gate.open();
            ends
        })?;
        world.store = Arc::into_inner(store);
        self.end(&mut world)?;
        Ok(ends)
    }

    fn direct(&self, stage: &mut Stage<'_>, waiting: &[(QueueId, u64)]) -> Result<Ends, String> {
        let mut ends = Ends {
            maintenance_before: stage.go(Actor::Maintenance, self.maintenance_before),
            ..Ends::default()
        };
        stage.tell(waiting, self.tell);
        ends.writer_before = stage.go(Actor::Writer, 1 + self.writer_before);
        ends.maintenance_after = stage.go(Actor::Maintenance, self.maintenance_after);
        stage.go_to_end(Actor::Writer)?;
        stage.go_to_end(Actor::Maintenance)?;
        Ok(ends)
    }

    /// What was told long ago is safe, and a clean stop keeps all.
    fn end(&self, world: &mut World) -> Result<(), String> {
        world.is_faulty = self.fails_at.is_some();
        world.disk.fail(Fault::FailsAt(u64::MAX));
        for _ in 0..2 {
            world.step();
            world.step_round();
        }
        if !has_failed(world) {
            // A fault is over by now, and was made up for.
            for mark in [Mark::Told, Mark::Written] {
                world.model.advance(mark, Mark::Safe);
            }
        }
        world.look();
        check_end(world, End::PowerCut(Kept::Nothing), Left::PowerCut)?;
        check_end(world, End::Killed, Left::Killed)?;
        if has_failed(world) {
            return Ok(());
        }
        world.close()?;
        world.step_round();
        world.close()
    }
}

fn has_failed(world: &World) -> bool {
    world.store.as_ref().unwrap().health() == mq::store::Health::Failed
}

/// Plays every order in which these are told.
fn play_all(sparse: &Sparse, tell: &[Tell]) -> usize {
    let mut played = 0;
    for maintenance_before in 0.. {
        let mut ends = Ends::default();
        for writer_before in 0.. {
            for maintenance_after in 0.. {
                let fails_at = None;
                let order =
                    Order { tell, maintenance_before, writer_before, maintenance_after, fails_at };
                ends = order.play(sparse).unwrap_or_else(|problem| panic!("{order:?}: {problem}"));
                played += 1;
                if ends.maintenance_after || ends.writer_before || ends.maintenance_before {
                    break;
                }
            }
            if ends.writer_before || ends.maintenance_before {
                break;
            }
        }
        if ends.maintenance_before {
            break;
        }
    }
    played
}

fn tells(sparse: &Sparse) -> [Vec<Tell>; 2] {
    let count = sparse.waiting.len();
    let mut some = vec![Settled, Delivered, SettledSynced];
    some.truncate(count);
    [vec![SettledSynced; count], some]
}

#[test]
fn what_is_settled_while_its_file_is_given_up_never_returns() {
    for body in BODIES {
        let sparse = sparse(body);
        for tell in tells(&sparse) {
            let played = play_all(&sparse, &tell);
            let ends = sparse.seen.lock().unwrap().len();
            assert!(played > 100 && ends > 30, "{played} orders, {ends} ends");
        }
    }
}

/// Each operation of the disk fails once, whoever does it, and the broker goes on.
#[test]
fn what_is_settled_never_returns_though_the_disk_refuses_a_step() {
    let mut survived = 0;
    for body in BODIES {
        let sparse = sparse(body);
        for tell in tells(&sparse) {
            for maintenance_before in 0.. {
                let mut ends = Ends::default();
                for fails_at in 0..24 {
                    let order = Order {
                        tell: &tell,
                        maintenance_before,
                        writer_before: 0,
                        maintenance_after: 0,
                        fails_at: Some(fails_at),
                    };
                    ends = order
                        .play(&sparse)
                        .unwrap_or_else(|problem| panic!("{order:?}: {problem}"));
                    survived += 1;
                }
                if ends.maintenance_before {
                    break;
                }
            }
        }
    }
    assert!(survived > 500, "{survived}");
}
