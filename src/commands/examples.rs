//! The examples of each command, for its help and its manual page; `tests/it/examples.rs` runs them.

/// Commands with their examples, a line for a shell each.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "serve",
        &[
            "mq serve",
            "mq serve --memory --listen 127.0.0.1:0 --print-url",
            "mq serve --data-dir /srv/mq --listen 0.0.0.0:5672 --http 127.0.0.1:15672",
        ],
    ),
    (
        "publish",
        &[
            "mq publish --queue orders 'Hello World!'",
            "seq 100 | mq publish --queue orders --lines",
            "mq publish --exchange logs --type fanout --header level=error 'disk full'",
        ],
    ),
    (
        "consume",
        &[
            "mq consume --queue orders --count 10",
            "mq consume --queue orders --count 10 --exec 'wc -c' --jobs 4",
            "mq consume --exchange logs --type fanout --idle-timeout 1s --template '{body}'",
        ],
    ),
    ("get", &["mq get --queue orders", "mq get --queue orders --peek -o json"]),
    (
        "rpc-call",
        &["mq rpc-call --queue fib 7", "seq 20 | mq rpc-call --queue fib --lines --jobs 10"],
    ),
    (
        "rpc-serve",
        &[
            "mq rpc-serve --queue fib --builtin fib",
            "mq rpc-serve --queue upper --exec 'tr a-z A-Z' --jobs 4",
        ],
    ),
    (
        "declare-exchange",
        &[
            "mq declare-exchange prices --type topic",
            "mq declare-exchange later --delayed-type direct",
        ],
    ),
    (
        "declare-queue",
        &[
            "mq declare-queue jobs --queue-type quorum --delivery-limit 5",
            "mq declare-queue events --queue-type stream --max-age 7D",
            "mq declare-queue recent --max-length 1000 --overflow drop-head",
        ],
    ),
    (
        "bind",
        &[
            "mq bind --exchange prices --queue jobs --key 'eu.*' --key 'us.*'",
            "mq bind --exchange amq.headers --queue jobs --header kind=order --match all",
        ],
    ),
    (
        "unbind",
        &[
            "mq unbind --exchange prices --queue jobs --key 'us.*'",
            "mq unbind --exchange amq.headers --queue jobs --header kind=order --match all",
        ],
    ),
    ("route", &["mq route --exchange prices --key eu.price", "mq route --key orders -o json"]),
    (
        "delete-exchange",
        &["mq delete-exchange later --if-unused --yes", "mq delete-exchange prices --yes"],
    ),
    ("delete-queue", &["mq delete-queue recent --if-empty --yes", "mq delete-queue events --yes"]),
    ("purge-queue", &["mq purge-queue orders --yes", "mq purge-queue jobs --yes -o json"]),
    (
        "list-queues",
        &[
            "mq list-queues",
            "mq list-queues name messages --sort -messages",
            "mq list-queues --filter 'messages>0' -o json",
        ],
    ),
    ("list-exchanges", &["mq list-exchanges", "mq list-exchanges name type --filter type==topic"]),
    ("list-bindings", &["mq list-bindings", "mq list-bindings -o json"]),
    ("list-consumers", &["mq list-consumers", "mq list-consumers -o json"]),
    ("list-connections", &["mq list-connections", "mq list-connections -o json"]),
    ("list-channels", &["mq list-channels", "mq list-channels -o json"]),
    ("list-vhosts", &["mq list-vhosts", "mq list-vhosts -o json"]),
    ("status", &["mq status", "mq status -o json"]),
    ("store", &["mq store check ./data", "mq store repair ./data"]),
    ("ping", &["mq ping", "mq ping -o json"]),
    ("wait", &["mq wait", "mq wait --timeout 5s && mq publish --queue orders 'Hello World!'"]),
    ("tutorial", &["mq tutorial hello", "mq tutorial rpc --step"]),
    ("completions", &["mq completions bash > mq.bash", "mq completions zsh > _mq"]),
    ("man", &["mq man > mq.1", "mq man publish > mq-publish.1"]),
    ("help", &["mq help publish", "mq help store check"]),
];

/// The section of the help of a command that begins with this line.
pub const HEADING: &str = "Examples:";

/// Adds its examples to the help of a command, if it has any.
pub fn added_to(command: clap::Command) -> clap::Command {
    let of_command = |(name, _): &&(&str, &[&str])| *name == command.get_name();
    let Some((_, lines)) = EXAMPLES.iter().find(of_command) else { return command };
    let section = lines.iter().fold(HEADING.to_owned(), |text, line| text + "\n  " + line);
    command.after_help(section)
}
