//! TLS for both ends: certificates and keys in PEM files, and words for what goes wrong.
//!
//! A TLS library names the rule that was broken; a person wants to know which file or address is the wrong one and what
//! to do. Both ends read the same kinds of files and meet the same errors. Start at [`certificates`] and
//! [`TlsFailure`].

mod certificate;
mod files;
mod trouble;

pub use certificate::{AlternativeKind, CertificateTexts, LoginName, expires_at_s};
pub use files::{FileError, Noun, certificates, private_key, roots};
pub use trouble::{TlsFailure, is_authority, is_of_authority, of_broker, of_client};
