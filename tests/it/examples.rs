//! The examples in the help of each command: every command has 2 to 4, and each of them runs.
//!
//! They run in the order of the help, in one folder, against one broker.

use std::process::{Child, Command, Stdio};

use super::support::cli::program;
use super::support::serve::MqServe;

/// Commands whose examples do not end by themselves, load the machine or need another host.
const NOT_RUN: &[&str] = &["serve", "bench"];

/// The example that goes on while those of `rpc-call` run.
const SERVER: &str = "rpc-serve";

/// Commands that close the connections of all clients.
const CLOSING: &[&str] = &["drain", "stop-app"];

/// The shell commands under the heading `Examples:` of a command's help.
pub(crate) fn examples(command: &str) -> Vec<String> {
    let run = program().args([command, "--help"]).output().unwrap();
    let help = String::from_utf8(run.stdout).unwrap();
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines.take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_command_has_examples_and_they_run() {
    let broker = MqServe::start();
    let folder = tempfile::tempdir().unwrap();
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_mq")).parent().unwrap();
    let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(folder.path()).stdin(Stdio::null());
        shell.env("PATH", &path).env("MQ_URL", broker.url());
        shell.env("MQ_HTTP_URL", broker.management_url());
        shell.env("XDG_CONFIG_HOME", folder.path());
        shell
    };
    let run = |line: &str| {
        let run = shell(line).output().unwrap();
        assert!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
    };
    // The directory of `mq store` and the queue of `mq rpc-call`.
    run("mq declare-queue q --local=./data && mq declare-queue fib");
    let mut servers: Vec<_> = examples(SERVER)
        .iter()
        .map(|line| {
            let mut server = shell(&format!("exec {line}"));
            server.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for command in mq::cli::Cli::definition().get_subcommands() {
        let name = command.get_name();
        if mq::commands::admin::refused().any(|refused| refused == name) {
            continue;
        }
        let examples = examples(name);
        // The administration commands are many, and their shapes few.
        let least = if mq::commands::admin::is_grouped(name) { 1 } else { 2 };
        assert!((least..=5).contains(&examples.len()), "{name} has {} examples", examples.len());
        assert!(examples.iter().all(|line| line.contains("mq ")), "{name}: {examples:?}");
        if CLOSING.contains(&name) {
            end(&mut servers);
        }
        if name != SERVER && !NOT_RUN.contains(&name) {
            for line in &examples {
                run(line);
            }
        }
    }
    assert!(servers.is_empty(), "a command closes all connections");
}

/// Ends the servers of examples, all of which run to this moment.
fn end(servers: &mut Vec<Child>) {
    for mut server in servers.drain(..) {
        assert!(server.try_wait().unwrap().is_none(), "the server of an example has ended");
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
