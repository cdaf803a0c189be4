//! The limits, operator policies, and users with permissions that new vhosts get by their names.

use std::sync::OnceLock;

use super::auth::{Pattern, Permission, User};
use crate::wire::{FieldTable, ShortStr};

/// The limits of vhosts whose names match (RabbitMQ: `default_limits.vhosts`).
#[derive(Clone, Debug)]
pub struct DefaultLimits {
    pub vhosts: Pattern,
    pub limits: FieldTable,
}

/// An operator policy in vhosts whose names match (RabbitMQ: `default_policies.operator`).
#[derive(Clone, Debug)]
pub struct DefaultPolicy {
    pub vhosts: Pattern,
    pub name: ShortStr,
    /// With its `pattern`, `definition` and `apply-to`
    pub value: FieldTable,
}

/// A user with a permission in vhosts whose names match (RabbitMQ: `default_users`).
#[derive(Clone, Debug)]
pub struct DefaultUser {
    pub vhosts: Pattern,
    pub user: User,
    pub permission: Permission,
}

/// All that new vhosts get.
#[derive(Clone, Debug, Default)]
pub struct VhostDefaults {
    pub limits: Vec<DefaultLimits>,
    pub policies: Vec<DefaultPolicy>,
    pub users: Vec<DefaultUser>,
}

/// The defaults of a broker; set before it is used, if at all.
pub type ChosenDefaults = OnceLock<VhostDefaults>;
