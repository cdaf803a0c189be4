//! The errors of a data directory.

use std::io;
use std::path::PathBuf;

/// An error of the store; names the file, and the offset where there is one.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} '{}'", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// A record or an index is not what was written.
    #[error("'{}' is damaged at offset {offset}: {what}", path.display())]
    Damaged { path: PathBuf, offset: u64, what: &'static str },
    /// The message was settled while it was looked for.
    #[error("the message was settled meanwhile")]
    Settled,
    /// The directory was written by a later release.
    #[error("'{}' has format {found}, and this release reads up to {known}", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    /// The embedded database of definitions refused.
    #[error("cannot {action} the definitions in '{}'", path.display())]
    Definitions {
        action: &'static str,
        path: PathBuf,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An error of the operating system.
pub(super) fn cannot(action: &'static str, path: PathBuf, source: io::Error) -> StoreError {
    StoreError::Io { action, path, source }
}
