//! A new vhost gets limits, operator policies, and users with permissions in it by its name.
//!
//! RabbitMQ: `rabbit_db_vhost_defaults`, whose order is that of [`Broker::give_defaults`].

use super::policies::PolicyName;
use crate::broker::Broker;
use crate::broker::policies::Author;
use crate::broker::time::Millis;
use crate::broker::vhost_defaults::{DefaultPolicy, DefaultUser, VhostDefaults};
use crate::wire::{Fault, ShortStr};

impl Broker {
    /// Gives a vhost that has just been added what vhosts of its name get, unless it has it already. What cannot be given is told in the log.
    pub fn give_defaults(&self, vhost: &ShortStr, now: Millis) {
        let Some(defaults) = self.vhost_defaults.get() else { return };
        if let Err(fault) = self.try_defaults(defaults, vhost, now) {
            tracing::error!(%vhost, reason = %fault.text, "the defaults of a new virtual host are not complete");
        }
    }

    fn try_defaults(
        &self,
        defaults: &VhostDefaults,
        vhost: &ShortStr,
        now: Millis,
    ) -> Result<(), Fault> {
        if let Some(found) = defaults.limits.iter().find(|one| one.vhosts.matches(vhost))
            && self.vhost_limits(vhost).is_none()
        {
            self.limit_vhost(vhost, found.limits.clone())?;
        }
        for DefaultPolicy { name, value, .. } in
            defaults.policies.iter().filter(|one| one.vhosts.matches(vhost))
        {
            let (author, vhost) = (Author::Operator, vhost.clone());
            let name = PolicyName { author, vhost, name: name.clone() };
            if self.parameters.get(&name.parameter()).is_none() {
                self.put_policy(&name, value.clone(), now)?;
            }
        }
        for DefaultUser { user, permission, .. } in
            defaults.users.iter().filter(|one| one.vhosts.matches(vhost))
        {
            if self.users.get(&user.name).is_none() {
                self.put_user(user.clone())?;
            }
            if self.permissions.get(&user.name, vhost).is_none() {
                self.grant(vhost, &user.name, permission.clone())?;
            }
        }
        Ok(())
    }
}
