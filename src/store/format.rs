//! The format of a data directory: a number in the file `format`, looked at before anything else is opened.
//!
//! A release reads every format up to [`KNOWN`] and nothing newer: what it does not know it must not touch.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::StoreError;

/// The file's name in a data directory.
pub const FILE: &str = "format";
/// The format that is written, and the newest that is read.
pub const KNOWN: u32 = 1;

/// Checks the format of a directory; answers whether it has one.
///
/// # Errors
///
/// [`StoreError::Newer`] and [`StoreError::Damaged`] name the file.
pub fn check(directory: &Path) -> Result<bool, StoreError> {
    let path = directory.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(StoreError::Io { action: "read", path, source }),
    };
    let text = String::from_utf8(text).unwrap_or_default();
    let number = text.strip_suffix('\n').and_then(|number| number.parse::<u32>().ok());
    match number {
        Some(1..=KNOWN) => Ok(true),
        Some(found) if found > KNOWN => Err(StoreError::Newer { path, found, known: KNOWN }),
        Some(_) | None => {
            Err(StoreError::Damaged { path, offset: 0, what: "there is no format number" })
        }
    }
}

/// Checks the format of a directory that is ours, and gives it one when it is new.
pub fn check_or_write(directory: &Path) -> Result<(), StoreError> {
    if check(directory)? {
        return Ok(());
    }
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
        assert!(!check(directory.path()).unwrap());
        for _ in 0..2 {
            check_or_write(directory.path()).unwrap();
            assert_eq!(fs::read_to_string(directory.path().join(FILE)).unwrap(), "1\n");
            assert!(check(directory.path()).unwrap());
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let newer = "has format 2, and this release reads up to 1";
        let damaged = "is damaged at offset 0: there is no format number";
        let cases: [(&[u8], &str); 6] = [
            (b"2\n", newer),
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
