//! A byte that is not what was written is never passed over in silence.

use std::collections::BTreeSet;

use mq::store::{Options, Store, StoreError};

use crate::disk::Disk;
use crate::model::{FIRST_AT, Left};
use crate::world::{Habit, World};

/// A closed directory.
struct Closed {
    world: World,
    files: Vec<(String, Vec<u8>)>,
    /// The messages of the last batch.
    last: BTreeSet<u64>,
}

fn closed(seed: u64) -> Closed {
    let mut world = World::new(seed, Options { file_bytes: 8 << 10 }, Habit::Sparse, 600);
    world.try_open().unwrap();
    let mut last = BTreeSet::new();
    for nth in 0..60 {
        world.append().unwrap();
        if nth % 4 == 3 {
            last = (world.model.last_number() - 3..=world.model.last_number()).collect();
            world.step();
        }
        if nth == 30 {
            let mut some = world.model.waiting();
            some.retain(|(_, number)| number % 3 == 0);
            world.settle_keys(&some);
        }
    }
    world.store.as_ref().unwrap().close();
    let files = world.disk.files();
    assert!(files.len() > 8, "{} files", files.len());
    Closed { world, files, last }
}

impl Closed {
    /// Opens the directory with one file changed, and looks for what is missing without a word.
    fn open_changed(&self, files: &[(String, Vec<u8>)], name: &str) -> Result<(), String> {
        let mut world = self.world.on(Disk::with_files(files));
        let (told, report) = match world.try_open() {
            Ok(opened) => opened,
            Err(StoreError::Damaged { path, .. } | StoreError::Newer { path, .. }) => {
                let is_named = path.extension().is_some_and(|extension| extension == "log");
                return if is_named {
                    Ok(())
                } else {
                    Err(format!("{} is blamed", path.display()))
                };
            }
            Err(error) => return Err(format!("opening fails otherwise: {error}")),
        };
        let found = told.waiting.iter().map(|(queue, waiting)| {
            let number = waiting.published_at.wrapping_sub(FIRST_AT);
            ((*queue, number), waiting.place)
        });
        let found: Vec<_> = found.collect();
        for key in self.world.model.waiting() {
            let is_there = found.iter().any(|(found, _)| *found == key);
            let may_be_cut = report.cut_bytes > 0 && self.last.contains(&key.1);
            if !is_there && !may_be_cut {
                return Err(format!("{key:?} is missing, {report:?}"));
            }
        }
        let store = world.store.as_ref().unwrap();
        found.iter().try_for_each(|((_, number), place)| {
            if *number > self.world.model.last_number() {
                return Err(format!("{number} was never appended"));
            }
            read_whole_or_damaged(&world, store, *number, *place, name)
        })
    }
}

fn read_whole_or_damaged(
    world: &World,
    store: &Store,
    number: u64,
    place: mq::store::Place,
    name: &str,
) -> Result<(), String> {
    let mut answer = Err(format!("{number} is not answered"));
    store.read(&[place], &mut |_, record| {
        answer = match record {
            Ok(record) if record.bytes == world.content(number).bytes => Ok(()),
            Err(StoreError::Damaged { path, offset, .. })
                if path.ends_with(name) && offset == u64::from(place.offset) =>
            {
                Ok(())
            }
            Ok(_) => Err(format!("{number} is read as something else")),
            Err(error) => Err(format!("{number} is not read: {error}")),
        };
    });
    answer
}

fn change_everywhere(closed: &Closed, step: usize, change: impl Fn(&mut Vec<u8>, usize)) {
    for at in 0..closed.files.len() {
        let (name, bytes) = &closed.files[at];
        for position in (0..bytes.len()).step_by(step) {
            let mut files = closed.files.clone();
            change(&mut files[at].1, position);
            let result = closed.open_changed(&files, name);
            assert!(result.is_ok(), "{name} at {position}: {}", result.unwrap_err());
        }
    }
}

fn without_indexes(mut closed: Closed) -> Closed {
    closed.files.retain(|(name, _)| !name.contains(".index"));
    closed
}

#[test]
fn a_changed_byte_is_seen_where_it_matters() {
    for closed in [closed(1), without_indexes(closed(1))] {
        // A step without a common divisor with anything, so that every byte of a record has its turn.
        change_everywhere(&closed, 13, |bytes, at| bytes[at] ^= 1 << (at % 8));
    }
}

#[test]
fn a_file_that_was_cut_is_seen_where_it_matters() {
    change_everywhere(&closed(2), 61, Vec::truncate);
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
}
