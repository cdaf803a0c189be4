//! The parts of a lesson: steps, and the acts of each step.

/// A lesson, in the order of the classic tutorial.
#[derive(Debug)]
pub struct Lesson {
    pub number: u8,
    /// The name to call it by.
    pub name: &'static str,
    pub title: &'static str,
    /// The story of the lesson, in a few lines.
    pub story: &'static str,
    pub steps: &'static [Step],
}

impl Lesson {
    /// True if the broker is stopped in it, which can only be done to one of our own.
    pub fn stops_the_broker(&self) -> bool {
        let mut acts = self.steps.iter().flat_map(|step| step.acts);
        acts.any(|act| matches!(act, Act::Restart))
    }
}

/// A step: how one does it, and what is done now.
#[derive(Debug)]
pub struct Step {
    pub title: &'static str,
    /// The same with `mq`, a command a line.
    pub command: &'static str,
    /// The same with pika.
    pub python: &'static str,
    pub acts: &'static [Act],
}

/// Something that happens, and may be checked. Names of queues and exchanges are those of the story.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Queue(&'static str),
    Exchange {
        name: &'static str,
        kind: &'static str,
    },
    /// Someone consumes from a queue; a `prefetch` of 0 is no limit.
    Consume {
        who: &'static str,
        queue: &'static str,
        prefetch: u16,
    },
    /// Someone binds a queue of their own to an exchange and consumes from it.
    Subscribe {
        who: &'static str,
        exchange: &'static str,
        keys: &'static [&'static str],
    },
    /// The producer sends a message; with the exchange "" the key is a queue.
    Publish {
        exchange: &'static str,
        key: &'static str,
        body: &'static str,
    },
    /// Someone gets exactly these next, and acknowledges them.
    Receive {
        who: &'static str,
        bodies: &'static [&'static str],
    },
    /// Someone gets this next, and keeps it unacknowledged.
    Hold {
        who: &'static str,
        body: &'static str,
    },
    /// Someone is gone, with what they held.
    Die {
        who: &'static str,
    },
    /// Someone gets this next, marked as redelivered, and acknowledges it.
    ReceiveAgain {
        who: &'static str,
        body: &'static str,
    },
    /// Someone acknowledges what they held.
    Release {
        who: &'static str,
    },
    /// Someone answers requests for Fibonacci numbers.
    ServeFibonacci {
        queue: &'static str,
    },
    /// The client calls and gets this reply.
    Call {
        queue: &'static str,
        request: &'static str,
        reply: &'static str,
        by: ReplyBy,
    },
    /// So many messages are sent at once, and the broker confirms each.
    ConfirmAll {
        queue: &'static str,
        count: u32,
    },
    /// The producer sends a message to a queue, to last or not.
    Send {
        queue: &'static str,
        body: &'static str,
        as_a: Delivery,
    },
    /// The broker is stopped and started.
    Restart,
    /// A queue is there, and these are its messages.
    Kept {
        queue: &'static str,
        bodies: &'static [&'static str],
    },
    /// A message that no queue gets comes back.
    ComeBack {
        key: &'static str,
    },
}

/// Says if a message survives a restart (`delivery_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Transient,
    Persistent,
}

/// The way a reply takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyBy {
    /// RabbitMQ's direct reply-to.
    Direct,
    /// An exclusive queue, as the classic tutorial has it.
    OwnQueue,
}
