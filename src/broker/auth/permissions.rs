//! The permissions of all users in all vhosts.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::pattern::{BadPattern, Pattern};
use super::rights::Rights;
use crate::broker::compat::ChosenCompat;
use crate::wire::ShortStr;

/// What a user may do in a vhost: patterns for the names of queues and exchanges.
#[derive(Clone, Debug, PartialEq)]
pub struct Permission {
    pub configure: Pattern,
    pub write: Pattern,
    pub read: Pattern,
}

/// Which routing keys a user may write to a topic exchange, or read from it.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicPermission {
    pub exchange: ShortStr,
    pub write: Pattern,
    pub read: Pattern,
}

impl Permission {
    /// Reads the three patterns.
    ///
    /// # Errors
    ///
    /// When one of them is none.
    pub fn new(configure: &str, write: &str, read: &str) -> Result<Self, BadPattern> {
        Ok(Self {
            configure: Pattern::of_permission(configure)?,
            write: Pattern::of_permission(write)?,
            read: Pattern::of_permission(read)?,
        })
    }

    /// Permission to do everything.
    pub fn full() -> Self {
        Self::new(".*", ".*", ".*").expect("a pattern of ours is one")
    }

    pub(super) fn is_everything(&self) -> bool {
        [&self.configure, &self.write, &self.read].into_iter().all(Pattern::is_everything)
    }
}

impl TopicPermission {
    /// Reads the two patterns, whose variables are not filled in yet.
    ///
    /// # Errors
    ///
    /// When one of them is none.
    pub fn new(exchange: ShortStr, write: &str, read: &str) -> Result<Self, BadPattern> {
        let (write, read) = (Pattern::of_permission(write)?, Pattern::of_permission(read)?);
        Ok(Self { exchange, write, read })
    }
}

/// What is granted to one user in one vhost.
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

    /// What a user may do in a vhost, now and later; `None` when that is nothing.
    pub fn rights(&self, user: &str, vhost: &str) -> Option<Arc<Rights>> {
        let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
        let found = grants.get(&pair(vhost, user)?)?;
        found.permission.is_some().then(|| Arc::clone(&found.rights))
    }

    /// The permission of a user in a vhost.
    pub fn get(&self, user: &str, vhost: &str) -> Option<Arc<Permission>> {
        let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
        grants.get(&pair(vhost, user)?)?.permission.clone()
    }

    /// All permissions, each with its vhost and its user, in this order.
    pub fn list(&self) -> Vec<(ShortStr, ShortStr, Arc<Permission>)> {
        let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
        let row = |((vhost, user), grants): (&Pair, &Grants)| {
            Some((vhost.clone(), user.clone(), Arc::clone(grants.permission.as_ref()?)))
        };
        grants.iter().filter_map(row).collect()
    }

    /// All topic permissions, each with its vhost and its user, in this order.
    pub fn list_topics(&self) -> Vec<(ShortStr, ShortStr, Arc<TopicPermission>)> {
        let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
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

    /// Takes away what is `over`: everything of a vhost or a user that is gone.
    pub(in crate::broker) fn forget(&self, over: impl Fn(&ShortStr, &ShortStr) -> bool) {
        let mut all = self.grants.write().unwrap_or_else(PoisonError::into_inner);
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
        let mut all = self.grants.write().unwrap_or_else(PoisonError::into_inner);
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

/// The key of what is granted; `None` for names that nothing can have.
fn pair(vhost: &str, user: &str) -> Option<Pair> {
    Some((ShortStr::try_from(vhost).ok()?, ShortStr::try_from(user).ok()?))
}
