//! TLS for the listener: a certificate chain and key from files, and client certificates when a CA is named.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

/// Files of a TLS listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// With a CA, clients must show a certificate it has signed.
    pub client_ca: Option<PathBuf>,
}

fn told(what: &str, path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("cannot read the {what} in '{}': {error}", path.display()))
}

fn certificates(what: &str, path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| told(what, path, error))?;
    let all: Result<Vec<_>, _> = read.collect();
    let all = all.map_err(|error| told(what, path, error))?;
    if all.is_empty() {
        return Err(told(what, path, "there is none"));
    }
    Ok(all)
}

/// Makes an acceptor of the files.
///
/// # Errors
///
/// Names the file that cannot be read or does not hold what it should.
pub(super) fn acceptor(files: &TlsFiles) -> io::Result<TlsAcceptor> {
    let chain = certificates("certificate", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| told("private key", &files.key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("CA certificate", path)? {
                roots.add(certificate).map_err(|error| told("CA certificate", path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| told("CA certificate", path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| told("certificate", &files.certificate, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
