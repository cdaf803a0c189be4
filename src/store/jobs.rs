//! Jobs for the maintenance thread and for the reader, in the order in which they come.

use std::collections::VecDeque;
use std::fmt;

use super::index::Index;

/// Full files whose index is put off: in a steady flow they are of no use any more before it is needed.
const INDEXES_PUT_OFF: usize = 3;

/// A call that reads messages.
pub(super) type Reading = Box<dyn FnOnce() + Send>;

/// A call that copies the files.
pub(super) type Copying = Box<dyn FnOnce() + Send>;

/// A job for the maintenance thread, or for the reader.
pub(super) enum Job {
    Read(Reading),
    /// A file is full.
    Index(IndexOf),
    /// A file holds no message any more.
    Recycle {
        number: u32,
    },
    /// There should be a free file.
    Prepare,
    /// The files are to be copied.
    BackUp(Copying),
}

/// An index that is to be written, and the file that it is of.
#[derive(Clone, Debug)]
pub(super) struct IndexOf {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) index: Index,
}

/// A job that the maintenance thread takes.
pub(super) enum MaintenanceJob {
    Index(IndexOf),
    Recycle { number: u32 },
    Prepare,
    BackUp(Copying),
}

/// Jobs that wait.
#[derive(Default)]
pub(super) struct Jobs {
    reads: VecDeque<Reading>,
    others: VecDeque<MaintenanceJob>,
    /// Indexes to be written if their file is still needed a while later.
    put_off: VecDeque<IndexOf>,
    is_closing: bool,
    wants_free_file: bool,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("reads", &self.reads.len()).finish_non_exhaustive()
    }
}

impl Jobs {
    pub(super) fn add(&mut self, job: Job) {
        match job {
            Job::Read(read) => self.reads.push_back(read),
            Job::Prepare => self.wants_free_file = true,
            Job::Index(of) => self.others.push_back(MaintenanceJob::Index(of)),
            Job::BackUp(copying) => self.others.push_back(MaintenanceJob::BackUp(copying)),
            Job::Recycle { number } => self.others.push_back(MaintenanceJob::Recycle { number }),
        }
    }

    /// Takes the next reading.
    pub(super) fn take_read(&mut self) -> Option<Reading> {
        self.reads.pop_front()
    }

    /// Takes the next job of the maintenance thread; a free file is made when there is no other job.
    pub(super) fn take(&mut self) -> Option<MaintenanceJob> {
        let next = self.others.pop_front();
        next.or_else(|| {
            std::mem::take(&mut self.wants_free_file).then_some(MaintenanceJob::Prepare)
        })
    }

    pub(super) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// True if there is a job for the maintenance thread.
    pub(super) fn has_others(&self) -> bool {
        !self.others.is_empty() || self.wants_free_file
    }

    /// Puts an index off; answers the one that is due in its place, if any is.
    pub(super) fn put_off(&mut self, of: IndexOf) -> Option<IndexOf> {
        self.put_off.push_back(of);
        if self.put_off.len() > INDEXES_PUT_OFF { self.put_off.pop_front() } else { None }
    }

    /// Takes all indexes that were put off.
    pub(super) fn take_put_off(&mut self) -> VecDeque<IndexOf> {
        std::mem::take(&mut self.put_off)
    }

    /// Forgets the index of a file that is free.
    pub(super) fn forget_index(&mut self, number: u32) {
        self.put_off.retain(|of| of.number != number);
    }

    pub(super) fn close(&mut self) {
        self.is_closing = true;
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing
    }
}
