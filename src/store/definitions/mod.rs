//! The definitions: rows of bytes in an embedded database, changed by transactions that are on disk when they return.
//!
//! The broker defines the meaning of a row (`broker::durable`). Every commit is in two phases: a crash takes back a
//! commit that had not returned and never one that had, and a file that another program has altered is found out rather
//! than repaired into something older.
//!
//! Reading order: [`Definitions::open`], [`Definitions::apply`], [`Definitions::add_queue`].

mod disk;

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, TableError,
};

use self::disk::{DatabaseFile, DiskFailures};
use super::blocking::Blocking;
use super::error::StoreError;
use super::format::MESSAGES_FOLDER;
use super::place::QueueId;
use crate::lock::Mutex;

/// The database's name in a data directory.
pub const FILE: &str = "definitions.redb";
/// Enough for the pages that a few changes touch; rows are read once, at the start.
const CACHE_BYTES: usize = 1 << 20;

const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// The key in `META` of the id that the next queue gets; there since the first transaction.
const NEXT_QUEUE_ID: &str = "next_queue_id";
const FIRST_QUEUE_ID: u64 = 1;

/// The kinds of rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    Vhosts,
    Users,
    Exchanges,
    Queues,
    Bindings,
    Permissions,
    TopicPermissions,
    Parameters,
}

impl Table {
    pub const ALL: [Self; 8] = [
        Self::Vhosts,
        Self::Users,
        Self::Exchanges,
        Self::Queues,
        Self::Bindings,
        Self::Permissions,
        Self::TopicPermissions,
        Self::Parameters,
    ];

    /// The table's name, in the database as in texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vhosts => "vhosts",
            Self::Users => "users",
            Self::Exchanges => "exchanges",
            Self::Queues => "queues",
            Self::Bindings => "bindings",
            Self::Permissions => "permissions",
            Self::TopicPermissions => "topic permissions",
            Self::Parameters => "parameters",
        }
    }

    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

/// A row as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds a row, or takes the place of the one with that key.
    Put(Table, Row),
    /// Takes the row with this key out, if it is there.
    Remove(Table, Vec<u8>),
    /// Takes out all rows whose keys begin so.
    RemoveAll(Table, Vec<u8>),
}

/// The definitions of a data directory.
#[derive(Debug)]
pub struct Definitions {
    path: PathBuf,
    state: Mutex<DatabaseState>,
    trouble: Arc<DiskFailures>,
    blocking: Blocking,
}

/// The state of the database.
///
/// ```text
///       a read or a write failed
/// Open --------------------------> Failed -- a sync has failed: refused until the next start
///   ^                                |
///   '----- opened anew by the next call, if no sync has failed
///
/// Open, Failed -- close --> Closed
/// ```
#[derive(Debug)]
enum DatabaseState {
    Open(Database),
    /// A read or a write failed; the next call opens the database anew.
    Failed,
    Closed,
}

/// Fails when the directory has messages: without definitions their queues are not known, and they would be dropped.
fn refuse_orphans(directory: &Path, path: &Path) -> Result<(), StoreError> {
    let Ok(entries) = fs::read_dir(directory.join(MESSAGES_FOLDER)) else { return Ok(()) };
    let is_log =
        |name: &std::ffi::OsStr| Path::new(name).extension().is_some_and(|end| end == "log");
    if !entries.flatten().any(|entry| is_log(&entry.file_name())) {
        return Ok(());
    }
    let source = io::Error::new(io::ErrorKind::NotFound, "there are messages of its queues");
    Err(StoreError::Io { action: "find", path: path.to_path_buf(), source })
}

impl Definitions {
    /// Opens the definitions of a directory, which the caller holds the lock of; makes them when there are none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, made or written, or is not as it was written; names it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        if !path.exists() {
            refuse_orphans(directory, &path)?;
        }
        let trouble = Arc::default();
        let database = open_on_disk(&path, &trouble)?;
        let state = Mutex::new(DatabaseState::Open(database));
        Ok(Self { path, state, trouble, blocking: Blocking::default() })
    }

    /// Opens a copy in memory of the definitions of a directory, and leaves the directory alone; `None` when it has
    /// none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not as it was written; names it.
    pub fn open_copy(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return refuse_orphans(directory, &path).map(|()| None);
            }
            Err(source) => return Err(StoreError::Io { action: "read", path, source }),
        };
        let memory = InMemoryBackend::new();
        let copied = memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, &bytes));
        copied.map_err(|source| StoreError::Io { action: "copy", path: path.clone(), source })?;
        let database = open_database(memory, &path)?;
        let state = Mutex::new(DatabaseState::Open(database));
        let (trouble, blocking) = (Arc::default(), Blocking::default());
        Ok(Some(Self { path, state, trouble, blocking }))
    }

    /// The file they are in, for error texts.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if nothing was ever written.
    pub fn is_new(&self) -> Result<bool, StoreError> {
        let rows = self.with("read", |database| {
            let reading = database.begin_read()?;
            match reading.open_table(META) {
                Ok(meta) => Ok(meta.get(NEXT_QUEUE_ID)?.is_some()),
                Err(TableError::TableDoesNotExist(_)) => Ok(false),
                Err(error) => Err(error.into()),
            }
        });
        rows.map(|has_rows| !has_rows)
    }

    /// All rows of a table, in the order of their keys.
    pub fn rows(&self, table: Table) -> Result<Vec<Row>, StoreError> {
        self.with("read", |database| rows_of(&database.begin_read()?, table))
    }

    /// Copies all rows to a database of its own in another directory, where there is none; they are on disk when this
    /// returns.
    pub fn copy_to(&self, directory: &Path) -> Result<(), StoreError> {
        let (next_id, changes) = self.with("read", |database| {
            let reading = database.begin_read()?;
            let mut changes = Vec::new();
            for table in Table::ALL {
                let rows = rows_of(&reading, table)?;
                changes.extend(rows.into_iter().map(|row| Change::Put(table, row)));
            }
            let next_id = match reading.open_table(META) {
                Ok(meta) => meta.get(NEXT_QUEUE_ID)?.map(|next| next.value()),
                Err(TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(error.into()),
            };
            Ok((next_id.unwrap_or(FIRST_QUEUE_ID), changes))
        })?;
        let path = directory.join(FILE);
        let copy = open_on_disk(&path, &Arc::default())?;
        let written = commit(&copy, |next| {
            *next = next_id;
            Ok(changes)
        });
        written.map_err(|error| refused("write", &path, error))
    }

    /// Makes changes, all or none; they are on disk when this returns.
    ///
    /// Cost: two `fdatasync`.
    pub fn apply(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.blocking.run(|| self.with("change", |database| commit(database, |_| Ok(changes))))
    }

    /// The runner of changes, which wait for the disk.
    pub fn blocking(&self) -> &Blocking {
        &self.blocking
    }

    /// Adds a queue's row under an id that no queue had and none will have again, whatever becomes of this one.
    pub fn add_queue(&self, row: impl FnOnce(QueueId) -> Row) -> Result<QueueId, StoreError> {
        self.add_queues(1, |id| vec![Change::Put(Table::Queues, row(id))])
    }

    /// Makes changes among which are the rows of `count` new queues, all or none. The ids of the queues follow each
    /// other; `changes` gets the first of them, and so does the caller.
    ///
    /// Cost: two `fdatasync`, however many changes there are.
    pub fn add_queues(
        &self,
        count: u32,
        changes: impl FnOnce(QueueId) -> Vec<Change>,
    ) -> Result<QueueId, StoreError> {
        let mut given = QueueId(0);
        let change = |next: &mut u64| {
            let end = *next + u64::from(count);
            let first = u32::try_from(end).and_then(|_| u32::try_from(*next)).map(QueueId);
            given = first.map_err(|_| redb::Error::Corrupted("no queue ids are left".into()))?;
            *next = end;
            Ok(changes(given))
        };
        self.blocking.run(|| self.with("change", |database| commit(database, change)))?;
        Ok(given)
    }

    /// Closes the file; nothing is changed or read any more.
    pub fn close(&self) {
        *self.lock() = DatabaseState::Closed;
    }

    fn lock(&self) -> MutexGuard<'_, DatabaseState> {
        self.state.lock()
    }

    /// Works with the database; one that has failed before is opened anew, unless it was a sync that failed.
    fn with<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let mut state = self.lock();
        let cannot = |why: &'static str| {
            let (path, source) = (self.path.clone(), why.into());
            StoreError::Definitions { action, path, source }
        };
        if let DatabaseState::Failed = *state {
            if self.trouble.has_failed_sync() {
                return Err(cannot(
                    "a sync has failed; what is on disk is known only after a restart",
                ));
            }
            *state = DatabaseState::Open(open_on_disk(&self.path, &self.trouble)?);
        }
        let DatabaseState::Open(database) = &*state else {
            return Err(cannot("the broker has ended"));
        };
        work(database).map_err(|error| {
            *state = DatabaseState::Failed;
            refused(action, &self.path, error)
        })
    }

    /// Makes the disk full, or gives it room again.
    #[cfg(test)]
    pub(crate) fn set_full(&self, is_full: bool) {
        self.trouble.is_full.store(is_full, std::sync::atomic::Ordering::Release);
    }
}

fn rows_of(reading: &ReadTransaction, table: Table) -> Result<Vec<Row>, redb::Error> {
    let table = match reading.open_table(table.definition()) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut rows = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        rows.push(Row { key: key.value().to_vec(), value: value.value().to_vec() });
    }
    Ok(rows)
}

fn refused(action: &'static str, path: &Path, error: impl Into<redb::Error>) -> StoreError {
    let path = path.to_path_buf();
    match error.into() {
        // That it is no database is an error of this kind, too, and not one of the operating system.
        redb::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
            StoreError::Io { action, path, source }
        }
        error => StoreError::Definitions { action, path, source: error.into() },
    }
}

fn open_on_disk(path: &Path, trouble: &Arc<DiskFailures>) -> Result<Database, StoreError> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(|source| refused("open", path, redb::Error::Io(source)))?;
    open_database(DatabaseFile { file, trouble: Arc::clone(trouble) }, path)
}

/// Opens a database, or makes one in an empty file.
fn open_database(backend: impl StorageBackend, path: &Path) -> Result<Database, StoreError> {
    let mut builder = Builder::new();
    // Without the check a file that was altered might be believed.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder.create_with_backend(backend).map_err(|error| refused("open", path, error))
}

/// Makes the changes that `changes` answers; it is given the id of the next queue and may take it.
fn commit(
    database: &Database,
    changes: impl FnOnce(&mut u64) -> Result<Vec<Change>, redb::Error>,
) -> Result<(), redb::Error> {
    let mut writing = database.begin_write()?;
    writing.set_two_phase_commit(true);
    {
        let mut meta = writing.open_table(META)?;
        let known = meta.get(NEXT_QUEUE_ID)?.map(|next| next.value());
        let mut next = known.unwrap_or(FIRST_QUEUE_ID);
        for change in changes(&mut next)? {
            match change {
                Change::Put(table, Row { key, value }) => {
                    writing.open_table(table.definition())?.insert(&*key, &*value)?;
                }
                Change::Remove(table, key) => {
                    writing.open_table(table.definition())?.remove(&*key)?;
                }
                Change::RemoveAll(table, prefix) => {
                    let mut table = writing.open_table(table.definition())?;
                    table.retain_in(&*prefix.., |key, _| !key.starts_with(&prefix))?;
                }
            }
        }
        if known != Some(next) {
            meta.insert(NEXT_QUEUE_ID, next)?;
        }
    }
    writing.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, value: &str) -> Row {
        Row { key: key.into(), value: value.into() }
    }

    fn put(table: Table, key: &str, value: &str) -> Change {
        Change::Put(table, row(key, value))
    }

    fn everything(definitions: &Definitions) -> Vec<(Table, Row)> {
        let rows =
            |table| definitions.rows(table).unwrap().into_iter().map(move |row| (table, row));
        Table::ALL.into_iter().flat_map(rows).collect()
    }

    #[test]
    fn rows_are_there_after_a_reopen_and_copies_show_them() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Definitions::open_copy(directory.path()).unwrap().is_none());
        let definitions = Definitions::open(directory.path()).unwrap();
        assert!(definitions.is_new().unwrap());
        assert_eq!(everything(&definitions), []);
        let changes = Table::ALL.map(|table| put(table, "key", table.name()));
        definitions.apply(changes.to_vec()).unwrap();
        let also = [put(Table::Users, "b", "2"), Change::Remove(Table::Queues, "key".into())];
        definitions.apply(also.to_vec()).unwrap();
        let rows = everything(&definitions);
        assert_eq!(rows.len(), Table::ALL.len());
        // A copy is also good while the file is in use, which it is after a `kill -9`.
        let copy = Definitions::open_copy(directory.path()).unwrap().unwrap();
        assert_eq!(everything(&copy), rows);
        drop(definitions);
        let before = fs::read(directory.path().join(FILE)).unwrap();
        let copy = Definitions::open_copy(directory.path()).unwrap().unwrap();
        assert_eq!(everything(&copy), rows);
        assert_eq!(fs::read(directory.path().join(FILE)).unwrap(), before);
        let definitions = Definitions::open(directory.path()).unwrap();
        assert!(!definitions.is_new().unwrap());
        assert_eq!(everything(&definitions), rows);
    }

    #[test]
    fn rows_whose_keys_begin_alike_go_together() {
        let directory = tempfile::tempdir().unwrap();
        let definitions = Definitions::open(directory.path()).unwrap();
        let rows = ["a", "b", "b1", "b2", "c"].map(|key| put(Table::Users, key, ""));
        definitions.apply(rows.to_vec()).unwrap();
        definitions.apply(vec![Change::RemoveAll(Table::Users, "b".into())]).unwrap();
        let left = definitions.rows(Table::Users).unwrap();
        assert_eq!(left, [row("a", ""), row("c", "")]);
    }

    #[test]
    fn a_queue_id_is_given_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut given = Vec::new();
        for _ in 0..3 {
            let definitions = Definitions::open(directory.path()).unwrap();
            for _ in 0..2 {
                let id = definitions.add_queue(|id| row("q", &id.0.to_string())).unwrap();
                assert_eq!(definitions.rows(Table::Queues).unwrap(), [row("q", &id.0.to_string())]);
                given.push(id.0);
            }
            definitions.apply(vec![Change::Remove(Table::Queues, "q".into())]).unwrap();
        }
        assert_eq!(given, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_full_disk_refuses_a_change_whole_and_room_makes_it_good() {
        let directory = tempfile::tempdir().unwrap();
        let definitions = Definitions::open(directory.path()).unwrap();
        definitions.apply(vec![put(Table::Users, "a", "1")]).unwrap();
        definitions.set_full(true);
        for _ in 0..2 {
            let refused = definitions.apply(vec![put(Table::Users, "b", "2")]).unwrap_err();
            let StoreError::Io { path, source, .. } = refused else { panic!("{refused:?}") };
            assert_eq!((&*path, source.kind()), (definitions.path(), io::ErrorKind::StorageFull));
            definitions.add_queue(|_| row("q", "")).unwrap_err();
        }
        definitions.set_full(false);
        assert_eq!(everything(&definitions), [(Table::Users, row("a", "1"))]);
        assert_eq!(definitions.add_queue(|_| row("q", "")).unwrap(), QueueId(1));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("nowhere");
        let error = Definitions::open(&nowhere).unwrap_err();
        let path = nowhere.join(FILE);
        assert_eq!(error.to_string(), format!("cannot open '{}'", path.display()));
        fs::create_dir_all(&nowhere).unwrap();
        fs::write(&path, "definitely no database, and long enough to be looked at".repeat(200))
            .unwrap();
        for error in [
            Definitions::open(&nowhere).unwrap_err(),
            Definitions::open_copy(&nowhere).unwrap_err(),
        ] {
            assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
        }
    }

    /// Every 16th byte of the file, one at a time: what was written, or an error; never something else, nor a panic.
    #[test]
    fn an_altered_file_is_found_out() {
        let directory = tempfile::tempdir().unwrap();
        let definitions = Definitions::open(directory.path()).unwrap();
        for at in 0..20 {
            definitions
                .apply(vec![put(Table::Exchanges, &format!("x{at}"), &"v".repeat(50))])
                .unwrap();
        }
        let rows = everything(&definitions);
        drop(definitions);
        let path = directory.path().join(FILE);
        let bytes = fs::read(&path).unwrap();
        let mut found_out = 0;
        for at in (0..bytes.len()).step_by(16) {
            let mut altered = bytes.clone();
            altered[at] ^= 0x55;
            fs::write(&path, altered).unwrap();
            match Definitions::open_copy(directory.path()).transpose().unwrap() {
                Ok(copy) => assert_eq!(everything(&copy), rows, "byte {at}"),
                Err(_) => found_out += 1,
            }
        }
        assert!(found_out > 50, "{found_out} of {}", bytes.len());
    }
}
