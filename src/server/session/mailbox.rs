//! Posts of the connection's mailbox: deliveries, replies and notices from the broker, turned into frames.

use std::collections::VecDeque;
use std::sync::Arc;

use super::state::{Context, Phase, Running, Session};
use super::unacked::Unacked;
use crate::broker::mailbox::Post;
use crate::broker::time::Millis;

/// Bytes that one call may append before the connection's task writes them out.
const DELIVERY_RUN_BYTES: usize = 256 << 10;

impl Session {
    /// Turns posts into frames until none waits or [`DELIVERY_RUN_BYTES`] were appended; answers whether more wait.
    pub(super) fn take_posts(&mut self, now: Millis, out: &mut Vec<u8>) -> bool {
        let has_more = self.send_posts(now, out);
        self.tell_settled();
        has_more
    }

    fn send_posts(&mut self, now: Millis, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        while out.len() - start < DELIVERY_RUN_BYTES {
            if self.posts.is_empty() {
                let drained = self.cx.connection.mailbox.drain(&mut self.posts);
                if let Phase::Running(running) = &self.phase {
                    running.resume(drained.turned_away, now);
                }
                if self.posts.is_empty() {
                    return false;
                }
            }
            let Some(post) = self.posts.pop_front() else { return false };
            self.on_post(post, now, out);
        }
        true
    }

    fn on_post(&mut self, post: Post, now: Millis, out: &mut Vec<u8>) {
        match (post, &mut self.phase) {
            // A stopping broker does not wait for a client that has been told everything.
            (Post::Close(_), Phase::Silent { .. }) => self.phase = Phase::Closed,
            (Post::Close(fault), _) => self.on_fault(0, &fault, now, out),
            (Post::Delivery { slot, entry }, Phase::Running(running)) => {
                running.on_delivery(slot, entry, now, out);
            }
            (Post::Reply { channel, message }, Phase::Running(running)) => {
                running.on_reply(channel, &message, out);
            }
            (Post::Cancelled { slot }, Phase::Running(running)) => running.on_cancelled(slot, out),
            (Post::TimeLimited { slot }, Phase::Running(running)) => {
                running.on_time_limited(slot, &self.cx, now);
            }
            (Post::Unblocked, _) => self.on_unblocked(now, out),
            (Post::GetRead, _) => self.on_get_read(now, out),
            (Post::DeadLettersRead, _) => self.on_dead_letters_read(now),
            (
                _,
                Phase::Handshake(_)
                | Phase::Closing { .. }
                | Phase::Silent { .. }
                | Phase::Closed
                | Phase::Dropped,
            ) => {}
        }
    }
}

impl Running {
    /// Sends or takes back everything in the mailbox, so that no post names a consumer that is about to go.
    ///
    /// Answers with the deliveries for the channel `leaving`.
    pub(super) fn flush_posts(
        &mut self,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        leaving: Option<u16>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Vec<Unacked> {
        let mut unsent = Vec::new();
        let mut later = VecDeque::new();
        let mut fresh = VecDeque::new();
        let drained = cx.connection.mailbox.drain(&mut fresh);
        for post in std::mem::take(posts).into_iter().chain(fresh) {
            match post {
                Post::Delivery { slot, entry } => match self.consumers.get(slot) {
                    Some(source) if Some(source.channel) == leaving => {
                        let origin = Arc::clone(&source.origin);
                        unsent.push(Unacked { tag: 0, origin, entry, delivered_at: now });
                    }
                    Some(_) | None => self.on_delivery(slot, entry, now, out),
                },
                Post::Reply { channel, message } if Some(channel) != leaving => {
                    self.on_reply(channel, &message, out);
                }
                Post::Reply { .. } => {}
                Post::Cancelled { slot } => {
                    if self
                        .consumers
                        .get(slot)
                        .is_some_and(|source| Some(source.channel) != leaving)
                    {
                        self.on_cancelled(slot, out);
                    }
                }
                Post::TimeLimited { slot } => self.on_time_limited(slot, cx, now),
                Post::Close(_) | Post::Unblocked | Post::GetRead | Post::DeadLettersRead => {
                    later.push_back(post);
                }
            }
        }
        *posts = later;
        self.resume(drained.turned_away, now);
        unsent
    }
}
