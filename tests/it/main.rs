//! The integration tests: one file a promise, all in one binary.
