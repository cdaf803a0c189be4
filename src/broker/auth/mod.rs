//! Who may log in, and who may do what.
//!
//! Users are the broker's, permissions a user's in a vhost: three patterns for what the user may configure, write and
//! read, and more of them for the routing keys of topic exchanges. A connection holds its [`Rights`] and asks them at
//! every method; publishes ask when a route is found, and what is remembered of a route is forgotten when rights change.
//!
//! Reading order: [`User`], [`PasswordHash`], [`Pattern`], [`Permission`], [`Rights`]. Changing any of it is the
//! business of `broker::admin`.

mod password;
mod pattern;
mod permissions;
mod rights;
mod users;

pub use password::{Hashing, PasswordHash, SALT_BYTES};
pub use pattern::{BadPattern, Pattern};
pub use permissions::{Permission, Permissions, TopicPermission};
pub use rights::{Resource, Right, Rights};
pub use users::{GUEST, Origin, User, UserLimits, Users};
