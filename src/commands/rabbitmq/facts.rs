//! Facts about the process of a node: its log, its command line and environment, TLS, the sizes of messages.

use super::asked::Asked;
use super::failure::{Failure, WrongWords};
use super::reached::Reached;
use super::shown::Shown;
use super::work::{Banner, CommandWork, WorkKind, as_usual};

pub(super) const WORKS: &[CommandWork] = &[
    own("log_location", Banner::Words("Log file location(s) on node {node} ...")),
    own(
        "log_tail",
        Banner::Made(|asked, node| {
            let lines = asked.optional("number").unwrap_or("50");
            format!("Last {lines} log lines on node {node} ...")
        }),
    ),
    own(
        "log_tail_stream",
        Banner::Made(|asked, node| match asked.optional("duration") {
            Some(seconds) => format!("Streaming logs from node {node} for {seconds} seconds ..."),
            None => format!("Streaming logs from node {node} ..."),
        }),
    ),
    own("tls_versions", Banner::Words("Listing all TLS versions supported by the runtime...")),
    own("certificates", Banner::Words("Certificates of node {node} ...")),
    own(
        "os_env",
        Banner::Words("Listing RabbitMQ-specific environment variables defined on node {node}..."),
    ),
    own("command_line_arguments", Banner::Words("Command line arguments of node {node} ...")),
    own(
        "message_size_stats",
        Banner::Words("Gathering message size statistics across the cluster using node {node} ..."),
    ),
    CommandWork {
        name: "cipher_suites",
        banner: Banner::Words("Listing available cipher suites in OpenSSL format"),
        check: Some(|asked| match asked.optional("format") {
            None | Some("openssl") => Ok(()),
            Some(other) => {
                let text = format!("the format {other} belongs to Erlang: openssl is there");
                Err(WrongWords::Unsupported(text))
            }
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(ciphers(asked, reached))),
        ..CommandWork::PLAIN
    },
    same(
        "activate_free_disk_space_monitoring",
        "activate-free-disk-space-monitoring",
        "[Re-]activating free disk space monitoring on node {node}...",
    ),
    same(
        "deactivate_free_disk_space_monitoring",
        "deactivate-free-disk-space-monitoring",
        "Deactivating free disk space monitoring on node {node}...",
    ),
    same(
        "enable_auth_attempt_source_tracking",
        "enable-auth-attempt-source-tracking",
        "Enabling authentication attempt source tracking ...",
    ),
    same(
        "disable_auth_attempt_source_tracking",
        "disable-auth-attempt-source-tracking",
        "Disabling authentication attempt source tracking ...",
    ),
];

/// A command that prints what it prints under the name of this program, behind a banner.
const fn own(name: &'static str, banner: Banner) -> CommandWork {
    CommandWork { name, words: (0, 0), banner, check: None, work: WorkKind::Own }
}

/// A command that shows nothing but a banner.
const fn same(name: &'static str, command: &'static str, banner: &'static str) -> CommandWork {
    let work = WorkKind::Same { command, refused: as_usual };
    CommandWork { name, words: (0, 0), banner: Banner::Words(banner), check: None, work }
}

async fn ciphers(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let done = reached.perform("cipher-suites", Vec::new()).await;
    done.map(|()| Shown::Nothing).map_err(|error| Failure::of(error, asked, &reached.node))
}
