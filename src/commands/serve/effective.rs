//! The configuration in effect: every key of `rabbitmq.conf` with its value.

use std::path::PathBuf;

use clap::ValueEnum;

use super::args::Args;
use crate::commands::options::effective::EffectiveValue;
use crate::commands::{Answer, CommandError};
use crate::engine::{Address, ConfigurationEntry, TlsFiles};
use crate::render::Output;

/// The keys of listeners, counted from 1.
fn listeners(name: &str, option: &'static str, addresses: &[Address]) -> Vec<EffectiveValue> {
    let prefix = format!("listeners.{name}");
    if addresses.is_empty() {
        return vec![EffectiveValue::new(prefix, option, Some("none".to_owned()))];
    }
    numbered(&prefix, option, addresses)
}

/// Keys of a list, counted from 1.
fn numbered<T: ToString>(prefix: &str, option: &'static str, values: &[T]) -> Vec<EffectiveValue> {
    let value = |(at, value): (usize, &T)| {
        EffectiveValue::new(format!("{prefix}.{at}"), option, Some(value.to_string()))
    };
    (1..).zip(values).map(value).collect()
}

/// The keys of an HTTP listener.
fn parts(name: &str, option: &'static str, address: Option<Address>) -> [EffectiveValue; 2] {
    let text = address.map(|address| address.to_string());
    let parts = text.as_deref().and_then(|text| text.rsplit_once(':'));
    let ip = parts.map(|(ip, _)| ip.trim_matches(['[', ']']).to_owned());
    let port = parts.map(|(_, port)| port.to_owned());
    [("ip", ip), ("port", port)]
        .map(|(part, value)| EffectiveValue::new(format!("{name}.{part}"), option, value))
}

impl Args {
    /// Prints the configuration in effect, in the syntax of its file.
    pub(super) fn print_effective(
        &self,
        tls: &TlsFiles,
        out: &mut Output,
    ) -> Result<Answer, CommandError> {
        for EffectiveValue { key, option, value } in self.effective(tls)? {
            let source = self.applied.source(option);
            match value {
                Some(value) => out.line(&format!("{key} = {value} # {source}"))?,
                None => out.line(&format!("# {key} is not set"))?,
            }
        }
        Ok(Answer::Yes)
    }

    /// The keys that have a value, as the management API shows them.
    pub(super) fn entries(
        &self,
        values: impl Iterator<Item = EffectiveValue>,
    ) -> Vec<ConfigurationEntry> {
        let entry = |EffectiveValue { key, option, value }| {
            let source = self.applied.source(option).to_string();
            value.map(|value| ConfigurationEntry { key, value, source })
        };
        values.filter_map(entry).collect()
    }

    /// The value of each key.
    pub(super) fn effective(&self, tls: &TlsFiles) -> Result<Vec<EffectiveValue>, CommandError> {
        let set = |key: &str, option, value| EffectiveValue::new(key, option, value);
        let options = self.host_options(tls.clone())?;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let flag = |is_set: bool| is_set.then(|| "true".to_owned());
        let compat = self.compat.and_then(|release| release.to_possible_value());
        let mut all = listeners("tcp", "listen", &options.listen);
        all.extend(listeners("ssl", "tls-listen", &options.tls_listen));
        all.extend(parts("management.tcp", "http", options.http));
        all.extend(parts("management.ssl", "https", options.https));
        all.extend(parts("prometheus.tcp", "metrics", options.metrics));
        all.extend([
            set("ssl_options.cacertfile", "tls-ca", path(&options.tls.ca)),
            set("ssl_options.certfile", "tls-cert", path(&options.tls.cert)),
            set("ssl_options.keyfile", "tls-key", path(&options.tls.key)),
        ]);
        if let Some(verify) = self.tls_verify {
            all.extend(verify.effective("ssl_options", "tls-verify"));
        }
        all.extend(numbered("ssl_options.versions", "tls-versions", &self.tls_versions));
        all.extend(numbered("ssl_options.ciphers", "tls-ciphers", &self.tls_ciphers));
        all.extend([
            set("load_definitions", "definitions", path(&options.definitions)),
            set(
                "definitions.skip_if_unchanged",
                "skip-unchanged-definitions",
                flag(self.skip_unchanged_definitions),
            ),
            set(
                "cluster_name",
                "cluster-name",
                self.cluster_name.as_ref().map(ToString::to_string),
            ),
            set("mq.data_dir", "data-dir", path(&options.directory)),
            set("mq.memory", "memory", flag(self.memory)),
            set("mq.threads", "threads", Some(self.threads().to_string())),
            set("mq.compat", "compat", compat.map(|release| release.get_name().to_owned())),
            set("default_queue_type", "default-queue-type", options.default_queue_type),
            set("proxy_protocol", "proxy-protocol", Some(self.proxy_protocol.to_string())),
            set("mq.print_url", "print-url", flag(self.print_url)),
            set("mq.as_rabbitmq_server", "as-rabbitmq-server", flag(self.as_rabbitmq_server)),
        ]);
        all.extend(self.permit_deprecated.iter().map(|one| {
            let key = format!("deprecated_features.permit.{}", one.feature.name());
            set(&key, "permit-deprecated", Some(one.is_permitted.to_string()))
        }));
        all.extend(self.new_vhosts.effective());
        all.extend(self.first.effective());
        all.extend(self.login.effective());
        all.extend(self.limits.effective(options.compat)?);
        all.extend(self.management.effective());
        all.extend(self.log.effective(self.as_rabbitmq_server));
        Ok(all)
    }
}
