//! A publish that has come in whole: checked, numbered, routed, pushed.
//!
//! One call stack from here into the mailboxes of the consumers, on the publisher's task. A persistent message that
//! goes to durable queues is given to the store before any queue has it, so that each gets it with its place; who
//! waits for the sync is `confirms`' and `tx`'s business.

use super::assembly::{Assembly, Content, Facts};
use super::channel::{Channel, Mode};
use super::confirms::Due;
use super::deliver::write_return;
use super::disk::Published;
use super::routes::Routes;
use super::tx::Staged;
use super::{Context, Running};
use crate::broker::arguments::parse_expiration;
use crate::broker::dead_letter::letters_after;
use crate::broker::exchange::{Details, copies, may_have_copies, without_blind_copies};
use crate::broker::message::Message;
use crate::broker::queue::{Millis, Taken};
use crate::broker::replies::{REPLY_TO, Replies};
use crate::broker::{Broker, Route, StreamOrder};
use crate::store::{Appended, Refused, Store};
use crate::wire::constants::CLASS_BASIC;
use crate::wire::properties::Encoded;
use crate::wire::{Fault, ReplyCode, ShortStr, Writer};

/// The tag of users who may publish in the name of others.
const IMPERSONATOR: &str = "impersonator";

/// Whether a message must be told back when no queue takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Mandatory,
    Optional,
}

/// Where a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routed {
    /// No queue takes it.
    Nowhere,
    /// Its queues have it, unless it was refused.
    Queues(Due),
}

fn precondition(text: String) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

impl Running {
    /// Publishes the content that has come in on a channel.
    #[inline]
    pub(super) fn on_publish(
        &mut self,
        cx: &Context,
        number: u16,
        mut content: Content,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        if content.publish.is_immediate {
            return Err(Fault::new(ReplyCode::NotImplemented, "immediate=true"));
        }
        let examined = examine(&channel.assembly, &content, &self.user, cx);
        let Examined { facts, asks_direct_reply, copies } = match examined {
            Ok(examined) => examined,
            Err(fault) => return Err(channel.refuse(&mut self.routes, &content, fault)),
        };
        if asks_direct_reply {
            channel.rewrite_reply_to(&mut content)?;
        }
        if copies.is_some() {
            channel.hide_blind_copies(&mut content);
        }
        let copies = copies.as_deref().unwrap_or_default();
        let delivery =
            if content.publish.is_mandatory { Delivery::Mandatory } else { Delivery::Optional };
        channel.info.counters.publish.add(1);
        self.disk.published = self.disk.published.max(Published::Something);
        let message = channel.assembly.message(&content, facts);
        if matches!(channel.mode, Mode::Transaction(_)) {
            return channel.stage(&mut self.routes, message, copies, delivery, now);
        }
        let routed = channel.route(&cx.broker, &mut self.routes, &message, copies, now)?;
        let due = match routed {
            Routed::Queues(due) => due,
            Routed::Nowhere => {
                channel.on_unroutable(delivery, &message, self.frame_max, out);
                Due::Now
            }
        };
        if due != Due::Now {
            self.disk.published = Published::ToKeep;
        }
        if let Mode::Confirm(confirms) = &mut channel.mode {
            confirms.add(due);
            if self.confirming.last() != Some(&number) {
                self.confirming.push(number);
            }
        }
        Ok(())
    }
}

/// What the properties of a publish say.
struct Examined {
    facts: Facts,
    asks_direct_reply: bool,
    /// Further routing keys, where there may be some.
    copies: Option<Vec<ShortStr>>,
}

/// Checks the properties of a publish, in RabbitMQ's order.
#[inline]
fn examine(
    assembly: &Assembly,
    content: &Content,
    user: &str,
    cx: &Context,
) -> Result<Examined, Fault> {
    let properties = assembly.properties(content);
    let found = Encoded::scan(properties)
        .map_err(|error| Fault::undecodable(error, CLASS_BASIC, 0, properties))?;
    if let Some(claimed) = found.user_id
        && claimed != user.as_bytes()
        && !cx.broker.users.has_tag(user, IMPERSONATOR)
    {
        let claimed = String::from_utf8_lossy(claimed);
        return Err(precondition(format!(
            "user_id property set to '{claimed}' but authenticated user was '{user}'"
        )));
    }
    let facts = Facts {
        is_persistent: found.delivery_mode == Some(2),
        time_to_live_ms: match found.expiration {
            None => None,
            Some(text) => Some(parse_expiration(&String::from_utf8_lossy(text))?),
        },
        priority: found.priority.unwrap_or_default(),
    };
    let copies = match found.headers {
        Some(headers) if may_have_copies(headers) => Some(copies_of(&found)?),
        Some(_) | None => None,
    };
    let asks_direct_reply = found.reply_to == Some(REPLY_TO.as_bytes());
    Ok(Examined { facts, asks_direct_reply, copies })
}

impl Channel {
    /// What is to be said of a publish whose properties are refused: where it was to go is looked at before them
    /// (RabbitMQ: `rabbit_channel`, `basic.publish`).
    #[cold]
    fn refuse(&mut self, routes: &mut Routes, content: &Content, fault: Fault) -> Fault {
        let facts = Facts { is_persistent: false, time_to_live_ms: None, priority: 0 };
        let message = self.assembly.message(content, facts);
        match reply_name(&message) {
            Some(_) => routes.check_default().err(),
            None => routes.find_all(&message, &[]).err(),
        }
        .unwrap_or(fault)
    }

    /// Hands a message to every queue it is routed to.
    ///
    /// One that the store does not take goes nowhere when its publisher will hear of it, and else stays in memory.
    #[inline]
    pub(super) fn route(
        &mut self,
        broker: &Broker,
        routes: &mut Routes,
        message: &Message,
        copies: &[ShortStr],
        now: Millis,
    ) -> Result<Routed, Fault> {
        if let Some(name) = reply_name(message) {
            routes.check_default()?;
            if self.tracer.vhost.is_traced() {
                self.tracer.published(message, copies, &[], self.number, now);
            }
            return Ok(reply(broker, name, message));
        }
        let route = routes.find_all(message, copies)?;
        if route.is_traced {
            self.tracer.published(message, copies, &route.queues, self.number, now);
        }
        let mut order = StreamOrder::default();
        let kept = match keep(broker, route, message, now, &mut order) {
            Ok(kept) => kept,
            Err(refused) if matches!(self.mode, Mode::Plain) => {
                broker.alarm.warn_of_unkept(refused);
                None
            }
            Err(_) => return Ok(Routed::Queues(Due::Refused)),
        };
        let taken = push(route, message, kept, now);
        if taken == Taken::Refused && matches!(self.mode, Mode::Confirm(_)) {
            return Ok(Routed::Queues(Due::Refused));
        }
        Ok(match kept {
            Some(Appended { batch, .. }) => Routed::Queues(Due::Synced(batch)),
            None if route.queues.is_empty() => Routed::Nowhere,
            None => Routed::Queues(Due::Now),
        })
    }

    /// Keeps a publish of a transaction: it is routed now, and handed over at the commit.
    #[inline(never)]
    fn stage(
        &mut self,
        routes: &mut Routes,
        message: Message,
        copies: &[ShortStr],
        delivery: Delivery,
        now: Millis,
    ) -> Result<(), Fault> {
        let route = if reply_name(&message).is_some() {
            routes.check_default()?;
            None
        } else {
            let route = routes.find_all(&message, copies)?;
            if route.is_traced {
                self.tracer.published(&message, copies, &route.queues, self.number, now);
            }
            Some(route.clone())
        };
        if let Mode::Transaction(transaction) = &mut self.mode {
            let others = copies.into();
            transaction.stage(Staged { message, delivery, route, others });
        }
        Ok(())
    }

    /// Takes out what the publisher wants nobody to see.
    #[cold]
    fn hide_blind_copies(&mut self, content: &mut Content) {
        let properties = self.assembly.properties(content);
        if let Some(left) = without_blind_copies(properties) {
            let whole = 0..properties.len();
            self.assembly.splice_properties(content, whole, &left);
        }
    }

    /// Counts a message that no queue takes, and tells it back when it is mandatory.
    pub(super) fn on_unroutable(
        &self,
        delivery: Delivery,
        message: &Message,
        frame_max: u32,
        out: &mut Vec<u8>,
    ) {
        match delivery {
            Delivery::Optional => self.info.counters.drop_unroutable.add(1),
            Delivery::Mandatory => {
                self.info.counters.return_unroutable.add(1);
                write_return(out, self.number, message, frame_max);
            }
        }
    }

    /// Puts this channel's reply name into `reply_to`, in place of [`REPLY_TO`].
    fn rewrite_reply_to(&mut self, content: &mut Content) -> Result<(), Fault> {
        let Some(reply) = &self.reply else {
            return Err(precondition("fast reply consumer does not exist".to_owned()));
        };
        let properties = self.assembly.properties(content);
        let asked = Encoded::scan(properties).ok().and_then(|found| found.reply_to);
        // A short string: its length stands in the byte before it.
        let at =
            asked.map_or(1, |asked| asked.as_ptr() as usize - properties.as_ptr() as usize) - 1;
        let mut name = Vec::with_capacity(reply.name.len() + 1);
        Writer::new(&mut name).short(&reply.name);
        self.assembly.splice_properties(content, at..at + 1 + REPLY_TO.len(), &name);
        Ok(())
    }
}

/// The reply name a message is for: the default exchange (an empty first string) leads there as it does to queues.
#[inline]
pub(super) fn reply_name(message: &Message) -> Option<&str> {
    let names = message.names();
    if names.first() != Some(&0) {
        return None;
    }
    let key = names.get(2..).filter(|key| key.starts_with(REPLY_TO.as_bytes()))?;
    std::str::from_utf8(key).ok().filter(|key| Replies::is_reply_name(key))
}

/// Hands a direct reply to whoever waits for it.
pub(super) fn reply(broker: &Broker, name: &str, message: &Message) -> Routed {
    let is_there = broker.replies.post(name, message.clone());
    // To RabbitMQ 3.10 it has gone to no queue.
    let is_routed = is_there && !broker.compat().is_3_10();
    if is_routed { Routed::Queues(Due::Now) } else { Routed::Nowhere }
}

/// Gives a message to the store that must survive in one of its queues; `None` for any other. What it holds of `order`
/// is to be held until [`push`] is done.
///
/// Cost: two tests for a message that need not be kept; else one lock and one copy in the store.
#[inline]
pub(super) fn keep<'a>(
    broker: &'a Broker,
    route: &Route,
    message: &Message,
    now: Millis,
    order: &mut StreamOrder<'a>,
) -> Result<Option<Appended>, Refused> {
    let Some(store) = &broker.store else { return Ok(None) };
    if route.keepers(message).is_empty() {
        return Ok(None);
    }
    order.hold(broker, route);
    append(broker, store, route, message, now).map(Some)
}

#[inline(never)]
fn append(
    broker: &Broker,
    store: &Store,
    route: &Route,
    message: &Message,
    now: Millis,
) -> Result<Appended, Refused> {
    let published_at = broker.started_unix_ms().saturating_add(now);
    let new = message.to_record(route.keepers(message), published_at);
    store.append_quietly(&new)
}

/// Hands a message to the queues of a route, those that keep it with its place; answers whether one of them is full.
#[inline]
pub(super) fn push(route: &Route, message: &Message, kept: Option<Appended>, now: Millis) -> Taken {
    route.counters.publish_in.add(1);
    if !route.is_plain {
        return push_with_care(route, message, kept, now);
    }
    route.counters.publish_out.add(route.queues.len() as u64);
    match (&route.queues[..], kept) {
        ([], _) => {}
        ([only], kept) => {
            let place = kept.and_then(|kept| route.places(message, kept.first).next());
            only.push(message.clone(), place, now);
        }
        (queues, None) => letters_after(now, || {
            for queue in queues {
                queue.push(message.clone(), None, now);
            }
        }),
        (queues, Some(kept)) => letters_after(now, || {
            // The queues that keep it come first.
            let mut places = route.places(message, kept.first);
            for queue in queues {
                queue.push(message.clone(), places.next(), now);
            }
        }),
    }
    Taken::Yes
}

/// The same when exchanges remember the message or some of the queues may be full: what one of them refuses the others
/// have nevertheless (RabbitMQ: `rabbit_channel`, "reject-publish"). A queue settles the place of what it refuses.
#[inline(never)]
fn push_with_care(route: &Route, message: &Message, kept: Option<Appended>, now: Millis) -> Taken {
    for history in &route.histories {
        history.add(message);
    }
    route.counters.publish_out.add(route.queues.len() as u64);
    let mut places = kept.map(|kept| route.places(message, kept.first)).into_iter().flatten();
    let mut taken = Taken::Yes;
    letters_after(now, || {
        for queue in &route.queues {
            if queue.push(message.clone(), places.next(), now) == Taken::Refused {
                taken = Taken::Refused;
            }
        }
    });
    taken
}

/// The further routing keys of a message whose headers seem to name some.
#[cold]
fn copies_of(found: &Encoded<'_>) -> Result<Vec<ShortStr>, Fault> {
    copies(&found.headers().unwrap_or_default())
}

/// What of a message only some exchanges look at.
pub(super) fn details_of(message: &Message) -> Result<Details, Fault> {
    let properties = message.properties();
    Details::read(properties).map_err(|error| Fault::undecodable(error, CLASS_BASIC, 0, properties))
}

/// Generates the part of a server-made name that tells it apart: 22 letters of URL-safe base64, as RabbitMQ does.
pub(super) fn unique_name(prefix: &str) -> ShortStr {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use std::hash::{BuildHasher, RandomState};
    let halves = [0, 1].map(|half: u64| RandomState::new().hash_one(half).to_be_bytes());
    ShortStr::truncated(&format!("{prefix}{}", URL_SAFE_NO_PAD.encode(halves.concat())))
}
