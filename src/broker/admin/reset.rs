//! The reset of a broker: everything in it is deleted, and it is as new.
//!
//! All of it is one change of the definitions, so that a broker that ends meanwhile is either as it was or as new. The
//! messages on disk belong to queues that no longer exist then, whose numbers no other queue gets.

use std::sync::Arc;

use crate::broker::durable::{VhostDefinitions, anew};
use crate::broker::vhost::Vhost;
use crate::broker::vhost_metadata::VhostMetadata;
use crate::broker::{Broker, Defaults};
use crate::wire::{Fault, ReplyCode};

impl Broker {
    /// Deletes all vhosts, queues, messages, users and parameters, closes all connections, and begins with `defaults`.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk; nothing is changed then.
    pub fn reset(&self, defaults: Defaults) -> Result<(), Fault> {
        let _administering = self.administering();
        let vhosts = self.vhosts();
        let held: Vec<_> = vhosts.iter().map(|vhost| vhost.hold()).collect();
        let Defaults { vhost: first, user, permission } = defaults;
        let changes = anew(first.as_ref(), user.as_ref().map(|user| (user, &permission)));
        self.shared.blocking.run(|| self.write_down(changes, "reset of the node"))?;
        let close = |(vhost, held): (&Arc<Vhost>, _)| vhost.close_struck_out(held);
        let remains: Vec<_> = vhosts.iter().zip(&held).map(close).collect();
        drop(held);
        self.permissions.forget(|_, _| true);
        self.parameters.clear();
        let granted = first.clone().zip(user.as_ref().map(|user| user.name.clone()));
        self.users.replace_all(user);
        if let Some((vhost, user)) = granted {
            self.permissions.set(&vhost, &user, Some(permission));
        }
        let first = first.map(|name| {
            let definitions = VhostDefinitions::new(name.clone(), self.definitions.clone());
            let (shared, churn) = (self.shared.clone(), Arc::clone(&self.churn));
            let vhost = Vhost::new(name.clone(), shared, churn, definitions);
            vhost.describe(VhostMetadata::of_new(&name));
            (name, vhost)
        });
        *self.vhosts.write() = first.into_iter().collect();
        let text = "broker forced connection closure with reason 'reset'";
        self.registry.close_all(&Fault::new(ReplyCode::ConnectionForced, text));
        let ended = || vhosts.iter().zip(remains).for_each(|(vhost, queues)| vhost.end(queues));
        self.shared.blocking.run(ended);
        Ok(())
    }
}
