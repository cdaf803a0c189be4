//! TOML files: who may read and change them, and errors that name the file and the line.
//!
//! No error shows text of a file, because it may be a password.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use serde::de::DeserializeOwned;

use crate::engine::error::{Cause, Error};

/// Most bytes of a file: several thousand contexts.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The owner and the permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileAccess {
    pub(super) owner: u32,
    pub(super) mode: u32,
}

impl FileAccess {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        Self { owner: metadata.uid(), mode: metadata.mode() }
    }

    /// True if the file belongs to another user than this one and root.
    pub(super) fn is_foreign(self) -> bool {
        self.owner != 0 && self.owner != geteuid().as_raw()
    }

    /// True if users other than the owner may read it.
    pub(super) fn is_readable_by_others(self) -> bool {
        self.mode & 0o077 != 0
    }

    /// True if users other than the owner may change it.
    pub(super) fn is_writable_by_others(self) -> bool {
        self.mode & 0o022 != 0
    }
}

/// Reads a file; `None` if there is none.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<(T, FileAccess)>, Error> {
    let Some((text, access)) = text(path).map_err(|why| unreadable(path, why.into()))? else {
        return Ok(None);
    };
    match toml::from_str(&text) {
        Ok(value) => Ok(Some((value, access))),
        Err(error) => {
            let before = error.span().and_then(|span| text.get(..span.start));
            // A message of several lines would be taken for several causes.
            let message = error.message().replace('\n', ", ");
            let why = match before {
                Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
                None => message,
            };
            Err(unreadable(path, Cause::new(why)))
        }
    }
}

/// The error of a file that cannot be read.
pub(super) fn unreadable(path: &Path, source: Cause) -> Error {
    let problem = format!("cannot read the file '{}'", path.display());
    Error::SettingsFile { problem, source, hint: None }
}

fn text(path: &Path) -> io::Result<Option<(String, FileAccess)>> {
    // A pipe would keep the program waiting.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    if file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)? as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(Some((text, FileAccess::of(&metadata))))
}
