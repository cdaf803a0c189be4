//! `mq tutorial`: the classic lessons, live.

use super::examples::examples;
use super::{Answer, CommandError, Interrupt};
use crate::engine::Target;
use crate::render::{Format, Output};
use crate::tutorial::{self, Error, Lesson, Stage, Telling};

/// Run RabbitMQ's tutorials as lessons on a live broker
///
/// Without --url or --local, mq starts a broker for the lessons. Each lesson checks its result; the exit code is 1 if a
/// check fails.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&["mq tutorial hello", "mq tutorial rpc --step"]))]
pub struct Args {
    /// The lesson, by number or name: 1 hello, 2 work, 3 durability, 4 fanout, 5 direct, 6 topic, 7 rpc, 8 confirms, or
    /// all
    #[arg(value_name = "LESSON", default_value = "all")]
    lesson: String,
    /// Wait for Enter after each step
    #[arg(long)]
    step: bool,
    /// Print only the result of each check, to test a broker
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
    let lessons = match &target {
        Some(_) => without_stops(lessons, out)?,
        None => lessons,
    };
    let is_json = matches!(out.format(), Some(Format::Json | Format::Jsonl));
    let telling = Telling { is_stepwise: args.step, is_check: args.check || is_json };
    let mut interrupt = Interrupt::listen()?;
    let unique = std::process::id().to_string();
    let mut stage = match target {
        Some(target) => Stage::on(target, &unique).await?,
        None => Stage::alone(&unique).await.map_err(explained)?,
    };
    let passed = tokio::select! {
        passed = tutorial::run(&lessons, telling, &mut stage, out) => passed.map_err(explained),
        () = interrupt.wait() => Err(CommandError::Interrupted),
    };
    stage.close().await;
    Ok(if passed? { Answer::Yes } else { Answer::No })
}

/// Leaves out what cannot be shown on a broker that is not ours.
fn without_stops(
    lessons: Vec<&'static Lesson>,
    out: &mut Output,
) -> Result<Vec<&'static Lesson>, CommandError> {
    let (stopping, rest): (Vec<_>, Vec<_>) =
        lessons.into_iter().partition(|lesson| lesson.stops_the_broker());
    for lesson in stopping {
        let error = Error::NotOurs { number: lesson.number };
        if rest.is_empty() {
            return Err(explained(error));
        }
        out.note(&format!("note: {error}; it is left out"))?;
    }
    Ok(rest)
}

fn explained(error: Error) -> CommandError {
    match error {
        Error::Engine(error) => error.into(),
        Error::Output(error) => error.into(),
        error @ Error::NotOurs { .. } => CommandError::Usage {
            problem: error.to_string(),
            hint: Some("run it without --url and --local: `mq tutorial durability`".to_owned()),
        },
        Error::Directory { path, source } => {
            CommandError::File { doing: format!("make the directory '{}'", path.display()), source }
        }
        error @ Error::Unknown { .. } => CommandError::Usage {
            problem: error.to_string(),
            hint: Some(format!(
                "choose one of: {}",
                tutorial::contents().collect::<Vec<_>>().join("; ")
            )),
        },
    }
}
