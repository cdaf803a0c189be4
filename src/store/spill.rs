//! The log for transient messages that memory has no room for: written, never synced, and gone at the next start.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::StoreError;
use super::inbox::{Active, FileState, Inbox};
use super::index::Index;
use super::log::{Durability, Log, Options, SPILL_BIT};
use super::medium::Medium;
use super::record::DATA_START;
use super::scan::cannot;

/// Removes what an earlier broker spilled.
pub(super) fn clear(medium: &dyn Medium) -> Result<(), StoreError> {
    let names = medium.list().map_err(|source| cannot("list", medium.path(""), source))?;
    for name in names {
        medium.remove(&name).map_err(|source| cannot("remove", medium.path(&name), source))?;
    }
    Ok(())
}

pub(super) fn open(medium: Arc<dyn Medium>, options: Options) -> Result<Log, StoreError> {
    let name = format!("{:08}.log", 1);
    let capacity = options.file_bytes;
    let made = medium.create(&name, capacity.into());
    let file = made.map_err(|source| cannot("create", medium.path(&name), source))?;
    let number = SPILL_BIT | 1;
    let state = FileState { name: name.clone(), slots: 0, live: 0, capacity, is_full: false };
    let index = Index::empty(DATA_START);
    let active = Active { number, name, file, capacity, needs_header: false, index };
    let mut inbox = Inbox::new(active, FxHashMap::from_iter([(number, state)]));
    inbox.next_name = 2;
    Ok(Log::new(medium, Durability::Spilled, options, inbox))
}
