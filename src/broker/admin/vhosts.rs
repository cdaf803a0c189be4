//! Vhosts: added, described anew, deleted with all that is in them.

use std::sync::{Arc, PoisonError};

use super::Put;
use crate::broker::Broker;
use crate::broker::auth::Permission;
use crate::broker::durable::{Ledger, Record, vhost_deleted};
use crate::broker::vhost::Vhost;
use crate::wire::{Fault, ShortStr};

/// What is said of a vhost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VhostMetadata {
    pub description: String,
    pub tags: Vec<String>,
    /// The type of queues that are declared without one.
    pub default_queue_type: Option<String>,
    /// The firehose is on.
    pub is_traced: bool,
}

impl VhostMetadata {
    /// What is said of a vhost that nobody has described.
    pub fn of_new(name: &str) -> Self {
        let description = if name == "/" { "Default virtual host" } else { "" };
        Self { description: description.to_owned(), ..Self::default() }
    }
}

/// What is to be said of a vhost from now on; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VhostChange {
    pub description: Option<String>,
    pub tags: Option<Vec<String>>,
    pub default_queue_type: Option<String>,
    pub is_traced: Option<bool>,
}

impl VhostChange {
    fn apply(self, metadata: &mut VhostMetadata) {
        let Self { description, tags, default_queue_type, is_traced } = self;
        if let Some(description) = description {
            metadata.description = description;
        }
        if let Some(tags) = tags {
            metadata.tags = tags;
        }
        if default_queue_type.is_some() {
            metadata.default_queue_type = default_queue_type;
        }
        if let Some(is_traced) = is_traced {
            metadata.is_traced = is_traced;
        }
    }
}

impl Broker {
    /// Adds a vhost, in which `creator` may do everything, or says something else of the one there is.
    ///
    /// # Errors
    ///
    /// When it cannot be written down.
    pub fn put_vhost(
        &self,
        name: &ShortStr,
        change: VhostChange,
        creator: Option<&ShortStr>,
    ) -> Result<Put, Fault> {
        let _administering = self.administering();
        let noun = format!("vhost '{name}'");
        if let Ok(vhost) = self.vhost(name) {
            let mut metadata = vhost.metadata();
            change.apply(&mut metadata);
            self.write_down(Record::default().put_vhost(name, &metadata), &noun)?;
            vhost.describe(metadata);
            return Ok(Put::Replaced);
        }
        let mut metadata = VhostMetadata::of_new(name);
        change.apply(&mut metadata);
        let creator = creator.filter(|user| self.users.get(user).is_some());
        let full = Permission::full();
        let mut record = Record::default().put_vhost(name, &metadata);
        if let Some(user) = creator {
            record = record.put_permission(name, user, &full);
        }
        self.write_down(record, &noun)?;
        let ledger = Ledger::new(name.clone(), self.definitions.clone());
        let vhost = Vhost::new(name.clone(), self.shared.clone(), Arc::clone(&self.churn), ledger);
        vhost.describe(metadata);
        if let Some(user) = creator {
            self.permissions.set(name, user, Some(full));
        }
        let mut vhosts = self.vhosts.write().unwrap_or_else(PoisonError::into_inner);
        vhosts.insert(name.clone(), vhost);
        Ok(Put::Created)
    }

    /// Deletes a vhost with everything in it, and closes its connections; answers whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be struck out; everything is as it was then.
    pub fn delete_vhost(&self, name: &ShortStr) -> Result<bool, Fault> {
        let _administering = self.administering();
        let Ok(vhost) = self.vhost(name) else { return Ok(false) };
        let remains = self.shared.aside.run(|| vhost.close())?;
        self.vhosts.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.permissions.forget(|vhost, _| vhost == name);
        self.parameters.forget(name);
        self.registry.close_those(&vhost_deleted(name), |agreed| agreed.vhost == *name);
        self.shared.aside.run(|| vhost.end(remains));
        Ok(true)
    }
}
