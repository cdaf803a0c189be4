//! The options that several commands share, and the values they are written as.

pub(super) mod age;
pub(super) mod argument;
pub(super) mod confirm;
pub(super) mod effective;
pub(super) mod name;
pub(super) mod node_limits;
pub(super) mod properties;
pub(super) mod publish_headers;
pub(super) mod queue_type;
pub(super) mod rate;
pub(super) mod size;
