//! The versions and ciphers of TLS that there are, and the certificates in files.

use std::path::Path;

use super::tls::{CIPHERS, TlsVersion};
use crate::tls::{self, CertificateTexts, LoginName, Noun};

/// A certificate as people read it.
#[derive(Clone, Debug)]
pub struct CertificateFacts {
    pub subject: String,
    pub issuer: String,
    pub validity: String,
    pub serial_number: String,
}

/// The versions that the broker can speak, the newest first, by RabbitMQ's names.
pub fn tls_versions() -> Vec<String> {
    [TlsVersion::V1_3, TlsVersion::V1_2].map(|version| version.to_string()).into()
}

/// The cipher suites that there are, by OpenSSL's names.
pub fn cipher_names() -> Vec<&'static str> {
    CIPHERS.iter().map(|(name, _)| *name).collect()
}

/// Reads the certificates in a file, the broker's own first.
///
/// # Errors
///
/// Says why the file cannot be read.
pub fn certificates_in(path: &Path) -> Result<Vec<CertificateFacts>, String> {
    let found = tls::certificates(Noun::Certificate, path).map_err(|error| error.why)?;
    let facts = found.iter().filter_map(|certificate| {
        let CertificateTexts { subject, issuer, validity, serial_number, .. } =
            CertificateTexts::read(certificate, LoginName::default())?;
        Some(CertificateFacts { subject, issuer, validity, serial_number })
    });
    Ok(facts.collect())
}
