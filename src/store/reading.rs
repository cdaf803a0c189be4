//! Reading messages back: from memory while they are on their way to the disk, else from their file, neighbours
//! with one read.

use std::io;
use std::path::PathBuf;

use super::damage::{self, DamageOrigin};
use super::error::{StoreError, cannot};
use super::log::Log;
use super::message::Record;
use super::place::Place;
use super::record::{self, HEADER_LEN};
use super::scan;
use super::state::LogState;

/// Most bytes of one read, unless a single record is larger.
const WINDOW_BYTES: u32 = 1 << 20;
/// Read behind the last record's beginning, in the hope that the record ends there.
const LAST_BYTES: u32 = 16 << 10;

/// The receiver of the records, each with its index.
type Take<'a> = dyn FnMut(usize, Result<Record<'_>, StoreError>) + 'a;

/// A file that is read from, and what the checksums of its records begin with.
#[derive(Clone, Debug)]
struct ReadFrom {
    name: String,
    seed: u32,
}

/// The place to read a record from.
enum RecordSource {
    /// In memory; its bytes are copied.
    Memory {
        seed: u32,
        bytes: Vec<u8>,
    },
    File(ReadFrom),
    Gone,
}

impl Log {
    /// Reads records; see `Store::read`.
    pub(super) fn read(&self, places: &[Place], take: &mut Take<'_>) {
        let mut at = 0;
        let mut window = Vec::new();
        while at < places.len() {
            let (first, source) = {
                let state = self.lock();
                let place = state.moves.resolve_place(places[at]);
                (place, state.source(place))
            };
            match source {
                RecordSource::Gone => {
                    take(at, Err(StoreError::Settled));
                    at += 1;
                }
                RecordSource::Memory { seed, bytes } => {
                    let from = ReadFrom { name: String::new(), seed };
                    take(at, self.parse(first, &bytes, &from));
                    at += 1;
                }
                RecordSource::File(from) => {
                    let run = self.neighbours(first, &places[at..]);
                    self.read_run(&from, &run, &mut window, &mut |nth, record| match record {
                        // It was moved while we read.
                        Err(StoreError::Settled) if self.is_elsewhere(run[nth]) => {
                            self.read(&places[at + nth..=at + nth], &mut |_, record| {
                                take(at + nth, record);
                            });
                        }
                        record => take(at + nth, record),
                    });
                    at += run.len();
                }
            }
        }
    }

    /// The places that one read can cover, where they are now.
    fn neighbours(&self, first: Place, places: &[Place]) -> Vec<Place> {
        let state = self.lock();
        let mut run = vec![first];
        let in_memory_from = state.in_memory_from(first.file.get());
        for place in &places[1..] {
            let place = state.moves.resolve_place(*place);
            let last = run[run.len() - 1];
            let fits = place.file == first.file
                && place.offset >= last.offset
                && place.offset - first.offset < WINDOW_BYTES
                && place.offset < in_memory_from;
            if !fits {
                break;
            }
            run.push(place);
        }
        run
    }

    fn read_run(&self, from: &ReadFrom, run: &[Place], window: &mut Vec<u8>, take: &mut Take<'_>) {
        let name = &from.name;
        let io_error =
            |source| StoreError::Io { action: "read", path: self.medium.path(name), source };
        let fail_all = |error: &io::Error, take: &mut Take<'_>| {
            for nth in 0..run.len() {
                take(nth, Err(io_error(io::Error::new(error.kind(), error.to_string()))));
            }
        };
        let file = match self.medium.open(name) {
            Ok(file) => file,
            // It was given up since its name was looked up.
            Err(_) if !self.lock().files.has(run[0].file.get()) => {
                (0..run.len()).for_each(|nth| take(nth, Err(StoreError::Settled)));
                return;
            }
            Err(error) => return fail_all(&error, take),
        };
        let start = run[0].offset;
        let len = run[run.len() - 1].offset - start + LAST_BYTES;
        window.resize(len as usize, 0);
        let read = file.read_at(window, start.into()).map(|count| window.truncate(count));
        if let Err(error) = read {
            return fail_all(&error, take);
        }
        for (nth, place) in run.iter().enumerate() {
            let at = ((place.offset - start) as usize).min(window.len());
            let bytes = &window[at..];
            match record::head(bytes, from.seed) {
                Some(head) if head.len as usize > bytes.len() => {
                    let mut whole = vec![0; head.len as usize];
                    match file.read_at(&mut whole, place.offset.into()) {
                        Ok(_) => take(nth, self.parse(*place, &whole, from)),
                        Err(error) => take(nth, Err(io_error(error))),
                    }
                }
                Some(_) | None => take(nth, self.parse(*place, bytes, from)),
            }
        }
    }

    fn is_elsewhere(&self, place: Place) -> bool {
        self.lock().moves.resolve_place(place) != place
    }

    /// Copies a damaged record to a file of its own, unless it was; answers where its bytes are.
    pub(super) fn copy_damaged(&self, place: Place) -> Result<PathBuf, StoreError> {
        let found = {
            let state = self.lock();
            let place = state.moves.resolve_place(place);
            let file = state.files.get(place.file.get());
            file.map(|file| (place.offset, file.name().to_owned(), file.header()))
        };
        let (offset, name, header) = found.ok_or(StoreError::Settled)?;
        let opened = self.medium.open(&name);
        let read = opened.and_then(|file| scan::bytes_from(&*file, offset));
        let bytes = read.map_err(|source| cannot("read", self.medium.path(&name), source))?;
        let bytes = &bytes[..scan::damaged_len(&bytes, header.seed(), offset)];
        let origin = DamageOrigin { name: &name, number: header.number, offset };
        damage::copy_bytes(&*self.medium, origin, bytes)
    }

    fn parse<'a>(
        &self,
        place: Place,
        bytes: &'a [u8],
        from: &ReadFrom,
    ) -> Result<Record<'a>, StoreError> {
        let head = record::head(bytes, from.seed);
        let found = head.and_then(|head| head.payload(bytes));
        found.map(|(_, record)| record).ok_or_else(|| {
            // Its last queue may have settled it while we read, and the file is used again.
            if !self.lock().files.has(place.file.get()) {
                return StoreError::Settled;
            }
            StoreError::Damaged {
                path: self.medium.path(&from.name),
                offset: place.offset.into(),
                what: "a message differs from what was written",
            }
        })
    }
}

impl LogState {
    fn source(&self, place: Place) -> RecordSource {
        let number = place.file.get();
        for piece in self.gathering.unwritten().filter(|piece| piece.number() == number) {
            let at = place.offset.checked_sub(piece.offset).map(|at| at as usize);
            let Some(bytes) = at.and_then(|at| piece.bytes.get(at..)) else { continue };
            if bytes.len() < HEADER_LEN {
                continue;
            }
            let head = record::head(bytes, piece.seed());
            let len = head.map_or(HEADER_LEN, |head| head.len as usize);
            let bytes = bytes[..len.min(bytes.len())].to_vec();
            return RecordSource::Memory { seed: piece.seed(), bytes };
        }
        match self.files.get(number) {
            Some(file) => {
                let seed = file.header().seed();
                RecordSource::File(ReadFrom { name: file.name().to_owned(), seed })
            }
            None => RecordSource::Gone,
        }
    }

    /// The offset from which on a file's records are in memory.
    fn in_memory_from(&self, number: u32) -> u32 {
        let of_file = self.gathering.unwritten().filter(|piece| piece.number() == number);
        of_file.map(|piece| piece.offset).min().unwrap_or(u32::MAX)
    }
}
