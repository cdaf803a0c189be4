//! Why a lesson could not be given. A check that fails is no error; it is a verdict.

use std::io;

use crate::engine;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no lesson '{name}'")]
    Unknown { name: String },
    #[error("lesson {number} comes with the store: not implemented yet")]
    NotYet { number: u8 },
    #[error(transparent)]
    Engine(#[from] engine::Error),
    #[error("cannot write the lesson")]
    Output(#[from] io::Error),
}
