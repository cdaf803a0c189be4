//! A copy of a running broker's data directory.

use std::path::Path;

use super::Broker;
use crate::store::backup::BackupReport;
use crate::store::{self, CheckReport, StoreError};

/// A copy that was made, and the result of its check.
#[derive(Clone, Debug)]
pub struct Backup {
    pub copied: BackupReport,
    pub checked: CheckReport,
}

/// The reason why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the broker keeps everything in memory, so there is nothing to copy")]
    InMemory,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// Copies durable definitions and persistent messages into an empty directory of this machine, and reads the copy
    /// whole. Clients go on meanwhile. The copy has every message that was confirmed before the call and not settled
    /// until its end.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written, or the directory is not empty.
    pub fn back_up(&self, to: &Path) -> Result<Backup, BackupError> {
        let (Some(store), Some(definitions)) = (&self.store, &self.definitions) else {
            return Err(BackupError::InMemory);
        };
        self.shared.blocking.run(|| {
            let copied = store.back_up(to, definitions)?;
            Ok(Backup { copied, checked: store::check(to)? })
        })
    }
}
