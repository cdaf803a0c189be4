//! Messages that a queue drops all at once: by a purge, or when it is deleted.
//!
//! They are taken out under the lock of the queue, at no cost for each, and settled and freed when the lock is
//! released.

use std::collections::VecDeque;

use super::on_disk::OnDisk;
use super::pages::Page;
use crate::broker::entry::Entry;
use crate::store::Place;

/// Messages that wait no longer, and are still to be settled and freed.
#[derive(Debug, Default)]
pub(in crate::broker::queue) struct Purged {
    pub(super) in_memory: VecDeque<Entry>,
    pub(super) on_disk: OnDisk,
    pub(super) overflow: VecDeque<Entry>,
    /// Places of messages that were in no list.
    pub(in crate::broker::queue) places: Vec<Place>,
    /// Pages that could not be read when all messages around them were dropped.
    pub(in crate::broker::queue) pages: Vec<Page>,
    /// Messages of other priorities.
    pub(super) others: Vec<Purged>,
}

impl Purged {
    pub(in crate::broker::queue) fn len(&self) -> usize {
        let paged = self.pages.iter().map(|page| page.count as usize).sum::<usize>();
        let others = self.others.iter().map(Self::len).sum::<usize>();
        self.in_memory.len()
            + self.on_disk.len()
            + self.overflow.len()
            + self.places.len()
            + paged
            + others
    }

    /// Takes it apart: the places of the messages, and the pages with the places of others.
    pub(in crate::broker::queue) fn take_apart(self, place_of: &mut dyn FnMut(Place)) -> Vec<Page> {
        let mut pages = Vec::new();
        let mut all = vec![self];
        while let Some(Self { in_memory, on_disk, overflow, places, pages: unread, others }) =
            all.pop()
        {
            let entries = in_memory.into_iter().chain(overflow);
            entries.filter_map(|entry| entry.place).for_each(&mut *place_of);
            places.into_iter().for_each(&mut *place_of);
            pages.extend(unread);
            pages.extend(on_disk.take_apart(place_of));
            all.extend(others);
        }
        pages
    }
}
