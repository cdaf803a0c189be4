//! The permissions of all users in all vhosts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::permission::{Permission, TopicPermission};
use super::rights::Rights;
use crate::broker::compat::ChosenCompat;
use crate::lock::RwLock;
use crate::wire::ShortStr;

/// The permissions granted to one user in one vhost.
#[derive(Debug)]
struct Grants {
    permission: Option<Arc<Permission>>,
    topics: BTreeMap<ShortStr, Arc<TopicPermission>>,
    rights: Arc<Rights>,
}

impl Grants {
    fn apply(&self) {
        self.rights.grant(self.permission.clone(), self.topics.values().cloned());
    }
}

/// A vhost and a user.
type Pair = (ShortStr, ShortStr);

/// All permissions, by vhost and user.
#[derive(Debug, Default)]
pub struct Permissions {
    grants: RwLock<BTreeMap<Pair, Grants>>,
    compat: ChosenCompat,
}

impl Permissions {
    pub(in crate::broker) fn new(compat: ChosenCompat) -> Self {
        Self { grants: RwLock::default(), compat }
    }

    /// Returns the rights of a user in a vhost, which follow later changes; `None` when it has no permission.
    pub fn rights(&self, user: &str, vhost: &str) -> Option<Arc<Rights>> {
        let grants = self.grants.read();
        let found = grants.get(&pair(vhost, user)?)?;
        found.permission.is_some().then(|| Arc::clone(&found.rights))
    }

    /// The permission of a user in a vhost.
    pub fn get(&self, user: &str, vhost: &str) -> Option<Arc<Permission>> {
        let grants = self.grants.read();
        grants.get(&pair(vhost, user)?)?.permission.clone()
    }

    /// All permissions, each with its vhost and its user, in this order.
    pub fn list(&self) -> Vec<(ShortStr, ShortStr, Arc<Permission>)> {
        let grants = self.grants.read();
        let row = |((vhost, user), grants): (&Pair, &Grants)| {
            Some((vhost.clone(), user.clone(), Arc::clone(grants.permission.as_ref()?)))
        };
        grants.iter().filter_map(row).collect()
    }

    /// All topic permissions, each with its vhost and its user, in this order.
    pub fn list_topics(&self) -> Vec<(ShortStr, ShortStr, Arc<TopicPermission>)> {
        let grants = self.grants.read();
        let rows = grants.iter().flat_map(|((vhost, user), grants)| {
            grants.topics.values().map(|topic| (vhost.clone(), user.clone(), Arc::clone(topic)))
        });
        rows.collect()
    }

    /// Grants a permission, or takes it away; answers whether there was one.
    pub(in crate::broker) fn set(
        &self,
        vhost: &ShortStr,
        user: &ShortStr,
        permission: Option<Permission>,
    ) -> bool {
        self.change(vhost, user, |grants| {
            std::mem::replace(&mut grants.permission, permission.map(Arc::new)).is_some()
        })
    }

    /// Grants a topic permission; answers whether there was one for that exchange.
    pub(in crate::broker) fn set_topic(
        &self,
        vhost: &ShortStr,
        user: &ShortStr,
        topic: TopicPermission,
    ) -> bool {
        self.change(vhost, user, |grants| {
            grants.topics.insert(topic.exchange.clone(), Arc::new(topic)).is_some()
        })
    }

    /// Takes the topic permission for an exchange away, or all of them.
    pub(in crate::broker) fn clear_topics(
        &self,
        vhost: &ShortStr,
        user: &ShortStr,
        exchange: Option<&str>,
    ) {
        self.change(vhost, user, |grants| {
            grants.topics.retain(|name, _| exchange.is_some_and(|exchange| name != exchange));
        });
    }

    /// Removes the permissions for which `over` is true: all those of a vhost or a user that is gone.
    pub(in crate::broker) fn forget(&self, over: impl Fn(&ShortStr, &ShortStr) -> bool) {
        let mut all = self.grants.write();
        all.retain(|(vhost, user), grants| {
            let is_over = over(vhost, user);
            if is_over {
                grants.rights.grant(None, std::iter::empty());
            }
            !is_over
        });
    }

    fn change<T>(
        &self,
        vhost: &ShortStr,
        user: &ShortStr,
        change: impl FnOnce(&mut Grants) -> T,
    ) -> T {
        let mut all = self.grants.write();
        let grants = all.entry((vhost.clone(), user.clone())).or_insert_with(|| Grants {
            permission: None,
            topics: BTreeMap::new(),
            rights: Arc::new(Rights::new(user.clone(), vhost.clone(), self.compat.clone())),
        });
        let changed = change(grants);
        grants.apply();
        changed
    }
}

/// The key of the permissions of a user in a vhost; `None` for names that nothing can have.
fn pair(vhost: &str, user: &str) -> Option<Pair> {
    Some((ShortStr::try_from(vhost).ok()?, ShortStr::try_from(user).ok()?))
}
