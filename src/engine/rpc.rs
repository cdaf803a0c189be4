//! Calls over queues: a request with `reply_to` and `correlation_id`, a reply with the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{self, Channel};
use crate::engine::consume::{ConsumeOptions, Consumer, Delivery, Event, Requeue, Settler};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::handle::Engine;
use crate::engine::publish::PublishOutcome;
use crate::engine::topology::unexpected;
use crate::lock::Mutex;
use crate::wire::method::{basic, queue};
use crate::wire::shortstr::literal;
use crate::wire::{Method, Properties, ShortStr};

/// The queue that is none: replies come straight to the channel (RabbitMQ: direct reply-to).
const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// The queue that replies are sent to, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyTo {
    /// RabbitMQ's direct reply-to: no queue at all.
    #[default]
    Direct,
    /// An exclusive queue with a name of the broker's choice, as the classic tutorial has it.
    ExclusiveQueue,
}

/// Whom to call.
#[derive(Clone, Debug, Default)]
pub struct RpcOptions {
    /// Empty for the default exchange
    pub exchange: ShortStr,
    /// With the default exchange, the queue's name
    pub routing_key: ShortStr,
    pub reply_to: ReplyTo,
}

/// Makes calls; several may wait at the same time.
#[derive(Debug)]
pub struct RpcCaller {
    cx: Arc<Context>,
    channel: Arc<Channel>,
    options: RpcOptions,
    /// The `reply_to` of requests
    reply_to: ShortStr,
    waiting: Arc<PendingCalls>,
    last: AtomicU64,
    /// Sorts replies to whom they belong until the channel ends.
    sorter: JoinHandle<()>,
}

/// Calls that wait, by correlation id.
#[derive(Debug, Default)]
struct PendingCalls(Mutex<HashMap<ShortStr, oneshot::Sender<Delivery>>>);

impl PendingCalls {
    fn lock(&self) -> MutexGuard<'_, HashMap<ShortStr, oneshot::Sender<Delivery>>> {
        self.0.lock()
    }
}

/// Receives requests from a queue.
#[derive(Debug)]
pub struct RpcServer {
    consumer: Consumer,
    replier: Replier,
}

/// Answers requests; clones may be handed to tasks that work at the same time.
#[derive(Clone, Debug)]
pub struct Replier {
    cx: Arc<Context>,
    channel: Arc<Channel>,
    settler: Settler,
}

impl Engine {
    /// Prepares calls: the place replies come to, and a channel.
    pub async fn rpc_caller(&self, options: RpcOptions) -> Result<RpcCaller, Error> {
        let cx = Arc::clone(&self.cx);
        let channel = Arc::new(cx.channel().await?);
        channel.confirm().map_err(|error| cx.failed("turn on confirms", error))?;
        let reply_to = match options.reply_to {
            ReplyTo::Direct => literal(DIRECT_REPLY_TO),
            ReplyTo::ExclusiveQueue => declare_reply_queue(&cx, &channel).await?,
        };
        let consume =
            ConsumeOptions { queue: reply_to.clone(), auto_ack: true, ..Default::default() };
        let consumer = cx.consume_on(Arc::clone(&channel), consume).await?;
        let waiting = Arc::new(PendingCalls::default());
        let sorter = tokio::spawn(sort_replies(consumer, Arc::clone(&waiting)));
        let last = AtomicU64::new(0);
        Ok(RpcCaller { cx, channel, options, reply_to, waiting, last, sorter })
    }

    /// Starts to receive requests from `queue`, at most `prefetch` unanswered at a time.
    pub async fn rpc_server(&self, queue: &ShortStr, prefetch: u16) -> Result<RpcServer, Error> {
        let cx = Arc::clone(&self.cx);
        let channel = Arc::new(cx.channel().await?);
        channel.confirm().map_err(|error| cx.failed("turn on confirms", error))?;
        let consume = ConsumeOptions { queue: queue.clone(), prefetch, ..Default::default() };
        let consumer = cx.consume_on(Arc::clone(&channel), consume).await?;
        let settler = consumer.settler();
        Ok(RpcServer { consumer, replier: Replier { cx, channel, settler } })
    }
}

async fn declare_reply_queue(cx: &Arc<Context>, channel: &Channel) -> Result<ShortStr, Error> {
    let doing = "declare a queue for replies";
    let declare = queue::Declare { exclusive: true, auto_delete: true, ..Default::default() };
    let reply = channel.call(declare).await.map_err(|error| cx.failed(doing, error))?;
    match reply.method {
        Method::QueueDeclareOk(done) => Ok(done.queue),
        other => Err(unexpected(doing, &other)),
    }
}

/// Ends with the consumer; dropping the senders that are left tells their callers.
async fn sort_replies(mut consumer: Consumer, waiting: Arc<PendingCalls>) {
    while let Ok(Event::Delivery(reply)) = consumer.next().await {
        let id = reply.properties.correlation_id.clone().unwrap_or_default();
        // A reply that no caller waits for is one that came too late.
        if let Some(caller) = waiting.lock().remove(&id) {
            let _ = caller.send(reply);
        }
    }
    waiting.lock().clear();
}

impl RpcCaller {
    /// Sends a request and waits for its reply; `reply_to` is filled in, and `correlation_id` when it is not
    /// given (one that is given must not be in use).
    ///
    /// # Errors
    ///
    /// Refused when no queue gets the request; timed out when no reply comes within `timeout`.
    pub async fn call(
        &self,
        body: Bytes,
        mut properties: Properties,
        timeout: Duration,
    ) -> Result<Delivery, Error> {
        let id = properties.correlation_id.get_or_insert_with(|| self.new_id()).clone();
        properties.reply_to = Some(self.reply_to.clone());
        let (caller, mut reply) = oneshot::channel();
        self.waiting.lock().insert(id.clone(), caller);
        let answered = tokio::time::timeout(timeout, self.exchange(&properties, &body, &mut reply));
        let answered = answered.await;
        self.waiting.lock().remove(&id);
        match answered {
            Ok(answered) => answered,
            Err(_) => {
                Err(self.cx.failed(&self.doing(), client::Error::TimedOut { waited: timeout }))
            }
        }
    }

    /// Ends the caller; calls that still wait fail.
    pub async fn close(mut self) -> Result<(), Error> {
        let closed = self.channel.close().await;
        // The sorter ends with the channel; a panic in it would be a bug, and no caller is left.
        let _ = (&mut self.sorter).await;
        closed.map_err(|error| self.cx.failed("close the channel", error))
    }

    async fn exchange(
        &self,
        properties: &Properties,
        body: &[u8],
        reply: &mut oneshot::Receiver<Delivery>,
    ) -> Result<Delivery, Error> {
        let publish = basic::Publish {
            exchange: self.options.exchange.clone(),
            routing_key: self.options.routing_key.clone(),
            mandatory: true,
            ..Default::default()
        };
        let failed = |error| self.cx.failed(&self.doing(), error);
        let (waiter, outcome) = oneshot::channel();
        self.channel.room().await.map_err(failed)?;
        let sent = self.channel.publish(&publish, &properties.to_bytes(), body, Some(waiter));
        sent.map_err(failed)?;
        // The reply may overtake the confirm. Both arms are cancel-safe receivers.
        let outcome = tokio::select! {
            answered = &mut *reply => return answered.map_err(|_| failed(self.ended())),
            outcome = outcome => outcome,
        };
        let (code, text) = match outcome {
            // Without a confirm the connection has ended; the reply may have come before that.
            Ok(PublishOutcome::Confirmed) | Err(_) => {
                return reply.await.map_err(|_| failed(self.ended()));
            }
            Ok(PublishOutcome::Unroutable { code, text }) => (code, text),
            Ok(PublishOutcome::Refused) => {
                (506, "RESOURCE_ERROR - it could not accept the message".into())
            }
        };
        Err(Error::Refused { doing: self.doing(), code, text, nearest: Vec::new() })
    }

    fn doing(&self) -> String {
        match (self.options.exchange.as_str(), &self.options.routing_key) {
            ("", queue) => format!("call queue '{queue}'"),
            (exchange, key) => format!("call exchange '{exchange}' with key '{key}'"),
        }
    }

    fn new_id(&self) -> ShortStr {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        ShortStr::truncated(&format!("mq-{}-{number}", std::process::id()))
    }

    fn ended(&self) -> client::Error {
        let cancelled = || client::Error::Lost { why: "the reply queue is gone".into() };
        self.channel.ended().unwrap_or_else(cancelled)
    }
}

impl Drop for RpcCaller {
    fn drop(&mut self) {
        self.sorter.abort();
    }
}

impl RpcServer {
    /// Waits for the next request; `None` when the broker cancelled the consumer. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        match self.consumer.next().await? {
            Event::Delivery(request) => Ok(Some(request)),
            Event::Cancelled => Ok(None),
        }
    }

    /// Answers requests, from any task.
    pub fn replier(&self) -> Replier {
        self.replier.clone()
    }

    /// Ends the server; unanswered requests return to the queue.
    pub async fn close(self) -> Result<(), Error> {
        self.consumer.close().await
    }
}

impl Replier {
    /// Sends the reply to `reply_to` with the request's `correlation_id`, waits for the broker to have it, then
    /// acknowledges the request. A request without `reply_to` is only acknowledged. Returns false if no
    /// client can have got the reply.
    ///
    /// RabbitMQ returns a mandatory reply to a direct reply-to as unroutable although it has delivered it, so
    /// these are not asked about.
    pub async fn answer(
        &self,
        request: &Delivery,
        body: Bytes,
        mut properties: Properties,
    ) -> Result<bool, Error> {
        let Some(reply_to) = &request.properties.reply_to else {
            self.settler.ack(request)?;
            return Ok(false);
        };
        properties.correlation_id.clone_from(&request.properties.correlation_id);
        let mandatory = !reply_to.starts_with(DIRECT_REPLY_TO);
        let publish =
            basic::Publish { routing_key: reply_to.clone(), mandatory, ..Default::default() };
        let failed = |error| self.cx.failed("send a reply", error);
        let (waiter, outcome) = oneshot::channel();
        self.channel.room().await.map_err(failed)?;
        let sent = self.channel.publish(&publish, &properties.to_bytes(), &body, Some(waiter));
        sent.map_err(failed)?;
        let limit = self.channel.timeout();
        let outcome = match tokio::time::timeout(limit, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                return Err(failed(self.channel.ended().unwrap_or(client::Error::Closed)));
            }
            Err(_) => return Err(failed(client::Error::TimedOut { waited: limit })),
        };
        self.settler.ack(request)?;
        Ok(outcome == PublishOutcome::Confirmed)
    }

    /// Gives up on a request: back to the queue, or away.
    pub fn fail(&self, request: &Delivery, requeue: Requeue) -> Result<(), Error> {
        self.settler.nack(request, requeue)
    }
}
