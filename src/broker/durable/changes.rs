//! Changes of vhosts, users, permissions and parameters, written in one transaction.

use std::sync::Arc;

use super::access::{self, Granted, SavedUser};
use super::faults::unwritten;
use super::rows;
use crate::broker::auth::{Permission, TopicPermission, User};
use crate::broker::parameters::{Parameter, ParameterName};
use crate::broker::vhost_metadata::VhostMetadata;
use crate::store::definitions::{Change, Definitions, Table};
use crate::store::{QueueId, StoreError};
use crate::wire::{Fault, ShortStr};

/// Changes that are written down together, or not at all.
#[derive(Debug, Default)]
pub(in crate::broker) struct Changes {
    changes: Vec<Change>,
}

impl Changes {
    pub(in crate::broker) fn put_vhost(
        mut self,
        name: &ShortStr,
        metadata: &VhostMetadata,
    ) -> Self {
        self.changes.push(Change::Put(Table::Vhosts, access::of_vhost(name, metadata)));
        self
    }

    pub(in crate::broker) fn put_user(mut self, user: &User) -> Self {
        self.changes.push(Change::Put(Table::Users, access::of_user(user)));
        self
    }

    /// Removes a user. Its permissions are rows of their own.
    pub(in crate::broker) fn remove_user(mut self, name: &ShortStr) -> Self {
        self.changes.push(Change::Remove(Table::Users, rows::name_key(name)));
        self
    }

    pub(in crate::broker) fn put_permission(
        mut self,
        vhost: &ShortStr,
        user: &ShortStr,
        permission: &Permission,
    ) -> Self {
        let row = access::of_permission(vhost, user, permission);
        self.changes.push(Change::Put(Table::Permissions, row));
        self
    }

    pub(in crate::broker) fn remove_permission(
        mut self,
        vhost: &ShortStr,
        user: &ShortStr,
    ) -> Self {
        let key = access::permission_key(vhost, user);
        self.changes.push(Change::Remove(Table::Permissions, key));
        self
    }

    pub(in crate::broker) fn put_topic(
        mut self,
        vhost: &ShortStr,
        user: &ShortStr,
        topic: &TopicPermission,
    ) -> Self {
        let row = access::of_topic_permission(vhost, user, topic);
        self.changes.push(Change::Put(Table::TopicPermissions, row));
        self
    }

    /// One for an exchange, or all of the user's in that vhost.
    pub(in crate::broker) fn remove_topics(
        mut self,
        vhost: &ShortStr,
        user: &ShortStr,
        exchange: Option<&ShortStr>,
    ) -> Self {
        self.changes.push(match exchange {
            Some(exchange) => {
                Change::Remove(Table::TopicPermissions, access::topic_key(vhost, user, exchange))
            }
            None => Change::RemoveAll(Table::TopicPermissions, access::permission_key(vhost, user)),
        });
        self
    }

    pub(in crate::broker) fn put_parameter(mut self, parameter: &Parameter) -> Self {
        self.changes.push(Change::Put(Table::Parameters, access::of_parameter(parameter)));
        self
    }

    pub(in crate::broker) fn remove_parameter(mut self, name: &ParameterName) -> Self {
        self.changes.push(Change::Remove(Table::Parameters, access::parameter_key(name)));
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

    /// Gives users of releases without permissions all permissions in all vhosts, as they had there; returns those.
    pub(in crate::broker) fn of_old_users(
        users: &[SavedUser],
        vhosts: &[ShortStr],
        definitions: &Definitions,
    ) -> Result<Vec<Granted<Permission>>, StoreError> {
        let mut changes = Self::default();
        let mut granted = Vec::new();
        for SavedUser { user, .. } in users.iter().filter(|saved| saved.is_old) {
            changes = changes.put_user(user);
            for vhost in vhosts {
                let permission = Permission::full();
                changes = changes.put_permission(vhost, &user.name, &permission);
                let (vhost, user) = (vhost.clone(), user.name.clone());
                granted.push(Granted { vhost, user, permission });
            }
        }
        if !changes.changes.is_empty() {
            definitions.apply(changes.changes)?;
        }
        Ok(granted)
    }
}
