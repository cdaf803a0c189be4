//! One channel: calls, publishes with confirms, consumers.
//!
//! Sending never waits by itself: frames go into the connection's buffer. A caller that sends much calls
//! [`Channel::room`] in between, which waits while the buffer is full. Dropping a channel closes it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::confirms::{Confirms, MessageHash, PublishOutcome, PublishReport};
use super::error::Error;
use super::message::{Delivery, Reply};
use super::state::{InboxState, Shared, State};
use crate::wire::constants::FRAME_METHOD;
use crate::wire::method::{basic, channel, confirm};
use crate::wire::{Method, ShortStr, frame};

/// Bytes that may wait to be sent before publishers wait too: a few large socket writes.
const OUTBOUND_HIGH: usize = 512 << 10;

/// An open channel; shared by reference or in an `Arc`.
#[derive(Debug)]
pub struct Channel {
    shared: Arc<Shared>,
    id: u16,
    timeout: Duration,
    answered: Arc<Notify>,
}

impl Channel {
    pub(super) fn open(shared: &Arc<Shared>, timeout: Duration) -> Result<Self, Error> {
        let mut state = shared.lock();
        let id = state.open_channel()?;
        let answered = Arc::clone(&state.channel(id)?.answered);
        drop(state);
        shared.bell.notify_one();
        Ok(Self { shared: Arc::clone(shared), id, timeout, answered })
    }

    /// Returns the time that one answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a method and waits for its answer.
    pub async fn call(&self, method: impl Into<Method>) -> Result<Reply, Error> {
        self.start(&method.into())?.await
    }

    /// Sends a method now; the answer is waited for by the future, which may be dropped.
    pub fn start(
        &self,
        method: &Method,
    ) -> Result<impl Future<Output = Result<Reply, Error>> + use<>, Error> {
        let receiver = self.send(|state, id| state.call(id, method))?;
        let timeout = self.timeout;
        Ok(async move {
            match tokio::time::timeout(timeout, receiver).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(_)) => Err(Error::Closed),
                Err(_) => Err(Error::TimedOut { waited: timeout }),
            }
        })
    }

    /// Turns publisher confirms on. Costs no round trip: publishes may follow at once.
    pub fn confirm(&self) -> Result<(), Error> {
        let select = confirm::Select { nowait: true };
        self.send(|state, id| {
            state.channel(id)?.confirms = Some(Confirms::default());
            frame::write_method(&mut state.outbound, id, &select.into());
            Ok(())
        })
    }

    /// Publishes a message; returns its number when confirms are on, else 0.
    ///
    /// Cost: one lock, the frames written once into the connection's buffer; a hash of the route when mandatory.
    pub fn publish(
        &self,
        publish: &basic::Publish,
        properties: &[u8],
        body: &[u8],
        waiter: Option<oneshot::Sender<PublishOutcome>>,
    ) -> Result<u64, Error> {
        self.send(|state, id| {
            let frame_max = state.tuned.frame_max;
            let number = match &mut state.channel(id)?.confirms {
                Some(confirms) => {
                    let (exchange, key) = (&publish.exchange, &publish.routing_key);
                    let hash = publish
                        .mandatory
                        .then(|| MessageHash::new(exchange, key, properties, body));
                    confirms.on_publish(hash, waiter)
                }
                None => 0,
            };
            frame::write_with(&mut state.outbound, FRAME_METHOD, id, |to| publish.write(to));
            frame::write_content(&mut state.outbound, id, properties, body, frame_max);
            Ok(number)
        })
    }

    /// Sends a method that is not answered: `basic.ack`, `basic.nack`, `basic.reject`.
    pub fn tell(&self, method: impl Into<Method>) -> Result<(), Error> {
        let method = method.into();
        self.send(|state, id| {
            state.channel(id)?;
            frame::write_method(&mut state.outbound, id, &method);
            Ok(())
        })
    }

    /// Waits until there is room in the buffer. Cancel-safe.
    pub async fn room(&self) -> Result<(), Error> {
        loop {
            let emptied = self.shared.room.notified();
            tokio::pin!(emptied);
            // Listening begins before the look, so that no bell in between is missed.
            emptied.as_mut().enable();
            {
                let mut state = self.shared.lock();
                state.channel(self.id)?;
                if state.outbound.len() < OUTBOUND_HIGH {
                    return Ok(());
                }
            }
            emptied.await;
        }
    }

    /// Waits until at most `most` published messages are not answered for. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when no answer at all comes within the channel's timeout.
    pub async fn unanswered_at_most(&self, most: usize) -> Result<(), Error> {
        loop {
            if self.unanswered()? <= most {
                return Ok(());
            }
            let answered = tokio::time::timeout(self.timeout, self.answered.notified()).await;
            answered.map_err(|_| Error::TimedOut { waited: self.timeout })?;
        }
    }

    /// Published messages the broker has not answered for.
    pub fn unanswered(&self) -> Result<usize, Error> {
        let mut state = self.shared.lock();
        Ok(state.channel(self.id)?.confirms.as_ref().map_or(0, Confirms::unanswered))
    }

    /// Returns the outcomes of published messages since the last call; of a channel that has ended, too.
    pub fn take_report(&self) -> PublishReport {
        let mut state = self.shared.lock();
        let channel = state.channels.get_mut(&self.id);
        let confirms = channel.and_then(|channel| channel.confirms.as_mut());
        confirms.map(Confirms::take_report).unwrap_or_default()
    }

    /// The reason why the channel can no longer be used, if it cannot.
    pub fn ended(&self) -> Option<Error> {
        self.shared.lock().channel(self.id).err()
    }

    /// Starts a consumer; the tag in `consume` must not be empty, and new on this channel.
    pub async fn consume(self: &Arc<Self>, consume: basic::Consume) -> Result<Inbox, Error> {
        let tag = consume.consumer_tag.clone();
        let inbox = InboxState::default();
        let arrived = Arc::clone(&inbox.arrived);
        self.shared.lock().channel(self.id)?.inboxes.insert(tag.clone(), inbox);
        self.call(consume).await?;
        Ok(Inbox { channel: Arc::clone(self), tag, arrived })
    }

    /// Closes the channel and waits until the broker agrees; what is unsettled returns to its queue.
    pub async fn close(&self) -> Result<(), Error> {
        let close = channel::Close { reply_code: 200, ..Default::default() };
        self.call(close).await.map(|_| ())
    }

    fn send<T>(&self, write: impl FnOnce(&mut State, u16) -> Result<T, Error>) -> Result<T, Error> {
        let mut state = self.shared.lock();
        let was_empty = state.outbound.is_empty();
        let written = write(&mut state, self.id)?;
        drop(state);
        if was_empty {
            self.shared.bell.notify_one();
        }
        Ok(written)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.shared.lock().release_channel(self.id);
        self.shared.bell.notify_one();
    }
}

/// The deliveries that come for one consumer.
#[derive(Debug)]
pub struct Inbox {
    channel: Arc<Channel>,
    tag: ShortStr,
    arrived: Arc<Notify>,
}

impl Inbox {
    /// The consumer tag.
    pub fn tag(&self) -> &ShortStr {
        &self.tag
    }

    /// The channel the consumer is on.
    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Ends the consumer. What has come before can still be taken; then comes `None`.
    pub async fn cancel(&self) -> Result<(), Error> {
        let cancel = basic::Cancel { consumer_tag: self.tag.clone(), nowait: false };
        self.channel.call(cancel).await?;
        let mut state = self.channel.shared.lock();
        if let Some(inbox) = state.channel(self.channel.id)?.inboxes.get_mut(&self.tag) {
            inbox.is_cancelled = true;
        }
        Ok(())
    }

    /// Waits for the next delivery; `None` when the broker has cancelled the consumer because its queue is gone,
    /// or when we have. Cancel-safe: a delivery is taken and returned without waiting in between.
    ///
    /// # Errors
    ///
    /// Why the channel or the connection ended, after all that came before it was taken.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        loop {
            if let Some(delivery) = self.take() {
                return Ok(Some(delivery));
            }
            if self.is_cancelled()? {
                return Ok(None);
            }
            self.arrived.notified().await;
        }
    }

    /// Takes a delivery that is there already.
    fn take(&mut self) -> Option<Delivery> {
        let shared = &self.channel.shared;
        let mut state = shared.lock();
        let was_full = !state.may_read();
        let delivery = state.take_delivery(self.channel.id, &self.tag)?;
        if was_full && state.may_read() {
            shared.bell.notify_one();
        }
        Some(delivery)
    }

    fn is_cancelled(&self) -> Result<bool, Error> {
        let mut state = self.channel.shared.lock();
        let channel = state.channel(self.channel.id)?;
        let inbox = channel.inboxes.get(&self.tag).ok_or(Error::Closed)?;
        Ok(inbox.is_cancelled && inbox.is_empty())
    }
}
