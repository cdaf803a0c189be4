//! Calls over queues: a request with `reply_to` and `correlation_id`, a reply with the same.

use std::time::Duration;

use bytes::Bytes;

use crate::engine::Engine;
use crate::engine::consume::{Delivery, Requeue};
use crate::engine::error::Error;
use crate::wire::{Properties, ShortStr};

/// Where replies come to.
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
    never: std::convert::Infallible,
}

/// Receives requests from a queue.
#[derive(Debug)]
pub struct RpcServer {
    replier: Replier,
}

/// Answers requests; clones may be handed to tasks that work at the same time.
#[derive(Clone, Debug)]
pub struct Replier {
    never: std::convert::Infallible,
}

impl Engine {
    /// Prepares calls: the place replies come to, and a channel.
    pub async fn rpc_caller(&self, options: RpcOptions) -> Result<RpcCaller, Error> {
        let _ = options;
        Err(Error::not_implemented("rpc caller"))
    }

    /// Starts to receive requests from `queue`, at most `prefetch` unanswered at a time.
    pub async fn rpc_server(&self, queue: &ShortStr, prefetch: u16) -> Result<RpcServer, Error> {
        let _ = (queue, prefetch);
        Err(Error::not_implemented("rpc server"))
    }
}

impl RpcCaller {
    /// Sends a request and waits for its reply; `correlation_id` and `reply_to` are filled in.
    ///
    /// # Errors
    ///
    /// Refused when no queue gets the request; timed out when no reply comes within `timeout`.
    pub async fn call(
        &self,
        body: Bytes,
        properties: Properties,
        timeout: Duration,
    ) -> Result<Delivery, Error> {
        let _ = (body, properties, timeout);
        match self.never {}
    }

    /// Ends the caller; calls that still wait fail.
    pub async fn close(self) -> Result<(), Error> {
        match self.never {}
    }
}

impl RpcServer {
    /// Waits for the next request; `None` when the broker cancelled the consumer. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        match self.replier.never {}
    }

    /// Answers requests, from any task.
    pub fn replier(&self) -> Replier {
        self.replier.clone()
    }

    /// Ends the server; unanswered requests return to the queue.
    pub async fn close(self) -> Result<(), Error> {
        match self.replier.never {}
    }
}

impl Replier {
    /// Sends the reply to `reply_to` with the request's `correlation_id`, waits for the broker to have it, then
    /// acknowledges the request. A request without `reply_to` is only acknowledged. Returns whether the caller
    /// was still there to get the reply.
    pub async fn answer(
        &self,
        request: &Delivery,
        body: Bytes,
        properties: Properties,
    ) -> Result<bool, Error> {
        let _ = (request, body, properties);
        match self.never {}
    }

    /// Gives up on a request: back to the queue, or away.
    pub fn fail(&self, request: &Delivery, requeue: Requeue) -> Result<(), Error> {
        let _ = (request, requeue);
        match self.never {}
    }
}
