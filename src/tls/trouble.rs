//! The reasons for which a TLS handshake fails, as each end sees it, and the hint for each.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, RootCertStore};

/// A failure of TLS: what went wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFailure {
    pub why: String,
    pub hint: String,
}

fn trouble(why: impl Into<String>, hint: impl Into<String>) -> TlsFailure {
    TlsFailure { why: why.into(), hint: hint.into() }
}

/// The TLS error within an error of a stream.
fn within(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

/// Explains an error that a client met when it connected to `host`; `None` if that has nothing to do with TLS.
pub fn of_client(error: &io::Error, host: &str) -> Option<TlsFailure> {
    Some(match within(error)? {
        Error::InvalidCertificate(error) => of_their_certificate(error, host),
        Error::AlertReceived(alert) => of_alert_to_client(*alert),
        Error::InvalidMessage(_) => trouble(
            "the broker does not speak TLS at this port",
            "write amqp:// instead of amqps://, or give the broker's TLS port (usually 5671)",
        ),
        other => trouble(
            format!("the TLS handshake failed: {other}"),
            "the broker's log has the reason on its side",
        ),
    })
}

fn of_their_certificate(error: &CertificateError, host: &str) -> TlsFailure {
    match error {
        // A bad signature is one of another authority of that name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => trouble(
            "the broker's certificate is signed by an authority that is not trusted here",
            "name the certificate of that authority with --tls-ca FILE",
        ),
        CertificateError::NotValidForName => trouble(
            format!("the broker's certificate is for another name than '{host}'"),
            "use that name in --url, or append ?server_name_indication=NAME to it",
        ),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| format!("'{}'", bare(name))).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            trouble(
                format!("the broker's certificate is for {names} and not for '{host}'"),
                "use a name of the certificate in --url, or append ?server_name_indication=NAME to it",
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => trouble(
            "the broker's certificate has expired",
            "renew it on the broker, and check the clock of this machine",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => trouble(
            "the broker's certificate is not valid yet",
            "check the clocks of the broker and of this machine",
        ),
        error if is_of_authority(error) => trouble(
            "the broker presents the certificate of an authority instead of a server's",
            "have the authority sign a certificate for the broker, or name exactly this certificate with --tls-ca FILE",
        ),
        other => trouble(
            format!("the broker's certificate cannot be used: {}", Error::from(other.clone())),
            "check it with `openssl s_client -connect HOST:PORT`",
        ),
    }
}

/// The name within `DnsName("localhost")`, as the library shows it.
fn bare(name: &str) -> &str {
    let name = name.split_once('(').map_or(name, |(_, rest)| rest.trim_end_matches(')'));
    name.trim_matches('"')
}

fn of_alert_to_client(alert: AlertDescription) -> TlsFailure {
    match alert {
        AlertDescription::CertificateRequired => trouble(
            "the broker asks for a certificate, and none was presented",
            "name one with --tls-cert FILE and --tls-key FILE",
        ),
        // A signature that does not fit is one of another authority of that name.
        AlertDescription::UnknownCA | AlertDescription::DecryptError => trouble(
            "the broker does not trust the authority that signed our certificate",
            "name one with --tls-cert that is signed by an authority of the broker's --tls-ca",
        ),
        AlertDescription::CertificateExpired => trouble(
            "our certificate has expired",
            "name a newer one with --tls-cert FILE and --tls-key FILE",
        ),
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::AccessDenied => trouble(
            "the broker refused our certificate, or requires one",
            "name one with --tls-cert FILE and --tls-key FILE that is signed by an authority of the broker's --tls-ca",
        ),
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => trouble(
            format!(
                "the broker and this program have no TLS version or cipher in common, or the broker requires a certificate ({alert:?})"
            ),
            "let the broker speak TLS 1.2 or 1.3; if it asks for a certificate, name one with --tls-cert and --tls-key",
        ),
        other => trouble(
            format!("the broker ended the TLS handshake ({other:?})"),
            "the broker's log has the reason on its side",
        ),
    }
}

/// Explains an error that a broker met with one of its clients.
pub fn of_broker(error: &io::Error) -> TlsFailure {
    let Some(tls) = within(error) else {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the client closed the connection during the TLS handshake".to_owned()
            }
            io::ErrorKind::TimedOut => {
                "the client did not finish the TLS handshake in time".to_owned()
            }
            _ => format!("the connection ended during the TLS handshake: {error}"),
        };
        return trouble(why, "the client's error has the reason on its side");
    };
    match tls {
        Error::InvalidMessage(_) => trouble(
            "the client does not speak TLS, and this address takes AMQP over TLS only",
            "let it connect to amqps://, or to an address of --listen",
        ),
        Error::NoCertificatesPresented => trouble(
            "the client presented no certificate",
            "give it one that is signed by an authority in --tls-ca, or ask for none with --tls-verify optional",
        ),
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => trouble(
            "the client's certificate is signed by an authority that is not in --tls-ca",
            "have that authority sign it, or add the other one to the file",
        ),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => trouble("the client's certificate has expired", "give it a newer one"),
        Error::InvalidCertificate(error) if is_of_authority(error) => trouble(
            "the client presents the certificate of an authority instead of a client's",
            "have the authority sign a certificate for the client",
        ),
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate,
        ) => trouble(
            format!("the client does not accept the broker's certificate ({tls})"),
            "have the client trust the authority that signed --tls-cert, and use a name that the certificate contains",
        ),
        other => trouble(
            format!("the TLS handshake failed: {other}"),
            "the client's error has the reason on its side",
        ),
    }
}

/// True if a certificate was refused because it is an authority's.
pub fn is_of_authority(error: &CertificateError) -> bool {
    // The library has no variant of its own for it; its text is the only way.
    matches!(error, CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity"))
}

/// True if a certificate is one of an authority, which strict clients refuse from a server.
pub fn is_authority(certificate: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    if roots.add(certificate.clone()).is_err() {
        return false;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let Ok(verifier) = verifier else { return false };
    let Ok(name) = ServerName::try_from("localhost") else { return false };
    let outcome = verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now());
    matches!(outcome, Err(Error::InvalidCertificate(error)) if is_of_authority(&error))
}
