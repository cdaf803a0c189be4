//! Permissions: granted and taken away. Connections that are open have them at once.

use super::put::{Put, missing};
use crate::broker::Broker;
use crate::broker::auth::{Permission, TopicPermission};
use crate::broker::durable::access;
use crate::wire::{Fault, ShortStr};

impl Broker {
    /// Grants a permission, in the place of the one there was.
    ///
    /// # Errors
    ///
    /// When there is no such vhost or user, or it cannot be written to disk.
    pub fn grant(
        &self,
        vhost: &ShortStr,
        user: &ShortStr,
        permission: Permission,
    ) -> Result<Put, Fault> {
        let _administering = self.administering();
        self.check_both(vhost, user)?;
        let change = access::put_permission(vhost, user, &permission);
        self.write_down(change, &format!("permission of user '{user}' in vhost '{vhost}'"))?;
        let was_there = self.permissions.set(vhost, user, Some(permission));
        self.forget_routes(Some(vhost));
        Ok(Put::over(was_there))
    }

    /// Takes a permission away; answers whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn revoke(&self, vhost: &ShortStr, user: &ShortStr) -> Result<bool, Fault> {
        let _administering = self.administering();
        if self.permissions.get(user, vhost).is_none() {
            return Ok(false);
        }
        let change = access::remove_permission(vhost, user);
        self.write_down(change, &format!("end of the permission of user '{user}'"))?;
        self.permissions.set(vhost, user, None);
        self.forget_routes(Some(vhost));
        Ok(true)
    }

    /// Grants a permission for the routing keys of an exchange.
    ///
    /// # Errors
    ///
    /// When there is no such vhost or user, or it cannot be written to disk.
    pub fn grant_topic(
        &self,
        vhost: &ShortStr,
        user: &ShortStr,
        topic: TopicPermission,
    ) -> Result<Put, Fault> {
        let _administering = self.administering();
        self.check_both(vhost, user)?;
        let change = access::put_topic(vhost, user, &topic);
        self.write_down(change, &format!("topic permission of user '{user}' in vhost '{vhost}'"))?;
        let was_there = self.permissions.set_topic(vhost, user, topic);
        self.forget_routes(Some(vhost));
        Ok(Put::over(was_there))
    }

    /// Takes the topic permission for an exchange away, or all a user has in a vhost; answers whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn revoke_topics(
        &self,
        vhost: &ShortStr,
        user: &ShortStr,
        exchange: Option<&ShortStr>,
    ) -> Result<bool, Fault> {
        let _administering = self.administering();
        let there = self.permissions.list_topics();
        let is_meant = |name: &ShortStr| exchange.is_none_or(|exchange| exchange == name);
        if !there.iter().any(|(v, u, topic)| v == vhost && u == user && is_meant(&topic.exchange)) {
            return Ok(false);
        }
        let change = access::remove_topics(vhost, user, exchange);
        self.write_down(change, &format!("end of topic permissions of user '{user}'"))?;
        self.permissions.clear_topics(vhost, user, exchange.map(ShortStr::as_str));
        self.forget_routes(Some(vhost));
        Ok(true)
    }

    fn check_both(&self, vhost: &str, user: &str) -> Result<(), Fault> {
        self.vhost(vhost).map_err(|_| missing(&format!("vhost '{vhost}'")))?;
        self.users.get(user).map(drop).ok_or_else(|| missing(&format!("user '{user}'")))
    }
}
