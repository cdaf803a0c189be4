//! TLS for `amqps://`: the certificates that are trusted, and the client's own.
//!
//! Nothing here runs for a connection without TLS: reading the system's certificates alone takes milliseconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::Error;
use crate::tls::{self, Noun};

/// The options of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file of whom to trust; the system's certificates when `None`
    pub ca: Option<PathBuf>,
    /// PEM files of our certificate chain and its key, for a broker that asks for them
    pub identity: Option<ClientIdentity>,
    pub server_name: ServerNameCheck,
}

/// Our certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// The name that the broker's certificate must show.
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
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let builder = if options.server_name == ServerNameCheck::NotVerified {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAll { algorithms }))
    } else {
        let (roots, named) = trusted(options.ca.as_deref())?;
        let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| failed(&error))?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustNamed { signed, named }))
    };
    match &options.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(ClientIdentity { cert, key }) => builder
            .with_client_auth_cert(tls::certificates(Noun::Certificate, cert)?, tls::private_key(key)?)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => Error::Tls {
                    why: format!("the key in '{}' is not that of the certificate in '{}'", key.display(), cert.display()),
                    hint: "name the key that the certificate was made with; your own certificate comes first in its file"
                        .into(),
                },
                error => failed(&error),
            }),
    }
}

fn failed(error: &impl std::fmt::Display) -> Error {
    let hint =
        "check the files of --tls-ca, --tls-cert and --tls-key with `openssl x509 -in FILE -text`"
            .into();
    Error::Tls { why: error.to_string(), hint }
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
    let name = ServerName::try_from(name.to_owned()).map_err(|_| Error::Tls {
        why: format!("'{name}' is not a name that a certificate can have"),
        hint: "use a host's name or address in --url".into(),
    })?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connecting.await.map_err(|error| match tls::of_client(&error, host) {
        Some(trouble) => trouble.into(),
        None => Error::Tls {
            why: format!("the connection ended during the TLS handshake: {error}"),
            hint: "give the broker's TLS port (usually 5671), or write amqp:// instead of amqps://"
                .into(),
        },
    })
}

/// Whom to trust, and which of them may be the broker themselves.
fn trusted(ca: Option<&Path>) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), Error> {
    if let Some(path) = ca {
        return Ok(tls::roots(path)?);
    }
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(Error::Tls {
            why: "this system has no trusted certificates".into(),
            hint: "name those to trust with --tls-ca FILE".into(),
        });
    }
    Ok((roots, Vec::new()))
}

/// Trusts brokers whose certificate is signed by a trusted authority, or is one that was named itself.
///
/// The usual way to make a certificate for oneself makes one of an authority, which the library refuses from a server
/// though it was named to be trusted. RabbitMQ's clients take it.
#[derive(Debug)]
struct TrustNamed {
    signed: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for TrustNamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.signed.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // Its time is looked at before what it is for.
            Err(rustls::Error::InvalidCertificate(error))
                if tls::is_of_authority(&error)
                    && self.named.iter().any(|named| named == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
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
