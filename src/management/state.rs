//! The state that all requests to one management API share.

use std::sync::Arc;
use std::time::Duration;

use super::auth::LoginGate;
use super::listing::Query;
use super::ranges::Ranges;
use super::rates::{self, Sampler};
use super::refusal::Refusal;
use super::sampling;
use super::server_info::ServerInfo;
use super::view::{ShownStatistics, View};
use crate::broker::Broker;
use crate::broker::auth::User;

/// The management of one broker.
#[derive(Debug)]
pub struct Management {
    pub(super) broker: Arc<Broker>,
    pub(super) server: ServerInfo,
    /// The place that all logins go through.
    pub(super) gate: LoginGate,
    sampler: Sampler,
}

impl Management {
    pub fn new(broker: Arc<Broker>, server: ServerInfo) -> Arc<Self> {
        let first = sampling::sample(&broker, &server, server.since_start());
        let sampler = Sampler::new(server.started_at, first);
        let gate = LoginGate::new(Arc::clone(&broker), server.clone());
        Arc::new(Self { broker, server, gate, sampler })
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
    ///
    /// # Errors
    ///
    /// [`Refusal::BadRequest`] if its parameters ask for samples of impossible times.
    pub(super) fn view<'a>(&'a self, user: &'a User, query: &Query) -> Result<View<'a>, Refusal> {
        let now = self.server.since_start();
        self.sample_when_due(now);
        let ranges = Ranges::new(query, self.sampler.unix_s(now))?;
        let rates = self.sampler.rates(now, ranges);
        let statistics = ShownStatistics::new(query, &self.server.http);
        Ok(View::new(&self.broker, &self.server, rates, user, now, statistics))
    }

    /// Reads all counters when the newest sample has become old.
    fn sample_when_due(&self, now: Duration) {
        if self.sampler.is_due(now) {
            self.sampler.add(sampling::sample(&self.broker, &self.server, now));
        }
    }
}
