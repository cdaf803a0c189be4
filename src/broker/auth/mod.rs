//! Authentication and authorization: users with passwords, and their permissions.
//!
//! Users are the broker's, permissions a user's in a vhost: three patterns for what the user may configure, write and
//! read, and more of them for the routing keys of topic exchanges. A connection holds its [`Rights`] and asks them at
//! every method; publishes ask when a route is found, and what is remembered of a route is forgotten when rights
//! change.
//!
//! Reading order: [`User`], [`PasswordHash`], [`Pattern`], [`Permission`], [`Rights`]. Changing any of it is the
//! business of `broker::admin`.

mod bad_pattern;
mod mechanisms;
mod password;
mod pattern;
mod pcre;
mod permission;
mod permissions;
mod rights;
mod users;

pub use bad_pattern::BadPattern;
pub use mechanisms::{AnonymousLogin, Mechanism, Mechanisms};
pub use password::{Hashing, PasswordHash, SALT_BYTES};
pub use pattern::Pattern;
pub use permission::{Permission, TopicPermission};
pub use permissions::Permissions;
pub use rights::{Resource, Right, Rights};
pub use users::{ADMINISTRATOR, GUEST, Origin, User, UserLimits, Users};
