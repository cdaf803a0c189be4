//! The figures of a queue that the management API shows.

use super::consumers::Activity;
use super::consumers::consumer::Subscription;
use super::counts::{Counts, count_u32};
use super::delayed::Delayed;
use super::settings::Settings;
use super::state::Queue;
use super::stream::{Stream, StreamInfo};
use crate::broker::arguments::RetryKind;
use crate::broker::stats::QueueCounters;
use crate::wire::ShortStr;

/// A queue's settings, counts and state at one moment.
#[derive(Clone, Debug)]
pub struct QueueInfo {
    pub settings: Settings,
    /// A bug has ended a call under the queue's lock since the broker started.
    pub has_crashed: bool,
    pub ready: u64,
    pub ready_bytes: u64,
    pub unacked: u64,
    pub unacked_bytes: u64,
    /// Dead letters that are kept until a queue has them.
    pub letters: u64,
    pub letter_bytes: u64,
    /// Bytes of memory that its messages take.
    pub memory_bytes: u64,
    pub consumers: u64,
    pub exclusive_consumer: Option<ShortStr>,
    /// The one that is served, when only one is.
    pub single_active_consumer: Option<ShortStr>,
    pub counters: QueueCounters,
    /// Messages that are gone from it because the store could not read them; they are still on disk.
    pub unreadable: u64,
    /// Share of the consumers that could take a message now, 0 to 1.
    pub consumer_capacity: f64,
    /// Failed deliveries after which a message of a quorum queue dies.
    pub delivery_limit: Option<u16>,
    pub delayed_retry: RetryKind,
    /// The state that only a stream has.
    pub stream: Option<StreamInfo>,
}

/// A consumer as listings show it.
#[derive(Clone, Debug)]
pub struct ConsumerInfo {
    pub queue: ShortStr,
    pub vhost: ShortStr,
    pub subscription: Subscription,
    pub activity: Activity,
}

impl Queue {
    pub fn info(&self) -> QueueInfo {
        let state = self.lock();
        let exclusive = state.consumers.iter().find(|consumer| consumer.subscription().exclusive);
        let (letters, letter_bytes) = state.counted_letters();
        let of_stream = state.kind.stream().map_or(0, Stream::reported_bytes);
        let retry = state.limits.as_deref().and_then(|limits| limits.delayed_retry);
        QueueInfo {
            letters: letters as u64,
            letter_bytes,
            settings: self.settings.clone(),
            has_crashed: self.state.has_panicked(),
            ready: state.len(),
            ready_bytes: state.bytes(),
            unacked: state.unacked.count(),
            unacked_bytes: state.unacked.bytes(),
            memory_bytes: state.backlog.resident_bytes() + of_stream,
            consumers: state.consumers.len() as u64,
            exclusive_consumer: exclusive.map(|consumer| consumer.subscription().tag.clone()),
            single_active_consumer: state.consumers.active_tag().cloned(),
            counters: state.counters,
            unreadable: state.unreadable + state.backlog.lost(),
            consumer_capacity: state.consumers.capacity(),
            delivery_limit: self.delivery_rule(&state).map(|rule| rule.0),
            delayed_retry: retry.map_or(RetryKind::Disabled, |retry| retry.kind()),
            stream: state.kind.stream().map(Stream::info),
        }
    }

    pub fn counts(&self) -> Counts {
        let state = self.lock();
        // RabbitMQ counts no consumers of a stream here (`rabbit_stream_queue:stat`).
        let consumers = if state.kind.is_stream() { 0 } else { state.consumers.len() };
        let ready = u32::try_from(state.len()).unwrap_or(u32::MAX);
        Counts { ready, consumers: count_u32(consumers) }
    }

    pub fn consumers(&self) -> Vec<ConsumerInfo> {
        let state = self.lock();
        let info = |(subscription, activity): (&Subscription, Activity)| ConsumerInfo {
            queue: self.settings.name.clone(),
            vhost: self.settings.vhost.clone(),
            subscription: subscription.clone(),
            activity,
        };
        state.consumers.activities().map(info).collect()
    }

    /// Counts the messages that a delayed exchange holds here until they are due.
    pub fn delayed_len(&self) -> usize {
        self.lock().kind.delayed().map_or(0, Delayed::len)
    }
}
