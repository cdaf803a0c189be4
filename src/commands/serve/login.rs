//! The options of `mq serve` for logins of AMQP clients.

use clap::ValueEnum as _;

use super::first;
use crate::commands::options::effective::EffectiveValue;
use crate::engine::{
    AlternativeKind, AnonymousLogin, ClientLogins, LoginName, Mechanism, Mechanisms, Password,
};

#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[command(next_help_heading = "Logins")]
pub(super) struct LoginOptions {
    /// Let clients log in by these SASL mechanisms only, with commas between: PLAIN, AMQPLAIN, ANONYMOUS, and EXTERNAL,
    /// by which the TLS certificate of a client names its user and no password is asked for [default: all but EXTERNAL]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    auth_mechanisms: Vec<Mechanism>,
    /// Take clients that log in by ANONYMOUS for this user; none refuses them [default: guest]
    #[arg(long, value_name = "NAME")]
    anonymous_user: Option<String>,
    /// Let them in if that user has this password [default: guest]
    #[arg(long, value_name = "PASSWORD", value_parser = first::password)]
    anonymous_pass: Option<Password>,
    /// Take the user of an EXTERNAL login from this part of the certificate [default: distinguished_name]
    #[arg(long, value_name = "PART", value_enum)]
    cert_login_from: Option<CertLoginFrom>,
    /// Take the user from alternative names of this kind, with --cert-login-from subject_alternative_name [default: dns]
    #[arg(long, value_name = "KIND", value_enum)]
    cert_login_san_type: Option<SanType>,
    /// Take the user from the alternative name with this number; the first is 0 [default: 0]
    #[arg(long, value_name = "NUMBER")]
    cert_login_san_index: Option<usize>,
}

/// The parts of a certificate, by RabbitMQ's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "RabbitMQ's words")]
enum CertLoginFrom {
    DistinguishedName,
    CommonName,
    #[value(alias = "subject_alt_name")]
    SubjectAlternativeName,
}

/// The kinds of alternative names, by RabbitMQ's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SanType {
    Dns,
    Email,
    Uri,
}

impl LoginOptions {
    pub(super) fn logins(&self) -> ClientLogins {
        let mechanisms = match &self.auth_mechanisms[..] {
            [] => Mechanisms::default(),
            named => Mechanisms::only(named.to_vec()),
        };
        let mechanisms = mechanisms.with_anonymous(self.anonymous());
        ClientLogins { mechanisms, certificate_name: self.name() }
    }

    fn anonymous(&self) -> AnonymousLogin {
        let AnonymousLogin::As { user, password } = AnonymousLogin::default() else {
            return AnonymousLogin::Refused;
        };
        match self.anonymous_user.as_deref() {
            Some("none") => AnonymousLogin::Refused,
            named => AnonymousLogin::As {
                user: named.map_or(user, str::to_owned),
                password: self.anonymous_pass.clone().unwrap_or(password),
            },
        }
    }

    fn name(&self) -> LoginName {
        match self.cert_login_from {
            None | Some(CertLoginFrom::DistinguishedName) => LoginName::DistinguishedName,
            Some(CertLoginFrom::CommonName) => LoginName::CommonName,
            Some(CertLoginFrom::SubjectAlternativeName) => LoginName::AlternativeName {
                kind: match self.cert_login_san_type {
                    None | Some(SanType::Dns) => AlternativeKind::Dns,
                    Some(SanType::Email) => AlternativeKind::Email,
                    Some(SanType::Uri) => AlternativeKind::Uri,
                },
                index: self.cert_login_san_index.unwrap_or_default(),
            },
        }
    }

    /// The value of each key.
    pub(super) fn effective(&self) -> Vec<EffectiveValue> {
        let mechanisms = (1..).zip(&self.auth_mechanisms).map(|(nth, mechanism)| {
            let key = format!("auth_mechanisms.{nth}");
            EffectiveValue::new(&key, "auth-mechanisms", Some(mechanism.name().to_owned()))
        });
        let mut values: Vec<_> = mechanisms.collect();
        let from = self.cert_login_from.and_then(|from| from.to_possible_value());
        let kind = self.cert_login_san_type.and_then(|kind| kind.to_possible_value());
        let index = self.cert_login_san_index.map(|index| index.to_string());
        let (user, password) = match self.anonymous() {
            AnonymousLogin::As { user, .. } => (user, Some("'***'".to_owned())),
            AnonymousLogin::Refused => ("none".to_owned(), None),
        };
        values.extend([
            EffectiveValue::new("anonymous_login_user", "anonymous-user", Some(user)),
            EffectiveValue::new("anonymous_login_pass", "anonymous-pass", password),
            EffectiveValue::new(
                "ssl_cert_login_from",
                "cert-login-from",
                from.map(|from| from.get_name().to_owned()),
            ),
            EffectiveValue::new(
                "ssl_cert_login_san_type",
                "cert-login-san-type",
                kind.map(|kind| kind.get_name().to_owned()),
            ),
            EffectiveValue::new("ssl_cert_login_san_index", "cert-login-san-index", index),
        ]);
        values
    }
}
