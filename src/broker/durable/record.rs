//! Where the broker writes down what is its own: vhosts, users, permissions and parameters.

use std::sync::Arc;

use super::people::{self, Granted, SavedUser};
use super::{rows, unwritten};
use crate::broker::admin::{Parameter, ParameterName, VhostMetadata};
use crate::broker::auth::{Permission, TopicPermission, User};
use crate::store::StoreError;
use crate::store::definitions::{Change, Definitions, Table};
use crate::wire::{Fault, ShortStr};

/// Changes that are written down together, or not at all.
#[derive(Debug, Default)]
pub(in crate::broker) struct Record {
    changes: Vec<Change>,
}

impl Record {
    pub(in crate::broker) fn put_vhost(mut self, name: &ShortStr, it: &VhostMetadata) -> Self {
        self.changes.push(Change::Put(Table::Vhosts, people::of_vhost(name, it)));
        self
    }

    pub(in crate::broker) fn put_user(mut self, user: &User) -> Self {
        self.changes.push(Change::Put(Table::Users, people::of_user(user)));
        self
    }

    /// A user who goes leaves its permissions to others.
    pub(in crate::broker) fn remove_user(mut self, name: &ShortStr) -> Self {
        self.changes.push(Change::Remove(Table::Users, rows::name_key(name)));
        self
    }

    pub(in crate::broker) fn put_permission(
        mut self,
        vhost: &ShortStr,
        user: &ShortStr,
        it: &Permission,
    ) -> Self {
        let row = people::of_permission(vhost, user, it);
        self.changes.push(Change::Put(Table::Permissions, row));
        self
    }

    pub(in crate::broker) fn remove_permission(
        mut self,
        vhost: &ShortStr,
        user: &ShortStr,
    ) -> Self {
        let key = people::permission_key(vhost, user);
        self.changes.push(Change::Remove(Table::Permissions, key));
        self
    }

    pub(in crate::broker) fn put_topic(
        mut self,
        vhost: &ShortStr,
        user: &ShortStr,
        it: &TopicPermission,
    ) -> Self {
        let row = people::of_topic_permission(vhost, user, it);
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
                Change::Remove(Table::TopicPermissions, people::topic_key(vhost, user, exchange))
            }
            None => Change::RemoveAll(Table::TopicPermissions, people::permission_key(vhost, user)),
        });
        self
    }

    pub(in crate::broker) fn put_parameter(mut self, parameter: &Parameter) -> Self {
        self.changes.push(Change::Put(Table::Parameters, people::of_parameter(parameter)));
        self
    }

    pub(in crate::broker) fn remove_parameter(mut self, name: &ParameterName) -> Self {
        self.changes.push(Change::Remove(Table::Parameters, people::parameter_key(name)));
        self
    }

    /// Writes all of it down; `noun` is what it is about.
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

    /// Writes down what users could do before there were permissions: everything; answers what is granted with that.
    pub(in crate::broker) fn of_old_users(
        users: &[SavedUser],
        vhosts: &[ShortStr],
        definitions: &Definitions,
    ) -> Result<Vec<Granted<Permission>>, StoreError> {
        let mut record = Self::default();
        let mut granted = Vec::new();
        for SavedUser { user, .. } in users.iter().filter(|saved| saved.is_old) {
            record = record.put_user(user);
            for vhost in vhosts {
                let it = Permission::full();
                record = record.put_permission(vhost, &user.name, &it);
                granted.push(Granted { vhost: vhost.clone(), user: user.name.clone(), it });
            }
        }
        if !record.changes.is_empty() {
            definitions.apply(record.changes)?;
        }
        Ok(granted)
    }
}
