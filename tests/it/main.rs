//! The integration tests: one file a promise, all in one binary.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test is a peer with a clock"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops, in its helpers too")]

mod bad_handshake;
mod bad_input;
mod bounded_memory;
mod local;
mod management;
mod session;
mod support;
mod tidy;
mod wire_roundtrip;
mod wire_spec;
