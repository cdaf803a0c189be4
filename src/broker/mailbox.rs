//! The posts that wait to be sent on one connection: deliveries and notices from queues, bounded in bytes.
//!
//! A queue posts while it holds its own lock; the connection's task drains. The bell (a `Waker`) rings only
//! when the mailbox goes from empty to non-empty, so a busy consumer is woken once for many messages.
//! A queue that finds no room leaves its messages where they are and is dealt again after the next drain.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard};
use std::task::{Wake, Waker};

use super::entry::Entry;
use super::message::Message;
use super::unacked::UnackedInquiry;
use crate::lock::Mutex;
use crate::wire::Fault;

/// Bytes of messages that may wait for one connection: enough to keep a fast consumer busy, little enough
/// that ten thousand slow ones do not matter.
const MAILBOX_BYTES_MAX: usize = 1 << 20;
/// Bytes counted for a post beside its message.
const POST_BYTES: usize = 64;

/// The number by which a connection finds the consumer of a delivery: an index into its own list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerSlot(pub u32);

/// One thing to tell a client.
#[derive(Debug)]
pub enum Post {
    /// A message for a consumer.
    Delivery { slot: ConsumerSlot, entry: Entry },
    /// A reply for the direct reply-to consumer of a channel.
    Reply { channel: u16, message: Message },
    /// The queue of a consumer is gone.
    Cancelled { slot: ConsumerSlot },
    /// The consumer timeout of a consumer has changed.
    TimeLimited { slot: ConsumerSlot },
    /// The broker ends the connection.
    Close(Fault),
    /// Publishers may go on: the disk alarm is over.
    Unblocked,
    /// The message of a `basic.get` that the connection waits for has been read, or cannot be.
    GetRead,
    /// A queue has read the messages that the connection rejected, or cannot: their dead letters are published.
    DeadLettersRead,
}

impl Post {
    #[inline]
    fn bytes(&self) -> usize {
        match self {
            Self::Delivery { entry, .. } => entry.message().len() + POST_BYTES,
            Self::Reply { message, .. } => message.len() + POST_BYTES,
            Self::Cancelled { .. }
            | Self::TimeLimited { .. }
            | Self::Close(_)
            | Self::Unblocked
            | Self::GetRead
            | Self::DeadLettersRead => POST_BYTES,
        }
    }
}

/// The kind of posts that wait in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingPosts {
    Nothing,
    Posts,
    /// Among them one that a peer must not hold up by not reading: the end of its connection.
    Urgent,
    /// A question is to be answered before the posts are looked at.
    Inquiry,
}

/// The mailbox of one connection.
#[derive(Debug, Default)]
pub struct Mailbox {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    posts: VecDeque<Post>,
    bytes: usize,
    /// Consumers whose queues wanted to post and found no room.
    turned_away: Vec<ConsumerSlot>,
    /// Questions for the deliveries of the connection.
    inquiries: Vec<UnackedInquiry>,
    /// The broker wants to end the connection.
    is_urgent: bool,
    /// The connection has ended: new posts are given back.
    closed: bool,
    waker: Option<Waker>,
}

/// The result of draining a mailbox, beside the posts.
#[derive(Debug, Default)]
pub struct Drained {
    /// Consumers that were turned away, some perhaps twice: their queues are to deal to them again.
    pub turned_away: Vec<ConsumerSlot>,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Opens the mailbox for posting several at once; a closed or full one says so.
    pub fn open(&self) -> OpenMailbox<'_> {
        let inner = self.lock();
        OpenMailbox { was_empty: inner.posts.is_empty(), inner: Some(inner) }
    }

    /// Posts one thing, room or not: for notices, which are few.
    pub fn post(&self, post: Post) {
        self.open().push(post);
    }

    /// Asks the connection for the deliveries of a queue; one that has ended has none.
    pub fn ask(&self, inquiry: UnackedInquiry) {
        let mut inner = self.lock();
        if inner.closed {
            drop(inner);
            drop(inquiry);
            return;
        }
        inner.inquiries.push(inquiry);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the questions that wait to be answered.
    pub fn take_inquiries(&self) -> Vec<UnackedInquiry> {
        std::mem::take(&mut self.lock().inquiries)
    }

    /// Shows each post that waits.
    pub fn for_each(&self, see: impl FnMut(&Post)) {
        self.lock().posts.iter().for_each(see);
    }

    /// Answers whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lock().posts.is_empty()
    }

    /// Moves all posts into `into`, which should be empty, and gives its memory to the mailbox in exchange.
    pub fn drain(&self, into: &mut VecDeque<Post>) -> Drained {
        let mut inner = self.lock();
        std::mem::swap(&mut inner.posts, into);
        inner.bytes = 0;
        inner.is_urgent = false;
        Drained { turned_away: std::mem::take(&mut inner.turned_away) }
    }

    /// Remembers the waker to wake when something comes; returns the kind of posts that wait already.
    pub fn register(&self, waker: &Waker) -> WaitingPosts {
        let mut inner = self.lock();
        match &mut inner.waker {
            Some(known) => known.clone_from(waker),
            None => inner.waker = Some(waker.clone()),
        }
        match (inner.posts.is_empty(), inner.is_urgent) {
            _ if !inner.inquiries.is_empty() => WaitingPosts::Inquiry,
            (true, _) => WaitingPosts::Nothing,
            (false, false) => WaitingPosts::Posts,
            (false, true) => WaitingPosts::Urgent,
        }
    }

    /// Takes no more posts and answers with those that were never sent.
    pub fn close(&self) -> VecDeque<Post> {
        let mut inner = self.lock();
        inner.closed = true;
        inner.waker = None;
        inner.bytes = 0;
        let inquiries = std::mem::take(&mut inner.inquiries);
        let posts = std::mem::take(&mut inner.posts);
        drop(inner);
        drop(inquiries);
        posts
    }
}

/// Tells a connection that the message of its `basic.get` has been read.
impl Wake for Mailbox {
    fn wake(self: Arc<Self>) {
        self.post(Post::GetRead);
    }
}

/// Tells a connection that a queue has read the messages it rejected.
#[derive(Debug)]
pub struct DeadLetterReader(pub Arc<Mailbox>);

impl Wake for DeadLetterReader {
    fn wake(self: Arc<Self>) {
        self.0.post(Post::DeadLettersRead);
    }
}

/// A mailbox held open; the bell rings when it is dropped, after the lock is given back.
#[derive(Debug)]
pub struct OpenMailbox<'a> {
    inner: Option<MutexGuard<'a, Inner>>,
    was_empty: bool,
}

impl OpenMailbox<'_> {
    #[inline]
    fn inner(&mut self) -> &mut Inner {
        self.inner.as_mut().expect("the guard is there until the drop")
    }

    /// Answers whether another message may be posted; if not, [`Self::turn_away`] makes the queue try again.
    #[inline]
    pub fn has_room(&mut self) -> bool {
        let inner = self.inner();
        !inner.closed && inner.bytes < MAILBOX_BYTES_MAX
    }

    /// Remembers a consumer that got nothing, and that its queue leaves out until the next drain.
    pub fn turn_away(&mut self, slot: ConsumerSlot) {
        let inner = self.inner();
        // Acknowledgements bring one back into the line to be turned away once more.
        if !inner.closed && inner.turned_away.last() != Some(&slot) {
            inner.turned_away.push(slot);
        }
    }

    #[inline]
    pub fn push(&mut self, post: Post) {
        let inner = self.inner();
        inner.is_urgent |= matches!(post, Post::Close(_));
        inner.bytes += post.bytes();
        inner.posts.push_back(post);
    }
}

impl Drop for OpenMailbox<'_> {
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else { return };
        if (self.was_empty && !inner.posts.is_empty()) || inner.is_urgent {
            let waker = inner.waker.take();
            drop(inner);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
