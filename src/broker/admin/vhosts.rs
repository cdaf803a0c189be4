//! Vhosts: added, described, deleted with everything in them.

use std::sync::Arc;

use super::put::Put;
use crate::broker::Broker;
use crate::broker::auth::Permission;
use crate::broker::durable::{Changes, VhostDefinitions, access, vhost_deleted};
use crate::broker::vhost::Vhost;
use crate::broker::vhost_metadata::{VhostChange, VhostMetadata};
use crate::wire::{Fault, ReplyCode, ShortStr};

impl Broker {
    /// Adds a vhost, in which `creator` may do everything, or says something else of the one there is.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` when the node has as many as it may; when it cannot be written to disk.
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
            self.write_down(access::put_vhost(name, &metadata), &noun)?;
            vhost.describe(metadata);
            return Ok(Put::Replaced);
        }
        self.limits.get().check_vhosts(self.vhosts.read().len(), name)?;
        let mut metadata = VhostMetadata::of_new(name);
        change.apply(&mut metadata);
        let creator = creator.filter(|user| self.users.get(user).is_some());
        let full = Permission::full();
        let mut changes = Changes::from(access::put_vhost(name, &metadata));
        if let Some(user) = creator {
            changes = changes.with(access::put_permission(name, user, &full));
        }
        self.write_down(changes, &noun)?;
        let definitions = VhostDefinitions::new(name.clone(), self.definitions.clone());
        let vhost =
            Vhost::new(name.clone(), self.shared.clone(), Arc::clone(&self.churn), definitions);
        vhost.describe(metadata);
        if let Some(user) = creator {
            self.permissions.set(name, user, Some(full));
        }
        let mut vhosts = self.vhosts.write();
        vhosts.insert(name.clone(), vhost);
        Ok(Put::Created)
    }

    /// Protects a vhost from deletion, or no longer; answers whether there is such a vhost.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn protect_vhost(&self, name: &ShortStr, is_protected: bool) -> Result<bool, Fault> {
        let _administering = self.administering();
        let Ok(vhost) = self.vhost(name) else { return Ok(false) };
        let metadata = VhostMetadata { is_protected, ..vhost.metadata() };
        let noun = format!("vhost '{name}'");
        self.write_down(access::put_vhost(name, &metadata), &noun)?;
        vhost.describe(metadata);
        Ok(true)
    }

    /// Deletes a vhost with everything in it, and closes its connections; answers whether there was one.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` in RabbitMQ's words when it is protected; when it cannot be struck out. Everything is as
    /// it was then.
    pub fn delete_vhost(&self, name: &ShortStr) -> Result<bool, Fault> {
        let _administering = self.administering();
        let Ok(vhost) = self.vhost(name) else { return Ok(false) };
        if vhost.metadata().is_protected {
            let text = format!(
                "Refusing to delete virtual host '{name}' because it is protected from deletion"
            );
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        }
        let remains = self.shared.blocking.run(|| vhost.close())?;
        self.vhosts.write().remove(name);
        self.permissions.forget(|vhost, _| vhost == name);
        self.parameters.forget(name);
        self.registry.close_those(&vhost_deleted(name), |agreed| agreed.vhost == *name);
        self.shared.blocking.run(|| vhost.end(remains));
        Ok(true)
    }
}
