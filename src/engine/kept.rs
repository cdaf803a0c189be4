//! What is kept in a data directory that no broker runs on: looked at, never changed.

use std::path::Path;

use crate::broker::Broker;
use crate::engine::error::Error;
use crate::engine::local::Directory;
use crate::store::definitions::Definitions;
use crate::store::{StoreError, format};

/// The definitions of a directory, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub vhosts: u64,
    pub users: u64,
    pub exchanges: u64,
    pub queues: u64,
    pub bindings: u64,
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
    let unsound = |source: StoreError| Error::Kept { directory: directory.to_string(), source };
    format::check(path).map_err(unsound)?;
    let Some(copy) = Definitions::open_copy(path).map_err(unsound)? else {
        return Ok(Kept::default());
    };
    count(copy).map_err(unsound)
}

fn count(definitions: Definitions) -> Result<Kept, StoreError> {
    // A broker of a copy: what it would refuse to start with is found out, and nothing is changed.
    let broker = Broker::open("mq@check".to_owned(), definitions)?;
    let mut kept = Kept { users: broker.users.list().len() as u64, ..Kept::default() };
    for vhost in broker.vhosts() {
        let is_predeclared = |name: &str| name.is_empty() || name.starts_with("amq.");
        let exchanges = vhost.exchanges();
        let declared = exchanges.iter().filter(|info| !is_predeclared(&info.settings.name));
        let bindings = vhost.bindings();
        kept.vhosts += 1;
        kept.exchanges += declared.count() as u64;
        kept.queues += vhost.queues().len() as u64;
        kept.bindings +=
            bindings.iter().filter(|binding| !binding.source.is_empty()).count() as u64;
    }
    Ok(kept)
}
