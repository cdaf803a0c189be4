//! Pages: runs of places that are themselves written to disk, so that a backlog of any length takes little memory.
//!
//! They are spilled, and so need not survive: when the broker starts, the store names every message anyway.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use super::stored::Stored;
use crate::broker::time::Millis;
use crate::store::{NewRecord, Place, QueueId, Record, SlotRanges, Spill, StoreError};
use crate::wire::ShortStr;

/// Stands in records that no queue is ever asked for: a spilled one is not found again after a restart.
pub(in crate::broker::queue) const NOT_KEPT: QueueId = QueueId(0);

/// Bytes of a stored entry on a page.
const STORED_LEN: usize = 32;

/// A run of stored messages that has been written away, and all that is asked of it unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) struct Page {
    pub(in crate::broker::queue) place: Place,
    pub(in crate::broker::queue) count: u32,
    /// The number of them that can expire.
    pub(in crate::broker::queue) with_deadline: u32,
    /// Bytes of their bodies.
    pub(in crate::broker::queue) bytes: u64,
    /// The position of the first of them.
    pub(in crate::broker::queue) position: u64,
    pub(in crate::broker::queue) deadline: Millis,
}

/// Writes the pages of a queue and reads them.
#[derive(Clone, Debug, Default)]
pub(in crate::broker::queue) struct Pages {
    /// None in a place that is about to get another's; there everything stays in memory.
    owner: Option<Owner>,
}

/// The queue that pages are of, and where they go.
#[derive(Clone, Debug)]
struct Owner {
    /// Set once, when the store's directory is opened; without it everything stays in memory.
    spill: Arc<OnceLock<Arc<Spill>>>,
    queue: ShortStr,
    vhost: ShortStr,
}

impl Pages {
    pub(in crate::broker::queue) fn new(
        spill: Arc<OnceLock<Arc<Spill>>>,
        queue: ShortStr,
        vhost: ShortStr,
    ) -> Self {
        Self { owner: Some(Owner { spill, queue, vhost }) }
    }

    fn spill(&self) -> Option<&Spill> {
        self.owner.as_ref()?.spill.get().map(|spill| &**spill)
    }

    /// The names of queue and vhost, for the log.
    fn names(&self) -> (&str, &str) {
        self.owner.as_ref().map_or(("", ""), |owner| (&owner.queue, &owner.vhost))
    }

    /// Writes a page; `None` when it must stay in memory.
    pub(in crate::broker::queue) fn write(&self, entries: &[Stored]) -> Option<Page> {
        let first = entries.first()?;
        let spill = self.spill()?;
        let mut bytes = Vec::with_capacity(entries.len() * STORED_LEN);
        for stored in entries {
            encode(stored, &mut bytes);
        }
        let record = NewRecord::of_bytes(&[NOT_KEPT], &bytes);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Some(Page {
            place: spill.append(&record).ok()?,
            count: count(entries.len()),
            with_deadline: count(entries.iter().filter(|stored| stored.has_deadline()).count()),
            bytes: entries.iter().map(|stored| u64::from(stored.body_len)).sum(),
            position: first.position,
            deadline: first.deadline(),
        })
    }

    /// Reads a page; `None`, which has been logged, when its messages cannot be found before the next start.
    ///
    /// Cost: one read, mostly from the page cache.
    ///
    /// # Errors
    ///
    /// It could not be read now, and is to be read again.
    pub(in crate::broker::queue) fn read(
        &self,
        page: &Page,
    ) -> Result<Option<Vec<Stored>>, StoreError> {
        let mut read = Err(StoreError::Settled);
        if let Some(spill) = self.spill() {
            spill.read(&[page.place], &mut |_, record| read = record.map(|record| decode(&record)));
        }
        match read {
            Ok(entries) if entries.len() == page.count as usize => return Ok(Some(entries)),
            Ok(_) => self.log_unreadable(page, None),
            // Another thread has read it meanwhile, or dropped it.
            Err(StoreError::Settled) => {}
            Err(error) if may_pass(&error) => return Err(error),
            Err(error) => self.log_unreadable(page, Some(&error)),
        }
        Ok(None)
    }

    /// Gives up a page.
    pub(in crate::broker::queue) fn settle(&self, page: &Page) {
        if let Some(spill) = self.spill() {
            spill.settle(&SlotRanges::from_iter([page.place]));
        }
    }

    /// Says that nothing can be read just now.
    #[cold]
    pub(in crate::broker::queue) fn log_put_off(&self, error: &StoreError) {
        let (queue, vhost) = self.names();
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(%queue, %vhost, %error, source, "messages cannot be read now; the read is tried again");
    }

    /// The messages stay where they are, unsettled, and wait again after a restart.
    #[cold]
    pub(in crate::broker::queue) fn log_unreadable(&self, page: &Page, error: Option<&StoreError>) {
        let (queue, vhost) = self.names();
        let Page { place, count, .. } = page;
        let error = error.map(ToString::to_string).unwrap_or_default();
        tracing::error!(%queue, %vhost, ?place, count, error, "messages cannot be found");
    }
}

/// Answers whether a failed read may succeed at another time: the disk or the process had no answer, and nothing says
/// that the bytes are damaged.
pub(in crate::broker::queue) fn may_pass(error: &StoreError) -> bool {
    !matches!(error, StoreError::Damaged { .. } | StoreError::Settled)
}

fn encode(stored: &Stored, bytes: &mut Vec<u8>) {
    let &Stored { position, deadline_and_flag, place, body_len } = stored;
    bytes.extend_from_slice(&position.to_le_bytes());
    bytes.extend_from_slice(&deadline_and_flag.to_le_bytes());
    for part in [place.file.get(), place.slot, place.offset, body_len] {
        bytes.extend_from_slice(&part.to_le_bytes());
    }
}

/// The entries of a page, whose checksum was right.
fn decode(record: &Record<'_>) -> Vec<Stored> {
    let (entries, _) = record.bytes.as_chunks::<STORED_LEN>();
    let entry = |bytes: &[u8; STORED_LEN]| {
        let (longs, shorts) = bytes.split_at(16);
        let long = |at: usize| Some(u64::from_le_bytes(*longs.as_chunks().0.get(at)?));
        let short = |at: usize| Some(u32::from_le_bytes(*shorts.as_chunks().0.get(at)?));
        let place = Place { file: NonZeroU32::new(short(0)?)?, slot: short(1)?, offset: short(2)? };
        Some(Stored { position: long(0)?, deadline_and_flag: long(1)?, place, body_len: short(3)? })
    };
    entries.iter().filter_map(entry).collect()
}

#[cfg(test)]
pub(in crate::broker::queue) mod tests {
    use super::*;
    use crate::store::{Recovered, Store, Waiting};
    use crate::wire::shortstr::literal;

    #[derive(Default)]
    struct Given(Option<Arc<Spill>>);

    impl Recovered for Given {
        fn on_spill(&mut self, spill: &Arc<Spill>) {
            self.0 = Some(Arc::clone(spill));
        }

        fn is_known(&self, _: QueueId) -> bool {
            false
        }

        fn on_waiting(&mut self, _: QueueId, _: Waiting) {}
    }

    /// Pages of a queue, in a directory of their own.
    pub(in crate::broker::queue) struct Directory {
        pub(in crate::broker::queue) pages: Pages,
        store: Store,
        path: tempfile::TempDir,
    }

    impl Directory {
        pub(in crate::broker::queue) fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let mut given = Given::default();
            let (store, _) = Store::open(directory.path(), &mut given).unwrap();
            let spill = Arc::new(OnceLock::from(given.0.unwrap()));
            let pages = Pages::new(spill, literal("q"), literal("/"));
            Self { pages, store, path: directory }
        }

        /// Calls `then` while the directory's files cannot be opened; `page` is no longer only in memory by then.
        pub(in crate::broker::queue) fn while_failing(&self, page: &Page, then: impl FnOnce()) {
            let (folder, away) = (self.path.path().join("spill"), self.path.path().join("away"));
            wait_for_file(&folder);
            std::fs::rename(&folder, &away).unwrap();
            while self.pages.read(page).is_ok() {
                std::thread::yield_now();
            }
            then();
            std::fs::rename(&away, &folder).unwrap();
        }
    }

    /// Waits until a file of messages has some, which another thread makes and writes.
    pub(in crate::broker::queue) fn wait_for_file(folder: &std::path::Path) {
        let has_bytes = || {
            let files = std::fs::read_dir(folder).unwrap();
            files.into_iter().any(|file| {
                std::fs::read(file.unwrap().path()).unwrap().iter().any(|byte| *byte != 0)
            })
        };
        while !has_bytes() {
            std::thread::yield_now();
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            self.store.close();
        }
    }

    fn stored(position: u64) -> Stored {
        let part = u32::try_from(position).unwrap();
        let place = Place { file: NonZeroU32::MAX, slot: part + 1, offset: part + 2 };
        let deadline_and_flag = if position.is_multiple_of(3) { u64::MAX } else { position << 1 };
        Stored { position, deadline_and_flag, place, body_len: part + 3 }
    }

    #[test]
    fn a_page_has_what_was_written_on_it_until_it_is_given_up() {
        let Directory { pages, .. } = &Directory::new();
        let entries: Vec<Stored> = (7..1007).map(stored).collect();
        let page = pages.write(&entries).unwrap();
        assert_eq!((page.count, page.position, page.deadline), (1000, 7, 7));
        assert_eq!(page.with_deadline, 667);
        assert_eq!(page.bytes, (10..1010).sum::<u64>());
        assert_eq!(pages.read(&page).unwrap(), Some(entries));
        let other = Page { count: 999, ..page };
        assert_eq!(pages.read(&other).unwrap(), None);
        let gone = Page { place: Place { file: NonZeroU32::MIN, ..page.place }, ..page };
        assert_eq!(pages.read(&gone).unwrap(), None);
    }

    #[test]
    fn without_a_store_there_are_no_pages() {
        let pages = Pages::default();
        assert_eq!(pages.write(&[stored(1)]), None);
    }
}
