//! Direct reply-to: replies that go straight to a waiting channel, without a queue.
//!
//! A channel that consumes from `amq.rabbitmq.reply-to` gets a name of its own. The broker puts that name into the
//! `reply_to` of the channel's requests, and a publish to it through the default exchange reaches the channel's mailbox
//! (RabbitMQ: "Direct Reply-to").

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::mailbox::{Mailbox, Post};
use super::message::Message;
use crate::lock::RwLock;
use crate::wire::ShortStr;

/// The pseudo-queue to consume from, and the start of every reply name.
pub const REPLY_TO: &str = "amq.rabbitmq.reply-to";

#[derive(Clone, Debug)]
struct ReplyTarget {
    mailbox: Arc<Mailbox>,
    channel: u16,
}

/// Channels that wait for replies, by their name.
#[derive(Debug, Default)]
pub struct Replies {
    targets: RwLock<HashMap<ShortStr, ReplyTarget>>,
    serial: AtomicU64,
    /// Makes names that cannot be guessed from others.
    hasher: RandomState,
}

impl Replies {
    /// Registers a channel; answers the name its requests carry.
    pub fn add(&self, mailbox: Arc<Mailbox>, channel: u16) -> ShortStr {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let halves = [0, 1].map(|half: u64| self.hasher.hash_one((serial, half)).to_be_bytes());
        // Sixteen bytes as RabbitMQ writes them, which some tests of clients look for.
        let secret = STANDARD.encode(halves.concat());
        let name = ShortStr::truncated(&format!("{REPLY_TO}.{serial:x}.{secret}"));
        let mut targets = self.targets.write();
        targets.insert(name.clone(), ReplyTarget { mailbox, channel });
        name
    }

    pub fn remove(&self, name: &str) {
        self.targets.write().remove(name);
    }

    /// Answers whether a routing key or queue name is a reply name, alive or not.
    #[inline]
    pub fn is_reply_name(name: &str) -> bool {
        name.len() > REPLY_TO.len() && name.starts_with(REPLY_TO)
    }

    /// Answers whether the channel behind a reply name still waits.
    pub fn is_alive(&self, name: &str) -> bool {
        self.targets.read().contains_key(name)
    }

    /// Hands a reply to the channel of that name; answers whether it is there.
    pub fn post(&self, name: &str, message: Message) -> bool {
        let targets = self.targets.read();
        let Some(target) = targets.get(name) else { return false };
        target.mailbox.post(Post::Reply { channel: target.channel, message });
        true
    }
}
