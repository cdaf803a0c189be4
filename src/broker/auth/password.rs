//! Passwords the way RabbitMQ keeps them: a salt of four bytes, and the hash of salt and password.

use std::hash::{BuildHasher, RandomState};

use md5::Md5;
use sha2::{Digest, Sha256, Sha512};

/// Bytes of a salt.
pub const SALT_BYTES: usize = 4;

/// The hash function for a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hashing {
    #[default]
    Sha256,
    Sha512,
    /// Of users from before RabbitMQ 3.6; no new password is hashed so.
    Md5,
}

impl Hashing {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha512, Self::Md5];

    /// RabbitMQ's name for it: an Erlang module's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "rabbit_password_hashing_sha256",
            Self::Sha512 => "rabbit_password_hashing_sha512",
            Self::Md5 => "rabbit_password_hashing_md5",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hashing| hashing.name() == name)
    }

    fn hash(self, salt: &[u8], password: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => {
                Sha256::new().chain_update(salt).chain_update(password).finalize().to_vec()
            }
            Self::Sha512 => {
                Sha512::new().chain_update(salt).chain_update(password).finalize().to_vec()
            }
            Self::Md5 => Md5::new().chain_update(salt).chain_update(password).finalize().to_vec(),
        }
    }
}

/// The salt and hash that are kept of a password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordHash {
    hashing: Hashing,
    /// Salt and hash; nothing for a user without a password, who cannot log in.
    bytes: Vec<u8>,
}

impl PasswordHash {
    /// Hashes a password; the salt keeps equal passwords apart and is no secret.
    pub fn new(password: &str, salt: [u8; SALT_BYTES]) -> Self {
        Self::salted(Hashing::default(), password, salt)
    }

    fn salted(hashing: Hashing, password: &str, salt: [u8; SALT_BYTES]) -> Self {
        let hash = hashing.hash(&salt, password.as_bytes());
        Self { hashing, bytes: [&salt[..], &hash[..]].concat() }
    }

    /// Hashes a password with a salt that no other has.
    pub fn fresh(password: &str) -> Self {
        Self::fresh_of(Hashing::default(), password)
    }

    /// The same with a hash function of choice.
    pub fn fresh_of(hashing: Hashing, password: &str) -> Self {
        let [a, b, c, d, ..] = RandomState::new().hash_one(password.len()).to_be_bytes();
        Self::salted(hashing, password, [a, b, c, d])
    }

    /// Takes a hash as definitions have it: salt and hash; empty for no password.
    pub fn from_bytes(hashing: Hashing, bytes: Vec<u8>) -> Self {
        Self { hashing, bytes }
    }

    /// Salt and hash; definitions have them encoded in base64.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn hashing(&self) -> Hashing {
        self.hashing
    }

    /// Answers whether this is the password; an empty one never is (RabbitMQ: `rabbit_auth_backend_internal`).
    pub fn fits(&self, password: &[u8]) -> bool {
        let Some((salt, hash)) = self.bytes.split_at_checked(SALT_BYTES) else { return false };
        let offered = self.hashing.hash(salt, password);
        // Compared in constant time, so that the answer does not tell how much of it was right.
        let differs = offered.iter().zip(hash).fold(0, |differs, (a, b)| differs | (a ^ b));
        !password.is_empty() && offered.len() == hash.len() && differs == 0
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        // From RabbitMQ's documentation: the password test12 with the salt 908D C60A.
        let bytes = STANDARD.decode("kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR").unwrap();
        let hash = PasswordHash::from_bytes(Hashing::Sha256, bytes.clone());
        assert!(hash.fits(b"test12"));
        assert!(!hash.fits(b"test13"));
        assert_eq!(PasswordHash::new("test12", [0x90, 0x8d, 0xc6, 0x0a]), hash);
        assert!(!PasswordHash::from_bytes(Hashing::Sha512, bytes).fits(b"test12"));
        assert!(!PasswordHash::default().fits(b""), "no password is no way in");
        assert!(!PasswordHash::new("", [0; 4]).fits(b""), "nor is an empty one");
    }

    #[test]
    fn hashings_are_known_by_rabbitmqs_names() {
        for hashing in Hashing::ALL {
            assert_eq!(Hashing::from_name(hashing.name()), Some(hashing));
        }
        assert_eq!(Hashing::from_name("rabbit_password_hashing_rot13"), None);
    }
}
