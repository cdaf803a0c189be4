//! `mq expect`: checks of a broker's state, for tests.
//!
//! Reading order: this file (the options and the wait), `check` (one expectation), `report` (its outcome in each form).

mod check;
mod report;

use std::time::Duration;

use tokio::time::Instant;

use self::check::{CountRule, Expectation, MessageRule};
use self::report::{CheckedExpectation, ExpectationReport, ReportForm};
use super::examples::examples;
use super::options::name;
use super::options::properties::PropertyOptions;
use super::{Answer, CommandError, Context};
use crate::engine::ShortStr;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Check the state of a queue or an exchange, and fail if it is not as expected
///
/// Each expectation is a line of the report, and all of them are tried until they are true or the time of --within is
/// over. Exits with code 1 if one is not true. A message is looked for among those that are ready: they are taken and put
/// back in their places, and the broker marks them as redelivered. It must have the properties that are given, and may have
/// others. To wait for a state without a report, use `mq wait`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq publish --queue jobs hello && mq expect --queue jobs --messages '>=1' --body hello",
    "mq expect --exchange amq.topic --within 1s --report tap",
]))]
pub struct Args {
    /// Expect this queue
    #[arg(long, value_name = "QUEUE", value_parser = name::queue, required_unless_present = "exchange")]
    queue: Option<ShortStr>,
    /// Expect this exchange; with --queue, expect a binding from it to the queue
    #[arg(long, short = 'e', value_name = "EXCHANGE", value_parser = name::exchange)]
    exchange: Option<ShortStr>,
    /// Expect the binding to have this routing key
    #[arg(long, short = 'k', value_name = "KEY", requires_all = ["queue", "exchange"])]
    key: Option<ShortStr>,
    /// Expect so many ready messages: 3, '>=3', '<=3', '>3' or '<3'
    #[arg(long, value_name = "COUNT", requires = "queue")]
    messages: Option<CountRule>,
    /// Expect so many consumers, in the same form
    #[arg(long, value_name = "COUNT", requires = "queue")]
    consumers: Option<CountRule>,
    /// Expect a message with this body
    #[arg(long, value_name = "TEXT", requires = "queue")]
    body: Option<String>,
    /// Expect a message whose body contains this
    #[arg(long, value_name = "TEXT", requires = "queue", conflicts_with = "body")]
    body_contains: Option<String>,
    /// Look at this many ready messages at most
    #[arg(long, value_name = "MESSAGES", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    look_at: u32,
    /// Try again until this time has passed, for example 5s [default: one look]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    within: Option<Duration>,
    /// Write the report in this form [default: lines for people, JSON with -o json]
    #[arg(long, value_name = "FORM", value_enum)]
    report: Option<ReportForm>,
    #[command(flatten)]
    properties: PropertyOptions,
}

impl Args {
    /// The expectations, in the order of the report.
    fn checks(&self) -> Result<Vec<Expectation>, CommandError> {
        let mut checks = Vec::new();
        if let Some(exchange) = &self.exchange {
            checks.push(Expectation::Exchange(exchange.clone()));
        }
        let rule = MessageRule::new(
            self.body.clone(),
            self.body_contains.clone(),
            self.properties.clone(),
            self.look_at,
        )?;
        let Some(queue) = &self.queue else {
            return if rule.is_some() {
                Err(CommandError::usage("a message is expected in a queue: add --queue"))
            } else {
                Ok(checks)
            };
        };
        checks.push(Expectation::Queue(queue.clone()));
        if let Some(exchange) = &self.exchange {
            let (exchange, queue) = (exchange.clone(), queue.clone());
            checks.push(Expectation::Binding { exchange, queue, routing_key: self.key.clone() });
        }
        if let Some(count) = self.messages {
            checks.push(Expectation::Messages(queue.clone(), count));
        }
        if let Some(count) = self.consumers {
            checks.push(Expectation::Consumers(queue.clone(), count));
        }
        checks.extend(rule.map(|rule| Expectation::Message(queue.clone(), Box::new(rule))));
        Ok(checks)
    }
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let checks = args.checks()?;
    let begin = Instant::now();
    let mut outcomes = Vec::new();
    for check in &checks {
        let since = Instant::now();
        let failure = loop {
            match check.failure(&cx.engine).await? {
                Some(_) if begin.elapsed() + PAUSE < args.within.unwrap_or_default() => {
                    tokio::time::sleep(PAUSE).await;
                }
                failure => break failure,
            }
        };
        outcomes.push(CheckedExpectation {
            expected: check.to_string(),
            failure,
            took: since.elapsed(),
        });
    }
    let report = ExpectationReport { outcomes };
    let answer = if report.failures() == 0 { Answer::Yes } else { Answer::No };
    report.write(args.report, &mut cx.out)?;
    Ok(answer)
}
