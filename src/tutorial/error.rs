//! The reason for which a lesson could not run. A failed check is not an error but a verdict.

use std::io;
use std::path::PathBuf;

use crate::engine;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no lesson '{name}'")]
    Unknown { name: String },
    #[error("lesson {number} restarts the broker, so it needs a broker that mq started")]
    NotOurs { number: u8 },
    #[error("cannot make the directory '{}'", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Engine(#[from] engine::Error),
    #[error("cannot write the lesson")]
    Output(#[from] io::Error),
}
