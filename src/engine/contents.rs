//! The contents of a data directory that no broker runs on: looked at, and changed by [`repair`] only.

use std::collections::BTreeMap;
use std::path::Path;

use crate::broker::Broker;
use crate::broker::arguments::queue_noun;
use crate::engine::directory::{self, DataDirectory};
use crate::engine::error::{Cause, Error};
use crate::store::definitions::Definitions;
use crate::store::{self, CheckReport, QueueId, StoreError, format};
pub use crate::store::{DamagedRecord, Repaired};
use crate::wire::ShortStr;

/// The contents of a directory, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryContents {
    pub vhosts: u64,
    pub users: u64,
    pub exchanges: u64,
    pub queues: u64,
    pub bindings: u64,
    /// Files with messages, and files that are free for them.
    pub files: u64,
    pub free_files: u64,
    /// Messages in the files, settled ones included.
    pub records: u64,
    /// The queues that messages wait in, in the order of their names.
    pub waiting: Vec<WaitingIn>,
    /// Messages of queues that are not there any more; the next start drops them.
    pub orphaned: u64,
    /// Messages that are not what was written, and were not told by an earlier start.
    pub damaged: Vec<Damage>,
    /// Copies of damaged bytes that earlier starts made.
    pub copies: u64,
    /// Notes about settled and delivered messages that are not whole; those messages come again.
    pub broken_marks: u64,
    /// Indexes that do not fit their file; the next start reads the file instead.
    pub broken_indexes: u64,
}

/// A message in a file that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub record: DamagedRecord,
    /// The queues it was in, as far as they are known: vhosts and names.
    pub queues: Vec<(ShortStr, ShortStr)>,
    pub found: FoundBy,
}

/// The reader that finds that a message is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// The next start.
    Start,
    /// The broker, when it reads the message to deliver it.
    Delivery,
}

impl Damage {
    /// Says in the log what was found and where it was copied to.
    pub(super) fn log(&self) {
        let DamagedRecord { file, offset, bytes, cause, copy, .. } = &self.record;
        let file = file.display();
        let copy = copy.as_ref().map(|copy| copy.display().to_string());
        let queues = self.queue_names();
        let queues = queues.as_deref().unwrap_or("unknown");
        tracing::error!(%file, offset, bytes, queues, %cause, copy,
            "a message is damaged and cannot be delivered; it may have been confirmed");
    }

    /// The queues as texts name them; `None` when none is known.
    pub fn queue_names(&self) -> Option<String> {
        let name = |(vhost, queue): &(ShortStr, ShortStr)| queue_noun(queue, vhost);
        let names: Vec<String> = self.queues.iter().map(name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    pub(super) fn new(found: FoundBy, record: DamagedRecord, names: &QueueNames) -> Self {
        let queues = record.queues.iter().filter_map(|id| names.get(id).cloned()).collect();
        Self { record, queues, found }
    }
}

/// The vhosts and names of queues, by what the store calls them.
pub(super) type QueueNames = BTreeMap<QueueId, (ShortStr, ShortStr)>;

/// The names of a broker's durable queues.
pub(super) fn queue_names(broker: &Broker) -> QueueNames {
    let queues = broker.vhosts().into_iter().flat_map(|vhost| vhost.queues());
    let named = queues.filter_map(|queue| {
        let settings = queue.settings();
        Some((settings.id?, (settings.vhost.clone(), settings.name.clone())))
    });
    named.collect()
}

/// The number of messages that wait in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingIn {
    pub vhost: ShortStr,
    pub queue: ShortStr,
    pub messages: u64,
}

/// Reads everything that is in a data directory.
///
/// # Errors
///
/// [`Error::DataDirectory`] when it is not there, holds no store or a broker runs on it, [`Error::Contents`] naming the
/// file that is not as it was written.
pub fn check(path: &Path) -> Result<DirectoryContents, Error> {
    let directory = DataDirectory::new(path.to_path_buf());
    let _lock = directory.lock_to_read()?;
    is_store(&directory)?;
    let look = || {
        format::check(path)?;
        let mut contents = DirectoryContents::default();
        let mut names = QueueNames::default();
        if let Some(copy) = Definitions::open_copy(path)? {
            names = contents.count_definitions(copy)?;
        }
        contents.count_messages(store::check(path)?, &names);
        Ok(contents)
    };
    look().map_err(|source| Error::Contents { directory: directory.to_string(), source })
}

/// Does with the messages of a directory what a start must not do by itself, and copies aside what it changes.
///
/// # Errors
///
/// As [`check`]; [`Error::Contents`] also when the disk refuses.
pub fn repair(path: &Path) -> Result<Vec<Repaired>, Error> {
    let directory = DataDirectory::new(path.to_path_buf());
    drop(directory.lock_to_read()?);
    is_store(&directory)?;
    let _lock = directory::held(&directory)?;
    store::repair(path)
        .map_err(|source| Error::Contents { directory: directory.to_string(), source })
}

/// Makes a data directory of a copy that a running broker has made; answers what is in it.
///
/// # Errors
///
/// [`Error::Contents`] if the copy is damaged, [`Error::DataDirectory`] if it is not complete, or if there is something
/// in the new directory.
pub fn restore(backup: &Path, path: &Path) -> Result<DirectoryContents, Error> {
    let (from, to) =
        (DataDirectory::new(backup.to_path_buf()), DataDirectory::new(path.to_path_buf()));
    let contents = |directory: &DataDirectory, source| Error::Contents {
        directory: directory.to_string(),
        source,
    };
    let found = check(backup)?;
    if !store::backup::is_backup(backup).map_err(|source| contents(&from, source))? {
        let why = "the copy was not completed: there is no file 'format'";
        return Err(from.unusable(Cause::new(why)));
    }
    if !found.is_sound() {
        let why = "the copy is damaged: 'mq store check' names what, and 'mq store repair' keeps the rest";
        return Err(from.unusable(Cause::new(why)));
    }
    store::backup::make_empty(path).map_err(|source| contents(&to, source))?;
    let _lock = directory::held(&to)?;
    store::backup::copy_stopped(backup, path).map_err(|source| contents(&to, source))?;
    Ok(found)
}

/// Refuses a directory that is not a data directory of a broker.
fn is_store(directory: &DataDirectory) -> Result<(), Error> {
    let has = |name: &str| directory.path().join(name).exists();
    if has(format::FILE) || has("messages") || has("definitions.redb") {
        return Ok(());
    }
    Err(Error::DataDirectory {
        directory: directory.to_string(),
        source: Cause::new("it is not a broker's data directory: there is no file 'format'"),
    })
}

impl DirectoryContents {
    /// True if everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && (self.broken_marks, self.broken_indexes) == (0, 0)
    }

    /// Counts the definitions; answers the queues by what the store calls them.
    fn count_definitions(&mut self, definitions: Definitions) -> Result<QueueNames, StoreError> {
        // A broker of a copy: what it would refuse to start with is found out, and nothing is changed.
        let broker = Broker::open("mq@check".to_owned(), definitions)?;
        self.users = broker.users.list().len() as u64;
        for vhost in broker.vhosts() {
            let is_predeclared = |name: &str| name.is_empty() || name.starts_with("amq.");
            let exchanges = vhost.exchanges();
            let declared = exchanges.iter().filter(|info| !is_predeclared(&info.settings.name));
            let bindings = vhost.bindings();
            self.vhosts += 1;
            self.exchanges += declared.count() as u64;
            self.bindings +=
                bindings.iter().filter(|binding| !binding.source.is_empty()).count() as u64;
            self.queues += vhost.queues().len() as u64;
        }
        Ok(queue_names(&broker))
    }

    fn count_messages(&mut self, report: CheckReport, names: &QueueNames) {
        self.files = report.files;
        self.free_files = report.free_files;
        self.records = report.records;
        self.copies = report.copies;
        self.broken_marks = report.broken_marks;
        self.broken_indexes = report.broken_indexes;
        for (id, messages) in report.waiting {
            match names.get(&id).cloned() {
                Some((vhost, queue)) => self.waiting.push(WaitingIn { vhost, queue, messages }),
                None => self.orphaned += messages,
            }
        }
        let damage = |found| move |damaged| Damage::new(found, damaged, names);
        self.damaged.extend(report.damaged.into_iter().map(damage(FoundBy::Start)));
        self.damaged.extend(report.damaged_unread.into_iter().map(damage(FoundBy::Delivery)));
        let name = |of: &WaitingIn| (of.vhost.clone(), of.queue.clone());
        self.waiting.sort_by_cached_key(name);
    }
}
