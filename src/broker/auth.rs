//! Who may log in.
//!
//! Passwords are kept as RabbitMQ keeps them: a salt of four bytes and the SHA-256 of salt and password.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use sha2::{Digest, Sha256};

use crate::wire::ShortStr;
use crate::wire::shortstr::literal;

/// Name and password of the user every new broker has; may log in from this machine only.
pub const GUEST: &str = "guest";
const SALT_BYTES: usize = 4;
/// Bytes of a salt and the hash behind it.
pub const PASSWORD_HASH_BYTES: usize = SALT_BYTES + 32;

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    pub name: ShortStr,
    pub tags: Vec<String>,
    salt: [u8; SALT_BYTES],
    hash: [u8; 32],
}

/// All users of the broker.
#[derive(Debug)]
pub struct Users {
    users: RwLock<HashMap<ShortStr, User>>,
}

/// Where a login comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This machine: loopback or a Unix socket.
    Local,
    Remote,
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() { Self::Local } else { Self::Remote }
    }
}

fn hash(salt: [u8; 4], password: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(password).finalize().into()
}

impl User {
    fn new(name: ShortStr, password: &str, salt: [u8; SALT_BYTES], tags: Vec<String>) -> Self {
        Self { name, tags, salt, hash: hash(salt, password.as_bytes()) }
    }

    /// `guest`, an administrator: the user of a new broker.
    pub fn guest(salt: [u8; SALT_BYTES]) -> Self {
        Self::new(literal(GUEST), GUEST, salt, vec!["administrator".to_owned()])
    }

    /// A user whose password is known by its hash only.
    pub fn with_hash(
        name: ShortStr,
        password_hash: [u8; PASSWORD_HASH_BYTES],
        tags: Vec<String>,
    ) -> Self {
        let (mut salt, mut hash) = ([0; SALT_BYTES], [0; 32]);
        salt.copy_from_slice(&password_hash[..SALT_BYTES]);
        hash.copy_from_slice(&password_hash[SALT_BYTES..]);
        Self { name, tags, salt, hash }
    }

    /// The password's hash the way definitions carry it: salt and hash; files have it base64-encoded.
    pub fn password_hash(&self) -> Vec<u8> {
        [&self.salt[..], &self.hash[..]].concat()
    }
}

impl Users {
    pub fn new(users: impl IntoIterator<Item = User>) -> Self {
        let users = users.into_iter().map(|user| (user.name.clone(), user)).collect();
        Self { users: RwLock::new(users) }
    }

    /// The user, when name and password are right and the origin is allowed (RabbitMQ: `loopback_users`).
    pub fn log_in(&self, name: &[u8], password: &[u8], origin: Origin) -> Option<User> {
        let name = std::str::from_utf8(name).ok()?;
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        let user = users.get(name)?;
        let offered = hash(user.salt, password);
        // Compared in constant time, so that the answer does not tell how much of it was right.
        let differs = offered.iter().zip(user.hash).fold(0, |differs, (a, b)| differs | (a ^ b));
        let is_allowed = name != GUEST || origin == Origin::Local;
        (differs == 0 && is_allowed).then(|| user.clone())
    }

    /// All users, in the order of their names.
    pub fn list(&self) -> Vec<User> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = users.values().cloned().collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_logs_in_from_this_machine_only() {
        let users = Users::new([User::guest([1, 2, 3, 4])]);
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
    }
}
