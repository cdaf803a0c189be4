//! `mq smoke`: one message through everything that programs use a broker for.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::examples::examples;
use super::{Answer, CommandError, Context};
use crate::engine::{
    BindingSpec, ConsumeOptions, Consumer, DeleteQueue, Delivery, Destination, Engine, Event,
    ExchangeSpec, FieldTable, Message, Properties, PublishOutcome, Publisher, PublisherOptions,
    QueueSpec, ReplyTo, Requeue, RpcOptions, ShortStr, literal,
};
use crate::render::words;

/// The time that a step may take by default.
const STEP_MAX: Duration = Duration::from_secs(10);
const BODY: &str = "mq smoke";
const KEY: &str = "smoke";

/// Check a broker by using it: declare, route, publish, confirm, consume, ack, dead-letter, RPC
///
/// All names are new and all queues exclusive, so nothing stays, even if the command is killed. The time of each step is
/// shown; a step may take --timeout [default: 10s]. To ask only if a broker answers, use `mq ping`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&["mq smoke", "mq smoke -o json"]))]
pub struct Args {}

#[derive(Debug, Serialize)]
struct Passed {
    broker: String,
    total_us: u64,
    steps: Vec<PassedStep>,
}

#[derive(Debug, Serialize)]
struct PassedStep {
    step: &'static str,
    us: u64,
}

pub async fn run(_: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let most = cx.timeout.unwrap_or(STEP_MAX);
    let mut trial = Trial::new(&cx.engine, most);
    let ended = trial.run().await;
    let steps = trial.steps;
    if let Err(error) = ended {
        let passed: Vec<_> = steps.iter().map(|step| step.step).collect();
        return Err(if passed.is_empty() {
            error
        } else {
            error.after(format!("passed: {}", passed.join(", ")))
        });
    }
    let broker = cx.engine.target().to_string();
    let total_us = steps.iter().map(|step| step.us).sum();
    if cx.out.format().is_some() {
        cx.out.done("", &Passed { broker, total_us, steps })?;
        return Ok(Answer::Yes);
    }
    for PassedStep { step, us } in &steps {
        let time = words::time(Duration::from_micros(*us));
        cx.out.line(&format!("{step:<12} {time:>9}"))?;
    }
    let total = words::time(Duration::from_micros(total_us));
    cx.out.line(&format!("{broker} passed all {} steps in {total}", steps.len()))?;
    Ok(Answer::Yes)
}

/// The names of one trial, and the steps that it has passed.
struct Trial<'a> {
    engine: &'a Engine,
    most: Duration,
    exchange: ShortStr,
    queue: ShortStr,
    dead: ShortStr,
    requests: ShortStr,
    steps: Vec<PassedStep>,
}

impl<'a> Trial<'a> {
    fn new(engine: &'a Engine, most: Duration) -> Self {
        let id = RandomState::new().hash_one(std::process::id());
        let name = |part: &str| ShortStr::truncated(&format!("mq.smoke.{id:016x}.{part}"));
        Self {
            engine,
            most,
            exchange: name("exchange"),
            queue: name("queue"),
            dead: name("dead"),
            requests: name("requests"),
            steps: Vec::new(),
        }
    }

    /// Does one step in its time, and notes how long it took.
    async fn step<T>(
        &mut self,
        step: &'static str,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        let begin = Instant::now();
        let done = timeout(self.most, work).await.map_err(|_| {
            let waited = humantime::format_duration(self.most);
            CommandError::TimedOut { problem: format!("step '{step}' took longer than {waited}") }
        })??;
        let us = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.steps.push(PassedStep { step, us });
        Ok(done)
    }

    async fn run(&mut self) -> Result<(), CommandError> {
        let engine = self.engine;
        self.step("connect", async { Ok(engine.connect().await?) }).await?;
        let (exchange, queue) = (self.exchange.clone(), self.queue.clone());
        let (dead, requests) = (self.dead.clone(), self.requests.clone());
        self.step("declare", declare(engine, &exchange, [&queue, &dead, &requests])).await?;
        let mut publisher = self
            .step("route", async {
                let options = PublisherOptions { mandatory: true, ..PublisherOptions::default() };
                let mut publisher = engine.publisher(options).await?;
                let outcome = publisher.send_and_wait(&message(&exchange, "elsewhere")).await?;
                match outcome {
                    PublishOutcome::Unroutable { .. } => Ok(publisher),
                    other => Err(wrong(format!(
                        "a message that no queue is bound for was not returned: {other:?}"
                    ))),
                }
            })
            .await?;
        self.step("publish", published(&mut publisher, &exchange)).await?;
        let options = ConsumeOptions { queue: queue.clone(), prefetch: 1, ..Default::default() };
        let (mut consumer, delivery) = self
            .step("consume", async {
                let mut consumer = engine.consume(options).await?;
                let delivery = next(&mut consumer).await?;
                check(&delivery, &exchange)?;
                Ok((consumer, delivery))
            })
            .await?;
        self.step("ack", async {
            consumer.ack(&delivery)?;
            match engine.check_queue(&queue).await?.message_count {
                0 => Ok(()),
                count => Err(wrong(format!("the queue has {count} messages that nobody sent"))),
            }
        })
        .await?;
        self.step("dead-letter", async {
            published(&mut publisher, &exchange).await?;
            let delivery = next(&mut consumer).await?;
            consumer.nack(&delivery, Requeue::No)?;
            let options =
                ConsumeOptions { queue: dead.clone(), auto_ack: true, ..Default::default() };
            let letter = next(&mut engine.consume(options).await?).await?;
            let headers = letter.properties.headers.as_ref();
            if headers.is_none_or(|headers| headers.get("x-death").is_none()) {
                return Err(wrong("a dead letter has no header x-death"));
            }
            Ok(consumer.close().await?)
        })
        .await?;
        let most = self.most;
        self.step("rpc", call(engine, &requests, most)).await?;
        self.step("delete", async {
            let left = engine.delete_queue(&queue, DeleteQueue::default()).await?;
            if left > 0 {
                return Err(wrong("an acknowledged message is still in its queue"));
            }
            engine.delete_queue(&dead, DeleteQueue::default()).await?;
            engine.delete_queue(&requests, DeleteQueue::default()).await?;
            // It goes with its last binding.
            if engine.has_exchange(&exchange).await? {
                return Err(wrong("an auto-delete exchange is there without a binding"));
            }
            Ok(())
        })
        .await?;
        Ok(())
    }
}

fn wrong(problem: impl Into<String>) -> CommandError {
    CommandError::CheckFailed { problems: vec![problem.into()] }
}

/// Declares the exchange and the queues; the dead letters of the first queue go to the second.
async fn declare(
    engine: &Engine,
    exchange: &ShortStr,
    [queue, dead, requests]: [&ShortStr; 3],
) -> Result<(), CommandError> {
    let spec = ExchangeSpec {
        name: exchange.clone(),
        kind: literal("direct"),
        durable: false,
        auto_delete: true,
        internal: false,
        arguments: FieldTable::new(),
    };
    engine.declare_exchange(&spec).await?;
    let letters = FieldTable::new()
        .with("x-dead-letter-exchange", "")
        .with("x-dead-letter-routing-key", dead.as_str());
    for (name, arguments) in
        [(queue, letters), (dead, FieldTable::new()), (requests, FieldTable::new())]
    {
        let spec = QueueSpec {
            name: name.clone(),
            durable: false,
            exclusive: true,
            auto_delete: false,
            arguments,
        };
        engine.declare_queue(&spec).await?;
    }
    let binding = BindingSpec {
        source: exchange.clone(),
        destination: Destination::Queue(queue.clone()),
        routing_key: literal(KEY),
        arguments: FieldTable::new(),
    };
    Ok(engine.bind(&binding).await?)
}

fn message(exchange: &ShortStr, routing_key: &'static str) -> Message {
    Message {
        exchange: exchange.clone(),
        routing_key: literal(routing_key),
        properties: Properties { content_type: Some(literal("text/plain")), ..Default::default() },
        body: Bytes::from_static(BODY.as_bytes()),
    }
}

/// Publishes the message, which must be confirmed.
async fn published(publisher: &mut Publisher, exchange: &ShortStr) -> Result<(), CommandError> {
    match publisher.send_and_wait(&message(exchange, KEY)).await? {
        PublishOutcome::Confirmed => Ok(()),
        other => Err(wrong(format!("a message was not confirmed: {other:?}"))),
    }
}

async fn next(consumer: &mut Consumer) -> Result<Delivery, CommandError> {
    match consumer.next().await? {
        Event::Delivery(delivery) => Ok(delivery),
        Event::Cancelled => Err(wrong("the broker cancelled a consumer")),
    }
}

/// Checks that the message is the one that was published.
fn check(delivery: &Delivery, exchange: &ShortStr) -> Result<(), CommandError> {
    let sent = message(exchange, KEY);
    let has_come = delivery.body == sent.body
        && delivery.properties == sent.properties
        && delivery.exchange == sent.exchange
        && delivery.routing_key == sent.routing_key;
    if has_come { Ok(()) } else { Err(wrong("a message came otherwise than it was published")) }
}

/// Calls a server of our own.
async fn call(engine: &Engine, requests: &ShortStr, most: Duration) -> Result<(), CommandError> {
    let mut server = engine.rpc_server(requests, 1).await?;
    let options = RpcOptions {
        exchange: ShortStr::empty(),
        routing_key: requests.clone(),
        reply_to: ReplyTo::Direct,
    };
    let caller = engine.rpc_caller(options).await?;
    let answering = async {
        if let Some(request) = server.next().await? {
            let reply = request.body.clone();
            server.replier().answer(&request, reply, Properties::default()).await?;
        }
        Ok::<_, CommandError>(())
    };
    let body = Bytes::from_static(BODY.as_bytes());
    let calling = async { Ok(caller.call(body, Properties::default(), most).await?) };
    let (reply, ()) = tokio::try_join!(calling, answering)?;
    caller.close().await?;
    server.close().await?;
    if reply.body == BODY { Ok(()) } else { Err(wrong("a reply came otherwise than it was sent")) }
}
