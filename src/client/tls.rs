//! TLS for `amqps://`: whom to trust, who we are.
//!
//! Nothing here runs for a connection without TLS: reading the system's certificates alone takes milliseconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::Error;

/// How to talk TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file of whom to trust; the system's certificates when `None`
    pub ca: Option<PathBuf>,
    /// PEM files of our certificate chain and its key, for a broker that asks for them
    pub identity: Option<Identity>,
    pub server_name: ServerNameCheck,
}

/// Our certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// What the broker's certificate must show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerNameCheck {
    /// The host's name
    #[default]
    Host,
    /// This name, which is also asked for
    Name(String),
    /// Anything: `verify=verify_none`
    NotVerified,
}

/// Reads the files and makes what rustls needs of them.
pub fn client_config(options: &TlsOptions) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls { why: error.to_string() })?;
    let builder = if options.server_name == ServerNameCheck::NotVerified {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAll { algorithms }))
    } else {
        builder.with_root_certificates(roots(options.ca.as_deref())?)
    };
    match &options.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { cert, key }) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|error| Error::Tls { why: format!("{}: {error}", cert.display()) }),
    }
}

/// Encrypts a stream.
pub(super) async fn connect(
    config: ClientConfig,
    options: &TlsOptions,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Error> {
    let name = match &options.server_name {
        ServerNameCheck::Name(name) => name,
        ServerNameCheck::Host | ServerNameCheck::NotVerified => host,
    };
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| Error::Tls { why: format!("'{name}' is no name a certificate can have") })?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connecting.await.map_err(|error| Error::Tls { why: error.to_string() })
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            let added = roots.add(certificate);
            added.map_err(|error| Error::Tls { why: format!("{}: {error}", path.display()) })?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(Error::Tls {
            why: "this system has no certificates to trust; name a file of them".into(),
        });
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |why: String| Error::Tls { why: format!("{}: {why}", path.display()) };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(error.to_string()))?;
    if found.is_empty() {
        return Err(unreadable("there is no certificate in it".into()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| Error::Tls { why: format!("{}: {error}", path.display()) })
}

/// Takes any certificate: what `verify=verify_none` asks for. Signatures are still checked, so that the peer
/// holds the key of the certificate it shows.
#[derive(Debug)]
struct TrustAll {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
