//! The numbers of logins.

use super::numbers::Rows;
use super::text::labels;
use crate::broker::Broker;
use crate::broker::stats::LoginCounters;

/// Logins of a protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
}

pub(super) fn attempts(broker: &Broker) -> Rows<Attempts> {
    let logins = [("http", &broker.logins.http), ("amqp091", &broker.logins.amqp)];
    let row = |(protocol, counters): (&str, &LoginCounters)| {
        let (succeeded, failed) = (counters.succeeded.get(), counters.failed.get());
        (labels(&[("protocol", protocol)]), Attempts { succeeded, failed })
    };
    logins.into_iter().map(row).collect()
}
