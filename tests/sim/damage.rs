//! A byte that is not what was written costs the message that it is in, and that is told; nothing whole is lost.

use std::collections::{BTreeMap, BTreeSet};

use mq::store::{
    CheckReport, DamagedRecord, OpenReport, Options, QueueId, Store, StoreError, check_on,
};

use crate::crashes::{ENDS, operations, work, world};
use crate::disk::{Disk, End};
use crate::model::{FIRST_AT, Left};
use crate::random::Random;
use crate::world::{Habit, World};

/// A directory as it was left.
struct Ended {
    world: World,
    files: Vec<(String, Vec<u8>)>,
}

/// A directory with many small files, as they are before the broker ends.
fn written(seed: u64) -> World {
    let mut world = World::new(seed, Options { file_bytes: 8 << 10 }, Habit::Sparse, 600);
    world.try_open().unwrap();
    for nth in 0..60 {
        world.append().unwrap();
        if nth % 4 == 3 {
            world.step();
        }
        if nth == 30 {
            let mut some = world.model.waiting();
            some.retain(|(_, number)| number % 3 == 0);
            world.settle_keys(&some);
        }
    }
    world
}

fn ended(world: World) -> Ended {
    let files = world.disk.files();
    assert!(files.len() > 8, "{} files", files.len());
    Ended { world, files }
}

fn closed(seed: u64) -> Ended {
    let world = written(seed);
    world.store.as_ref().unwrap().close();
    ended(world)
}

fn killed(seed: u64) -> Ended {
    let world = written(seed);
    // Twice, so that the log counts as idle.
    (0..2).for_each(|_| world.store.as_ref().unwrap().step_round());
    ended(world)
}

/// What a directory answers when it is checked, opened, and all of it is read.
#[derive(Debug)]
struct Answers {
    check: CheckReport,
    report: OpenReport,
    /// The messages that are whole.
    whole: BTreeSet<(QueueId, u64)>,
    /// Where those are that were told and are damaged.
    unread: BTreeSet<(String, u64)>,
}

/// Checks and opens a disk, and reads what waits. A refusal must be the same of both.
fn answers(world: &mut World) -> Result<Result<Answers, StoreError>, String> {
    let before = world.disk.files();
    let check = check_on(&world.disk);
    if world.disk.files() != before {
        return Err("the check has changed something".to_owned());
    }
    let opened = world.try_open();
    let ((told, report), check) = match (opened, check) {
        (Ok(opened), Ok(check)) => (opened, check),
        (Err(opened), Err(check)) if opened.to_string() == check.to_string() => {
            return Ok(Err(opened));
        }
        (opened, check) => {
            return Err(format!("check and start differ: {:?} {:?}", opened.err(), check.err()));
        }
    };
    let (mut whole, mut unread) = (BTreeSet::new(), BTreeSet::new());
    for (queue, waiting) in told.waiting {
        let number = waiting.published_at.wrapping_sub(FIRST_AT);
        let mut answer = Err(format!("{number} is not answered"));
        world.store().read(&[waiting.place], &mut |_, record| {
            answer = match record {
                Ok(record) if record.bytes == world.content(number).bytes => {
                    whole.insert((queue, number));
                    Ok(())
                }
                Err(StoreError::Damaged { path, offset, .. }) => {
                    unread.insert((path.display().to_string(), offset));
                    Ok(())
                }
                Ok(_) => Err(format!("{number} is read as something else")),
                Err(error) => Err(format!("{number} is not read: {error}")),
            };
        });
        answer?;
    }
    let answers = Answers { check, report, whole, unread };
    agree(world, &answers)?;
    Ok(Ok(answers))
}

/// Compares what a check said with what the start and the reading found.
fn agree(world: &World, answers: &Answers) -> Result<(), String> {
    let Answers { check, report, whole, unread } = answers;
    let place =
        |damaged: &DamagedRecord| (damaged.file.display().to_string(), u64::from(damaged.offset));
    let said = |damaged: &DamagedRecord| DamagedRecord { copy: None, ..damaged.clone() };
    let at_start: Vec<DamagedRecord> = report.damaged.iter().map(said).collect();
    let marks: u64 = report.broken_marks.iter().map(|(_, count)| count).sum();
    let indexes = report.broken_indexes.len() as u64;
    let is_known = |queue: &QueueId| world.model.queues.contains(queue);
    let in_queues = check.waiting.iter().filter(|(queue, _)| is_known(queue));
    let in_queues: u64 = in_queues.map(|(_, count)| count).sum();
    // Nothing is told of a message whose queue is gone, and so nothing reads it.
    let later = check.damaged_unread.iter().filter(|one| one.queues.iter().any(is_known));
    let later: BTreeSet<_> = later.map(place).collect();
    if check.damaged != at_start
        || (check.broken_marks, check.broken_indexes) != (marks, indexes)
        || in_queues != whole.len() as u64
        || later != *unread
    {
        return Err(format!("check and start differ: {answers:?}"));
    }
    if report.damaged.iter().any(|damaged| damaged.copy.is_none()) {
        return Err(format!("it is not copied aside: {report:?}"));
    }
    Ok(())
}

/// Where a file was changed.
struct Change<'a> {
    name: &'a str,
    position: usize,
}

impl Change<'_> {
    fn is_in(&self, damaged: &DamagedRecord) -> bool {
        let end = (damaged.offset + damaged.bytes).next_multiple_of(8);
        damaged.file.ends_with(self.name)
            && (damaged.offset as usize..end as usize).contains(&self.position)
    }

    /// Compares what a changed directory answers with what it answered unchanged.
    fn costs_one_message(&self, before: &Answers, after: &Answers) -> Result<(), String> {
        let Answers { check, whole, .. } = after;
        let lost: BTreeSet<u64> = before.whole.difference(whole).map(|(_, one)| *one).collect();
        let back: Vec<_> = whole.difference(&before.whole).collect();
        let told: Vec<&DamagedRecord> = check.damaged.iter().chain(&check.damaged_unread).collect();
        let (is_log, is_marks) = (self.name.contains(".log"), self.name.contains(".marks"));
        if lost.len() > usize::from(is_log) {
            return Err(format!("{lost:?} are lost"));
        }
        if !lost.is_empty() && !told.iter().any(|damaged| self.is_in(damaged)) {
            return Err(format!("{lost:?} is lost and not told: {told:?}"));
        }
        if !back.is_empty() && !is_marks {
            return Err(format!("{back:?} come back"));
        }
        if !back.is_empty() && check.broken_marks == before.check.broken_marks {
            return Err(format!("{back:?} come back without a word"));
        }
        Ok(())
    }
}

/// The copies of damaged bytes on a disk.
fn copies(disk: &Disk) -> BTreeMap<String, Vec<u8>> {
    disk.files().into_iter().filter(|(name, _)| name.contains(".damaged")).collect()
}

impl Ended {
    /// Changes one byte, and looks for what is missing without a word.
    fn with_changed_byte(
        &self,
        before: &Answers,
        at: usize,
        position: usize,
    ) -> Result<(), String> {
        let mut files = self.files.clone();
        files[at].1[position] ^= 1 << (position % 8);
        let change = Change { name: &self.files[at].0, position };
        let mut world = self.world.on(Disk::with_files(&files));
        let after = match answers(&mut world)? {
            Ok(after) => after,
            // Nothing can be read without the header of a file.
            Err(StoreError::Damaged { path, .. } | StoreError::Newer { path, .. })
                if path.ends_with(change.name) && position < 28 && change.name.contains(".log") =>
            {
                return Ok(());
            }
            Err(error) => return Err(format!("it is refused: {error}")),
        };
        change.costs_one_message(before, &after)?;
        self.opens_again(&world, &after)
    }

    /// The next start says nothing of it again, and leaves the copies alone.
    fn opens_again(&self, world: &World, after: &Answers) -> Result<(), String> {
        let made = copies(&world.disk);
        let mut again = self.world.on(Disk::with_files(&world.disk.files()));
        let next = answers(&mut again)?.map_err(|error| format!("refused later: {error}"))?;
        if !next.report.damaged.is_empty() || next.whole != after.whole {
            return Err(format!("it is told again: {:?}, {:?}", next.report, next.whole));
        }
        if copies(&again.disk) != made || next.check.copies != made.len() as u64 {
            return Err("the copies have changed".to_owned());
        }
        Ok(())
    }

    fn unchanged(&self) -> Answers {
        let mut world = self.world.on(Disk::with_files(&self.files));
        answers(&mut world).unwrap().unwrap()
    }

    fn change_bytes(&self, name: &str, step: usize) {
        let before = self.unchanged();
        assert!(before.check.is_sound(), "{:?}", before.check);
        for (at, (file, bytes)) in self.files.iter().enumerate() {
            for position in (0..bytes.len()).step_by(step) {
                let result = self.with_changed_byte(&before, at, position);
                assert!(result.is_ok(), "{name}, {file} at {position}: {}", result.unwrap_err());
            }
        }
    }
}

fn without_indexes(mut ended: Ended) -> Ended {
    ended.files.retain(|(name, _)| !name.contains(".index"));
    ended
}

#[test]
fn a_changed_byte_costs_the_message_it_is_in() {
    // Steps without a common divisor with anything, so that every byte of a record has its turn.
    closed(1).change_bytes("closed", 53);
    without_indexes(closed(1)).change_bytes("without indexes", 29);
    killed(1).change_bytes("killed", 53);
}

#[test]
fn a_file_that_was_cut_costs_what_is_behind_the_cut() {
    let closed = closed(2);
    let before = closed.unchanged();
    for (at, (name, bytes)) in closed.files.iter().enumerate() {
        for len in (0..bytes.len()).step_by(61) {
            let mut files = closed.files.clone();
            files[at].1.truncate(len);
            let mut world = closed.world.on(Disk::with_files(&files));
            let after = match answers(&mut world).unwrap() {
                Ok(after) => after,
                Err(StoreError::Damaged { path, .. }) => {
                    assert!(path.ends_with(name) && len < 28, "{name} at {len}");
                    continue;
                }
                Err(error) => panic!("{name} at {len}: {error}"),
            };
            let lost: Vec<_> = before.whole.difference(&after.whole).collect();
            let told = after.check.damaged.iter().chain(&after.check.damaged_unread);
            let is_told = told.clone().any(|damaged| damaged.file.ends_with(name));
            assert!(lost.is_empty() || is_told, "{name} cut to {len}: {lost:?} is not told");
        }
    }
}

/// Histories that end anyhow, also in the middle of a write; then a byte is changed.
#[test]
fn a_changed_byte_costs_one_message_however_the_broker_ended() {
    for seed in 1..=60 {
        let habit = if seed % 2 == 0 { Habit::InOrder } else { Habit::Sparse };
        let mut random = Random::new(seed);
        let mut world = world(seed, habit);
        world.disk.crash_at(40 + random.below(400));
        assert_eq!(world.open(Left::Closed), Ok(true));
        work(&mut world, operations(habit)).unwrap();
        world.end(ENDS[random.index(ENDS.len())], seed);
        let files = world.disk.files();
        let ended = Ended { world, files };
        let before = ended.unchanged();
        for _ in 0..25 {
            let at = random.index(ended.files.len());
            let (name, bytes) = &ended.files[at];
            if bytes.is_empty() {
                continue;
            }
            let position = random.index(bytes.len());
            let result = ended.with_changed_byte(&before, at, position);
            let problem = result.err();
            assert_eq!(problem, None, "seed {seed}, {name} at {position}");
        }
    }
}

#[test]
fn a_directory_that_cannot_be_had_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("taken");
    std::fs::write(&file, "by a file").unwrap();
    let mut told = crate::model::Told::default();
    let error = Store::open(&file, &mut told).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Io { .. }), "{text}");
    assert!(text.contains(&file.display().to_string()), "{text}");
}

#[test]
fn what_is_not_changed_opens_as_it_was() {
    let closed = closed(3);
    let mut world = closed.world.on(Disk::with_files(&closed.files));
    assert_eq!(world.open(Left::Closed), Ok(true));
    let mut killed = killed(3).world;
    killed.end(End::Killed, 1);
    assert_eq!(killed.open(Left::Killed), Ok(true));
}
