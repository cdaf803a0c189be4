//! `contexts.toml` as it is written: the name in use, then a table for each context.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use super::named::{NamedContext, PasswordSource, check_url};
use crate::engine::target_options::TlsFiles;
use crate::wire::url::Password;

/// The whole file.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenContexts {
    #[serde(rename = "use")]
    pub(super) in_use: Option<String>,
    #[serde(default, rename = "context")]
    pub(super) contexts: BTreeMap<String, CheckedContext>,
}

/// A context whose parts belong together.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "WrittenContext", into = "WrittenContext")]
pub(super) struct CheckedContext(pub(super) NamedContext);

/// One context as it is written.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenContext {
    url: String,
    http_url: Option<String>,
    vhost: Option<String>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    password: Option<WrittenPassword>,
    password_command: Option<String>,
    password_env: Option<String>,
}

impl TryFrom<WrittenContext> for CheckedContext {
    type Error = String;

    fn try_from(written: WrittenContext) -> Result<Self, String> {
        check_url("url", &written.url)?;
        written.http_url.iter().try_for_each(|url| check_url("http-url", url))?;
        let password = match (written.password, written.password_command, written.password_env) {
            (None, None, None) => PasswordSource::None,
            (Some(WrittenPassword(password)), None, None) => PasswordSource::Stored(password),
            (None, Some(command), None) => PasswordSource::Command(command),
            (None, None, Some(variable)) => PasswordSource::Environment(variable),
            _ => {
                return Err(
                    "give only one of password, password-command and password-env".to_owned()
                );
            }
        };
        Ok(Self(NamedContext {
            url: written.url,
            http_url: written.http_url,
            vhost: written.vhost,
            tls: TlsFiles { ca: written.tls_ca, cert: written.tls_cert, key: written.tls_key },
            password,
        }))
    }
}

impl From<CheckedContext> for WrittenContext {
    fn from(CheckedContext(context): CheckedContext) -> Self {
        let TlsFiles { ca, cert, key } = context.tls;
        let mut written = Self {
            url: context.url,
            http_url: context.http_url,
            vhost: context.vhost,
            tls_ca: ca,
            tls_cert: cert,
            tls_key: key,
            password: None,
            password_command: None,
            password_env: None,
        };
        match context.password {
            PasswordSource::None => {}
            PasswordSource::Stored(password) => written.password = Some(WrittenPassword(password)),
            PasswordSource::Command(command) => written.password_command = Some(command),
            PasswordSource::Environment(variable) => written.password_env = Some(variable),
        }
        written
    }
}

/// A password in the file. Errors do not show what stands in its place.
struct WrittenPassword(Password);

impl Serialize for WrittenPassword {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.reveal())
    }
}

impl<'de> Deserialize<'de> for WrittenPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PasswordVisitor)
    }
}

/// Takes a text, and refuses all else without showing it.
struct PasswordVisitor;

impl PasswordVisitor {
    fn refuse<E: de::Error>() -> Result<WrittenPassword, E> {
        Err(E::custom("the password is not a text in quotes"))
    }
}

impl<'de> Visitor<'de> for PasswordVisitor {
    type Value = WrittenPassword;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(WrittenPassword(Password::new(text)))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Self::refuse()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Self::refuse()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Self::refuse()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Self::refuse()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        while values.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Self::refuse()
    }
}
