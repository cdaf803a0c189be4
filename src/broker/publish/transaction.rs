//! Publishes of a transaction: routed when they come, handed out at the commit.
//!
//! A commit gives the store every message that must survive before the first queue gets one, or none of them (RabbitMQ:
//! `rabbit_channel`, "tx").

use super::keep::{Append, keep};
use super::publisher::{Publisher, hand_out_counted, reply_name};
use super::request::{Publish, Published, Refusals};
use super::{own, routes};
use crate::broker::message::Message;
use crate::broker::queue::{StreamOrder, Taken};
use crate::broker::route::Route;
use crate::broker::time::Millis;
use crate::store::{Appended, Refused};
use crate::wire::{Fault, ShortStr};

/// A publish that waits for the commit.
#[derive(Debug)]
pub struct Staged {
    message: Message,
    /// The way it had when it was published (RabbitMQ: `rabbit_channel`, "tx"); a direct reply has none.
    route: Option<Route>,
    /// Routing keys beside the message's own.
    copies: Box<[ShortStr]>,
}

impl Staged {
    pub fn message(&self) -> &Message {
        &self.message
    }
}

/// The reason why the store took none of the messages of a commit.
#[derive(Debug, thiserror::Error)]
#[error("the transaction was not committed: {0}")]
pub struct NotCommitted(#[from] Refused);

impl Publisher {
    /// Finds the way of a message that is published at a commit.
    ///
    /// # Errors
    ///
    /// As [`Self::publish`].
    #[inline(never)]
    pub fn stage(&mut self, publish: &Publish<'_>) -> Result<Staged, Fault> {
        let Publish { message, copies, .. } = *publish;
        let route = if reply_name(message).is_some() {
            self.routes.check_default()?;
            None
        } else {
            let route = self.routes.find_all(message, copies)?;
            if route.is_traced() {
                own::trace_publish(&self.vhost, &self.tracer, publish, route.queues());
            }
            Some(route.clone())
        };
        Ok(Staged { message: message.clone(), route, copies: copies.into() })
    }

    /// Publishes the staged messages, in their order; returns the outcome of each.
    ///
    /// # Errors
    ///
    /// [`NotCommitted`] if the store does not take all that must survive. Then no queue has any of the messages.
    pub fn commit(
        &mut self,
        staged: &mut [Staged],
        now: Millis,
    ) -> Result<Vec<Published>, NotCommitted> {
        for publish in &mut *staged {
            self.find_again(publish);
        }
        // From the first publish to the last: a stream counts all of them in one go.
        let mut order = StreamOrder::default();
        let kept = self.keep_all(staged, now, &mut order)?;
        let outcomes = staged.iter().zip(kept).map(|(publish, kept)| match &publish.route {
            Some(route) => {
                let reported = Refusals::Reported;
                match (hand_out_counted(route, &publish.message, kept, reported, now), kept) {
                    (Taken::Refused | Taken::Died, _) => Published::Refused,
                    (Taken::Yes, Some(kept)) => Published::OnDisk(kept.batch),
                    (Taken::Yes, None) if route.queues().is_empty() => {
                        self.to_nowhere(&publish.message)
                    }
                    (Taken::Yes, None) => Published::InMemory,
                }
            }
            None => match reply_name(&publish.message) {
                Some(name) => self.reply(name, &publish.message),
                None => self.to_nowhere(&publish.message),
            },
        });
        Ok(outcomes.collect())
    }

    /// Finds the queues again, now that it is committed: those that were deleted since then are left out. RabbitMQ 3.10
    /// looks for the default exchange's only now.
    fn find_again(&self, publish: &mut Staged) {
        let Some(route) = publish.route.take() else { return };
        let (exchange, _) = publish.message.exchange_and_key();
        publish.route = if exchange.is_empty() && self.vhost.shared().compat.get().is_3_10() {
            routes::find_by_all(&self.vhost, &publish.message, &publish.copies).ok()
        } else {
            Some(route.living())
        };
    }

    /// Gives the store every publish of a commit that must survive, or none of them.
    fn keep_all<'a>(
        &'a self,
        staged: &[Staged],
        now: Millis,
        order: &mut StreamOrder<'a>,
    ) -> Result<Vec<Option<Appended>>, Refused> {
        let shared = self.vhost.shared();
        let mut all = Vec::with_capacity(staged.len());
        for Staged { message, route, .. } in staged {
            let kept =
                route.as_ref().map(|route| keep(shared, route, message, Append::Plain, now, order));
            match kept.transpose() {
                Ok(kept) => all.push(kept.flatten()),
                Err(refused) => {
                    self.take_back(staged, &all);
                    return Err(refused);
                }
            }
        }
        Ok(all)
    }

    /// Settles the messages that the store has taken of a commit that does not happen.
    fn take_back(&self, staged: &[Staged], kept: &[Option<Appended>]) {
        let kept = staged.iter().zip(kept);
        let kept = kept.filter_map(|(publish, kept)| {
            Some((publish.route.as_ref()?, &publish.message, (*kept)?))
        });
        let places = kept.flat_map(|(route, message, kept)| route.places(message, kept.first));
        if let Some(store) = self.vhost.shared().store() {
            store.settle(&places.collect());
        }
    }
}
