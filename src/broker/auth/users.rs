//! The users of a broker.

use std::net::IpAddr;
use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::password::PasswordHash;
use crate::lock::RwLock;
use crate::wire::ShortStr;
use crate::wire::shortstr::literal;

/// Name and password of the user every new broker has, if no other is chosen.
pub const GUEST: &str = "guest";
/// The tag of users who may do everything.
pub const ADMINISTRATOR: &str = "administrator";

/// The limits of a user; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserLimits {
    pub connections_max: Option<u64>,
    pub channels_max: Option<u64>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: ShortStr,
    pub tags: Vec<String>,
    pub password: PasswordHash,
    pub limits: UserLimits,
}

/// All users of the broker.
#[derive(Debug)]
pub struct Users {
    /// Hashed fast, because only administrators add names.
    all: RwLock<FxHashMap<ShortStr, User>>,
    /// Users that may log in from this machine only (RabbitMQ: `loopback_users`).
    local_only: RwLock<Vec<ShortStr>>,
    /// The name of the user that a new broker begins with.
    first: OnceLock<ShortStr>,
}

/// The place that a login comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This machine: loopback or a Unix socket.
    Local,
    /// The account that runs the broker, on a Unix socket of its data directory.
    Owner,
    Remote,
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() { Self::Local } else { Self::Remote }
    }
}

impl User {
    /// An administrator, such as the first user of a new broker.
    pub fn administrator(name: ShortStr, password: &str) -> Self {
        Self::tagged(name, password, vec![ADMINISTRATOR.to_owned()])
    }

    /// A user with these tags.
    pub fn tagged(name: ShortStr, password: &str, tags: Vec<String>) -> Self {
        Self { name, tags, password: PasswordHash::fresh(password), limits: UserLimits::default() }
    }

    /// Answers whether the user has one of these tags.
    pub fn has_tag(&self, tags: &[&str]) -> bool {
        self.tags.iter().any(|tag| tags.contains(&tag.as_str()))
    }
}

impl Users {
    pub fn new(users: impl IntoIterator<Item = User>) -> Self {
        let users = users.into_iter().map(|user| (user.name.clone(), user)).collect();
        Self {
            all: RwLock::new(users),
            local_only: RwLock::new(vec![literal(GUEST)]),
            first: OnceLock::new(),
        }
    }

    /// Lets these users, and no others, log in from this machine only.
    pub fn keep_local(&self, names: Vec<ShortStr>) {
        *self.local_only.write() = names;
    }

    /// The user, when name and password are right and the origin is allowed (RabbitMQ: `loopback_users`).
    pub fn log_in(&self, name: &[u8], password: &[u8], origin: Origin) -> Option<User> {
        let user = self.get(std::str::from_utf8(name).ok()?)?;
        let is_allowed = !self.is_kept_out(&user, origin);
        (user.password.fits(password) && is_allowed).then_some(user)
    }

    /// The user of this name, whom a certificate has proved, when the origin is allowed.
    pub fn log_in_proved(&self, name: &str, origin: Origin) -> Option<User> {
        self.get(name).filter(|user| !self.is_kept_out(user, origin))
    }

    /// Says which user a new broker begins with; before the first client comes.
    pub fn begin_with(&self, name: ShortStr) {
        // It is said once.
        let _ = self.first.set(name);
    }

    /// The user as whom the account that runs the broker works, without a password: the one that a new broker begins
    /// with, or the first that is an administrator.
    pub fn log_in_owner(&self, origin: Origin) -> Option<User> {
        if origin != Origin::Owner {
            return None;
        }
        let first = self.get(self.first.get().map_or(GUEST, |name| name.as_str()));
        let mut administrators = first.into_iter().chain(self.list());
        administrators.find(|user| user.has_tag(&[ADMINISTRATOR]))
    }

    /// Answers whether a user may log in from the broker's own machine only, and comes from elsewhere.
    fn is_kept_out(&self, user: &User, origin: Origin) -> bool {
        origin == Origin::Remote && self.local_only.read().contains(&user.name)
    }

    /// Returns the reason why a login failed, for the log: clients are not told.
    pub fn why_refused(&self, name: &[u8], origin: Origin) -> &'static str {
        let user = std::str::from_utf8(name).ok().and_then(|name| self.get(name));
        match user {
            None => "no such user",
            Some(user) if self.is_kept_out(&user, origin) => {
                "this user may log in from the broker's own machine only"
            }
            Some(_) => "wrong password",
        }
    }

    /// The user of that name.
    pub fn get(&self, name: &str) -> Option<User> {
        self.all.read().get(name).cloned()
    }

    /// Returns the limits of the user of that name.
    pub fn limits(&self, name: &str) -> UserLimits {
        let users = self.all.read();
        users.get(name).map(|user| user.limits).unwrap_or_default()
    }

    /// Answers whether a user has a tag.
    pub fn has_tag(&self, name: &str, tag: &str) -> bool {
        let users = self.all.read();
        users.get(name).is_some_and(|user| user.tags.iter().any(|one| one == tag))
    }

    /// All users, in the order of their names.
    pub fn list(&self) -> Vec<User> {
        let users = self.all.read();
        let mut list: Vec<_> = users.values().cloned().collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        list
    }

    /// Puts a user in, in the place of the one of that name.
    pub(in crate::broker) fn put(&self, user: User) {
        let mut users = self.all.write();
        users.insert(user.name.clone(), user);
    }

    /// Takes out all users but this one.
    pub(in crate::broker) fn replace_all(&self, by: Option<User>) {
        *self.all.write() = by.into_iter().map(|user| (user.name.clone(), user)).collect();
    }

    /// Takes a user out.
    pub(in crate::broker) fn remove(&self, name: &str) {
        self.all.write().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_the_first_user_or_another_administrator() {
        let name = |user: Option<User>| user.map(|user| user.name.to_string());
        let users = Users::new([
            User::administrator(literal("b"), "1"),
            User::tagged(literal("a"), "1", Vec::new()),
        ]);
        assert_eq!(name(users.log_in_owner(Origin::Local)), None);
        assert_eq!(name(users.log_in_owner(Origin::Owner)).as_deref(), Some("b"));
        users.begin_with(literal("c"));
        users.put(User::administrator(literal("c"), "1"));
        assert_eq!(name(users.log_in_owner(Origin::Owner)).as_deref(), Some("c"));
        users.replace_all(None);
        assert_eq!(name(users.log_in_owner(Origin::Owner)), None);
    }

    #[test]
    fn guest_logs_in_from_this_machine_only() {
        let users = Users::new([User::administrator(literal(GUEST), GUEST)]);
        let cases = [
            ("guest", "guest", Origin::Local, true),
            ("guest", "guest", Origin::Remote, false),
            ("guest", "wrong", Origin::Local, false),
            ("guest", "", Origin::Local, false),
            ("nobody", "guest", Origin::Local, false),
        ];
        for (name, password, origin, expected) in cases {
            let user = users.log_in(name.as_bytes(), password.as_bytes(), origin);
            assert_eq!(user.is_some(), expected, "{name} {password} {origin:?}");
        }
        let why = |name: &str, origin| users.why_refused(name.as_bytes(), origin);
        assert_eq!(why("nobody", Origin::Local), "no such user");
        assert_eq!(why("guest", Origin::Local), "wrong password");
        users.keep_local(vec![literal("other")]);
        assert!(users.log_in(b"guest", b"guest", Origin::Remote).is_some());
        users.keep_local(vec![literal("guest")]);
        assert!(why("guest", Origin::Remote).contains("own machine only"));
    }
}
