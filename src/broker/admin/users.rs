//! Users: added, changed, deleted.

use super::put::Put;
use crate::broker::Broker;
use crate::broker::auth::{User, UserLimits};
use crate::broker::durable::{Changes, access};
use crate::wire::{Fault, ReplyCode, ShortStr};

impl Broker {
    /// Adds a user, or changes name's password and tags; its limits and permissions stay.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn put_user(&self, mut user: User) -> Result<Put, Fault> {
        let _administering = self.administering();
        let known = self.users.get(&user.name);
        if let Some(known) = &known {
            user.limits = known.limits;
        }
        self.write_down(access::put_user(&user), &format!("user '{}'", user.name))?;
        self.users.put(user);
        Ok(Put::over(known.is_some()))
    }

    /// Sets how much a user may have; answers whether there is such a user.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn limit_user(
        &self,
        name: &str,
        change: impl FnOnce(&mut UserLimits),
    ) -> Result<bool, Fault> {
        let _administering = self.administering();
        let Some(mut user) = self.users.get(name) else { return Ok(false) };
        change(&mut user.limits);
        self.write_down(access::put_user(&user), &format!("user '{name}'"))?;
        self.users.put(user);
        Ok(true)
    }

    /// Deletes a user with its permissions, and closes its connections; answers whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn delete_user(&self, name: &ShortStr) -> Result<bool, Fault> {
        let _administering = self.administering();
        if self.users.get(name).is_none() {
            return Ok(false);
        }
        let mut changes = Changes::from(access::remove_user(name));
        for vhost in self.vhosts() {
            let vhost = vhost.name();
            changes = changes
                .with(access::remove_permission(vhost, name))
                .with(access::remove_topics(vhost, name, None));
        }
        self.write_down(changes, &format!("deletion of user '{name}'"))?;
        self.users.remove(name);
        self.permissions.forget(|_, user| user == name);
        self.forget_routes(None);
        let text = format!("user '{name}' is deleted");
        let fault = Fault::new(ReplyCode::ConnectionForced, text);
        self.registry.close_those(&fault, |agreed| agreed.user == *name);
        Ok(true)
    }

    /// Makes publishers check again whether they may publish, in one vhost or all.
    pub(super) fn forget_routes(&self, vhost: Option<&str>) {
        let all = self.vhosts().into_iter();
        all.filter(|one| vhost.is_none_or(|name| one.name() == name))
            .for_each(|one| one.forget_routes());
    }
}
