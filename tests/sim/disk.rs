//! A directory in memory that loses what a real one may lose.
//!
//! Until a file is synced each of its sectors may, after a power cut, hold any of what was written to it, and the
//! file may have any of its lengths; a name made or taken away may be either, until the directory is synced. Writes,
//! syncs and changes of names are counted, so that a test can end the broker's life at each.
//!
//! Start reading at [`Disk::after`].

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mq::store::locks;
use mq::store::medium::{Medium, MediumFile};

use crate::gate::Gate;
use crate::random::Random;

/// What is written as a whole or not at all, in bytes.
const SECTOR: usize = 512;

/// A directory; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    interruption: Arc<Mutex<Option<Interruption>>>,
}

/// What another thread does in the middle of an operation, and of which.
struct Interruption {
    at: u64,
    act: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Interruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interruption of {}", self.at)
    }
}

/// How the broker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As with `kill -9`: the operating system still has everything.
    Killed,
    /// The power was cut: what was not synced is there or not, see [`Kept`].
    PowerCut(Kept),
}

/// What of the unsynced a power cut leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    All,
    Nothing,
    /// Of each sector, each length and each name any state since the last sync.
    AnySector,
    /// The latest writes, and not those before.
    Later,
}

/// A fault of the disk that the broker outlives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The operation with this number fails.
    FailsAt(u64),
    /// Files have no more room than this many bytes together.
    Room(u64),
}

#[derive(Clone, Debug, Default)]
struct State {
    /// What the names stand for, now and on the disk.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    files: Vec<FileState>,
    operations: u64,
    crash_at: Option<u64>,
    has_crashed: bool,
    fails_at: Option<u64>,
    room: Option<u64>,
    gate: Option<Arc<Gate>>,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync, in their order.
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { bytes: Vec<u8>, offset: usize },
    Len(usize),
}

#[derive(Debug)]
struct DiskFile {
    disk: Disk,
    file: usize,
}

impl Disk {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn of(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), ..Self::default() }
    }

    /// Has `act` done in the middle of the operation with this number, while that has neither begun nor ended.
    pub(crate) fn interrupt(&self, at: u64, act: impl FnOnce() + Send + 'static) {
        *self.interruption.lock().unwrap() = Some(Interruption { at, act: Box::new(act) });
    }

    /// Forgets what was to be done; answers whether it has been.
    pub(crate) fn end_interruption(&self) -> bool {
        self.interruption.lock().unwrap().take().is_none()
    }

    /// Begins an operation, in which others may do something first.
    fn begin(&self) -> std::sync::MutexGuard<'_, State> {
        locks::assert_none();
        let operation = self.operations();
        let due = self.interruption.lock().unwrap().take_if(|one| one.at <= operation);
        if let Some(Interruption { act, .. }) = due {
            act();
        }
        self.state()
    }

    /// Has every operation of an actor wait at a gate from now on.
    pub(crate) fn set_gate(&self, gate: &Arc<Gate>) {
        self.state().gate = Some(Arc::clone(gate));
    }

    fn pass(&self) {
        let gate = self.state().gate.clone();
        if let Some(gate) = gate {
            gate.pass();
        }
    }

    /// Writes, syncs and changes of names until now.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Ends everything at the operation with this number, counted from 0.
    pub(crate) fn crash_at(&self, operation: u64) {
        self.state().crash_at = Some(operation);
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.state().has_crashed
    }

    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.state();
        match fault {
            Fault::FailsAt(operation) => state.fails_at = Some(operation),
            Fault::Room(bytes) => state.room = Some(bytes),
        }
    }

    /// A number that is the same for disks that hold the same.
    pub(crate) fn fingerprint(&self) -> u64 {
        let state = self.state();
        let mut hasher = DefaultHasher::new();
        for (name, file) in &state.names {
            let FileState { now, durable, pending } = &state.files[*file];
            (name, state.durable_names.get(name) == Some(file), now, pending.len())
                .hash(&mut hasher);
            if !pending.is_empty() {
                durable.hash(&mut hasher);
            }
        }
        state.durable_names.keys().collect::<Vec<_>>().hash(&mut hasher);
        hasher.finish()
    }

    /// The disk that the next broker finds.
    pub(crate) fn after(&self, end: End, seed: u64) -> Self {
        let state = self.state();
        let mut next = match end {
            End::Killed => State {
                names: state.names.clone(),
                durable_names: state.durable_names.clone(),
                files: state.files.clone(),
                ..State::default()
            },
            End::PowerCut(kept) => state.after_power_cut(kept, &mut Random::new(seed)),
        };
        next.crash_at = None;
        Self::of(next)
    }

    /// The names of the files and their bytes.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.state();
        let file = |(name, file): (&String, &usize)| (name.clone(), state.files[*file].now.clone());
        state.names.iter().map(file).collect()
    }

    /// A directory with just these files, all of them durable.
    pub(crate) fn with_files(files: &[(String, Vec<u8>)]) -> Self {
        let mut state = State::default();
        for (name, bytes) in files {
            state.names.insert(name.clone(), state.files.len());
            state.files.push(FileState {
                now: bytes.clone(),
                durable: bytes.clone(),
                pending: Vec::new(),
            });
        }
        state.durable_names = state.names.clone();
        Self::of(state)
    }
}

impl State {
    /// Counts an operation; fails when it is not to be.
    fn operate(&mut self) -> io::Result<()> {
        let operation = self.operations;
        if self.has_crashed || self.crash_at == Some(operation) {
            self.has_crashed = true;
            return Err(io::Error::other("the broker has ended"));
        }
        self.operations += 1;
        if self.fails_at == Some(operation) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    /// Whether the files may be this many bytes larger.
    fn make_room(&self, bytes: usize) -> io::Result<()> {
        let used: usize = self.names.values().map(|file| self.files[*file].now.len()).sum();
        match self.room {
            Some(room) if (used + bytes) as u64 > room => {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn after_power_cut(&self, kept: Kept, random: &mut Random) -> Self {
        let mut next = Self::default();
        let mut all: Vec<&String> = self.names.keys().chain(self.durable_names.keys()).collect();
        all.sort_unstable();
        all.dedup();
        for name in all {
            let (now, durable) = (self.names.get(name), self.durable_names.get(name));
            let file = match kept {
                Kept::All => now,
                Kept::AnySector | Kept::Later if random.one_in(2) => now,
                Kept::Nothing | Kept::AnySector | Kept::Later => durable,
            };
            let Some(file) = file else { continue };
            let bytes = self.files[*file].after_power_cut(kept, random);
            next.names.insert(name.clone(), next.files.len());
            let file = FileState { now: bytes.clone(), durable: bytes, pending: Vec::new() };
            next.files.push(file);
        }
        next.durable_names = next.names.clone();
        next
    }
}

impl FileState {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.pending.push(change);
    }

    fn after_power_cut(&self, kept: Kept, random: &mut Random) -> Vec<u8> {
        match kept {
            Kept::All => self.with(self.pending.len()),
            Kept::Nothing => self.durable.clone(),
            Kept::AnySector => self.mixed(random, 0),
            Kept::Later => {
                let from = random.index(self.pending.len() + 1);
                self.mixed(random, from)
            }
        }
    }

    /// The durable state and the first `changes` changes.
    fn with(&self, changes: usize) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        self.pending[..changes].iter().for_each(|change| change.apply(&mut bytes));
        bytes
    }

    /// A state that a power cut may leave. With `from` above 0 the changes before it are lost and the others there,
    /// else each sector has seen as many changes as chance wants.
    fn mixed(&self, random: &mut Random, from: usize) -> Vec<u8> {
        let lens = (0..=self.pending.len()).map(|changes| self.with_len(changes));
        let lens: Vec<usize> = lens.collect();
        let len = if from > 0 { lens[lens.len() - 1] } else { lens[random.index(lens.len())] };
        let mut bytes = self.durable.clone();
        bytes.resize(lens.iter().copied().max().unwrap_or(0), 0);
        let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, change) in self.pending.iter().enumerate() {
            let Change::Write { bytes: written, offset } = change else { continue };
            let sectors = *offset / SECTOR..(*offset + written.len()).div_ceil(SECTOR);
            for sector in sectors {
                // A sector that has not seen a change has not seen any later one.
                let until = *seen.entry(sector).or_insert_with(|| {
                    let changes = self.pending.len();
                    if from > 0 { changes } else { random.index(changes - at + 1) + at }
                });
                if at < until && at >= from {
                    let start = (sector * SECTOR).max(*offset);
                    let end = ((sector + 1) * SECTOR).min(offset + written.len());
                    bytes[start..end].copy_from_slice(&written[start - offset..end - offset]);
                }
            }
        }
        bytes.resize(len, 0);
        bytes
    }

    fn with_len(&self, changes: usize) -> usize {
        self.pending[..changes].iter().fold(self.durable.len(), |len, change| match change {
            Change::Write { bytes, offset } => len.max(offset + bytes.len()),
            Change::Len(len) => *len,
        })
    }

    /// What a failed sync leaves: some of it is on the disk, and no later sync tries again.
    fn lose(&mut self, random: &mut Random) {
        self.durable = self.mixed(random, 0);
        self.pending.clear();
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { bytes, offset } => {
                let end = offset + bytes.len();
                to.resize(to.len().max(end), 0);
                to[*offset..end].copy_from_slice(bytes);
            }
            Self::Len(len) => to.resize(*len, 0),
        }
    }
}

impl Medium for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn MediumFile>> {
        self.pass();
        let bytes = usize::try_from(bytes).unwrap();
        let mut state = self.begin();
        state.operate()?;
        state.make_room(bytes)?;
        let file = state.files.len();
        let zeros = vec![0; bytes];
        state.files.push(FileState { now: zeros.clone(), durable: zeros, pending: Vec::new() });
        state.names.insert(name.to_owned(), file);
        state.durable_names = state.names.clone();
        Ok(Arc::new(DiskFile { disk: self.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn MediumFile>> {
        let file = self.state().names.get(name).copied();
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(DiskFile { disk: self.clone(), file }))
    }

    fn open_or_make(&self, name: &str) -> io::Result<Arc<dyn MediumFile>> {
        self.pass();
        let mut state = self.begin();
        if !state.names.contains_key(name) {
            state.operate()?;
            state.files.push(FileState::default());
            let file = state.files.len() - 1;
            state.names.insert(name.to_owned(), file);
        }
        drop(state);
        self.open(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.pass();
        let mut state = self.begin();
        state.operate()?;
        state.names.remove(name);
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("/disk").join(name)
    }
}

impl MediumFile for DiskFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.pass();
        let offset = usize::try_from(offset).unwrap();
        let mut state = self.disk.begin();
        if let Err(error) = state.operate() {
            // A write that the end came upon has done some of its work, in whole sectors.
            let cut = (offset + bytes.len() / 2) / SECTOR * SECTOR;
            let some = cut.saturating_sub(offset);
            let is_first = state.crash_at == Some(state.operations);
            if is_first && state.crash_at.take().is_some() {
                let change = Change::Write { bytes: bytes[..some].to_vec(), offset };
                state.files[self.file].change(change);
            }
            return Err(error);
        }
        let more = (offset + bytes.len()).saturating_sub(state.files[self.file].now.len());
        state.make_room(more)?;
        state.files[self.file].change(Change::Write { bytes: bytes.to_vec(), offset });
        Ok(())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let bytes = &state.files[self.file].now;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let count = into.len().min(bytes.len() - from);
        into[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.pass();
        let mut state = self.disk.begin();
        let operation = state.operations;
        if let Err(error) = state.operate() {
            if !state.has_crashed {
                state.files[self.file].lose(&mut Random::new(operation));
            }
            return Err(error);
        }
        let file = &mut state.files[self.file];
        let pending = std::mem::take(&mut file.pending);
        for change in &pending {
            change.apply(&mut file.durable);
        }
        let name = state.names.iter().find(|(_, file)| **file == self.file);
        if let Some((name, file)) = name.map(|(name, file)| (name.clone(), *file)) {
            state.durable_names.insert(name, file);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].now.len() as u64)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.disk.pass();
        let len = usize::try_from(bytes).unwrap();
        let mut state = self.disk.begin();
        state.operate()?;
        let more = len.saturating_sub(state.files[self.file].now.len());
        state.make_room(more)?;
        state.files[self.file].change(Change::Len(len));
        Ok(())
    }
}
