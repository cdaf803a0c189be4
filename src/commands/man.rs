//! `mq man`: the manual, of the program or of one command.

use super::examples::{HEADING, examples};
use super::{Answer, CommandError, serve};
use crate::exit::Code;
use crate::render::Output;

/// Print the manual page of mq or of a command
///
/// `man -l -` shows a page from a pipe.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&["mq man > mq.1", "mq man publish > mq-publish.1"]))]
pub struct Args {
    /// The command [default: mq itself]
    command: Option<String>,
}

pub fn run(
    args: &Args,
    mut definition: clap::Command,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    // Without this, a command's page would lack the global options.
    definition.build();
    let page = match &args.command {
        None => definition,
        Some(name) => of_command(name, &definition)?,
    };
    let mut text = Vec::new();
    let man =
        clap_mangen::Man::new(page).date("").source(concat!("mq ", env!("CARGO_PKG_VERSION")));
    man.render(&mut text)?;
    out.bytes(with_examples(&String::from_utf8_lossy(&text)).as_bytes())?;
    match args.command.as_deref() {
        None => out.line(&exit_codes())?,
        Some("serve") => out.line(&serve::manual::sections())?,
        Some(_) => {}
    }
    Ok(Answer::Yes)
}

/// Gives examples a section of their own and keeps their lines: clap puts them at the start of one named EXTRA.
fn with_examples(page: &str) -> String {
    let heading = format!(".SH EXTRA\n{HEADING}\n");
    let Some((before, after)) = page.split_once(&heading) else { return page.to_owned() };
    let is_example = |line: &&str| line.starts_with("  ");
    let lines: String =
        after.lines().take_while(is_example).map(|line| line.to_owned() + "\n").collect();
    let rest = &after[lines.len()..];
    format!("{before}.SH EXAMPLES\n.nf\n{lines}.fi\n{rest}")
}

fn of_command(name: &str, definition: &clap::Command) -> Result<clap::Command, CommandError> {
    let command = find(name, definition)?;
    let page = format!("mq-{}", command.get_name());
    Ok(command.clone().name(page.clone()).display_name(page))
}

/// The command of that name, which may be its name in rabbitmqctl.
pub(super) fn find<'a>(
    name: &str,
    definition: &'a clap::Command,
) -> Result<&'a clap::Command, CommandError> {
    definition.find_subcommand(name.replace('_', "-")).ok_or_else(|| {
        let similarity = |known: &&str| (strsim::jaro_winkler(name, known) * 1000.0).round();
        let names = definition.get_subcommands().map(clap::Command::get_name);
        let nearest = names.max_by(|left, right| similarity(left).total_cmp(&similarity(right)));
        CommandError::Usage {
            problem: format!("there is no command '{name}'"),
            hint: nearest.map(|nearest| format!("did you mean '{nearest}'?")),
        }
    })
}

/// The table of exit codes, as a section of the page.
fn exit_codes() -> String {
    let paragraph = |code: Code| {
        let meaning = code.meaning().replace('-', "\\-");
        format!("\n.TP\n\\fB{}\\fR\n{meaning}", code.number())
    };
    let paragraphs: Vec<String> = Code::ALL.into_iter().map(paragraph).collect();
    format!(".SH \"EXIT STATUS\"{}", paragraphs.concat())
}
