//! `mq tutorial`: the classic lessons, live.

use super::{Answer, CommandError, Interrupt};
use crate::engine::{Host, HostOptions, Target, TargetOptions};
use crate::render::{Format, Output};
use crate::tutorial::{self, Error, Stage, Telling};

/// Learn by the classic lessons, run live on a real broker
///
/// Without --url or --local they run on a broker of their own. Every lesson checks what came out; exit code 1 when
/// a check fails.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The lesson, by number or name, or all: 1 hello, 2 work, 4 fanout, 5 direct, 6 topic, 7 rpc, 8 confirms
    #[arg(value_name = "LESSON", default_value = "all")]
    lesson: String,
    /// Wait for Enter after each step
    #[arg(long)]
    step: bool,
    /// Print verdicts only: a test for any broker
    #[arg(long, conflicts_with = "step")]
    check: bool,
}

/// Runs the lessons on `target`, or on a broker that lives as long as they do.
pub async fn run(
    args: Args,
    target: Option<Target>,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    let lessons = tutorial::chosen(&args.lesson).map_err(explained)?;
    if lessons.len() > 1 {
        out.note("note: lesson 3 (durability) comes with the store and is left out")?;
    }
    let is_json = matches!(out.format(), Some(Format::Json | Format::Jsonl));
    let telling = Telling { is_stepwise: args.step, is_check: args.check || is_json };
    let mut interrupt = Interrupt::listen()?;
    let (host, target) = match target {
        Some(target) => (None, target),
        None => own_broker().await.map(|(host, target)| (Some(host), target))?,
    };
    let mut stage = Stage::new(target, &std::process::id().to_string()).await?;
    let passed = tokio::select! {
        passed = tutorial::run(&lessons, telling, &mut stage, out) => passed.map_err(explained),
        () = interrupt.wait() => Err(CommandError::Interrupted),
    };
    stage.close().await;
    if let Some(host) = host {
        host.stop().await;
    }
    Ok(if passed? { Answer::Yes } else { Answer::No })
}

/// A broker on a free port of this machine.
async fn own_broker() -> Result<(Host, Target), CommandError> {
    let any_port = "127.0.0.1:0".parse().expect("an address of ours");
    let host =
        Host::start(HostOptions { listen: vec![any_port], ..HostOptions::default() }).await?;
    let options = TargetOptions { url: host.urls().into_iter().next(), ..TargetOptions::default() };
    let target = Target::resolve(options, |_| None)?;
    Ok((host, target))
}

fn explained(error: Error) -> CommandError {
    match error {
        Error::Engine(error) => error.into(),
        Error::Output(error) => error.into(),
        error @ (Error::Unknown { .. } | Error::NotYet { .. }) => CommandError::Usage {
            problem: error.to_string(),
            hint: Some(format!(
                "choose one of: {}",
                tutorial::contents().collect::<Vec<_>>().join("; ")
            )),
        },
    }
}
