//! Facts about the process of a node that administrators ask for: its log, its command line, its environment, TLS, and the
//! sizes of messages. RabbitMQ's API has no such paths; its programs ask the node.

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::sizes::Sizes;
use crate::server;

/// RabbitMQ's words for the classes of sizes (`rabbit_msg_size_metrics`).
const SIZES: [&str; 9] = [
    "below 100B",
    "between 100B and 1KB",
    "between 1KB and 10KB",
    "between 10KB and 100KB",
    "between 100KB and 1MB",
    "between 1MB and 10MB",
    "between 10MB and 50MB",
    "between 50MB and 100MB",
    "above 100MB",
];

/// Variables whose names begin so are about the broker.
const OF_THE_BROKER: [&str; 3] = ["MQ_", "RABBITMQ_", "RUST_LOG"];
/// The parts of names whose values nobody is to see.
const SECRET: [&str; 6] = ["PASS", "SECRET", "TOKEN", "COOKIE", "KEY", "CREDENTIAL"];
/// Options whose values nobody is to see.
const SECRET_OPTIONS: [&str; 2] = ["--default-pass", "--anonymous-pass"];
const MASK: &str = "***";

/// `GET /nodes/:node/log/:after`: the places of the log, and its lines behind that of a number.
pub(super) fn log(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.check_node(names)?;
    let after = names.get("after")?.parse();
    let after = after.map_err(|_| Refusal::bad_request("the number of a line is a number"))?;
    let log = &view.server.process.log;
    let none = Refusal::Unavailable { reason: "the lines of its log are not remembered" };
    let lines = log.last(usize::MAX, after).ok_or(none)?;
    let lines = lines.into_iter().map(|(number, text)| json!({"number": number, "text": text}));
    Ok(json!({"places": log.places(), "lines": lines.collect::<Vec<_>>()}))
}

/// `GET /nodes/:node/command-line`: the arguments of the process, without passwords.
pub(super) fn command_line(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.check_node(names)?;
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    Ok(json!({"arguments": masked_arguments(arguments)}))
}

/// The arguments without the values of options that are secret.
fn masked_arguments(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut is_secret = false;
    let mask = |argument: String| {
        if std::mem::take(&mut is_secret) {
            return MASK.to_owned();
        }
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument.as_str(), None),
        };
        let is_password = value.is_some_and(|_| name.ends_with(".password"));
        match value {
            None if SECRET_OPTIONS.contains(&name) => is_secret = true,
            Some(_) if SECRET_OPTIONS.contains(&name) || is_password => {
                return format!("{name}={MASK}");
            }
            Some(value) if value.contains(".password=") => {
                let shown = value.split_once('=').map_or(value, |(key, _)| key);
                return format!("{name}={shown}={MASK}");
            }
            Some(_) | None => {}
        }
        argument
    };
    arguments.map(mask).collect()
}

/// `GET /nodes/:node/environment-variables`: those about the broker, without secrets.
pub(super) fn variables(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.check_node(names)?;
    let mut all: Vec<_> = std::env::vars_os()
        .map(|(name, value)| [name, value].map(|text| text.to_string_lossy().into_owned()))
        .filter(|[name, _]| OF_THE_BROKER.iter().any(|start| name.starts_with(start)))
        .collect();
    all.sort();
    let rows: Vec<_> = all
        .iter()
        .map(|[name, value]| json!({"name": name, "value": masked_value(name, value)}))
        .collect();
    Ok(json!({"variables": rows}))
}

/// The value of a variable; that of a secret, and the password in a URL, are left out.
fn masked_value(name: &str, value: &str) -> String {
    if SECRET.iter().any(|part| name.to_ascii_uppercase().contains(part)) {
        return MASK.to_owned();
    }
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    match rest.rsplit_once('@') {
        Some((login, place)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:{MASK}@{place}")
        }
        None => value.to_owned(),
    }
}

/// `GET /nodes/:node/tls`: what the broker can speak, and the certificates of its listeners.
pub(super) fn tls(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.check_node(names)?;
    let with_tls =
        view.server.listeners.iter().filter_map(|of| Some((of, of.certificates.as_ref()?)));
    let certificates = with_tls.map(|(of, certificates)| {
        let listener = format!("{}:{} ({})", of.address, of.port, of.protocol);
        let found = match server::certificates_in(&certificates.certificate) {
            Ok(found) => found,
            Err(why) => return json!({"listener": listener, "error": why}),
        };
        let one = |one: &server::CertificateFacts| {
            json!({
                "subject": one.subject,
                "issuer": one.issuer,
                "validity": one.validity,
                "serial_number": one.serial_number,
            })
        };
        json!({"listener": listener, "certificates": found.iter().map(one).collect::<Vec<_>>()})
    });
    Ok(json!({
        "versions": server::tls_versions(),
        "cipher_suites": server::cipher_names(),
        "listeners": certificates.collect::<Vec<_>>(),
    }))
}

/// `GET /nodes/:node/message-sizes`: messages that clients have published, by the sizes of their bodies.
pub(super) fn message_sizes(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    view.check_node(names)?;
    let mut sizes: Sizes = *view.broker.ended().sizes.lock();
    for connection in view.broker.registry.list() {
        for channel in connection.channels() {
            channel.add_sizes(&mut sizes);
        }
    }
    let all: u64 = sizes.counts.iter().sum();
    let rows = SIZES.iter().zip(sizes.counts).map(|(class, count)| {
        #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
        let part = if all == 0 { 0.0 } else { count as f64 * 100.0 / all as f64 };
        json!({"size": class, "count": count, "percentage": format!("{part:.2}")})
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        #[rustfmt::skip]
        let arguments = [
            ("mq serve --default-pass secret --memory", "mq serve --default-pass *** --memory"),
            ("mq serve --default-pass=secret",          "mq serve --default-pass=***"),
            ("mq --new-vhosts default_users.a.password=s --x", "mq --new-vhosts default_users.a.password=*** --x"),
            ("mq --new-vhosts=default_users.a.password=s",     "mq --new-vhosts=default_users.a.password=***"),
            ("mq serve --listen 127.0.0.1:0",           "mq serve --listen 127.0.0.1:0"),
        ];
        for (given, expected) in arguments {
            assert_eq!(masked_arguments(words(given).into_iter()), words(expected));
        }
        #[rustfmt::skip]
        let variables = [
            ("RABBITMQ_DEFAULT_PASS",  "secret",              "***"),
            ("RABBITMQ_ERLANG_COOKIE", "secret",              "***"),
            ("MQ_URL",                 "amqp://u:secret@h/v", "amqp://u:***@h/v"),
            ("MQ_URL",                 "amqp://u:p@ss@h/v",   "amqp://u:***@h/v"),
            ("MQ_URL",                 "amqp://h/v",          "amqp://h/v"),
            ("MQ_LISTENERS_TCP",       "5672",                "5672"),
        ];
        for (name, value, expected) in variables {
            assert_eq!(masked_value(name, value), expected, "{name}={value}");
        }
    }
}
