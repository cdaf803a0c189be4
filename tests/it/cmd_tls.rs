//! AMQP over TLS, both ends ours: `mq serve --tls-listen` and commands with `amqps://`.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::cli::{Running, program};

/// A certificate authority, and the certificates it has signed, as files.
struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key in PEM files.
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { directory: TempDir::new().unwrap(), issuer };
        fs::write(authority.certificate(), authority.issuer.pem()).unwrap();
        authority
    }

    fn certificate(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| self.directory.path().join(format!("{name}.{end}"));
        let identity = Identity { certificate: path("pem"), key: path("key") };
        fs::write(&identity.certificate, signed.pem()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Starts a broker that speaks TLS only; answers with its URL.
fn serve(identity: &Identity, client_ca: Option<&Path>) -> (Running, String) {
    let mut command = program();
    command.args(["serve", "--memory", "--print-url", "--tls-listen", "127.0.0.1:0"]);
    command.args(["--tls-cert", text(&identity.certificate), "--tls-key", text(&identity.key)]);
    if let Some(ca) = client_ca {
        command.args(["--tls-ca", text(ca)]);
    }
    let mut running = Running::spawn(&mut command, "listening on");
    let url = running.line().trim_end().to_owned();
    assert!(url.starts_with("amqps://"), "{url}");
    (running, url)
}

/// Runs a command; answers with its exit code and what it said on stdout and stderr.
fn run(url: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let run = program().args(["--url", url]).args(arguments).output().unwrap();
    let said = |bytes| String::from_utf8(bytes).unwrap();
    (run.status.code(), said(run.stdout), said(run.stderr))
}

#[test]
fn messages_travel_over_tls_to_a_broker_that_is_who_it_says() {
    let authority = Authority::new();
    let ca = authority.certificate();
    let (mut broker, url) = serve(&authority.sign("127.0.0.1"), None);
    let trusted = ["--tls-ca", text(&ca)];
    let (code, _, said) =
        run(&url, &[&["publish", "--queue", "q", "over TLS"], &trusted[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    let (code, body, said) = run(&url, &[&["get", "--queue", "q"], &trusted[..]].concat());
    assert_eq!((code, body.as_str()), (Some(0), "over TLS\n"), "{said}");

    let bench = ["bench", "--count", "3000", "--verify", "-c", "200", "-a", "10"];
    let (code, figures, said) = run(&url, &[&bench[..], &trusted[..]].concat());
    assert_eq!((code, said.as_str()), (Some(0), ""), "{figures}");
    assert!(figures.contains("\ndelivered\t3000\n"), "{figures}");

    let (code, _, said) = run(&url, &["ping"]);
    assert_eq!(code, Some(69), "a certificate nobody vouches for: {said}");
    assert!(said.contains("UnknownIssuer"), "{said}");
    let other = url.replace("127.0.0.1", "localhost");
    let (code, _, said) = run(&other, &[&["ping"], &trusted[..]].concat());
    assert_eq!(code, Some(69), "a certificate of another name: {said}");
    broker.signal(Signal::TERM);
    assert_eq!(broker.end().0.code(), Some(0));
}

#[test]
fn a_broker_that_asks_for_certificates_takes_only_those_of_its_authority() {
    let authority = Authority::new();
    let ca = authority.certificate();
    let (mut broker, url) = serve(&authority.sign("127.0.0.1"), Some(&ca));
    let client = authority.sign("client");
    let trusted = ["ping", "--tls-ca", text(&ca)];
    let (certificate, key) = (text(&client.certificate), text(&client.key));
    let shown = ["--tls-cert", certificate, "--tls-key", key];
    let (code, _, said) = run(&url, &[&trusted[..], &shown[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    let (code, _, said) = run(&url, &trusted);
    assert_eq!(code, Some(69), "{said}");
    let stranger = Authority::new().sign("client");
    let (certificate, key) = (text(&stranger.certificate), text(&stranger.key));
    let shown = ["--tls-cert", certificate, "--tls-key", key];
    let (code, _, said) = run(&url, &[&trusted[..], &shown[..]].concat());
    assert_ne!(code, Some(0), "{said}");
    broker.signal(Signal::TERM);
    assert_eq!(broker.end().0.code(), Some(0));
}

#[test]
fn a_certificate_that_cannot_be_read_is_named() {
    let authority = Authority::new();
    let identity = authority.sign("127.0.0.1");
    let arguments = ["serve", "--memory", "--tls-listen", "127.0.0.1:0"];
    let missing = ["--tls-cert", "/nowhere/cert.pem", "--tls-key", text(&identity.key)];
    let run = program().args(arguments).args(missing).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(69), "{said}");
    assert!(said.contains("cannot read the certificate in '/nowhere/cert.pem'"), "{said}");
}
