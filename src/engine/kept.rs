//! What is kept in a data directory that no broker runs on: looked at, never changed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::broker::Broker;
use crate::engine::error::Error;
use crate::engine::local::Directory;
use crate::store::definitions::Definitions;
use crate::store::{self, CheckReport, QueueId, StoreError, format};
use crate::wire::ShortStr;

/// What a directory holds, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
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
    /// Bytes of messages that were never confirmed and are not whole; the next start cuts them.
    pub torn_bytes: u64,
    /// Notes about settled and delivered messages that are not whole; those messages come again.
    pub broken_marks: u64,
    /// Indexes that do not fit their file; the next start reads the file instead.
    pub broken_indexes: u64,
}

/// How many messages wait in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingIn {
    pub vhost: ShortStr,
    pub queue: ShortStr,
    pub messages: u64,
}

/// Reads everything that is kept in a directory.
///
/// # Errors
///
/// [`Error::Directory`] when it is not there or a broker runs on it, [`Error::Kept`] naming the file that is not as it
/// was written.
pub fn check(path: &Path) -> Result<Kept, Error> {
    let directory = Directory::new(path.to_path_buf());
    let _lock = directory.lock_to_read()?;
    let look = || {
        format::check(path)?;
        let mut kept = Kept::default();
        let mut names = BTreeMap::default();
        if let Some(copy) = Definitions::open_copy(path)? {
            names = kept.count_definitions(copy)?;
        }
        kept.count_messages(store::check(path)?, names);
        Ok(kept)
    };
    look().map_err(|source| Error::Kept { directory: directory.to_string(), source })
}

impl Kept {
    /// Counts the definitions; answers the queues by what the store calls them.
    fn count_definitions(
        &mut self,
        definitions: Definitions,
    ) -> Result<BTreeMap<QueueId, WaitingIn>, StoreError> {
        // A broker of a copy: what it would refuse to start with is found out, and nothing is changed.
        let broker = Broker::open("mq@check".to_owned(), definitions)?;
        let mut names = BTreeMap::default();
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
            for queue in vhost.queues() {
                self.queues += 1;
                let settings = queue.settings();
                let (vhost, queue) = (settings.vhost.clone(), settings.name.clone());
                let waiting = WaitingIn { vhost, queue, messages: 0 };
                names.extend(settings.id.map(|id| (id, waiting)));
            }
        }
        Ok(names)
    }

    fn count_messages(&mut self, report: CheckReport, mut names: BTreeMap<QueueId, WaitingIn>) {
        self.files = report.files;
        self.free_files = report.free_files;
        self.records = report.records;
        self.torn_bytes = report.torn_bytes;
        self.broken_marks = report.broken_marks;
        self.broken_indexes = report.broken_indexes;
        for (id, messages) in report.waiting {
            match names.remove(&id) {
                Some(name) => self.waiting.push(WaitingIn { messages, ..name }),
                None => self.orphaned += messages,
            }
        }
        let name = |of: &WaitingIn| (of.vhost.clone(), of.queue.clone());
        self.waiting.sort_by_cached_key(name);
    }
}
