//! The texts in a certificate that a client has shown, in RabbitMQ's forms (`rabbit_cert_info`).

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

const COMMON_NAME: &str = "2.5.4.3";

/// The short names of attributes (RFC 4514, and those that RabbitMQ adds).
const ATTRIBUTES: [(&str, &str); 17] = [
    ("2.5.4.4", "SN"),
    ("2.5.4.42", "GIVENNAME"),
    ("2.5.4.43", "INITIALS"),
    ("2.5.4.44", "GENERATIONQUALIFIER"),
    (COMMON_NAME, "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "TITLE"),
    ("2.5.4.6", "C"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.65", "PSEUDONYM"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The part of a certificate that names the user of a login by EXTERNAL (RabbitMQ: `ssl_cert_login_from`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginName {
    /// The whole subject: `CN=ann,O=shop`.
    #[default]
    DistinguishedName,
    /// The common names of the subject, with commas between.
    CommonName,
    /// A name of this kind in the extension for further names; the first is number 0.
    AlternativeName { kind: AlternativeKind, index: usize },
}

/// The kind of a further name (RabbitMQ: `ssl_cert_login_san_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlternativeKind {
    #[default]
    Dns,
    Email,
    Uri,
}

/// The texts of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateTexts {
    /// As RFC 4514 writes it: the last part first.
    pub subject: String,
    pub issuer: String,
    /// `2026-11-30T12:00:00Z - 2027-11-30T12:00:00Z`
    pub validity: String,
    /// Hexadecimal.
    pub serial_number: String,
    /// The name of its user; `None` if it has none of the kind that was asked for.
    pub login: Option<String>,
}

impl CertificateTexts {
    /// Reads a certificate that was verified; `None` if it cannot be read.
    pub fn read(der: &[u8], login: LoginName) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let subject = distinguished_name(certificate.subject());
        let login = match login {
            LoginName::DistinguishedName => Some(subject.clone()),
            LoginName::CommonName => common_name(certificate.subject()),
            LoginName::AlternativeName { kind, index } => {
                alternative_name(&certificate, kind, index)
            }
        };
        Some(Self {
            subject,
            issuer: distinguished_name(certificate.issuer()),
            validity: format!("{} - {}", time(validity.not_before), time(validity.not_after)),
            serial_number: format!("{:X}", certificate.serial),
            login,
        })
    }
}

/// The end of a certificate's validity, in seconds since 1970; `None` if it cannot be read.
pub fn expires_at_s(der: &[u8]) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default())
}

fn time(at: ASN1Time) -> String {
    let at = at.to_datetime();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

fn distinguished_name(name: &X509Name<'_>) -> String {
    let attribute = |of: &AttributeTypeAndValue<'_>| {
        let id = of.attr_type().to_id_string();
        let short = ATTRIBUTES.iter().find(|(known, _)| *known == id);
        format!("{}={}", short.map_or(&*id, |(_, short)| *short), escaped(&text(of.attr_value())))
    };
    let parts =
        name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"));
    let mut parts: Vec<String> = parts.collect();
    parts.reverse();
    parts.join(",")
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    let names: Vec<String> = name.iter_common_name().map(|name| text(name.attr_value())).collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn alternative_name(
    certificate: &X509Certificate<'_>,
    kind: AlternativeKind,
    index: usize,
) -> Option<String> {
    let extension = certificate.subject_alternative_name().ok()??;
    let names = extension.value.general_names.iter().filter_map(|name| match (kind, name) {
        (AlternativeKind::Dns, GeneralName::DNSName(name))
        | (AlternativeKind::Email, GeneralName::RFC822Name(name))
        | (AlternativeKind::Uri, GeneralName::URI(name)) => Some((*name).to_owned()),
        _ => None,
    });
    names.into_iter().nth(index)
}

/// The text of a value, whichever of ASN.1's string types it has.
fn text(value: &Any<'_>) -> String {
    let units = |bytes: &[u8]| {
        let units = bytes.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
        units.collect::<Vec<u16>>()
    };
    match value.tag() {
        Tag::BmpString => String::from_utf16_lossy(&units(value.data)),
        // ISO 8859-1, as everybody takes it.
        Tag::T61String => value.data.iter().map(|byte| char::from(*byte)).collect(),
        Tag::UniversalString => {
            let points = value.data.chunks_exact(4);
            let points = points.map(|of| u32::from_be_bytes([of[0], of[1], of[2], of[3]]));
            points
                .map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        _ => String::from_utf8_lossy(value.data).into_owned(),
    }
}

/// A value as RFC 4514 writes it; bytes that are not printable ASCII are escaped, too.
fn escaped(text: &str) -> String {
    let last = text.len().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b' ' | b'#' if at == 0 => escaped.extend(['\\', char::from(byte)]),
            b' ' if at == last => escaped.push_str("\\ "),
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                escaped.extend(['\\', char::from(byte)]);
            }
            0..32 | 126.. => escaped.extend(format!("\\{byte:02X}").chars()),
            _ => escaped.push(char::from(byte)),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut params =
            CertificateParams::new(["one.example".to_owned(), "two.example".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::Rfc822Name("ann@example.com".try_into().unwrap()));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Shop, Inc");
        params.distinguished_name.push(DnType::CommonName, "Änn");
        params.not_before = rcgen::date_time_ymd(2026, 11, 30);
        params.not_after = rcgen::date_time_ymd(2050, 1, 2);
        params.serial_number = Some(0xABC_u64.into());
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn texts_are_as_rabbitmq_writes_them() {
        let texts = CertificateTexts::read(&certificate(), LoginName::DistinguishedName).unwrap();
        let subject = "CN=\\C3\\84nn,O=Shop\\, Inc";
        assert_eq!((&*texts.subject, &*texts.issuer), (subject, subject));
        assert_eq!(texts.validity, "2026-11-30T00:00:00Z - 2050-01-02T00:00:00Z");
        assert_eq!((&*texts.serial_number, texts.login.as_deref()), ("ABC", Some(subject)));
        assert_eq!(CertificateTexts::read(b"no certificate", LoginName::CommonName), None);
    }

    #[test]
    fn the_user_is_named_as_configured() {
        let login = |from| CertificateTexts::read(&certificate(), from).unwrap().login;
        let alternative = |kind, index| LoginName::AlternativeName { kind, index };
        #[rustfmt::skip]
        let cases = [
            (LoginName::CommonName,                   Some("Änn")),
            (alternative(AlternativeKind::Dns, 0),    Some("one.example")),
            (alternative(AlternativeKind::Dns, 1),    Some("two.example")),
            (alternative(AlternativeKind::Dns, 2),    None),
            (alternative(AlternativeKind::Email, 0),  Some("ann@example.com")),
            (alternative(AlternativeKind::Uri, 0),    None),
        ];
        for (from, name) in cases {
            assert_eq!(login(from).as_deref(), name, "{from:?}");
        }
    }

    #[test]
    fn values_are_escaped() {
        #[rustfmt::skip]
        let cases = [
            ("plain", "plain"), (" a ", "\\ a\\ "), ("#a#", "\\#a#"), ("a\"+,;<>\\", "a\\\"\\+\\,\\;\\<\\>\\\\"),
            ("a\n~", "a\\0A\\7E"), ("", ""),
        ];
        for (text, written) in cases {
            assert_eq!(escaped(text), written);
        }
    }
}
