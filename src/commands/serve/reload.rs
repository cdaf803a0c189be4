//! SIGHUP: the configuration, the certificates and the level of the log are read again.
//!
//! Keys that can change while the broker runs take effect at once; of others the log says that they need a restart.
//! After an error everything stays as it was.

use std::collections::BTreeMap;
use std::error::Error as _;

use clap::FromArgMatches;

use super::args::Args;
use super::log::ServerLog;
use crate::commands::options::effective::EffectiveValue;
use crate::engine::{self, Host, TlsFiles};

/// The options that take effect while the broker runs.
const LIVE: &[&str] = &[
    "memory-high-watermark",
    "total-memory",
    "disk-free-limit",
    "max-message-size",
    "heartbeat",
    "consumer-timeout",
    "max-connections",
    "channel-max",
    "max-channels",
    "consumer-max-per-channel",
    "vhost-max",
    "cluster-queue-limit",
    "cluster-exchange-limit",
    "frame-max",
    "initial-frame-max",
    "handshake-timeout",
    "tls-handshake-timeout",
    "loopback-users",
    "log-level",
    "log-level-file",
    "log-file-level",
    "log-category",
];

/// The configuration that is in force.
#[derive(Debug)]
pub(super) struct Reload {
    args: Args,
    tls: TlsFiles,
}

/// The configuration as it is read again.
struct Reread {
    args: Args,
    tls: TlsFiles,
    values: Vec<EffectiveValue>,
}

impl Reload {
    pub(super) fn new(args: Args, tls: TlsFiles) -> Self {
        Self { args, tls }
    }

    /// Reads everything again, and puts in force what can be.
    pub(super) fn run(&mut self, host: &Host, log: &ServerLog) {
        tracing::info!("SIGHUP: reloading the configuration, certificates and the log level");
        match self.read() {
            Ok(reread) => self.apply(reread, host, log),
            Err(error) => tracing::error!(error, "the configuration stays as it was"),
        }
        if let Err(error) = host.reload() {
            let cause = error.source().map(ToString::to_string);
            let hint = engine::Error::hint(&error);
            tracing::error!(%error, cause, hint, "the certificates stay as they were");
        }
    }

    fn read(&self) -> Result<Reread, String> {
        let (matches, applied) = self.args.applied.again()?;
        let serve = matches.subcommand_matches("serve").ok_or("the command is another one")?;
        let mut args = Args::from_arg_matches(serve).map_err(|error| error.to_string())?;
        args.set_applied(applied);
        let file = |name: &str| serve.try_get_one(name).ok().flatten().cloned();
        let tls = TlsFiles { ca: file("tls_ca"), cert: file("tls_cert"), key: file("tls_key") };
        let values = args.effective(&tls).map_err(|error| error.to_string())?;
        Ok(Reread { args, tls, values })
    }

    fn apply(&mut self, reread: Reread, host: &Host, log: &ServerLog) {
        let Reread { args, tls, values } = reread;
        let (Ok(mut options), Ok(before)) =
            (args.host_options(tls.clone()), self.args.effective(&self.tls))
        else {
            return;
        };
        for warning in &args.applied.warnings {
            tracing::warn!("{warning}");
        }
        let is_live = |option: &str| LIVE.contains(&option);
        for (key, option, value) in changed(&before, &values) {
            let value = value.unwrap_or("not set");
            if is_live(option) {
                tracing::info!(key, value, "configuration changed");
            } else {
                tracing::warn!(key, value, "a restart is needed for this key");
            }
        }
        log.change(&args.log);
        // Of what needs a restart, the earlier value is in force.
        let mut entries = self.args.entries(before.into_iter().filter(|one| !is_live(one.option)));
        entries.extend(args.entries(values.into_iter().filter(|one| is_live(one.option))));
        options.configuration = entries;
        host.change(&options);
        // The next reload compares with what is in force, and tells again of what waits for a restart.
        self.args.take_live(args);
    }
}

/// The keys that are new, gone or have another value, with the options that they set and the new values.
fn changed<'a>(
    before: &'a [EffectiveValue],
    after: &'a [EffectiveValue],
) -> Vec<(&'a str, &'static str, Option<&'a str>)> {
    let of = |values: &'a [EffectiveValue]| -> BTreeMap<&'a str, (&'static str, Option<&'a str>)> {
        values.iter().map(|one| (one.key.as_str(), (one.option, one.value.as_deref()))).collect()
    };
    let (before, after) = (of(before), of(after));
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
    let pair = |key: &&'a str| (before.get(key).copied(), after.get(key).copied());
    keys.filter_map(|key| match pair(key) {
        (Some((_, old)), Some((option, new))) if old != new => Some((*key, option, new)),
        (None, Some((option, new))) if new.is_some() => Some((*key, option, new)),
        (Some((option, old)), None) if old.is_some() => Some((*key, option, None)),
        _ => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;

    #[test]
    fn what_can_change_is_an_option() {
        let command = Args::augment_args(Command::new("serve"));
        for option in LIVE {
            let is_there = |argument: &clap::Arg| argument.get_long() == Some(option);
            assert!(command.get_arguments().any(is_there), "{option}");
        }
    }

    #[test]
    fn keys_that_differ_are_found() {
        let value = |key: &str, value: Option<&str>| {
            EffectiveValue::new(key, "heartbeat", value.map(str::to_owned))
        };
        let before =
            [value("a", Some("1")), value("b", Some("1")), value("c", None), value("d", Some("1"))];
        let after =
            [value("a", Some("1")), value("b", Some("2")), value("c", None), value("e", Some("3"))];
        let found = changed(&before, &after);
        let expected = [
            ("b", "heartbeat", Some("2")),
            ("d", "heartbeat", None),
            ("e", "heartbeat", Some("3")),
        ];
        assert_eq!(found, expected);
    }
}
