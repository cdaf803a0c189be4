//! `mq install-links`: the names of RabbitMQ's programs as links to this one.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde::Serialize;

use super::examples::examples;
use super::rabbitmq::LINK_NAMES;
use super::{Answer, CommandError};
use crate::render::Output;

/// Create links under which mq behaves as RabbitMQ's programs
///
/// Under the names rabbitmqctl, rabbitmq-diagnostics, rabbitmq-plugins, rabbitmq-queues, rabbitmq-streams,
/// rabbitmq-upgrade, rabbitmqadmin and rabbitmq-server this program takes their arguments, prints what they print and
/// ends with their exit codes. They ask the management API at http://127.0.0.1:15672 unless --http-url or MQ_HTTP_URL names another.
/// A link that is there already is replaced, a file is not.
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq install-links bin && bin/rabbitmqctl version",
    "mq install-links --program /usr/bin/mq bin",
]))]
pub struct Args {
    /// The directory for the links, which is created
    directory: PathBuf,
    /// Let the links lead to this program [default: this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Installed {
    directory: PathBuf,
    links: Vec<&'static str>,
}

pub fn run(args: &Args, out: &mut Output) -> Result<Answer, CommandError> {
    let directory = &args.directory;
    let failed = |doing: String| move |source: io::Error| CommandError::File { doing, source };
    let program = match &args.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(failed("find this program".into()))?,
    };
    fs::create_dir_all(directory).map_err(failed(format!("create '{}'", directory.display())))?;
    let links: Vec<&'static str> = LINK_NAMES.iter().map(|(name, _)| *name).collect();
    for name in &links {
        let link = directory.join(name);
        let doing = format!("create the link '{}'", link.display());
        if link.is_symlink() {
            fs::remove_file(&link).map_err(failed(doing.clone()))?;
        }
        symlink(&program, &link).map_err(failed(doing))?;
    }
    let words = format!("{} are in '{}'", links.join(", "), directory.display());
    out.done(&words, &Installed { directory: directory.clone(), links })?;
    Ok(Answer::Yes)
}
