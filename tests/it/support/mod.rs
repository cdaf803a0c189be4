//! What several tests need: a running broker of their own and a peer that misbehaves on order.

pub(crate) mod cli;
pub(crate) mod directory;
pub(crate) mod disk;
pub(crate) mod peer;
pub(crate) mod queues;
pub(crate) mod session;
pub(crate) mod slow_disk;
pub(crate) mod volume;
pub(crate) mod watched;

#[allow(dead_code, reason = "shared with test binaries that need other parts of it")]
#[path = "../../support/serve.rs"]
pub(crate) mod serve;
