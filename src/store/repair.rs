//! Repairs that a start must not make by itself in the files of messages: an operator asks for them with `mq store
//! repair`.
//!
//! Every file that is changed is copied aside first, as damaged records are (`damage`). A header is found again from
//! the one byte of it that was changed, or from the first record; without either, nothing can be read from the file,
//! and it is taken away. Marks that are not whole are made to say nothing. A repair that was cut short is done again.
//!
//! Start reading at [`repair_on`].

use std::path::{Path, PathBuf};

use crc32c::crc32c;

use super::damage::{self, DamageOrigin, DamagedRecord};
use super::error::{StoreError, cannot};
use super::format::{self, MESSAGES_FOLDER};
use super::index::{Index, index_name};
use super::marks::{self, marks_name};
use super::medium::{Access, Directory, Medium};
use super::record::{
    self, DATA_START, FILE_HEADER_LEN, FileHeader, FileHeaderRead, FileKind, HEADER_LEN, u32_at,
};
use super::scan::{self, Scanned};
use super::{check, recovery};

/// One step of a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// The header of a file of messages was written again.
    Header { file: PathBuf, copy: PathBuf },
    /// The number of the directory's format was written again.
    Format { file: PathBuf, copy: PathBuf },
    /// Nothing could be read from a file of messages, and it was taken away.
    Unreadable { file: PathBuf, copy: PathBuf },
    /// It could not be told which messages behind a damaged one are settled: all of the file come again.
    MarksTakenAway { file: PathBuf, copy: PathBuf },
    /// So many marks were not whole; their messages come again.
    Marks { file: PathBuf, copy: PathBuf, count: u64 },
    /// An index was not whole and was taken away.
    Index { file: PathBuf },
    /// A damaged message was copied aside.
    Message(DamagedRecord),
}

impl Repaired {
    /// The file that was repaired.
    pub fn file(&self) -> &Path {
        match self {
            Self::Header { file, .. }
            | Self::Format { file, .. }
            | Self::Unreadable { file, .. }
            | Self::MarksTakenAway { file, .. }
            | Self::Marks { file, .. }
            | Self::Index { file } => file,
            Self::Message(record) => &record.file,
        }
    }

    /// The copy of the bytes that were there, if any were copied.
    pub fn copy(&self) -> Option<&Path> {
        match self {
            Self::Header { copy, .. }
            | Self::Format { copy, .. }
            | Self::Unreadable { copy, .. }
            | Self::MarksTakenAway { copy, .. }
            | Self::Marks { copy, .. } => Some(copy),
            Self::Index { .. } => None,
            Self::Message(record) => record.copy.as_deref(),
        }
    }
}

/// Repairs the messages and the format of a data directory that no broker runs on.
///
/// # Errors
///
/// [`StoreError`] naming the file that the disk refuses, or that a later release wrote.
pub fn repair(directory: &Path) -> Result<Vec<Repaired>, StoreError> {
    let path = directory.join(MESSAGES_FOLDER);
    let opened = Directory::open(&path, Access::Write);
    let medium = opened.map_err(|source| cannot("open", path, source))?;
    let mut done = repair_on(&medium)?;
    // Last: by now no file is known to be of a later release.
    let file = directory.join(format::FILE);
    done.extend(format::repair(directory)?.map(|copy| Repaired::Format { file, copy }));
    Ok(done)
}

/// The same on any medium.
pub fn repair_on(medium: &dyn Medium) -> Result<Vec<Repaired>, StoreError> {
    let mut done = Vec::new();
    let names = medium.list().map_err(|source| cannot("list", medium.path(""), source))?;
    let is_log =
        |name: &&String| name.strip_suffix(".log").is_some_and(|stem| stem.parse::<u32>().is_ok());
    for name in names.iter().filter(is_log) {
        if let Err(StoreError::Damaged { .. }) = scan::open(medium, name) {
            done.push(repair_header(medium, name, &names)?);
        }
    }
    let found = recovery::find_unrefused(medium)?;
    for file in &found.files {
        if recovery::hidden_slots(medium, file)?.is_some() {
            done.push(take_marks_away(medium, file)?);
        }
        done.extend(repair_marks(medium, file)?);
        if file.has_broken_index {
            let name = index_name(&file.name);
            remove(medium, &name)?;
            done.push(Repaired::Index { file: medium.path(&name) });
        }
        let copied = recovery::copy_damaged(medium, file)?;
        done.extend(copied.into_iter().map(Repaired::Message));
    }
    done.extend(check::copy_unread_damaged(medium, &found)?.into_iter().map(Repaired::Message));
    Ok(done)
}

/// Writes the header of a file again, or takes the file away.
fn repair_header(
    medium: &dyn Medium,
    name: &str,
    names: &[String],
) -> Result<Repaired, StoreError> {
    let file = medium.path(name);
    let read = scan::read_all(medium, name);
    let bytes = read.map_err(|source| cannot("read", file.clone(), source))?;
    let origin = DamageOrigin { name, number: 0, offset: 0 };
    let Some(header) = header_of(medium, name, names, &bytes)? else {
        let copy = damage::copy_bytes(medium, origin, &bytes)?;
        for name in [name, &marks_name(name), &index_name(name)] {
            remove(medium, name)?;
        }
        return Ok(Repaired::Unreadable { file, copy });
    };
    let front = &bytes[..bytes.len().min(DATA_START as usize)];
    let copy = damage::copy_bytes(medium, origin, front)?;
    let write = || {
        let file = medium.open(name)?;
        file.write_at(&header, 0)?;
        file.sync()
    };
    write().map_err(|source| cannot("write", file.clone(), source))?;
    Ok(Repaired::Header { file, copy })
}

/// The header that a file had, as far as that can be told.
fn header_of(
    medium: &dyn Medium,
    name: &str,
    names: &[String],
    bytes: &[u8],
) -> Result<Option<[u8; FILE_HEADER_LEN]>, StoreError> {
    let Some(front) = bytes.first_chunk::<FILE_HEADER_LEN>() else { return Ok(None) };
    if let Some(header) = scan::header_with_one_byte_changed(front) {
        return Ok(Some(header));
    }
    let records = bytes.get(DATA_START as usize..).unwrap_or_default();
    let Some(seed) = seed_of(records) else { return Ok(None) };
    let number = match number_beside(medium, name)? {
        Some(number) => number,
        None => unused_number(medium, names)?,
    };
    let kind = if u32_at(front, 12) == 2 { FileKind::Survivors } else { FileKind::Log };
    // A salt of 0 would say that the records are of format 1.
    let salt = seed ^ number;
    let header = FileHeader { kind, number, salt };
    Ok(Some(if salt == 0 { header.encode_format_1() } else { header.encode() }))
}

/// The seed of the checksum of the first record, if its payload is whole.
fn seed_of(records: &[u8]) -> Option<u32> {
    let header = records.get(..HEADER_LEN)?;
    let payload = records.get(HEADER_LEN..u32_at(header, 8) as usize)?;
    let is_whole = !payload.is_empty() && crc32c(payload) == u32_at(header, 4);
    let seed = seed_behind(u32_at(header, 0), &header[4..]);
    (is_whole && record::head(records, seed).is_some()).then_some(seed)
}

/// The seed with which the CRC-32C of `bytes` is `checksum`: the calculation, backwards.
fn seed_behind(checksum: u32, bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut sum = !checksum;
    for byte in bytes.iter().rev() {
        for _ in 0..8 {
            let carried = sum >> 31 == 1;
            sum = if carried { (sum ^ POLYNOMIAL) << 1 | 1 } else { sum << 1 };
        }
        sum ^= u32::from(*byte);
    }
    !sum
}

/// The number of a file that its marks or its index say.
fn number_beside(medium: &dyn Medium, name: &str) -> Result<Option<u32>, StoreError> {
    let marks = read_if_there(medium, &marks_name(name))?;
    let of_marks = marks::numbers(&marks).next();
    let index = read_if_there(medium, &index_name(name))?;
    let of_index = index.get(12..16).map(|number| u32_at(number, 0));
    let of_index = of_index.filter(|number| Index::decode(&index, *number).is_some());
    Ok(of_index.or(of_marks))
}

/// A number that no file has, and that follows none.
fn unused_number(medium: &dyn Medium, names: &[String]) -> Result<u32, StoreError> {
    let mut last = 0;
    for name in names.iter().filter(|name| name.contains(".log")) {
        let front = read_if_there(medium, name)?;
        if let FileHeaderRead::Header(header) = FileHeader::decode(&front) {
            last = last.max(header.number);
        }
    }
    Ok(last + 2)
}

/// Takes the marks of a file away.
fn take_marks_away(medium: &dyn Medium, file: &Scanned) -> Result<Repaired, StoreError> {
    let name = marks_name(&file.name);
    let bytes = read_if_there(medium, &name)?;
    let origin = DamageOrigin { name: &name, number: file.header.number, offset: 0 };
    let copy = damage::copy_bytes(medium, origin, &bytes)?;
    remove(medium, &name)?;
    Ok(Repaired::MarksTakenAway { file: medium.path(&name), copy })
}

/// Makes marks that are not whole say nothing.
fn repair_marks(medium: &dyn Medium, file: &Scanned) -> Result<Option<Repaired>, StoreError> {
    let count = file.marks(medium)?.broken;
    if count == 0 {
        return Ok(None);
    }
    let name = marks_name(&file.name);
    let bytes = read_if_there(medium, &name)?;
    let origin = DamageOrigin { name: &name, number: file.header.number, offset: 0 };
    let copy = damage::copy_bytes(medium, origin, &bytes)?;
    let whole = marks::without_broken(&bytes, file.number());
    let write = || {
        let file = medium.open(&name)?;
        file.write_at(&whole, 0)?;
        file.set_len(whole.len() as u64)?;
        file.sync()
    };
    write().map_err(|source| cannot("write", medium.path(&name), source))?;
    Ok(Some(Repaired::Marks { file: medium.path(&name), copy, count }))
}

fn read_if_there(medium: &dyn Medium, name: &str) -> Result<Vec<u8>, StoreError> {
    match scan::read_all(medium, name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|source| cannot("read", medium.path(name), source)),
    }
}

fn remove(medium: &dyn Medium, name: &str) -> Result<(), StoreError> {
    medium.remove(name).map_err(|source| cannot("remove", medium.path(name), source))
}

#[cfg(test)]
mod tests {
    use crc32c::crc32c_append;

    use super::*;

    #[test]
    fn a_seed_is_found_behind_its_checksum() {
        for (seed, bytes) in [(0, &b""[..]), (7, b"a"), (0xdead_beef, &[0x5a; 60]), (1, &[0; 64])] {
            assert_eq!(seed_behind(crc32c_append(seed, bytes), bytes), seed, "{bytes:?}");
        }
    }

    #[test]
    fn a_header_is_found_whichever_byte_was_changed() {
        let header = FileHeader::begun(FileKind::Log, 7).encode();
        for at in 0..FILE_HEADER_LEN {
            let mut changed = header;
            changed[at] ^= 0x41;
            assert_eq!(scan::header_with_one_byte_changed(&changed), Some(header), "byte {at}");
        }
        let mut changed = header;
        changed[9..14].fill(0x41);
        assert_eq!(scan::header_with_one_byte_changed(&changed), None);
    }
}
