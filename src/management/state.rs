//! The state that all requests to one management API share.

use std::sync::Arc;
use std::time::Duration;

use super::rates::{self, Sampler};
use super::sampling;
use super::server_info::ServerInfo;
use super::view::View;
use crate::broker::Broker;
use crate::broker::auth::User;

/// The management of one broker.
#[derive(Debug)]
pub struct Management {
    pub(super) broker: Arc<Broker>,
    pub(super) server: ServerInfo,
    sampler: Sampler,
}

impl Management {
    pub fn new(broker: Arc<Broker>, server: ServerInfo) -> Arc<Self> {
        let sampler = Sampler::new();
        Arc::new(Self { broker, server, sampler })
    }

    /// Keeps rates fresh for as long as it is polled; may be dropped at any time.
    ///
    /// Without it rates are taken over the time between requests.
    pub async fn keep_sampling(&self) {
        let mut tick = tokio::time::interval(rates::SAMPLE_EVERY);
        loop {
            tick.tick().await;
            self.sample_when_due(self.server.since_start());
        }
    }

    /// The view that one request of `user` has.
    pub(super) fn view<'a>(&'a self, user: &'a User) -> View<'a> {
        let now = self.server.since_start();
        self.sample_when_due(now);
        View::new(&self.broker, &self.server, self.sampler.rates(now), user, now)
    }

    /// Reads all counters when the newest sample has become old.
    fn sample_when_due(&self, now: Duration) {
        if self.sampler.is_due(now) {
            self.sampler.add(sampling::sample(&self.broker, now));
        }
    }
}
