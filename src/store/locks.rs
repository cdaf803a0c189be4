//! A debug build's check that the disk is waited for where no publisher waits with it.
//!
//! A thread counts the locks that publishers take while it holds them ([`lock`]), and says so if it serves connections
//! ([`serve`]). Each operation of a [`Medium`](super::medium::Medium) asserts that its thread holds none of those
//! locks, and each reading that its thread serves no connection. A release build counts and asserts nothing.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;
use std::time::Duration;

use crate::lock::{Condvar, Mutex};

thread_local! {
    static HELD: Cell<u32> = const { Cell::new(0) };
    static IS_SERVING: Cell<bool> = const { Cell::new(false) };
}

/// One of the locks that publishers take, counted while it is there.
#[derive(Debug)]
struct Counted;

impl Counted {
    #[inline]
    fn new() -> Self {
        if cfg!(debug_assertions) {
            HELD.set(HELD.get() + 1);
        }
        Self
    }
}

impl Drop for Counted {
    #[inline]
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            HELD.set(HELD.get() - 1);
        }
    }
}

/// A lock that publishers take, held.
#[derive(Debug)]
pub struct Locked<'a, T> {
    guard: MutexGuard<'a, T>,
    counted: Counted,
}

/// Takes a lock that publishers take, also after a bug of another thread that held it.
#[inline]
pub fn lock<T>(mutex: &Mutex<T>) -> Locked<'_, T> {
    let guard = mutex.lock();
    Locked { guard, counted: Counted::new() }
}

impl<T> Locked<'_, T> {
    /// Gives the lock back until the bell rings.
    pub(super) fn wait(self, bell: &Condvar) -> Self {
        let Self { guard, counted } = self;
        Self { guard: bell.wait(guard), counted }
    }

    /// The same, but for no longer than this.
    pub(super) fn wait_timeout(self, bell: &Condvar, most: Duration) -> Self {
        let Self { guard, counted } = self;
        let waited = bell.wait_timeout(guard, most);
        Self { guard: waited, counted }
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Locked<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A thread serves connections until this is dropped.
#[derive(Debug)]
pub struct Serving(PhantomData<*const ()>);

/// Says that this thread serves connections from now on.
#[inline]
#[must_use]
pub fn serve() -> Serving {
    if cfg!(debug_assertions) {
        IS_SERVING.set(true);
    }
    Serving(PhantomData)
}

impl Drop for Serving {
    #[inline]
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            IS_SERVING.set(false);
        }
    }
}

/// Runs work that comes before the first publish, and may so be done under any locks.
pub fn before_publishers<T>(work: impl FnOnce() -> T) -> T {
    let held = HELD.replace(0);
    let done = work();
    HELD.set(held);
    done
}

/// Asserts that the disk may be waited for here.
#[inline]
#[track_caller]
pub fn assert_none() {
    debug_assert!(HELD.get() == 0, "the disk is waited for under a lock that publishers take");
}

/// Asserts that something may be read from the disk here.
#[inline]
#[track_caller]
pub(super) fn assert_may_read() {
    assert_none();
    debug_assert!(!IS_SERVING.get(), "a thread that serves connections reads from the disk");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::store::medium::{Access, Directory, Medium, MediumFile};

    /// True if an operation is refused in a thread that does `first`.
    fn is_refused<G>(
        first: impl FnOnce() -> G + Send + 'static,
        operate: fn(&Directory, &dyn MediumFile),
    ) -> bool {
        let path = tempfile::tempdir().unwrap();
        let directory = Directory::open(path.path(), Access::Write).unwrap();
        let file = directory.create("a", 10).unwrap();
        let operating = thread::spawn(move || {
            let _held = first();
            operate(&directory, &*file);
        });
        operating.join().is_err()
    }

    #[test]
    fn nothing_is_done_to_the_disk_under_a_lock_that_publishers_take() {
        let operations: [fn(&Directory, &dyn MediumFile); 7] = [
            |directory, _| drop(directory.create("b", 10)),
            |directory, _| drop(directory.open("a")),
            |directory, _| drop(directory.open_or_make("a")),
            |directory, _| directory.remove("a").unwrap(),
            |_, file| file.write_at(b"a", 0).unwrap(),
            |_, file| file.sync().unwrap(),
            |_, file| file.set_len(5).unwrap(),
        ];
        for (nth, operate) in operations.into_iter().enumerate() {
            let mutex: &'static Mutex<()> = Box::leak(Box::default());
            assert!(is_refused(move || lock(mutex), operate), "operation {nth}");
            assert!(!is_refused(move || drop(lock(mutex)), operate), "operation {nth}");
        }
    }

    #[test]
    fn a_thread_that_serves_connections_reads_nothing() {
        let read = |_: &Directory, file: &dyn MediumFile| {
            let _ = file.read_at(&mut [0; 4], 0).unwrap();
        };
        assert!(is_refused(serve, read));
        assert!(!is_refused(|| drop(serve()), read));
    }

    #[test]
    fn a_lock_that_is_given_back_while_its_holder_waits_is_counted_once() {
        let (mutex, bell) = (Arc::new(Mutex::new(())), Condvar::new());
        let held = lock(&mutex).wait_timeout(&bell, Duration::from_millis(1));
        assert_eq!(HELD.get(), 1);
        drop(held);
        assert_eq!(HELD.get(), 0);
    }
}
