//! Reading messages back: from memory while they are on their way to the disk, else from their file, neighbours
//! with one read.

use std::io;

use super::inbox::Inbox;
use super::log::Log;
use super::record::{self, HEADER_LEN};
use super::{Place, Record, StoreError};

/// Most bytes of one read, unless a single record is larger.
const WINDOW_BYTES: u32 = 1 << 20;
/// Read behind the last record's beginning, in the hope that the record ends there.
const LAST_BYTES: u32 = 16 << 10;

/// Who is given the records, each with its index.
type Take<'a> = dyn FnMut(usize, Result<Record<'_>, StoreError>) + 'a;

/// Where a record is to be found.
enum Source {
    /// In memory; its bytes are copied.
    Memory(Vec<u8>),
    File {
        name: String,
    },
    Gone,
}

impl Log {
    /// Reads records; see `Store::read`.
    pub(super) fn read(&self, places: &[Place], take: &mut Take<'_>) {
        let mut at = 0;
        let mut window = Vec::new();
        while at < places.len() {
            let (first, source) = {
                let inbox = self.lock();
                let place = inbox.resolve_place(places[at]);
                (place, inbox.source(place))
            };
            match source {
                Source::Gone => {
                    take(at, Err(StoreError::Settled));
                    at += 1;
                }
                Source::Memory(bytes) => {
                    take(at, self.parse(first, &bytes, ""));
                    at += 1;
                }
                Source::File { name } => {
                    let run = self.neighbours(first, &places[at..]);
                    self.read_run(&name, &run, &mut window, &mut |nth, record| match record {
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
        let inbox = self.lock();
        let mut run = vec![first];
        let in_memory_from = inbox.in_memory_from(first.file.get());
        for place in &places[1..] {
            let place = inbox.resolve_place(*place);
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

    fn read_run(&self, name: &str, run: &[Place], window: &mut Vec<u8>, take: &mut Take<'_>) {
        let io_error =
            |source| StoreError::Io { action: "read", path: self.medium.path(name), source };
        let fail_all = |error: &io::Error, take: &mut Take<'_>| {
            for nth in 0..run.len() {
                take(nth, Err(io_error(io::Error::new(error.kind(), error.to_string()))));
            }
        };
        let file = match self.medium.open(name) {
            Ok(file) => file,
            // It was given up since its name was looked for.
            Err(_) if !self.lock().files.contains_key(&run[0].file.get()) => {
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
            let from = ((place.offset - start) as usize).min(window.len());
            let bytes = &window[from..];
            let number = place.file.get();
            match record::head(bytes, number) {
                Some(head) if head.len as usize > bytes.len() => {
                    let mut whole = vec![0; head.len as usize];
                    match file.read_at(&mut whole, place.offset.into()) {
                        Ok(_) => take(nth, self.parse(*place, &whole, name)),
                        Err(error) => take(nth, Err(io_error(error))),
                    }
                }
                Some(_) | None => take(nth, self.parse(*place, bytes, name)),
            }
        }
    }

    fn is_elsewhere(&self, place: Place) -> bool {
        self.lock().resolve_place(place) != place
    }

    fn parse<'a>(
        &self,
        place: Place,
        bytes: &'a [u8],
        name: &str,
    ) -> Result<Record<'a>, StoreError> {
        let head = record::head(bytes, place.file.get());
        let found = head.and_then(|head| head.payload(bytes));
        found.map(|(_, record)| record).ok_or_else(|| {
            // Its last queue may have settled it while we read, and the file is used again.
            if !self.lock().files.contains_key(&place.file.get()) {
                return StoreError::Settled;
            }
            StoreError::Damaged {
                path: self.medium.path(name),
                offset: place.offset.into(),
                what: "a message is not what was written",
            }
        })
    }
}

impl Inbox {
    fn source(&self, place: Place) -> Source {
        let number = place.file.get();
        for piece in self.unwritten().filter(|piece| piece.number == number) {
            let at = place.offset.checked_sub(piece.offset).map(|at| at as usize);
            let Some(bytes) = at.and_then(|at| piece.bytes.get(at..)) else { continue };
            if bytes.len() < HEADER_LEN {
                continue;
            }
            let len = record::head(bytes, number).map_or(HEADER_LEN, |head| head.len as usize);
            return Source::Memory(bytes[..len.min(bytes.len())].to_vec());
        }
        match self.files.get(&number) {
            Some(state) => Source::File { name: state.name.clone() },
            None => Source::Gone,
        }
    }

    /// From which offset on a file's records are in memory.
    fn in_memory_from(&self, number: u32) -> u32 {
        let of_file = self.unwritten().filter(|piece| piece.number == number);
        of_file.map(|piece| piece.offset).min().unwrap_or(u32::MAX)
    }
}
