//! Certificates and keys in PEM files, and what is wrong with a file that holds something else.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Largest file that is read: a bundle of all public authorities has 250 kB.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The content that a file should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    Certificate,
    /// Certificates of authorities.
    Authority,
    Key,
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Authority => "CA certificate",
            Self::Key => "private key",
        })
    }
}

impl Noun {
    fn option(self) -> &'static str {
        match self {
            Self::Certificate => "--tls-cert",
            Self::Authority => "--tls-ca",
            Self::Key => "--tls-key",
        }
    }
}

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the {noun} in '{}'", path.display())]
pub struct FileError {
    pub noun: Noun,
    pub path: PathBuf,
    /// Says what is wrong with it.
    pub why: String,
    /// Says what to do about it.
    pub hint: String,
}

impl FileError {
    pub fn new(noun: Noun, path: &Path, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { noun, path: path.to_path_buf(), why: why.into(), hint: hint.into() }
    }
}

/// The certificates in a file, at least one; the first is the holder's own.
///
/// # Errors
///
/// Says what is wrong with the file.
pub fn certificates(noun: Noun, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = read(noun, path)?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => {
            for certificate in &found {
                if rustls::server::ParsedCertificate::try_from(certificate).is_err() {
                    let why = "it holds a certificate that cannot be read";
                    let hint = "check it with `openssl x509 -in FILE -text`, or create it again";
                    return Err(FileError::new(noun, path, why, hint));
                }
            }
            Ok(found)
        }
        Ok(_) | Err(_) => Err(misfit(noun, path, &bytes)),
    }
}

/// The private key in a file.
///
/// # Errors
///
/// Says what is wrong with the file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let bytes = read(Noun::Key, path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| misfit(Noun::Key, path, &bytes))
}

/// The authorities in a file, to trust whom they have signed.
///
/// # Errors
///
/// Says what is wrong with the file.
pub fn roots(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), FileError> {
    let found = certificates(Noun::Authority, path)?;
    let mut roots = RootCertStore::empty();
    for certificate in &found {
        roots.add(certificate.clone()).map_err(|error| {
            let hint = "check it with `openssl x509 -in FILE -text`, or create it again";
            FileError::new(Noun::Authority, path, error.to_string(), hint)
        })?;
    }
    Ok((roots, found))
}

fn read(noun: Noun, path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "let the user that runs mq read the file".to_owned(),
            _ => format!("name a PEM file with {}", noun.option()),
        };
        FileError::new(noun, path, error.to_string(), hint)
    };
    let len = fs::metadata(path).map_err(unreadable)?.len();
    if len > FILE_BYTES_MAX {
        let why = format!("it has {len} bytes, more than a file of certificates can have");
        return Err(FileError::new(
            noun,
            path,
            why,
            format!("name a PEM file with {}", noun.option()),
        ));
    }
    fs::read(path).map_err(unreadable)
}

/// Describes a file that does not hold what it should.
fn misfit(noun: Noun, path: &Path, bytes: &[u8]) -> FileError {
    let error = |why: &str, hint: &str| FileError::new(noun, path, why, hint);
    let text = String::from_utf8_lossy(bytes);
    if text.contains("ENCRYPTED") {
        return error(
            "its key is encrypted, and mq cannot ask for the password",
            "write it without one: `openssl pkey -in FILE -out NEW.pem`",
        );
    }
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes);
    let kinds: Vec<_> = sections.map_while(Result::ok).map(|(kind, _)| kind).collect();
    let has_key = kinds.iter().any(|kind| {
        matches!(
            kind,
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey
        )
    });
    match noun {
        _ if bytes.is_empty() => error("it is empty", "name a PEM file"),
        Noun::Certificate | Noun::Authority if has_key => error(
            "it holds a private key and no certificate",
            "--tls-cert takes the certificate, and --tls-key the key",
        ),
        Noun::Key if kinds.contains(&SectionKind::Certificate) => error(
            "it holds a certificate and no private key",
            "--tls-cert takes the certificate, and --tls-key the key",
        ),
        _ if kinds.contains(&SectionKind::Csr) || text.contains("CERTIFICATE REQUEST") => error(
            "it holds a request for a certificate",
            "have an authority sign the request, and name the certificate that it gives",
        ),
        // DER: a sequence.
        _ if bytes[0] == 0x30 => error(
            "it is not a PEM file but a binary one (DER or PKCS #12)",
            "write it as PEM: `openssl x509 -inform der -in FILE -out NEW.pem` for a certificate, `openssl pkey` for a key, \
             `openssl pkcs12` for both",
        ),
        _ if text.contains("-----BEGIN") => error(
            &format!("it is a damaged PEM file, or holds no {noun}"),
            "check it with `openssl x509 -in FILE -text` or `openssl pkey -in FILE`",
        ),
        _ => error(
            "it is not a PEM file",
            "a PEM file has a line such as -----BEGIN CERTIFICATE-----",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_something_else_is_told_by_what_it_holds() {
        let folder = std::env::temp_dir().join(format!("mq-tls-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("file");
        let pem = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
        #[rustfmt::skip]
        let cases = [
            (Noun::Certificate, Vec::new(),                              "it is empty"),
            (Noun::Certificate, pem("PRIVATE KEY").into(),               "it holds a private key and no certificate"),
            (Noun::Authority,   pem("RSA PRIVATE KEY").into(),           "it holds a private key and no certificate"),
            (Noun::Key,         pem("CERTIFICATE").into(),               "it holds a certificate and no private key"),
            (Noun::Key,         pem("ENCRYPTED PRIVATE KEY").into(),     "its key is encrypted, and mq cannot ask for the password"),
            (Noun::Certificate, pem("CERTIFICATE REQUEST").into(),       "it holds a request for a certificate"),
            (Noun::Certificate, pem("CERTIFICATE").into(),               "it holds a certificate that cannot be read"),
            (Noun::Certificate, vec![0x30, 0x82, 1, 2],                  "it is not a PEM file but a binary one (DER or PKCS #12)"),
            (Noun::Certificate, b"hello".to_vec(),                       "it is not a PEM file"),
            (Noun::Certificate, b"-----BEGIN CERTIFICATE-----\n".to_vec(), "it is a damaged PEM file, or holds no certificate"),
        ];
        for (noun, bytes, why) in cases {
            fs::write(&path, &bytes).unwrap();
            let error = match noun {
                Noun::Key => private_key(&path).map(drop).unwrap_err(),
                Noun::Certificate | Noun::Authority => {
                    certificates(noun, &path).map(drop).unwrap_err()
                }
            };
            assert_eq!(error.why, why, "{noun}");
            assert!(!error.hint.is_empty());
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
