//! Names that do not change: the id of a queue, and the place of a message.

use std::num::NonZeroU32;

/// Set in the numbers of spill files.
pub(super) const SPILL_BIT: u32 = 1 << 31;

/// A queue as the store knows it. An id is given to one queue only, also after that queue is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u32);

/// The place of a message of one queue. 12 bytes; so is an `Option` of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The number of the file, which no other file ever had; the top bit says that it is a spill file.
    pub file: NonZeroU32,
    /// The slot in the file, counted from 0.
    pub slot: u32,
    /// Offset of the record in the file, in bytes.
    pub offset: u32,
}

impl Place {
    /// The place of the `nth` queue of the record whose first queue has this one.
    #[must_use]
    pub fn nth(self, nth: u32) -> Self {
        Self { slot: self.slot + nth, ..self }
    }

    /// True if it is in a spill file, which the next start removes.
    #[must_use]
    pub fn is_spilled(self) -> bool {
        is_spilled(self.file)
    }
}

pub(super) fn is_spilled(file: NonZeroU32) -> bool {
    file.get() & SPILL_BIT != 0
}
