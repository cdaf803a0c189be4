//! Free files: making them ahead, making one of a file that is of no more use, and removing those that are too many.

use std::io;

use super::batch::Health;
use super::files::{FileBeingFreed, FreeFile};
use super::index::index_name;
use super::jobs::Job;
use super::log::{Log, LogDurability};
use super::marks::marks_name;
use super::record::FileHeader;

/// Free files kept while messages flow, and when the log is idle: one, as in an empty directory.
const FREE_BUSY: usize = 4;
const FREE_IDLE: usize = 1;

impl Log {
    /// Makes a free file, unless there is one.
    pub(super) fn prepare(&self) {
        let name = {
            let mut state = self.lock();
            if state.files.count_free() > 0 {
                drop(state);
                self.set_health(Health::Well);
                return;
            }
            state.files.take_name()
        };
        match self.make_free_file(name, self.options.file_bytes) {
            Ok(file) => self.add_free(file),
            Err(error) => self.on_no_room(&error),
        }
    }

    /// Notes that the disk has no room for another file. Every round tries it again.
    pub(super) fn on_no_room(&self, error: &io::Error) {
        if self.health() == Health::Well {
            let full = match self.durability {
                LogDurability::Kept => "no room for more messages: publishers are blocked",
                LogDurability::Spilled => {
                    "no more messages can be written to disk, so all stay in memory"
                }
            };
            tracing::warn!(%error, "{full}");
        }
        self.set_health(Health::Full);
    }

    fn add_free(&self, file: FreeFile) {
        self.lock().files.add_free(file);
        self.set_health(Health::Well);
        self.retry_writing();
    }

    /// Has the writer try again to make a file that the disk had no room for.
    pub(super) fn retry_writing(&self) {
        let mut state = self.lock();
        if state.asleep.lacks_room {
            state.asleep.lacks_room = false;
            self.writer_wakeup.notify_one();
        }
    }

    /// Makes a file free for use again, which must be on disk before anything is written over it.
    pub(super) fn recycle(&self, number: u32) {
        let freeing = self.lock().files.freeing(number).cloned();
        let Some(FileBeingFreed { name, capacity, is_refused }) = freeing else { return };
        match self.free(number, &name, capacity) {
            Ok(file) => {
                self.lock().files.forget(number);
                self.use_again(number, file);
            }
            Err(error) => {
                if !is_refused {
                    tracing::warn!(%error, name, "a file cannot be used again yet");
                }
                self.lock().files.refuse_freeing(number);
            }
        }
    }

    /// Tries again to free files.
    pub(super) fn retry_recycling(&self) {
        if self.health() == Health::Failed {
            return;
        }
        let refused = self.lock().files.refused();
        for number in refused {
            self.order(Job::Recycle { number });
        }
    }

    /// Takes a file that is free on the disk, and that no marks are kept for any more.
    pub(super) fn use_again(&self, number: u32, file: FreeFile) {
        self.mark_files.lock().close(number);
        self.lock_jobs().forget_index(number);
        // Before the file is used again or gone: marks and index of another use must not be found beside it.
        for beside in [marks_name(&file.name), index_name(&file.name)] {
            if let Err(error) = self.medium.remove(&beside) {
                tracing::debug!(%error, beside, "a file cannot be removed");
            }
        }
        let is_wanted = self.lock().files.count_free() < FREE_BUSY;
        if is_wanted {
            self.add_free(file);
        } else {
            self.remove(&file.name);
        }
    }

    /// Writes to the disk that a file is free.
    pub(super) fn free(&self, number: u32, name: &str, capacity: u32) -> io::Result<FreeFile> {
        if self.health() == Health::Failed {
            return Err(io::Error::other("the disk has failed"));
        }
        let file = self.medium.open(name)?;
        if self.durability == LogDurability::Kept {
            file.write_at(&FileHeader::free(number).encode(), 0)?;
            file.sync()?;
        }
        let wanted = self.options.file_bytes;
        if capacity != wanted {
            file.set_len(wanted.into())?;
        }
        Ok(FreeFile { name: name.to_owned(), file, capacity: wanted })
    }

    /// Removes the free files that an idle log does not need.
    pub(super) fn remove_idle(&self) {
        let keep = match self.durability {
            LogDurability::Kept => FREE_IDLE,
            LogDurability::Spilled => 0,
        };
        let gone = self.lock().files.take_free_beyond(keep);
        for file in gone {
            self.remove(&file.name);
        }
    }

    pub(super) fn remove(&self, name: &str) {
        if let Err(error) = self.medium.remove(name) {
            tracing::warn!(%error, name, "a file cannot be removed");
        }
    }
}
