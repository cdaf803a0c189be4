//! A broker that keeps messages on a disk which fails on order, and whose writing happens when the test says so.
//! Start at [`Kept::new`].

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mq::broker::Broker;
use mq::store::definitions::Definitions;
use mq::store::medium::{Access, Directory, Medium, MediumFile};
use mq::store::{Options, QueueId, Recovered, Store, Waiting};
use tempfile::TempDir;

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// Nothing more can be reserved.
    Full,
    /// Nothing can be synced.
    Failing,
}

/// A directory with trouble.
#[derive(Debug)]
struct Disk {
    directory: Directory,
    trouble: Arc<AtomicU8>,
}

#[derive(Debug)]
struct DiskFile {
    file: Arc<dyn MediumFile>,
    trouble: Arc<AtomicU8>,
}

fn check(trouble: &AtomicU8, fails_by: Trouble) -> io::Result<()> {
    if trouble.load(Ordering::SeqCst) == fails_by as u8 {
        return Err(match fails_by {
            Trouble::Full => io::ErrorKind::StorageFull.into(),
            Trouble::None | Trouble::Failing => io::Error::other("made to fail"),
        });
    }
    Ok(())
}

impl Disk {
    fn file(&self, file: Arc<dyn MediumFile>) -> Arc<dyn MediumFile> {
        Arc::new(DiskFile { file, trouble: Arc::clone(&self.trouble) })
    }
}

impl Medium for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.directory.list()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn MediumFile>> {
        check(&self.trouble, Trouble::Full)?;
        Ok(self.file(self.directory.create(name, bytes)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn MediumFile>> {
        Ok(self.file(self.directory.open(name)?))
    }

    fn open_or_make(&self, name: &str) -> io::Result<Arc<dyn MediumFile>> {
        Ok(self.file(self.directory.open_or_make(name)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path(name)
    }
}

impl MediumFile for DiskFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }

    fn sync(&self) -> io::Result<()> {
        check(&self.trouble, Trouble::Failing)?;
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        check(&self.trouble, Trouble::Full)?;
        self.file.set_len(bytes)
    }
}

/// A broker with a store.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) broker: Arc<Broker>,
    trouble: Arc<AtomicU8>,
    directory: TempDir,
}

impl Kept {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let definitions = Definitions::open(directory.path()).unwrap();
        let mut broker = Broker::open("mq@test".into(), definitions).unwrap();
        let trouble = Arc::new(AtomicU8::new(Trouble::None as u8));
        let mut recovery = broker.recovery();
        let store = open(&directory, &trouble, &mut recovery).0;
        broker.keep_in(Arc::new(store));
        recovery.finish();
        let broker = Arc::new(broker);
        broker.watch_store();
        Self { broker, trouble, directory }
    }

    fn store(&self) -> &Store {
        self.broker.store.as_deref().unwrap()
    }

    /// From now on the store writes when it wants to.
    pub(crate) fn start_threads(&self) {
        self.store().start_threads();
    }

    /// Writes and syncs what was gathered.
    pub(crate) fn sync(&self) {
        self.store().step();
    }

    /// Makes trouble, or ends it, and lets the store find out.
    pub(crate) fn make(&self, trouble: Trouble) {
        self.trouble.store(trouble as u8, Ordering::SeqCst);
        self.store().step_round();
    }

    /// Ends the broker's use of the disk; answers how many messages another one would find there.
    pub(crate) fn left_on_disk(&self) -> u64 {
        self.sync();
        self.store().close();
        open(&self.directory, &self.trouble, &mut Everything).1
    }
}

fn open(
    directory: &TempDir,
    trouble: &Arc<AtomicU8>,
    recovered: &mut dyn Recovered,
) -> (Store, u64) {
    let medium = |name: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(&path).unwrap();
        let directory = Directory::open(&path, Access::Write).unwrap();
        Arc::new(Disk { directory, trouble: Arc::clone(trouble) })
    };
    let (store, report) =
        Store::open_on(medium("messages"), medium("spill"), Options::default(), recovered).unwrap();
    (store, report.messages)
}

/// Takes whatever is found.
struct Everything;

impl Recovered for Everything {
    fn is_known(&self, _: QueueId) -> bool {
        true
    }

    fn on_waiting(&mut self, _: QueueId, _: Waiting) {}
}
