//! AMQP over TLS, both ends ours: `mq serve --tls-listen` and commands with `amqps://`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
    serve_with(identity, client_ca, &[])
}

fn serve_with(
    identity: &Identity,
    client_ca: Option<&Path>,
    options: &[&str],
) -> (Running, String) {
    let mut command = program();
    command.args(["serve", "--memory", "--print-url", "--tls-listen", "127.0.0.1:0"]);
    command.args(["--tls-cert", text(&identity.certificate), "--tls-key", text(&identity.key)]);
    if let Some(ca) = client_ca {
        command.args(["--tls-ca", text(ca)]);
    }
    command.args(options);
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
    let told = "cause: cannot set up TLS: the broker's certificate is signed by an authority that is not trusted here\n\
                hint: name the certificate of that authority with --tls-ca FILE\n";
    assert!(said.ends_with(told), "{said}");
    let other = url.replace("127.0.0.1", "localhost");
    let (code, _, said) = run(&other, &[&["ping"], &trusted[..]].concat());
    assert_eq!(code, Some(69), "a certificate of another name: {said}");
    assert!(
        said.contains("the broker's certificate is for '127.0.0.1' and not for 'localhost'"),
        "{said}"
    );
    broker.signal(Signal::TERM);
    assert_eq!(broker.end().0.code(), Some(0));
}

/// The options that show a certificate.
fn shown(identity: &Identity) -> [&str; 4] {
    ["--tls-cert", text(&identity.certificate), "--tls-key", text(&identity.key)]
}

#[test]
fn clients_are_asked_for_certificates_as_the_broker_is_told() {
    let authority = Authority::new();
    let ca = authority.certificate();
    let server = authority.sign("127.0.0.1");
    let strangers = Authority::new();
    let (good, stranger) = (authority.sign("client"), strangers.sign("client"));
    #[rustfmt::skip]
    let cases: [(&[&str], [i32; 3]); 4] = [
        // --tls-verify,             none shown, a good one, a stranger's
        (&[],                          [69, 0, 69]),
        (&["--tls-verify", "required"], [69, 0, 69]),
        (&["--tls-verify", "optional"], [0,  0, 69]),
        (&["--tls-verify", "none"],     [0,  0, 0]),
    ];
    for (options, codes) in cases {
        let (mut broker, url) = serve_with(&server, Some(&ca), options);
        let trusted = ["ping", "--tls-ca", text(&ca)];
        let clients: [&[&str]; 3] = [&[], &shown(&good), &shown(&stranger)];
        for (client, expected) in clients.into_iter().zip(codes) {
            let (code, _, said) = run(&url, &[&trusted[..], client].concat());
            assert_eq!(code, Some(expected), "{options:?} {client:?}: {said}");
            let refused = match client {
                [] => "the broker asks for a certificate, and none was presented",
                _ => "the broker does not trust the authority that signed our certificate",
            };
            assert!(code == Some(0) || said.contains(refused), "{options:?} {client:?}: {said}");
        }
        if codes[0] != 0 {
            broker.wait_for("the client presented no certificate");
        }
        if codes[2] != 0 {
            broker.wait_for(
                "the client's certificate is signed by an authority that is not in --tls-ca",
            );
        }
        broker.signal(Signal::TERM);
        assert_eq!(broker.end().0.code(), Some(0));
    }
    let without = ["serve", "--memory", "--tls-listen", "127.0.0.1:0", "--tls-verify", "optional"];
    let run = program().args(without).args(shown(&server)).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(64), "{said}");
    assert!(said.contains("hint: name the one that signs them with --tls-ca FILE"), "{said}");
}

#[test]
fn sighup_reads_the_certificates_again_and_keeps_the_old_ones_when_the_new_are_wrong() {
    let (first, second) = (Authority::new(), Authority::new());
    let identity = first.sign("127.0.0.1");
    let (mut broker, url) = serve(&identity, None);
    let ping = |authority: &Authority| {
        let ca = authority.certificate();
        run(&url, &["ping", "--tls-ca", text(&ca)]).0
    };
    assert_eq!((ping(&first), ping(&second)), (Some(0), Some(69)));
    let newer = second.sign("127.0.0.1");
    fs::copy(&newer.certificate, &identity.certificate).unwrap();
    fs::copy(&newer.key, &identity.key).unwrap();
    broker.signal(Signal::HUP);
    broker.wait_for("certificates reloaded");
    assert_eq!((ping(&first), ping(&second)), (Some(69), Some(0)));
    fs::write(&identity.certificate, "-----BEGIN").unwrap();
    broker.signal(Signal::HUP);
    broker.wait_for("the certificates stay as they were");
    assert_eq!(ping(&second), Some(0));
    broker.signal(Signal::TERM);
    assert_eq!(broker.end().0.code(), Some(0));
}

/// What `openssl req -x509` makes: a certificate that is its own authority.
#[test]
fn a_certificate_of_its_own_is_trusted_when_it_is_named() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let folder = TempDir::new().unwrap();
    let identity =
        Identity { certificate: folder.path().join("own.pem"), key: folder.path().join("own.key") };
    fs::write(&identity.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&identity.key, key.serialize_pem()).unwrap();
    let (broker, url) = serve(&identity, None);
    assert!(
        broker.said().contains("the certificate is that of a certificate authority"),
        "{}",
        broker.said()
    );
    let (code, _, said) = run(&url, &["ping", "--tls-ca", text(&identity.certificate)]);
    assert_eq!(code, Some(0), "{said}");
    let strangers = Authority::new();
    let other = strangers.certificate();
    let (code, _, _) = run(&url, &["ping", "--tls-ca", text(&other)]);
    assert_eq!(code, Some(69));
    let elsewhere = url.replace("127.0.0.1", "localhost");
    let (code, _, said) = run(&elsewhere, &["ping", "--tls-ca", text(&identity.certificate)]);
    assert_eq!(code, Some(69), "the name counts: {said}");
    assert!(said.contains("and not for 'localhost'"), "{said}");
}

#[test]
fn an_end_that_speaks_without_tls_is_told_to_the_other() {
    let authority = Authority::new();
    let ca = authority.certificate();
    let (mut encrypted, url) = serve(&authority.sign("127.0.0.1"), None);
    let (code, _, said) = run(&url.replace("amqps://", "amqp://"), &["ping"]);
    assert_eq!(code, Some(69), "{said}");
    let told = "cause: the broker speaks TLS at this port\n\
                hint: write amqps:// instead of amqp://, or give the port without TLS (usually 5672)\n";
    assert!(said.ends_with(told), "{said}");
    encrypted.wait_for("the client does not speak TLS, and this address takes AMQP over TLS only");

    let plain = ["serve", "--memory", "--print-url", "--listen", "127.0.0.1:0"];
    let mut broker = Running::spawn(program().args(plain), "listening on");
    let url = broker.line().trim_end().replace("amqp://", "amqps://");
    let (code, _, said) = run(&url, &["ping", "--tls-ca", text(&ca)]);
    assert_eq!(code, Some(69), "{said}");
    let told = "cause: cannot set up TLS: the broker does not speak TLS at this port\n\
                hint: write amqp:// instead of amqps://, or give the broker's TLS port (usually 5671)\n";
    assert!(said.ends_with(told), "{said}");
    broker.wait_for("the client speaks TLS, and this address takes AMQP without TLS");
}

#[test]
fn files_that_hold_something_else_are_told_by_what_they_hold() {
    let authority = Authority::new();
    let server = authority.sign("127.0.0.1");
    let other = authority.sign("other");
    let binary = authority.directory.path().join("binary");
    fs::write(&binary, [0x30, 0x82, 1, 2]).unwrap();
    let (cert, key) = (text(&server.certificate), text(&server.key));
    #[rustfmt::skip]
    let cases = [
        (cert, text(&other.key), "private key", text(&other.key), "it is not the key of the certificate in"),
        (key,  cert,             "certificate", key,              "it holds a private key and no certificate"),
        (cert, cert,             "private key", cert,             "it holds a certificate and no private key"),
        (text(&binary), key,     "certificate", text(&binary),    "it is not a PEM file but a binary one (DER or PKCS #12)"),
        ("/nowhere.pem", key,    "certificate", "/nowhere.pem",   "No such file or directory (os error 2)"),
    ];
    for (cert, key, noun, path, why) in cases {
        let files = ["--tls-cert", cert, "--tls-key", key];
        let arguments = ["serve", "--memory", "--tls-listen", "127.0.0.1:0"];
        let run = program().args(arguments).args(files).output().unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(69), "{said}");
        let told = format!("error: cannot read the {noun} in '{path}'\ncause: {why}");
        assert!(said.contains(&told) && said.contains("\nhint: "), "{told}: {said}");
        assert!(!said.contains("another process"), "{said}");

        let ping = ["--url", "amqps://127.0.0.1:1", "ping"];
        let run = program()
            .args(ping)
            .args(files)
            .args(["--tls-ca", text(&authority.certificate())])
            .output()
            .unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(69), "{said}");
        assert!(said.contains("hint: "), "{said}");
        assert!(said.contains(path), "{said}");
    }
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

/// One read of `/api/whoami` over TLS, with the certificate checked against the authority: the status line.
fn ask_over_tls(address: &str, authority: &Authority) -> std::io::Result<String> {
    ask_over_tls_as(None, address, authority)
}

/// The same by a client that shows a certificate.
fn ask_over_tls_as(
    client: Option<&Identity>,
    address: &str,
    authority: &Authority,
) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap);
            let key = PrivateKeyDer::from_pem_file(key).unwrap();
            config.with_client_auth_cert(chain.collect(), key).unwrap()
        }
    };
    let name = "localhost".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(address)?;
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    // guest:guest
    let request = "GET /api/whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n";
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

#[test]
fn the_management_api_speaks_tls_and_takes_another_certificate_while_it_runs() {
    let (authority, other) = (Authority::new(), Authority::new());
    let identity = authority.sign("localhost");
    let options = ["serve", "--memory", "--listen", "127.0.0.1:0", "--https", "127.0.0.1:0"];
    let mut command = program();
    command.args(options).arg("--print-url");
    command.arg("--https-cert").arg(&identity.certificate).arg("--https-key").arg(&identity.key);
    let mut running = Running::spawn(&mut command, "listening on");
    running.line();
    let url = running.line();
    let address = url.trim().strip_prefix("https://").expect("the URL of the API");
    let address = address.trim_end_matches('/').to_owned();
    // A client that never begins its handshake holds nobody up.
    let _silent = TcpStream::connect(&address).unwrap();
    assert_eq!(ask_over_tls(&address, &authority).unwrap(), "HTTP/1.1 200 OK");
    assert!(ask_over_tls(&address, &other).is_err());

    let renewed = other.sign("localhost");
    fs::copy(&renewed.certificate, &identity.certificate).unwrap();
    fs::copy(&renewed.key, &identity.key).unwrap();
    running.signal(Signal::HUP);
    running.wait_for("reloading");
    while ask_over_tls(&address, &other).is_err() {}
    running.signal(Signal::TERM);
    assert!(running.end().0.success());
}

/// As with RabbitMQ's keys: `verify_peer` refuses a wrong certificate, and none too with `fail_if_no_peer_cert`.
#[test]
fn clients_of_the_management_api_are_asked_for_certificates() {
    let (authority, other) = (Authority::new(), Authority::new());
    let identity = authority.sign("localhost");
    let (right, wrong) = (authority.sign("right"), other.sign("wrong"));
    // How it is checked, and whether a client without a certificate, with a right and with a wrong one is let in.
    let cases = [
        ("", [true, true, true]),
        ("management.ssl.verify = verify_none\n", [true, true, true]),
        ("management.ssl.verify = verify_peer\n", [true, true, false]),
        (
            "management.ssl.verify = verify_peer\nmanagement.ssl.fail_if_no_peer_cert = true\n",
            [false, true, false],
        ),
    ];
    for (check, expected) in cases {
        let file = authority.directory.path().join("rabbitmq.conf");
        let (own, key, ca) = (&identity.certificate, &identity.key, authority.certificate());
        let keys = format!(
            "listeners.tcp.1 = 127.0.0.1:0\nmanagement.ssl.ip = 127.0.0.1\nmanagement.ssl.port = 0\n\
             management.ssl.certfile = {}\nmanagement.ssl.keyfile = {}\n\
             management.ssl.cacertfile = {}\n{check}",
            text(own),
            text(key),
            text(&ca)
        );
        fs::write(&file, keys).unwrap();
        let mut command = program();
        command.args(["serve", "--memory", "--print-url", "--config", text(&file)]);
        let mut running = Running::spawn(&mut command, "listening on");
        running.line();
        let url = running.line();
        let address = url.trim().trim_start_matches("https://").trim_end_matches('/').to_owned();
        let is_let_in = [None, Some(&right), Some(&wrong)].map(|client| {
            ask_over_tls_as(client, &address, &authority)
                .is_ok_and(|line| line == "HTTP/1.1 200 OK")
        });
        assert_eq!(is_let_in, expected, "{check}");
    }
    let run = program().args(["serve", "--memory", "--https-verify", "required"]).output().unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(64), "{told}");
    assert!(told.contains("hint: name the one that signs them with --https-ca FILE"), "{told}");
}

#[test]
fn https_needs_a_certificate() {
    let run = program().args(["serve", "--memory", "--https", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(run.status.code(), Some(64));
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(told.contains("--https needs a certificate and its key"), "{told}");
    assert!(told.contains("hint: name them with --https-cert FILE"), "{told}");
}

/// A user logs in by its certificate, without a password, if the broker is told so.
#[test]
fn a_certificate_names_its_user() {
    let authority = Authority::new();
    let (broker, ann, bob) =
        (authority.sign("127.0.0.1"), authority.sign("ann"), authority.sign("bob"));
    let ca = authority.certificate();
    let logins = |mechanisms| {
        let by_name = ["--cert-login-from", "subject_alternative_name", "--default-user", "ann"];
        let options =
            [&by_name[..], &["--tls-verify", "optional", "--auth-mechanisms", mechanisms]];
        serve_with(&broker, Some(&ca), &options.concat())
    };
    let external = |url: &str| format!("{url}?auth_mechanism=external");
    let ask = |url: &str, identity: Option<&Identity>| {
        let mut arguments = vec!["--tls-ca", text(&ca)];
        arguments.extend(identity.into_iter().flat_map(shown));
        arguments.extend(["declare-queue", "q"]);
        run(url, &arguments)
    };

    let (_running, url) = logins("PLAIN,EXTERNAL");
    let (code, _, stderr) = ask(&external(&url), Some(&ann));
    assert_eq!(code, Some(0), "{stderr}");
    for identity in [Some(&bob), None] {
        let (code, _, stderr) = ask(&external(&url), identity);
        assert!(code != Some(0) && stderr.contains("EXTERNAL"), "{code:?} {stderr}");
    }
    let with_password = url.replace("//", "//ann:guest@");
    let (code, _, stderr) = ask(&with_password, None);
    assert_eq!(code, Some(0), "{stderr}");

    let (_running, url) = logins("EXTERNAL");
    let with_password = url.replace("//", "//ann:guest@");
    let (code, _, stderr) = ask(&with_password, Some(&ann));
    assert!(code != Some(0) && stderr.contains("only by EXTERNAL"), "{code:?} {stderr}");

    // Nobody is asked for a certificate that would name a user if the broker is not told so.
    let (_running, url) = serve(&broker, Some(&ca));
    let (code, _, stderr) = ask(&external(&url), Some(&ann));
    assert!(code != Some(0) && stderr.contains("offers no login by EXTERNAL"), "{stderr}");
}

/// Answers the status and the JSON of a health check.
fn check_expiration(url: &str, within: &str) -> (u16, serde_json::Value) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("{url}api/health/checks/certificate-expiration/{within}");
    runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(url).basic_auth("guest", Some("guest")).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    })
}

/// As RabbitMQ 4.3.6; the certificates are those of `rcgen`, which end in the year 4096.
#[test]
fn a_health_check_tells_which_certificates_expire() {
    let authority = Authority::new();
    let identity = authority.sign("localhost");
    let ca = authority.certificate();
    let https = ["--http", "127.0.0.1:0", "--https", "127.0.0.1:0"];
    let (mut running, _) = serve_with(&identity, Some(&ca), &https);
    let url = running.line().trim_end().to_owned();
    for within in ["1/days", "10/weeks", "6/months", "100/years", "0/days", "-1/days"] {
        let (status, told) = check_expiration(&url, within);
        assert_eq!((status, &told), (200, &serde_json::json!({"status": "ok"})), "{within}");
    }
    for within in ["x/days", "1/hours"] {
        assert_eq!(check_expiration(&url, within).0, 400, "{within}");
    }
    for within in ["3000/years", "9223372036854775807/days"] {
        let (status, told) = check_expiration(&url, within);
        assert_eq!((status, &told["reason"]), (503, &"Certificates expiring".into()), "{told}");
        let expired = told["expired"].as_array().unwrap();
        let seen = |row: &serde_json::Value| {
            ["protocol", "interface", "certfile", "cacertfile"].map(|name| row[name].clone())
        };
        let own = text(&identity.certificate);
        let expected = [
            ["amqp/ssl".into(), "127.0.0.1".into(), own.into(), text(&ca).into()],
            ["https".into(), "127.0.0.1".into(), own.into(), serde_json::Value::Null],
        ];
        assert_eq!(expired.iter().map(seen).collect::<Vec<_>>(), expected);
        let end = serde_json::json!(["4096-01-01 00:00:00"]);
        assert_eq!(expired[0]["certfile_expires_on"], end);
        assert_eq!(expired[0]["cacertfile_expires_on"], end);
    }
}
