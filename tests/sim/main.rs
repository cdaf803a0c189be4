//! The store against a naive model of it, on a disk that ends the broker's life at every write and every sync.
//!
//! Every run comes from a seed; a failure prints the seed and what was done. Reading order: `disk`, `model`, `world`,
//! then the promises: `crashes`, `failures`, `damage`, `threads`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops, in its helpers too")]

mod crashes;
mod damage;
mod disk;
mod failures;
mod model;
mod random;
mod threads;
mod world;
