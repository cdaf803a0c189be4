//! The format of a data directory: a number in the file `format`, looked at before anything else is opened.
//!
//! A release reads every format up to [`KNOWN`] and nothing newer: what it does not know it must not touch.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// The file's name in a data directory.
pub const FILE: &str = "format";
/// The format that is written, and the newest that is read.
pub const KNOWN: u32 = 2;
/// The folders of a data directory that files of messages are in.
pub(super) const MESSAGES_FOLDER: &str = "messages";
pub(super) const SPILL_FOLDER: &str = "spill";

/// Checks the format of a directory; answers which it has, if it has one.
///
/// # Errors
///
/// [`StoreError::Newer`] and [`StoreError::Damaged`] name the file.
pub fn check(directory: &Path) -> Result<Option<u32>, StoreError> {
    let path = directory.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::Io { action: "read", path, source }),
    };
    let text = String::from_utf8(text).unwrap_or_default();
    let number = text.strip_suffix('\n').and_then(|number| number.parse::<u32>().ok());
    match number {
        Some(found @ 1..=KNOWN) => Ok(Some(found)),
        Some(found) if found > KNOWN => Err(StoreError::Newer { path, found, known: KNOWN }),
        Some(_) | None => {
            Err(StoreError::Damaged { path, offset: 0, what: "there is no format number" })
        }
    }
}

/// Checks the format of a directory that is ours, and says that it is [`KNOWN`] from now on: an earlier release does
/// not read the files of messages that are begun.
pub fn check_or_write(directory: &Path) -> Result<(), StoreError> {
    if check(directory)? == Some(KNOWN) {
        return Ok(());
    }
    write(directory)
}

/// Writes [`KNOWN`] over a format that cannot be read; answers the copy of it. Only for a directory whose files this
/// release reads.
pub fn repair(directory: &Path) -> Result<Option<PathBuf>, StoreError> {
    match check(directory) {
        Err(StoreError::Damaged { path, .. }) => {
            let mut nth = 1;
            let copy = loop {
                let copy = directory.join(format!("{FILE}-{nth}.damaged"));
                if !copy.exists() {
                    break copy;
                }
                nth += 1;
            };
            let copied = fs::copy(&path, &copy).and_then(|_| File::open(&copy)?.sync_all());
            copied.map_err(|source| StoreError::Io { action: "copy", path, source })?;
            write(directory)?;
            Ok(Some(copy))
        }
        checked => checked.map(|_| None),
    }
}

fn write(directory: &Path) -> Result<(), StoreError> {
    let (path, new) = (directory.join(FILE), directory.join("format.new"));
    // Under another name first, so that a crash leaves a whole one or none.
    let written = || {
        let mut file = File::create(&new)?;
        file.write_all(format!("{KNOWN}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(directory)?.sync_all()
    };
    written().map_err(|source| StoreError::Io { action: "write", path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_gets_the_format_and_keeps_it() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(check(directory.path()).unwrap(), None);
        for _ in 0..2 {
            check_or_write(directory.path()).unwrap();
            assert_eq!(fs::read_to_string(directory.path().join(FILE)).unwrap(), "2\n");
            assert_eq!(check(directory.path()).unwrap(), Some(2));
        }
        fs::write(directory.path().join(FILE), "1\n").unwrap();
        assert_eq!(check(directory.path()).unwrap(), Some(1));
        check_or_write(directory.path()).unwrap();
        assert_eq!(check(directory.path()).unwrap(), Some(2), "what is begun is of this format");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let newer = "has format 3, and this release reads up to 2";
        let damaged = "is damaged at offset 0: there is no format number";
        let cases: [(&[u8], &str); 6] = [
            (b"3\n", newer),
            (b"", damaged),
            (b"1", damaged), // torn
            (b"0\n", damaged),
            (b"one\n", damaged),
            (b"\xff\n", damaged),
        ];
        for (text, told) in cases {
            fs::write(&path, text).unwrap();
            let error = check_or_write(directory.path()).unwrap_err();
            assert_eq!(error.to_string(), format!("'{}' {told}", path.display()));
            assert_eq!(fs::read(&path).unwrap(), text);
        }
    }
}
