//! Changes of vhosts, users, permissions and parameters, written in one transaction.

use std::sync::Arc;

use super::access::{self, SavedUser};
use super::faults::unwritten;
use crate::broker::auth::Permission;
use crate::store::definitions::{Change, Definitions};
use crate::store::{QueueId, StoreError};
use crate::wire::{Fault, ShortStr};

/// Changes that are written down together, or not at all.
#[derive(Debug, Default)]
pub(in crate::broker) struct Changes {
    changes: Vec<Change>,
}

impl From<Change> for Changes {
    fn from(change: Change) -> Self {
        Self { changes: vec![change] }
    }
}

impl Changes {
    /// The changes with this one.
    pub(in crate::broker) fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Writes the changes; `noun` is their subject in the error.
    ///
    /// # Errors
    ///
    /// When the disk refuses; nothing is changed then.
    pub(in crate::broker) fn write(
        self,
        definitions: Option<&Arc<Definitions>>,
        noun: &str,
    ) -> Result<(), Fault> {
        let Some(definitions) = definitions else { return Ok(()) };
        definitions.apply(self.changes).map_err(|error| unwritten(noun, &error))
    }

    /// Writes all of it down together with the rows of `count` new queues and the changes that `more` adds; it gets the
    /// id of the first of them.
    ///
    /// # Errors
    ///
    /// When the disk refuses; nothing is changed then.
    pub(in crate::broker) fn write_with_queues(
        mut self,
        definitions: Option<&Arc<Definitions>>,
        count: u32,
        more: impl FnOnce(QueueId) -> Vec<Change>,
        noun: &str,
    ) -> Result<(), Fault> {
        let Some(definitions) = definitions else { return Ok(()) };
        let changes = |first: QueueId| {
            self.changes.extend(more(first));
            self.changes
        };
        let added = definitions.add_queues(count, changes);
        added.map(drop).map_err(|error| unwritten(noun, &error))
    }

    /// Gives users of releases without permissions all permissions in all vhosts, as they had there, on disk.
    pub(in crate::broker) fn grant_old_users(
        users: &[SavedUser],
        vhosts: &[ShortStr],
        definitions: &Definitions,
    ) -> Result<(), StoreError> {
        let mut changes = Self::default();
        for SavedUser { user, .. } in users.iter().filter(|saved| saved.is_old) {
            changes = changes.with(access::put_user(user));
            for vhost in vhosts {
                let full = Permission::full();
                changes = changes.with(access::put_permission(vhost, &user.name, &full));
            }
        }
        if changes.changes.is_empty() { Ok(()) } else { definitions.apply(changes.changes) }
    }
}
