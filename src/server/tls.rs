//! TLS for the listener: a certificate chain and key from files, and client certificates when a CA is named.
//!
//! The files are read at the start and again on [`Tls::reload`]; connections that are open keep what they agreed on.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::{CipherSuite, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use crate::lock::RwLock;
use crate::tls::{self, FileError, LoginName, Noun};

/// Files of a TLS listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The certificate authority that must have signed clients' certificates.
    pub client_ca: Option<PathBuf>,
    pub verify: TlsVerify,
    pub protocol: TlsProtocol,
    /// The part of a client's certificate that names its user.
    pub login: LoginName,
}

/// The certificates that a TLS listener shows and checks by.
#[derive(Clone, Debug)]
pub struct ListenerCertificates {
    pub certificate: PathBuf,
    pub client_ca: Option<PathBuf>,
}

impl ListenerCertificates {
    /// The ends of the validity of its own certificates and of the authorities, in seconds since 1970, as the files have
    /// them now.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read.
    pub fn expire_at_s(&self) -> Result<(Vec<u64>, Vec<u64>), FileError> {
        let of_file = |noun, path: &PathBuf| {
            let chain = tls::certificates(noun, path)?;
            Ok(chain.iter().filter_map(|der| tls::expires_at_s(der)).collect())
        };
        let own = of_file(Noun::Certificate, &self.certificate)?;
        let authorities = self.client_ca.iter().map(|path| of_file(Noun::Authority, path));
        Ok((own, authorities.collect::<Result<Vec<Vec<u64>>, FileError>>()?.concat()))
    }
}

/// The versions of TLS and the ciphers that clients may use; an empty list allows all that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsProtocol {
    pub versions: Vec<TlsVersion>,
    pub ciphers: Vec<TlsCipher>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

impl FromStr for TlsVersion {
    type Err = String;

    /// Reads `1.2`, or RabbitMQ's `tlsv1.2`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().trim_start_matches("tlsv") {
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            _ => Err("it must be 1.2 or 1.3".to_owned()),
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_2 => "tlsv1.2",
            Self::V1_3 => "tlsv1.3",
        })
    }
}

/// The cipher suites that there are, by OpenSSL's names, which RabbitMQ uses.
pub(super) const CIPHERS: [(&str, CipherSuite); 9] = [
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// A cipher suite, by OpenSSL's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsCipher(&'static str);

impl FromStr for TlsCipher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = CIPHERS.iter().find(|(name, _)| *name == text);
        found.map(|(name, _)| Self(name)).ok_or_else(|| {
            let all: Vec<_> = CIPHERS.iter().map(|(name, _)| *name).collect();
            format!("it must be one of {}", all.join(", "))
        })
    }
}

impl fmt::Display for TlsCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl TlsProtocol {
    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        if self.versions.is_empty() {
            return rustls::ALL_VERSIONS.to_vec();
        }
        let version = |version: &TlsVersion| match version {
            TlsVersion::V1_2 => &rustls::version::TLS12,
            TlsVersion::V1_3 => &rustls::version::TLS13,
        };
        self.versions.iter().map(version).collect()
    }

    fn allows(&self, suite: CipherSuite) -> bool {
        let is_named = |name: &str| self.ciphers.iter().any(|cipher| cipher.0 == name);
        self.ciphers.is_empty()
            || CIPHERS.iter().any(|(name, known)| *known == suite && is_named(name))
    }
}

/// The certificate that a client must show (RabbitMQ: `ssl_options.verify` and `fail_if_no_peer_cert`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVerify {
    /// They are asked for none.
    None,
    /// One that is shown must be right.
    Optional,
    #[default]
    Required,
}

/// The certificates of TLS listeners, which may be changed while they listen.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read or does not hold what it should.
    pub(super) fn open(files: TlsFiles) -> Result<Self, FileError> {
        let current = RwLock::new(config(&files)?);
        Ok(Self { files, current })
    }

    /// Reads the files again. New connections use their contents from now on; after an error, the earlier contents.
    pub(super) fn reload(&self) -> Result<(), FileError> {
        let read = config(&self.files)?;
        *self.current.write() = read;
        Ok(())
    }

    /// The certificates that it shows and checks by.
    pub(super) fn certificates(&self) -> ListenerCertificates {
        let TlsFiles { certificate, client_ca, .. } = self.files.clone();
        ListenerCertificates { certificate, client_ca }
    }

    /// The part of a client's certificate that names its user.
    pub(super) fn login(&self) -> LoginName {
        self.files.login
    }

    /// The acceptor of the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read();
        TlsAcceptor::from(Arc::clone(&current))
    }
}

fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, FileError> {
    let chain = tls::certificates(Noun::Certificate, &files.certificate)?;
    let key = tls::private_key(&files.key)?;
    if tls::is_authority(&chain[0]) {
        tracing::warn!(
            file = %files.certificate.display(),
            "the certificate is that of a certificate authority, which strict clients refuse; use it to sign one for this broker"
        );
    }
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|suite| files.protocol.allows(suite.suite()));
    let provider = Arc::new(provider);
    let of_certificate = |error: rustls::Error| unusable(files, &error);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&files.protocol.versions())
        .map_err(of_certificate)?;
    let builder = match (&files.client_ca, files.verify) {
        (None, _) | (Some(_), TlsVerify::None) => builder.with_no_client_auth(),
        (Some(path), verify) => {
            let (roots, _) = tls::roots(path)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match verify {
                TlsVerify::Optional => verifier.allow_unauthenticated(),
                TlsVerify::None | TlsVerify::Required => verifier,
            };
            let verifier = verifier.build().map_err(|error| {
                let hint = "name a PEM file with the authorities' certificates with --tls-ca";
                FileError::new(Noun::Authority, path, error.to_string(), hint)
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(of_certificate)?;
    Ok(Arc::new(config))
}

fn unusable(files: &TlsFiles, error: &rustls::Error) -> FileError {
    match error {
        rustls::Error::InconsistentKeys(_) => FileError::new(
            Noun::Key,
            &files.key,
            format!("it is not the key of the certificate in '{}'", files.certificate.display()),
            "name the key that the certificate was made with; the broker's own certificate comes first in its file",
        ),
        other => FileError::new(
            Noun::Certificate,
            &files.certificate,
            other.to_string(),
            "check it with `openssl x509 -in FILE -text`, and the key with `openssl pkey -in FILE`",
        ),
    }
}
