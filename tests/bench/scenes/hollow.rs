//! A directory of files that keep their lengths only, so that neither a disk is measured nor a copy in its place.
//!
//! Nothing that was written can be read: scenes settle what they publish while it is in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mq::store::medium::{Medium, MediumFile};

/// A directory.
#[derive(Debug, Default)]
pub(super) struct Hollow(Mutex<BTreeMap<String, Arc<HollowFile>>>);

/// Its length in bytes.
#[derive(Debug, Default)]
struct HollowFile(AtomicU64);

impl Hollow {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<HollowFile>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Medium for Hollow {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn MediumFile>> {
        let file = Arc::new(HollowFile(AtomicU64::new(bytes)));
        self.files().insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn MediumFile>> {
        let files = self.files();
        let file = files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::<HollowFile>::clone(file))
    }

    fn open_or_make(&self, name: &str) -> io::Result<Arc<dyn MediumFile>> {
        Ok(Arc::<HollowFile>::clone(self.files().entry(name.to_owned()).or_default()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("hollow").join(name)
    }
}

impl MediumFile for HollowFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.fetch_max(offset + bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::Error::other("what was written is not kept"))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.load(Ordering::Relaxed))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.store(bytes, Ordering::Relaxed);
        Ok(())
    }
}
