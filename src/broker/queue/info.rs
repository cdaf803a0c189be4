//! What a queue shows of itself.

use super::{Queue, Settings, Subscription};
use crate::broker::stats::QueueCounters;
use crate::wire::ShortStr;

/// What a queue looks like from outside.
#[derive(Clone, Debug)]
pub struct QueueInfo {
    pub settings: Settings,
    pub ready: u64,
    pub ready_bytes: u64,
    pub unacked: u64,
    pub unacked_bytes: u64,
    pub consumers: u64,
    pub exclusive_consumer: Option<ShortStr>,
    /// The one that is served, when only one is.
    pub single_active_consumer: Option<ShortStr>,
    pub counters: QueueCounters,
    /// Messages that are gone from it because the store could not read them; they are still on disk.
    pub unreadable: u64,
    /// Share of the consumers that could take a message now, 0 to 1.
    pub consumer_capacity: f64,
}

/// Whether a consumer is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// As all are.
    Up,
    /// It alone.
    SingleActive,
    /// Another one is.
    Waiting,
}

impl Activity {
    /// The name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::SingleActive => "single_active",
            Self::Waiting => "waiting",
        }
    }
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
        let exclusive = state.consumers.iter().find(|consumer| consumer.subscription.exclusive);
        QueueInfo {
            settings: self.settings.clone(),
            ready: state.len(),
            ready_bytes: state.bytes(),
            unacked: state.unacked,
            unacked_bytes: state.unacked_bytes,
            consumers: state.consumers.len() as u64,
            exclusive_consumer: exclusive.map(|consumer| consumer.subscription.tag.clone()),
            single_active_consumer: state.consumers.single_active().cloned(),
            counters: state.counters,
            unreadable: state.unreadable + state.ready.lost(),
            consumer_capacity: state.consumers.capacity(),
        }
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
}
