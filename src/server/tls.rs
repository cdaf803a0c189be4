//! TLS for the listener: a certificate chain and key from files, and client certificates when a CA is named.
//!
//! The files are read at the start and again on [`Tls::reload`]; connections that are open keep what they agreed on.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

use crate::lock::RwLock;
use crate::tls::{self, FileError, Noun};

/// Files of a TLS listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The certificate authority that must have signed clients' certificates.
    pub client_ca: Option<PathBuf>,
    pub verify: TlsVerify,
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let of_certificate = |error: rustls::Error| unusable(files, &error);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
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
