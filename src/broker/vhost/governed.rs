//! The settings that administrators make for a vhost.

use std::sync::atomic::AtomicBool;

use crate::broker::policies::Policies;
use crate::broker::vhost_limits::VhostLimits;
use crate::broker::vhost_metadata::VhostMetadata;
use crate::lock::RwLock;

/// The settings that administrators make for a vhost.
#[derive(Debug, Default)]
pub(super) struct Governed {
    pub(super) metadata: RwLock<VhostMetadata>,
    pub(super) limits: RwLock<VhostLimits>,
    pub(super) policies: Policies,
    pub(super) is_traced: AtomicBool,
}
