//! The rights of one user in one vhost, which its connections ask for.
//!
//! Rights change while they are in use: a connection holds them for as long as it is open. For a user that may do
//! everything, as `guest` may, a check costs one load of a flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::pattern::Pattern;
use super::permission::{Permission, TopicPermission};
use crate::broker::arguments::{exchange_noun, queue_noun};
use crate::broker::compat::ChosenCompat;
use crate::lock::RwLock;
use crate::wire::{Fault, ReplyCode, ShortStr};

/// The kind of access to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    Configure,
    Write,
    Read,
}

impl Right {
    fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// A resource that is accessed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    Queue(&'a str),
    Exchange(&'a str),
}

impl Resource<'_> {
    /// The name patterns are looked for in; the default exchange has one for this.
    fn name(&self) -> &str {
        match self {
            Self::Exchange("") => "amq.default",
            Self::Queue(name) | Self::Exchange(name) => name,
        }
    }
}

/// The rights of a user in a vhost.
#[derive(Debug)]
pub struct Rights {
    user: ShortStr,
    vhost: ShortStr,
    /// Nothing is refused.
    is_everything: AtomicBool,
    granted: RwLock<UserPermissions>,
    compat: ChosenCompat,
}

#[derive(Debug, Default)]
struct UserPermissions {
    permission: Option<Arc<Permission>>,
    topics: Vec<TopicRights>,
}

/// A topic permission with its variables filled in.
#[derive(Debug)]
struct TopicRights {
    kept: Arc<TopicPermission>,
    /// `None` when the pattern is invalid with its variables filled in: it matches nothing.
    write: Option<Pattern>,
    read: Option<Pattern>,
}

impl Rights {
    /// No rights at all.
    pub(super) fn new(user: ShortStr, vhost: ShortStr, compat: ChosenCompat) -> Self {
        let (is_everything, granted) = (AtomicBool::new(false), RwLock::default());
        Self { user, vhost, is_everything, granted, compat }
    }

    /// Answers whether the user may do nothing here, not even open a connection.
    pub fn is_nothing(&self) -> bool {
        self.granted.read().permission.is_none()
    }

    /// Answers whether nothing is refused.
    #[inline]
    pub fn is_everything(&self) -> bool {
        self.is_everything.load(Ordering::Relaxed)
    }

    /// Refuses access that the user does not have.
    ///
    /// # Errors
    ///
    /// `ACCESS_REFUSED` in RabbitMQ's words.
    #[inline]
    pub fn check(&self, right: Right, resource: Resource<'_>) -> Result<(), Fault> {
        if self.is_everything() { Ok(()) } else { self.look(right, resource) }
    }

    #[cold]
    fn look(&self, right: Right, resource: Resource<'_>) -> Result<(), Fault> {
        if self.has(right, resource) {
            return Ok(());
        }
        let noun = match resource {
            Resource::Queue(name) => queue_noun(name, &self.vhost),
            Resource::Exchange(name) => exchange_noun(name, &self.vhost),
        };
        Err(self.refused(right, &noun))
    }

    /// Answers whether the user may do this.
    pub fn has(&self, right: Right, resource: Resource<'_>) -> bool {
        let granted = self.granted.read();
        let pattern = |permission: &Permission| match right {
            Right::Configure => permission.configure.matches(resource.name()),
            Right::Write => permission.write.matches(resource.name()),
            Right::Read => permission.read.matches(resource.name()),
        };
        granted.permission.as_deref().is_some_and(pattern)
    }

    /// Refuses a routing key that the user may not write to a topic exchange, or read from it.
    ///
    /// # Errors
    ///
    /// `ACCESS_REFUSED` in RabbitMQ's words.
    #[inline]
    pub fn check_topic(&self, right: Right, exchange: &str, key: &str) -> Result<(), Fault> {
        if self.is_everything() { Ok(()) } else { self.look_at_topic(right, exchange, key) }
    }

    #[cold]
    fn look_at_topic(&self, right: Right, exchange: &str, key: &str) -> Result<(), Fault> {
        let granted = self.granted.read();
        let name = Resource::Exchange(exchange);
        // Without a topic permission every key is free.
        let topic = granted.topics.iter().find(|topic| topic.kept.exchange == *name.name());
        let pattern = match (topic, right) {
            (None, _) | (_, Right::Configure) => return Ok(()),
            (Some(topic), Right::Write) => &topic.write,
            (Some(topic), Right::Read) => &topic.read,
        };
        if pattern.as_ref().is_some_and(|pattern| pattern.matches(key)) {
            return Ok(());
        }
        let noun = format!("topic '{key}' in {}", exchange_noun(exchange, &self.vhost));
        Err(self.refused(right, &noun))
    }

    /// Makes the fault. RabbitMQ 4 names the right in it, 3.10 does not.
    fn refused(&self, right: Right, noun: &str) -> Fault {
        let user = &self.user;
        let text = if self.compat.get().is_3_10() {
            format!("access to {noun} refused for user '{user}'")
        } else {
            format!("{} access to {noun} refused for user '{user}'", right.name())
        };
        Fault::new(ReplyCode::AccessRefused, text)
    }

    /// Sets the user's permissions from now on.
    pub(super) fn grant(
        &self,
        permission: Option<Arc<Permission>>,
        topics: impl Iterator<Item = Arc<TopicPermission>>,
    ) {
        let topics: Vec<_> = topics.map(|kept| self.topic(kept)).collect();
        let is_free = |permission: &Arc<Permission>| permission.is_everything();
        let is_everything = topics.is_empty() && permission.as_ref().is_some_and(is_free);
        let mut granted = self.granted.write();
        *granted = UserPermissions { permission, topics };
        self.is_everything.store(is_everything, Ordering::Relaxed);
    }

    /// Fills in `{username}` and `{vhost}`. AMQP 0-9-1 knows no client id, so `{client_id}` stays as it is, and is
    /// found in no sensible key (RabbitMQ: `rabbit_auth_backend_internal:expand_topic_permission`).
    fn topic(&self, kept: Arc<TopicPermission>) -> TopicRights {
        let pattern = |text: &str| {
            let filled = text.replace("{username}", &self.user).replace("{vhost}", &self.vhost);
            Pattern::of_permission(&filled).ok()
        };
        let (write, read) = (pattern(kept.write.as_str()), pattern(kept.read.as_str()));
        TopicRights { kept, write, read }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::compat::Compat;
    use crate::wire::shortstr::literal;

    fn permission(configure: &str, write: &str, read: &str) -> Permission {
        Permission::new(configure, write, read).unwrap()
    }

    fn rights(permission: Permission, topics: &[(&'static str, &str, &str)]) -> Rights {
        let rights = Rights::new(literal("bob"), literal("/"), ChosenCompat::default());
        let topics = topics.iter().map(|(exchange, write, read)| {
            Arc::new(TopicPermission::new(literal(exchange), write, read).unwrap())
        });
        rights.grant(Some(Arc::new(permission)), topics);
        rights
    }

    #[test]
    fn a_right_is_refused_by_name() {
        let rights = rights(permission("^my", "", "amq"), &[]);
        #[rustfmt::skip]
        let cases = [
            (Right::Configure, Resource::Queue("my.q"),      None),
            (Right::Configure, Resource::Queue("not.my.q"),  Some("configure access to queue 'not.my.q'")),
            (Right::Write,     Resource::Queue("my.q"),      Some("write access to queue 'my.q'")),
            (Right::Write,     Resource::Exchange(""),       Some("write access to exchange 'amq.default'")),
            (Right::Read,      Resource::Exchange(""),       None), // it is looked for as amq.default
            (Right::Read,      Resource::Exchange("x"),      Some("read access to exchange 'x'")),
        ];
        for (right, resource, refused) in cases {
            let told = rights.check(right, resource).err().map(|fault| fault.text);
            let expected =
                refused.map(|what| format!("{what} in vhost '/' refused for user 'bob'"));
            assert_eq!(told, expected, "{right:?} {resource:?}");
        }
    }

    #[test]
    fn rabbitmq_3_10_does_not_name_the_right() {
        let rights = rights(permission("", "", ""), &[]);
        rights.compat.choose(Compat::V3_10);
        let told = rights.check(Right::Read, Resource::Queue("q")).unwrap_err().text;
        assert_eq!(told, "access to queue 'q' in vhost '/' refused for user 'bob'");
    }

    #[test]
    fn topic_permissions_look_at_the_routing_key() {
        let topics = [("amq.topic", "^{username}\\.", "^{vhost}{client_id}"), ("x", "", ".*")];
        let rights = rights(permission(".*", ".*", ".*"), &topics);
        assert!(!rights.is_everything());
        #[rustfmt::skip]
        let cases = [
            (Right::Write, "amq.topic", "bob.a",         true),
            (Right::Write, "amq.topic", "eve.a",         false),
            (Right::Read,  "amq.topic", "/{client_id}",  true),
            (Right::Read,  "amq.topic", "/c1",           false),
            (Right::Write, "x",         "",              true),
            (Right::Write, "x",         "a",             false), // the empty pattern is `^$`
            (Right::Write, "free",      "a",             true),  // no permission, no limit
        ];
        for (right, exchange, key, is_allowed) in cases {
            let checked = rights.check_topic(right, exchange, key);
            assert_eq!(checked.is_ok(), is_allowed, "{right:?} {exchange} {key}");
        }
        let told = rights.check_topic(Right::Write, "amq.topic", "eve.a").unwrap_err().text;
        let expected = "write access to topic 'eve.a' in exchange 'amq.topic' in vhost '/' refused for user 'bob'";
        assert_eq!(told, expected);
    }

    #[test]
    fn rights_change_under_a_connection() {
        let rights = rights(permission(".*", ".*", ".*"), &[]);
        assert!(rights.is_everything());
        rights.grant(None, std::iter::empty());
        assert!(rights.is_nothing());
        assert!(rights.check(Right::Read, Resource::Queue("q")).is_err());
    }
}
