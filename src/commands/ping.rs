//! `mq ping`: the time that the broker takes to reply.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::examples::examples;
use super::{Answer, CommandError, Context};
use crate::engine::literal;

/// An exchange that every virtual host has: asking for it changes nothing.
const ALWAYS_THERE: &str = "amq.direct";

/// Measure how long the broker takes to reply
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&["mq ping", "mq ping -o json"]))]
pub struct Args {}

#[derive(Debug, Serialize)]
struct Pong {
    broker: String,
    connected_us: u64,
    round_trip_us: u64,
}

pub async fn run(_: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let begin = Instant::now();
    cx.engine.connect().await?;
    let connected = begin.elapsed();
    // The first question also opens a channel; the second is the round trip.
    cx.engine.check_exchange(&literal(ALWAYS_THERE)).await?;
    let begin = Instant::now();
    cx.engine.check_exchange(&literal(ALWAYS_THERE)).await?;
    let round_trip = begin.elapsed();
    let broker = cx.engine.target().to_string();
    if cx.out.format().is_some() {
        let pong =
            Pong { broker, connected_us: micros(connected), round_trip_us: micros(round_trip) };
        cx.out.done("", &pong)?;
    } else {
        let [connected, round_trip] = [connected, round_trip].map(milliseconds);
        cx.out.line(&format!("{broker} answered in {round_trip} (connected in {connected})"))?;
    }
    Ok(Answer::Yes)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
