//! Parts of administration that need no call of the management API: hashes, patterns, and a look at a port.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::broker::auth::{Hashing, PasswordHash, Pattern};
use crate::client::{Dialed, Endpoint};

/// The hash of a password in the form of definitions; `None` for an algorithm that no new password is hashed with.
pub fn hash_password(password: &str, algorithm: &str) -> Option<String> {
    let hashing = match algorithm {
        "sha256" | "rabbit_password_hashing_sha256" => Hashing::Sha256,
        "sha512" | "rabbit_password_hashing_sha512" => Hashing::Sha512,
        _ => return None,
    };
    Some(STANDARD.encode(PasswordHash::fresh_of(hashing, password).as_bytes()))
}

/// Answers whether the pattern of a policy is found in a name; one that is no pattern never is.
pub fn is_found(pattern: &str, name: &str) -> bool {
    Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name))
}

/// Connects to a port and says nothing.
///
/// # Errors
///
/// Explains why the port cannot be reached.
pub async fn reach(host: &str, port: u16, limit: Duration) -> Result<(), String> {
    let place = Endpoint::Tcp { host: host.to_owned(), port, tls: None };
    match Dialed::to(&place, limit).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
