//! The parts of the manual page of `mq serve` that its options do not tell: the keys of `rabbitmq.conf`, and a unit for
//! systemd.

use super::config::{KeyHelp, key_help};

/// A unit for systemd. A release before 253 has no `notify-reload`: it needs `notify` and `ExecReload`.
const UNIT: &str = "\
[Unit]
Description=mq message broker
After=network.target

[Service]
Type=notify-reload
ExecStart=/usr/bin/mq serve --config /etc/mq/rabbitmq.conf --data-dir /var/lib/mq
User=mq
StateDirectory=mq
LimitNOFILE=65536
WatchdogSec=30
Restart=on-failure

[Install]
WantedBy=multi-user.target
";

/// The sections, in roff.
pub(in crate::commands) fn sections() -> String {
    let paragraphs: String = key_help().map(|key| paragraph(&key)).collect();
    format!(
        ".SH \"CONFIGURATION KEYS\"\n\
         A file for \\-\\-config has one key = value a line, as rabbitmq.conf. $(NAME) in a value is the variable of that \
         name. Each key is an option and has a variable. \\-\\-print\\-config shows the value of each. Keys of RabbitMQ \
         that are not listed here are known: they end the start if they are not implemented, and cause a warning if they \
         have no effect.\n{paragraphs}\
         .SH SYSTEMD\n\
         mq serve tells systemd when clients can connect, when it reloads (SIGHUP) and stops, and that it is alive if \
         WatchdogSec is set.\n.nf\n{}.fi",
        escaped(UNIT)
    )
}

fn paragraph(KeyHelp { key, option, variable }: &KeyHelp) -> String {
    let variable = variable.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
    format!(".TP\n\\fB{}\\fR\n\\-\\-{}{}\n", escaped(key), escaped(option), escaped(&variable))
}

/// A text with hyphens and backslashes as roff has them.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
