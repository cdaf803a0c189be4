//! The runner of a lesson's acts: a broker, the producers and consumers of the lesson, and the lines that each prints.
//!
//! Each of them has a connection of its own, as separate programs would.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::act::{Act, Delivery as Lasting, ReplyBy};
use super::error;
use super::own_broker::OwnBroker;
use crate::engine::{
    BindingSpec, ConsumeOptions, Consumer, DeleteExchange, DeleteQueue, Delivery, Destination,
    Engine, Error, Event, ExchangeSpec, FieldTable, FieldValue, Message, Properties,
    PublishOutcome, PublisherOptions, QueueSpec, ReplyTo, RpcOptions, ShortStr, Target, literal,
};
use crate::render::{Paint, words};

/// The time that a message may take to come before a check fails.
const COME_MAX: Duration = Duration::from_secs(5);
/// The time after which the queues of a killed run expire, in milliseconds.
const LEFT_BEHIND_MS: i64 = 600_000;
/// The colours of those that receive; the producer is green.
const PAINTS: [Paint; 4] = [Paint::Cyan, Paint::Yellow, Paint::Magenta, Paint::Blue];
const PRODUCER: &str = "producer";
const CLIENT: &str = "client";
const SERVER: &str = "server";
const BROKER: &str = "broker";

/// A broker with the people of a story.
pub struct Stage {
    target: Target,
    /// The broker, when it is ours to stop.
    own: Option<OwnBroker>,
    /// In front of every name, so that no other queue of the broker is meant.
    prefix: String,
    director: Engine,
    actors: HashMap<&'static str, Actor>,
    entered: Vec<&'static str>,
    queues: Vec<ShortStr>,
    exchanges: Vec<ShortStr>,
    servers: Vec<JoinHandle<()>>,
}

/// A consumer of the lesson.
struct Actor {
    engine: Engine,
    consumer: Consumer,
    held: Vec<Delivery>,
}

/// The lines that an act printed, and the verdict of its check.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) lines: Vec<Line>,
    pub(super) verdict: Option<(String, bool)>,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) who: &'static str,
    pub(super) paint: Paint,
    pub(super) what: String,
}

impl Seen {
    fn line(mut self, who: &'static str, paint: Paint, what: impl Into<String>) -> Self {
        self.lines.push(Line { who, paint, what: what.into() });
        self
    }

    fn verdict(mut self, check: impl Into<String>, passed: bool) -> Self {
        self.verdict = Some((check.into(), passed));
        self
    }
}

impl Stage {
    /// Sets the stage on a broker that others may use as well. `unique` tells this run from every other.
    pub async fn on(target: Target, unique: &str) -> Result<Self, Error> {
        let director = Engine::open(target.clone()).await?;
        director.connect().await?;
        Ok(Self {
            target,
            own: None,
            prefix: format!("mq-tutorial-{unique}-"),
            director,
            actors: HashMap::new(),
            entered: Vec::new(),
            queues: Vec::new(),
            exchanges: Vec::new(),
            servers: Vec::new(),
        })
    }

    /// Starts a broker for the lessons alone.
    pub async fn alone(unique: &str) -> Result<Self, error::Error> {
        let own = OwnBroker::start(unique).await?;
        let stage = match own.target() {
            Ok(target) => Self::on(target, unique).await,
            Err(error) => Err(error),
        };
        match stage {
            Ok(stage) => Ok(Self { own: Some(own), ..stage }),
            Err(error) => {
                own.end().await;
                Err(error.into())
            }
        }
    }

    /// True if the broker may be stopped and started.
    pub fn is_alone(&self) -> bool {
        self.own.is_some()
    }

    /// Closes the connections of all actors and deletes what was declared. Queues that cannot be deleted expire.
    pub async fn clean(&mut self) {
        for server in self.servers.drain(..) {
            server.abort();
        }
        for (_, actor) in self.actors.drain() {
            drop(actor.engine.close().await);
        }
        self.entered.clear();
        for queue in self.queues.drain(..) {
            drop(self.director.delete_queue(&queue, DeleteQueue::default()).await);
        }
        for exchange in self.exchanges.drain(..) {
            drop(self.director.delete_exchange(&exchange, DeleteExchange::default()).await);
        }
    }

    /// Lets the director go too.
    pub async fn close(mut self) {
        self.clean().await;
        drop(self.director.close().await);
        if let Some(own) = self.own {
            own.end().await;
        }
    }

    pub(super) async fn play(&mut self, act: &Act) -> Result<Seen, Error> {
        let seen = Seen::default();
        match *act {
            Act::Queue(name) => self.declare_queue(name).await.map(|()| seen),
            Act::Exchange { name, kind } => self.declare_exchange(name, kind).await.map(|()| seen),
            Act::Consume { who, queue, prefetch } => {
                let options =
                    ConsumeOptions { queue: self.name(queue), prefetch, ..Default::default() };
                let engine = Engine::open(self.target.clone()).await?;
                self.enter(who, engine, options).await?;
                Ok(seen.line(who, self.paint(who), format!("waits for messages of '{queue}'")))
            }
            Act::Subscribe { who, exchange, keys } => self.subscribe(who, exchange, keys).await,
            Act::Publish { exchange, key, body } => self.publish(exchange, key, body).await,
            Act::Receive { who, bodies } => self.receive(who, bodies).await,
            Act::Hold { who, body } => self.hold(who, body).await,
            Act::Die { who } => {
                if let Some(actor) = self.actors.remove(who) {
                    actor.engine.close().await?;
                }
                Ok(seen.line(who, self.paint(who), "dies before it has acknowledged"))
            }
            Act::ReceiveAgain { who, body } => self.receive_again(who, body).await,
            Act::Release { who } => {
                let actor = self.actor(who);
                for delivery in actor.held.drain(..) {
                    actor.consumer.ack(&delivery)?;
                }
                Ok(seen.line(who, self.paint(who), "is done and acknowledges"))
            }
            Act::ServeFibonacci { queue } => self.serve(queue).await,
            Act::Call { queue, request, reply, by } => self.call(queue, request, reply, by).await,
            Act::ConfirmAll { queue, count } => self.confirm_all(queue, count).await,
            Act::Send { queue, body, as_a } => self.send(queue, body, as_a).await,
            Act::Restart => self.restart().await,
            Act::Kept { queue, bodies } => self.kept(queue, bodies).await,
            Act::ComeBack { key } => self.come_back(key).await,
        }
    }

    /// The name on the broker of what has this name in the story.
    fn name(&self, name: &str) -> ShortStr {
        ShortStr::truncated(&format!("{}{name}", self.prefix))
    }

    fn paint(&self, who: &str) -> Paint {
        let place = self.entered.iter().position(|entered| *entered == who);
        place.map_or(Paint::Green, |place| PAINTS[place % PAINTS.len()])
    }

    fn actor(&mut self, who: &'static str) -> &mut Actor {
        self.actors.get_mut(who).expect("a lesson names only who has entered")
    }

    async fn declare_queue(&mut self, name: &str) -> Result<(), Error> {
        let name = self.name(name);
        let expires = (literal("x-expires"), FieldValue::I64(LEFT_BEHIND_MS));
        let mut arguments = FieldTable::new();
        arguments.insert(expires.0, expires.1);
        let queue = QueueSpec { name, durable: true, arguments, ..QueueSpec::default() };
        self.director.declare_queue(&queue).await?;
        self.queues.push(queue.name);
        Ok(())
    }

    async fn declare_exchange(&mut self, name: &str, kind: &'static str) -> Result<(), Error> {
        let (name, kind) = (self.name(name), literal(kind));
        let exchange = ExchangeSpec {
            name,
            kind,
            durable: true,
            auto_delete: true,
            ..ExchangeSpec::default()
        };
        self.director.declare_exchange(&exchange).await?;
        self.exchanges.push(exchange.name);
        Ok(())
    }

    async fn enter(
        &mut self,
        who: &'static str,
        engine: Engine,
        options: ConsumeOptions,
    ) -> Result<(), Error> {
        let consumer = engine.consume(options).await?;
        self.actors.insert(who, Actor { engine, consumer, held: Vec::new() });
        if !self.entered.contains(&who) {
            self.entered.push(who);
        }
        Ok(())
    }

    async fn subscribe(
        &mut self,
        who: &'static str,
        exchange: &'static str,
        keys: &'static [&'static str],
    ) -> Result<Seen, Error> {
        let engine = Engine::open(self.target.clone()).await?;
        let own = QueueSpec { exclusive: true, auto_delete: true, ..QueueSpec::default() };
        let queue = engine.declare_queue(&own).await?.name;
        for key in keys {
            let binding = BindingSpec {
                source: self.name(exchange),
                destination: Destination::Queue(queue.clone()),
                routing_key: literal(key),
                arguments: FieldTable::new(),
            };
            engine.bind(&binding).await?;
        }
        self.enter(who, engine, ConsumeOptions { queue, ..Default::default() }).await?;
        let keys = match keys {
            [""] => String::new(),
            keys => format!(" by {}", words::listed(keys.iter().copied())),
        };
        let what = format!("listens to exchange '{exchange}'{keys}");
        Ok(Seen::default().line(who, self.paint(who), what))
    }

    /// The exchange and routing key on the broker.
    fn place(&self, exchange: &str, key: &'static str) -> (ShortStr, ShortStr) {
        match exchange {
            "" => (ShortStr::default(), self.name(key)),
            exchange => (self.name(exchange), literal(key)),
        }
    }

    async fn publish(
        &mut self,
        exchange: &str,
        key: &'static str,
        body: &'static str,
    ) -> Result<Seen, Error> {
        let (exchange, routing_key) = self.place(exchange, key);
        let body_bytes = Bytes::from_static(body.as_bytes());
        let message = Message { exchange, routing_key, body: body_bytes, ..Message::default() };
        let options = PublisherOptions { mandatory: false, ..PublisherOptions::default() };
        let mut publisher = self.director.publisher(options).await?;
        let outcome = publisher.send_and_wait(&message).await?;
        let key = if key.is_empty() { String::new() } else { format!(" with key '{key}'") };
        let seen = Seen::default().line(PRODUCER, Paint::Green, format!("sends '{body}'{key}"));
        Ok(match outcome {
            PublishOutcome::Confirmed => seen,
            other => seen.verdict(format!("the broker takes '{body}' ({other:?})"), false),
        })
    }

    async fn next(&mut self, who: &'static str) -> Result<Option<Delivery>, Error> {
        match timeout(COME_MAX, self.actor(who).consumer.next()).await {
            Ok(Ok(Event::Delivery(delivery))) => Ok(Some(delivery)),
            Ok(Ok(Event::Cancelled)) | Err(_) => Ok(None),
            Ok(Err(error)) => Err(error),
        }
    }

    async fn receive(
        &mut self,
        who: &'static str,
        bodies: &'static [&'static str],
    ) -> Result<Seen, Error> {
        let mut seen = Seen::default();
        let mut got = Vec::new();
        while got.len() < bodies.len() {
            let Some(delivery) = self.next(who).await? else { break };
            self.actor(who).consumer.ack(&delivery)?;
            let body = text(&delivery);
            seen = seen.line(who, self.paint(who), format!("receives '{body}'"));
            got.push(body);
        }
        let passed = got == bodies;
        let check = format!("{who} gets {}", words::listed(bodies.iter().copied()));
        let but = if passed { String::new() } else { format!(", but it was {got:?}") };
        Ok(seen.verdict(check + &but, passed))
    }

    async fn hold(&mut self, who: &'static str, body: &'static str) -> Result<Seen, Error> {
        let Some(delivery) = self.next(who).await? else {
            return Ok(Seen::default().verdict(format!("{who} gets '{body}'"), false));
        };
        let passed = text(&delivery) == body;
        let what = format!("receives '{}' and works on it", text(&delivery));
        self.actor(who).held.push(delivery);
        let seen = Seen::default().line(who, self.paint(who), what);
        Ok(seen.verdict(format!("{who} gets '{body}' and has not acknowledged it"), passed))
    }

    async fn receive_again(
        &mut self,
        who: &'static str,
        body: &'static str,
    ) -> Result<Seen, Error> {
        let check = format!("{who} gets '{body}', marked as redelivered");
        let Some(delivery) = self.next(who).await? else {
            return Ok(Seen::default().verdict(check, false));
        };
        self.actor(who).consumer.ack(&delivery)?;
        let passed = text(&delivery) == body && delivery.redelivered;
        let what =
            format!("receives '{}' (redelivered: {})", text(&delivery), delivery.redelivered);
        Ok(Seen::default().line(who, self.paint(who), what).verdict(check, passed))
    }

    async fn serve(&mut self, queue: &'static str) -> Result<Seen, Error> {
        let engine = Engine::open(self.target.clone()).await?;
        let mut requests = engine.rpc_server(&self.name(queue), 1).await?;
        self.servers.push(tokio::spawn(async move {
            // Its connection lives as long as this task, which ends with the lesson.
            let _connection = engine;
            while let Ok(Some(request)) = requests.next().await {
                let index = text(&request).parse().unwrap_or(0);
                let answer = Bytes::from(fibonacci(index).to_string());
                let replier = requests.replier();
                if replier.answer(&request, answer, Properties::default()).await.is_err() {
                    break;
                }
            }
        }));
        let what = format!("answers the requests of '{queue}'");
        Ok(Seen::default().line(SERVER, Paint::Cyan, what))
    }

    async fn call(
        &mut self,
        queue: &'static str,
        request: &'static str,
        reply: &'static str,
        by: ReplyBy,
    ) -> Result<Seen, Error> {
        let reply_to = match by {
            ReplyBy::Direct => ReplyTo::Direct,
            ReplyBy::OwnQueue => ReplyTo::ExclusiveQueue,
        };
        let options =
            RpcOptions { routing_key: self.name(queue), reply_to, ..RpcOptions::default() };
        let caller = self.director.rpc_caller(options).await?;
        let body = Bytes::from_static(request.as_bytes());
        let answered = caller.call(body, Properties::default(), COME_MAX).await?;
        caller.close().await?;
        let answer = text(&answered);
        let seen = Seen::default()
            .line(CLIENT, Paint::Green, format!("asks for fib({request})"))
            .line(CLIENT, Paint::Green, format!("gets '{answer}'"));
        Ok(seen.verdict(format!("fib({request}) is {reply}"), answer == reply))
    }

    async fn confirm_all(&mut self, queue: &'static str, count: u32) -> Result<Seen, Error> {
        let mut publisher = self.director.publisher(PublisherOptions::default()).await?;
        let routing_key = self.name(queue);
        for number in 1..=count {
            let body = Bytes::from(format!("message {number}"));
            let message = Message { routing_key: routing_key.clone(), body, ..Message::default() };
            publisher.send(&message).await?;
        }
        let report = publisher.flush().await?;
        let all = words::counted(count.into(), "message");
        let seen = Seen::default()
            .line(PRODUCER, Paint::Green, format!("sends {all} without waiting in between"))
            .line(PRODUCER, Paint::Green, format!("has {} confirmed", report.confirmed));
        let passed = report.confirmed == u64::from(count) && report.failed.is_empty();
        Ok(seen.verdict(format!("the broker confirms {all}"), passed))
    }

    async fn send(
        &mut self,
        queue: &'static str,
        body: &'static str,
        as_a: Lasting,
    ) -> Result<Seen, Error> {
        let (delivery_mode, how) = match as_a {
            Lasting::Transient => (1, "without delivery_mode"),
            Lasting::Persistent => (2, "with delivery_mode 2"),
        };
        let properties = Properties { delivery_mode: Some(delivery_mode), ..Properties::default() };
        let body_bytes = Bytes::from_static(body.as_bytes());
        let routing_key = self.name(queue);
        let message = Message { routing_key, properties, body: body_bytes, ..Message::default() };
        let mut publisher = self.director.publisher(PublisherOptions::default()).await?;
        let outcome = publisher.send_and_wait(&message).await?;
        let seen = Seen::default().line(PRODUCER, Paint::Green, format!("sends '{body}' {how}"));
        Ok(match outcome {
            PublishOutcome::Confirmed => seen,
            other => seen.verdict(format!("the broker takes '{body}' ({other:?})"), false),
        })
    }

    /// Stops and starts the broker; all actors have to connect again.
    async fn restart(&mut self) -> Result<Seen, Error> {
        let own = self.own.as_mut().expect("a lesson that stops the broker is given alone");
        own.restart().await?;
        self.target = own.target()?;
        let director = Engine::open(self.target.clone()).await?;
        // The one before was told that its broker ends.
        drop(std::mem::replace(&mut self.director, director).close().await);
        Ok(Seen::default().line(BROKER, Paint::Bold, "is stopped, and started again"))
    }

    async fn kept(
        &mut self,
        queue: &'static str,
        bodies: &'static [&'static str],
    ) -> Result<Seen, Error> {
        let name = self.name(queue);
        let mut seen = Seen::default();
        let mut got = Vec::new();
        while let Some(fetched) = self.director.get(&name).await? {
            let body = text(&fetched.ack()?);
            seen = seen.line(CLIENT, Paint::Green, format!("finds '{body}' in '{queue}'"));
            got.push(body);
        }
        if got.is_empty() {
            seen = seen.line(CLIENT, Paint::Green, format!("finds '{queue}', and nothing in it"));
        }
        let what = match bodies {
            [] => "nothing in it".to_owned(),
            bodies => format!("{} in it", words::listed(bodies.iter().copied())),
        };
        Ok(seen.verdict(format!("queue '{queue}' is back, with {what}"), got == bodies))
    }

    async fn come_back(&mut self, key: &'static str) -> Result<Seen, Error> {
        let mut publisher = self.director.publisher(PublisherOptions::default()).await?;
        let message = Message { routing_key: self.name(key), ..Message::default() };
        let outcome = publisher.send_and_wait(&message).await?;
        let what = match &outcome {
            PublishOutcome::Unroutable { code, text } => {
                format!("gets its message back: {code} {text}")
            }
            other => format!("hears {other:?}"),
        };
        let seen = Seen::default()
            .line(PRODUCER, Paint::Green, format!("sends to '{key}', which is no queue's name"))
            .line(PRODUCER, Paint::Green, what);
        let passed = matches!(outcome, PublishOutcome::Unroutable { code: 312, .. });
        Ok(seen.verdict("a message that no queue gets is returned", passed))
    }
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.body).into_owned()
}

/// The function of RabbitMQ's tutorial, without its recursion, which takes exponential time.
fn fibonacci(index: u8) -> u128 {
    let (mut this, mut next) = (0_u128, 1_u128);
    for _ in 0..index {
        (this, next) = (next, this.wrapping_add(next));
    }
    this
}
