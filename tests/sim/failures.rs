//! The disk fails and the broker does not: nothing is confirmed that is not safe, and nothing is out of reach.

use std::sync::{Arc, Mutex};

use mq::store::{Health, Options, Outcome, Refused};

use crate::disk::{End, Fault, Kept};
use crate::model::Left;
use crate::world::{Habit, World};

const SMALL: Options = Options { file_bytes: 32 << 10 };

/// A world whose disk fails at an operation, after some work.
fn work_with_failure(seed: u64, operation: u64) -> Result<World, String> {
    let mut world = World::new(seed, SMALL, Habit::InOrder, 4 << 10);
    world.is_faulty = true;
    world.open(Left::Closed)?;
    world.disk.fail(Fault::FailsAt(operation));
    let mut at_failure = None;
    for _ in 0..120 {
        world.act_open()?;
        let store = world.store.as_ref().unwrap();
        if store.health() == Health::Failed {
            let latest = (store.latest(), store.outcome(store.latest()));
            let first = *at_failure.get_or_insert(latest);
            if latest != first && latest.1 == Outcome::Synced {
                return Err("something is synced after the failure".to_owned());
            }
        }
        world.check_content()?;
    }
    Ok(world)
}

#[test]
fn what_was_confirmed_outlives_a_failed_operation_and_the_rest_is_read_from_memory() {
    let mut failed = 0;
    for seed in 1..=3 {
        for operation in 1..150 {
            let result = work_with_failure(seed, operation).and_then(|mut world| {
                let store = world.store.as_ref().unwrap();
                failed += u32::from(store.health() == Health::Failed);
                for (end, left) in
                    [(End::Killed, Left::Killed), (End::PowerCut(Kept::AnySector), Left::PowerCut)]
                {
                    let mut next = world.on(world.disk.clone());
                    next.end(end, operation);
                    next.open(left)?;
                }
                world.step();
                world.check_content()
            });
            let problem = result.err();
            assert_eq!(problem, None, "seed {seed}, failing at {operation}");
        }
    }
    assert!(failed > 100, "{failed}");
}

#[test]
fn a_full_disk_refuses_until_there_is_room_and_loses_nothing() {
    let mut world = World::new(1, SMALL, Habit::InOrder, 4 << 10);
    assert_eq!(world.open(Left::Closed), Ok(true));
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let store = world.store.as_ref().unwrap();
    store.watch_health(Box::new(move |health| telling.lock().unwrap().push(health)));
    world.disk.fail(Fault::Room(200 << 10));
    world.is_faulty = true;
    while world.store.as_ref().unwrap().health() == Health::Well {
        world.append().unwrap();
        world.step();
    }
    assert_eq!(*told.lock().unwrap(), [Health::Full]);
    let refused = loop {
        if let Some(refused) = world.try_append() {
            break refused;
        }
    };
    assert_eq!(refused, Refused(Health::Full));
    // What is under way is written all the same.
    let store = world.store.as_ref().unwrap();
    store.step();
    assert_eq!(store.outcome(store.latest()), Outcome::Synced);
    assert_eq!(world.check_content(), Ok(()));
    let all = world.model.waiting();
    assert!(all.len() > 20, "{} messages", all.len());
    world.settle_keys(&all[all.len() / 2..]);
    world.settle_keys(&all[..all.len() / 2]);
    world.step();
    world.step_round();
    assert_eq!(world.store.as_ref().unwrap().health(), Health::Well);
    assert_eq!(*told.lock().unwrap(), [Health::Full, Health::Well]);
    assert_eq!(world.try_append(), None);
}

#[test]
fn a_message_larger_than_a_file_comes_back_whole() {
    let mut world = World::new(5, Options { file_bytes: 16 << 10 }, Habit::InOrder, 256 << 10);
    assert_eq!(world.open(Left::Closed), Ok(true));
    for _ in 0..30 {
        world.append().unwrap();
        world.step();
    }
    world.look();
    for kept in [Kept::Nothing, Kept::AnySector] {
        world.end(End::PowerCut(kept), 1);
        assert_eq!(world.open(Left::PowerCut), Ok(true));
    }
    assert!(world.model.waiting().len() > 20);
}
