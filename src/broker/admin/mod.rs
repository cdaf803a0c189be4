//! Administration: users, vhosts, permissions, parameters, policies and limits are changed, and connections admitted.
//!
//! One change at a time, each written to the definitions before clients can see it. The management API has checked that
//! the user who asks may do so; nothing here does. Every file adds methods to [`Broker`](super::Broker).
//!
//! Reading order: [`Put`], then a file for each kind of change.

mod admission;
mod alarms;
mod definitions;
mod limits;
mod parameters;
mod permissions;
mod policies;
mod put;
mod reset;
mod users;
mod vhost_defaults;
mod vhosts;

pub use admission::Admitted;
pub use definitions::NewDefinitions;
pub use parameters::CLUSTER_ID;
pub use policies::PolicyName;
pub use put::Put;
