//! Letting connections in: into a vhost that is there, by a user who may, and not too many of them.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::auth::Rights;
use crate::broker::durable::vhost_deleted;
use crate::broker::registry::{Connection, NegotiatedParameters};
use crate::broker::vhost::Vhost;
use crate::wire::{Fault, ReplyCode};

/// The vhost and rights of a connection that was let in.
#[derive(Debug)]
pub struct Admitted {
    pub vhost: Arc<Vhost>,
    pub rights: Arc<Rights>,
}

fn not_allowed(text: String) -> Fault {
    Fault::new(ReplyCode::NotAllowed, text)
}

impl Broker {
    /// Lets a connection into the vhost it has named, in the order of RabbitMQ's checks (`rabbit_reader`,
    /// `connection.open`).
    ///
    /// # Errors
    ///
    /// `NOT_ALLOWED` in RabbitMQ's words; `CONNECTION_FORCED` when the vhost goes at this moment.
    pub fn admit(
        &self,
        connection: &Connection,
        vhost: &str,
        mut agreed: NegotiatedParameters,
    ) -> Result<Admitted, Fault> {
        self.limits.get().check_connections(self.registry.count())?;
        let vhost = self.vhost(vhost)?;
        let (name, user) = (vhost.name().clone(), agreed.user.clone());
        let vhost_max = vhost.limits().connections_max;
        let user_max = self.users.limits(&user).connections_max;
        // Two that come at once may not both be the last one; without limits none waits.
        let _one_by_one = (vhost_max.or(user_max).is_some()).then(|| self.administering());
        let count =
            |is_meant: &dyn Fn(&NegotiatedParameters) -> bool| self.registry.count_those(is_meant);
        if let Some(most) = vhost_max
            && count(&|other| other.vhost == name) >= most
        {
            return Err(not_allowed(format!(
                "access to vhost '{name}' refused for user '{user}': connection limit ({most}) is reached"
            )));
        }
        if let Some(most) = user_max
            && count(&|other| other.user == user) >= most
        {
            return Err(not_allowed(format!(
                "connection refused for user '{user}': user connection limit ({most}) is reached"
            )));
        }
        let rights = self.permissions.rights(&user, &name).ok_or_else(|| {
            not_allowed(format!("access to vhost '{name}' refused for user '{user}'"))
        })?;
        agreed.vhost = name.clone();
        connection.set_agreed(agreed);
        // Deleted just now, it has closed its connections, and this one may not have been among them.
        match self.vhost(&name) {
            Ok(current) if Arc::ptr_eq(&current, &vhost) => Ok(Admitted { vhost, rights }),
            Ok(_) | Err(_) => Err(vhost_deleted(&name)),
        }
    }

    /// Refuses a channel more than a user may have.
    ///
    /// # Errors
    ///
    /// `NOT_ALLOWED` in RabbitMQ's words (`rabbit_reader:is_over_limits`).
    pub fn check_channels(&self, user: &str) -> Result<(), Fault> {
        let Some(most) = self.users.limits(user).channels_max else { return Ok(()) };
        if self.registry.count_channels(|agreed| agreed.user == user) >= most {
            return Err(not_allowed(format!(
                "number of channels opened for user '{user}' has reached the maximum allowed user limit of ({most})"
            )));
        }
        Ok(())
    }
}
