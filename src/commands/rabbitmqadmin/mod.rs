//! `rabbitmqadmin`: the program that asks the management API, with the words of its versions 1 and 2.
//!
//! `rabbitmqadmin declare queue name=q durable=true` and its like print what the program prints and end as it does: 0, or
//! 1 with a text on stderr. `rabbitmqadmin queues declare --name q` is in the words of [`version_2`].
//!
//! Reading order: [`settings`] (options and the configuration file), [`objects`] (what may be declared and listed),
//! [`verbs`] (the commands), [`listed`] (the forms of a list).

mod boxes;
mod dead;
mod groups;
mod listed;
mod objects;
mod reports;
mod settings;
mod usage;
mod verbs;
mod version_2;

use std::io;

use self::dead::Dead;
use self::settings::AdminSettings;
use crate::commands::Context;
use crate::engine::{Engine, Error};
use crate::render::{Output, OutputSettings};

/// Runs the program with the words behind its name; returns the exit code.
pub async fn run(typed: Vec<String>) -> u8 {
    let settings = OutputSettings { format: None, is_quiet: true, is_headless: false };
    let mut out = Output::of_process(settings);
    let ended = match AdminSettings::read(typed, |name| std::env::var(name).ok(), groups::argument)
    {
        Ok(settings) => match usage::asked(&settings) {
            Some(text) => out.line(&text).map_err(Dead::from),
            None if version_2::is_meant(&settings) => {
                let ended = version_2::run(&settings, &mut out).await;
                let _ = out.flush();
                return match ended {
                    Ok(()) => 0,
                    Err(failure) => {
                        let _ = out.complain(&failure.text);
                        failure.code
                    }
                };
            }
            None => answered(&settings, &mut out).await,
        },
        Err(dead) => Err(dead),
    };
    let flushed = out.flush();
    match (ended, flushed) {
        (Ok(()), Ok(())) => 0,
        (Ok(()), Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        (Ok(()), Err(_)) => 1,
        (Err(dead), _) => {
            let _ = out.complain(&dead.text());
            1
        }
    }
}

async fn answered(settings: &AdminSettings, out: &mut Output) -> Result<(), Dead> {
    let [action, rest @ ..] = settings.words.as_slice() else {
        return Err(Dead::Misused("Action not specified".into()));
    };
    let verb = verbs::find(action)
        .ok_or_else(|| Dead::Misused(format!("Action {action} not understood")))?;
    let died = |error: Error| Dead::of(error.into(), "");
    let engine = Engine::open(settings.target().map_err(died)?).await.map_err(died)?;
    // The context keeps an output of its own, because this one is lent.
    let quiet = OutputSettings { format: None, is_quiet: true, is_headless: false };
    let cx = Context { engine, out: Output::of_process(quiet), timeout: None };
    let ended = verbs::carry_out(verb, rest, settings, &cx, out).await;
    let _ = cx.engine.close().await;
    ended
}
