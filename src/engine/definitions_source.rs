//! Definitions that a broker takes in before clients are let in: a file, or all files of a directory.
//!
//! RabbitMQ: `rabbit_definitions_import_local_filesystem`. A directory's files are taken in the order of their names;
//! directories in it, and files whose names begin with a dot, are passed over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::broker::parameters::{IMPORTED_HASH, ParameterName};
use crate::broker::{Broker, Defaults};
use crate::engine::error::{Cause, Error};
use crate::management::DefinitionsFile;
use crate::wire::FieldValue;
use crate::wire::shortstr::literal;

/// Definitions that were read and are not imported yet.
#[derive(Debug)]
pub(super) struct DefinitionsSource {
    files: Vec<(PathBuf, DefinitionsFile)>,
    /// The hash of all contents, in base64.
    hash: String,
}

/// The treatment of definitions whose contents are those of the last start (RabbitMQ: `definitions.skip_if_unchanged`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnchangedDefinitions {
    /// They take the place of what was changed since.
    #[default]
    Import,
    Skip,
}

impl DefinitionsSource {
    /// Reads a file or a directory.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read or holds no definitions.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let mut hash = Sha256::new();
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).map_err(|error| not_imported(&path, &error))?;
            // With the length, so that a part that moves to another file is a change.
            hash.update(bytes.len().to_le_bytes());
            hash.update(&bytes);
            let file =
                DefinitionsFile::read(&bytes).map_err(|error| not_imported(&path, &error))?;
            Ok((path, file))
        };
        let paths = files(path).map_err(|error| not_imported(path, &error))?;
        let files = paths.into_iter().map(read).collect::<Result<_, Error>>()?;
        Ok(Self { files, hash: STANDARD.encode(hash.finalize()) })
    }

    /// The defaults of a new broker that takes these definitions in first.
    pub(super) fn defaults(&self, usual: Defaults) -> Defaults {
        self.files.iter().fold(usual, |defaults, (_, file)| file.defaults(defaults))
    }

    /// Takes them in, a file at a time.
    ///
    /// # Errors
    ///
    /// Names the file that is wrong; those before it are in.
    pub(super) fn import(
        &self,
        broker: &Broker,
        unchanged: UnchangedDefinitions,
    ) -> Result<(), Error> {
        let name = literal(IMPORTED_HASH);
        let known = broker.parameters.get(&ParameterName::global(&name));
        let may_skip = unchanged == UnchangedDefinitions::Skip;
        if may_skip && known.as_ref().and_then(FieldValue::as_str) == Some(&self.hash) {
            tracing::info!(
                "the definitions are those of the last start: they are not imported again"
            );
            return Ok(());
        }
        for (path, file) in &self.files {
            file.import(broker).map_err(|error| not_imported(path, &error))?;
            tracing::info!(file = %path.display(), "definitions imported");
        }
        if may_skip {
            let hash = FieldValue::LongStr(self.hash.as_str().into());
            let kept = broker.set_global(&name, hash);
            kept.map_err(|fault| not_imported(&self.files[0].0, &fault.text))?;
        }
        Ok(())
    }
}

/// The files that a path names, in their order.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    let is_hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    let shown = entries.into_iter().filter(|entry| !is_hidden(entry));
    let mut files: Vec<_> = shown.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    if files.is_empty() {
        return Err(io::Error::other("there is no file in this directory"));
    }
    Ok(files)
}

fn not_imported(path: &Path, error: &dyn std::fmt::Display) -> Error {
    let (path, source) = (path.display().to_string(), Cause::new(error.to_string()));
    Error::Definitions { path, source }
}
