//! The real binary under load, killed with `kill -9` at moments that nobody chose, and nothing is lost.
//!
//! Publishers with confirms, a fanout into three queues, consumers that acknowledge out of order and transactions that
//! move messages write down what they were told. The broker is killed when a random number of things have happened,
//! `MQ_KILLS` times [default: 5; a soak: 50 and more] and from `MQ_KILLS_SEED` on [default: 1], and started again; at
//! the end everything is taken out and compared. Each kill is followed by `mq store check`, which may find the record that
//! was being written then, and nothing else.
//!
//! Start at [`nothing_confirmed_is_lost_over_kills`].

mod journal;
mod work;

use std::env;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use mq::wire::FieldTable;
use tempfile::TempDir;

use crate::support::cli::program;
use crate::support::directory::Served;
use crate::support::peer::Peer;
use journal::Journal;

/// Things that happen before a kill, at most: confirms, acknowledgements, messages of a transaction.
const EVENTS_MAX: usize = 4000;

/// The fanout, its queues, and the queues that are published into by name.
const FANOUT: &str = "all";
const FANOUT_QUEUES: [&str; 3] = ["all-0", "all-1", "all-2"];
const DIRECT_QUEUES: [&str; 3] = ["direct-0", "direct-1", "large"];
/// Transactions publish into the first, and move from there into the second.
const TX_FROM: &str = "tx-from";
const TX_TO: &str = "tx-to";

/// Numbers that look random and are the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Numbers of its own for a worker.
    fn split(&mut self) -> Self {
        Self::new(self.next())
    }
}

/// Counts what happens, and says when it is enough.
struct Trigger {
    left: AtomicUsize,
    enough: mpsc::Sender<()>,
}

impl Trigger {
    fn count(&self, events: usize) {
        let before = self.left.fetch_sub(events, Ordering::SeqCst);
        if (1..=events).contains(&before) {
            self.enough.send(()).unwrap();
        }
    }
}

/// What the work of one round shares.
struct Round {
    address: std::net::SocketAddr,
    trigger: Trigger,
    /// Passed when everybody is connected.
    begin: Barrier,
}

fn from_environment(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn declare(served: &Served) {
    let mut peer = Peer::on_channel_one(served.address());
    for queue in FANOUT_QUEUES.iter().chain(&DIRECT_QUEUES).chain(&[TX_FROM, TX_TO]) {
        peer.declare_durable(queue, FieldTable::new());
    }
    peer.declare_fanout(FANOUT, &FANOUT_QUEUES);
}

/// Works on a broker until it has been killed; what was told goes into the journal.
fn round(served: Served, journal: &mut Journal, random: &mut Random) {
    let work = work::all(journal, random);
    let (enough, is_enough) = mpsc::channel();
    let left = AtomicUsize::new(1 + random.below(EVENTS_MAX));
    let round = Arc::new(Round {
        address: served.address(),
        trigger: Trigger { left, enough },
        begin: Barrier::new(work.len()),
    });
    let workers: Vec<_> = work
        .into_iter()
        .map(|work| {
            let round = Arc::clone(&round);
            thread::spawn(move || work(&round))
        })
        .collect();
    drop(round);
    // Nobody says anything when somebody has failed; the worker says why.
    let _ = is_enough.recv();
    served.kill();
    for worker in workers {
        journal.add(worker.join().unwrap());
    }
}

/// Whether `mq store check` finds nothing, or only the record that was being written when the broker was killed.
fn is_whole_but_for_a_torn_end(check: &Output) -> bool {
    let stdout = String::from_utf8_lossy(&check.stdout);
    let said = |line: &str| stdout.lines().any(|said| said == line);
    let is_torn = said("damaged messages: 1") && stdout.contains("not completely written");
    let is_whole = said("damaged messages: 0") && check.status.success();
    let are_others_sound = said("broken marks: 0") && said("broken indexes: 0");
    (is_whole || is_torn && check.status.code() == Some(1)) && are_others_sound
}

#[test]
fn nothing_confirmed_is_lost_over_kills() {
    let kills = from_environment("MQ_KILLS", 5);
    let seed = from_environment("MQ_KILLS_SEED", 1);
    let directory = TempDir::new().unwrap();
    let mut journal = Journal::default();
    let mut random = Random::new(seed);
    for nth in 0..kills {
        let served = Served::start(directory.path());
        if nth == 0 {
            declare(&served);
        }
        round(served, &mut journal, &mut random);
        let check = program().args(["store", "check"]).arg(directory.path()).output().unwrap();
        assert!(is_whole_but_for_a_torn_end(&check), "kill {nth} of seed {seed}: {check:?}");
    }
    let served = Served::start(directory.path());
    for queue in FANOUT_QUEUES.iter().chain(&DIRECT_QUEUES).chain(&[TX_FROM, TX_TO]) {
        journal.drain(queue, &mut Peer::on_channel_one(served.address()));
    }
    served.stop();
    journal.compare();
}
