//! The store against a naive model of it, on a disk that ends the broker's life at every write and every sync; and the broker
//! with something changed at every moment of a publish.
//!
//! Every run of the store comes from a seed; a failure prints the seed and what was done. Reading order: `disk`, `model`,
//! `world`, then the promises: `crashes`, `company`, `orders`, `failures`, `damage`, `threads`, `backups`. The broker's are
//! `publishing` and `refusals`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops, in its helpers too")]

mod backups;
mod company;
mod crashes;
mod damage;
mod disk;
mod failures;
mod gate;
#[allow(dead_code, reason = "shared with test binaries that need other parts of it")]
#[path = "../it/support/disk.rs"]
mod kept;
mod model;
mod orders;
mod publishing;
mod random;
mod refusals;
#[allow(dead_code, reason = "shared with test binaries that need other parts of it")]
#[path = "../it/support/session.rs"]
mod session;
mod threads;
mod world;
