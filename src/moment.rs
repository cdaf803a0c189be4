//! Moments: named places on the way of a message, at which a test steps in.
//!
//! A release build has none; there [`reach`] is empty. In a debug build a test [`watch`]es what its own thread reaches,
//! and changes something just then; and a broker in a process of its own panics at the moment that its environment
//! names: `MQ_PANIC_AT=queue.push` at the first time, `MQ_PANIC_AT=queue.push:3` at the third, and once only; several
//! are separated by commas.
//!
//! A moment stands where no lock of the broker is held, unless it is [`reach_locked`].

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable that names the moments to panic at.
const VARIABLE: &str = "MQ_PANIC_AT";

type Watcher = Box<dyn FnMut(&'static str)>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// A moment to panic at.
#[derive(Debug)]
struct Planted {
    name: String,
    /// The number of times it is still to be passed; 0 when that is over.
    left: AtomicU32,
}

/// Says that the code has come to the moment `name`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a release build must not even call it")]
pub fn reach(name: &'static str) {
    if cfg!(debug_assertions) {
        tell_watcher(name);
        panic_if_planted(name);
    }
}

/// The same under a lock of the broker: no test steps in there, but one may panic.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a release build must not even call it")]
pub fn reach_locked(name: &'static str) {
    if cfg!(debug_assertions) {
        panic_if_planted(name);
    }
}

fn tell_watcher(name: &'static str) {
    // Gone while a thread ends; taken out while it runs, as what it does passes moments too.
    let Ok(Some(mut watcher)) = WATCHER.try_with(|slot| slot.borrow_mut().take()) else { return };
    watcher(name);
    WATCHER.set(Some(watcher));
}

fn panic_if_planted(name: &str) {
    static PLANTED: OnceLock<Vec<Planted>> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| read(&std::env::var(VARIABLE).unwrap_or_default()));
    for one in planted.iter().filter(|one| one.name == name) {
        let passed =
            one.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        assert!(passed != Ok(1), "planted by {VARIABLE} at {name}");
    }
}

fn read(text: &str) -> Vec<Planted> {
    let one = |text: &str| {
        let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
        Planted { name: name.to_owned(), left: AtomicU32::new(nth.parse().unwrap_or(1)) }
    };
    text.split(',').filter(|text| !text.is_empty()).map(one).collect()
}

/// Has `watcher` called at every moment that this thread reaches, until the answer is dropped.
#[must_use]
pub fn watch(watcher: impl FnMut(&'static str) + 'static) -> Watching {
    WATCHER.set(Some(Box::new(watcher)));
    Watching(PhantomData)
}

/// As long as it is there, moments are watched on its thread.
#[derive(Debug)]
pub struct Watching(PhantomData<*const ()>);

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHER.set(None);
    }
}
