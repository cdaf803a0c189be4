//! The broker of a data directory: join who runs it, or run it.

use std::path::PathBuf;

use crate::engine::error::Error;

/// Where `mq serve` and `--local` keep a broker when no directory is named: `$XDG_DATA_HOME/mq`, else
/// `~/.local/share/mq`.
pub fn default_directory(environment: impl Fn(&str) -> Option<String>) -> Result<PathBuf, Error> {
    let _ = environment("XDG_DATA_HOME");
    Err(Error::not_implemented("default directory"))
}
