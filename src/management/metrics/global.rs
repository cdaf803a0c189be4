//! RabbitMQ's global counters: by protocol, by type of queue, by the way of dead letters (`rabbit_global_counters`).

use super::families::{Family, some};
use super::objects::queue_type;
use super::text::MetricKind::{self, Counter, Gauge};
use super::text::{Text, labels};
use super::totals::MetricTotals;
use crate::broker::arguments::QueueKind;
use crate::broker::sizes::{SIZE_BOUNDS, Sizes};
use crate::broker::stats::{self, LetterCounters, Letters, QueueCounters};

const PROTOCOL: (&str, &str) = ("protocol", "amqp091");

/// Counts of all channels.
#[rustfmt::skip]
const BY_PROTOCOL: &[Family<MetricTotals>] = &[
    ("messages_received_total",            Counter, "Total number of messages received from publishers",                                      |all| some(all.channels.counters.publish.get())),
    ("messages_received_confirm_total",    Counter, "Total number of messages received from publishers expecting confirmations",               |all| some(all.channels.to_confirm)),
    ("messages_routed_total",              Counter, "Total number of messages routed to queues or streams",                                   |all| some(all.exchanges.routed)),
    ("messages_unroutable_dropped_total",  Counter, "Total number of messages published as non-mandatory into an exchange and dropped as unroutable", |all| some(all.channels.counters.drop_unroutable.get())),
    ("messages_unroutable_returned_total", Counter, "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable", |all| some(all.channels.counters.return_unroutable.get())),
    ("messages_confirmed_total",           Counter, "Total number of messages confirmed to publishers",                                       |all| some(all.channels.counters.confirm.get())),
    ("publishers",                         Gauge,   "Current number of publishers",                                                           |all| some(all.channels.publishers)),
    ("consumers",                          Gauge,   "Current number of consumers",                                                            |all| some(all.channels.consumers)),
];

/// A count of all queues of a type: name, help, value.
type OfQueues = (&'static str, &'static str, fn(&QueueCounters) -> u64);

#[rustfmt::skip]
const BY_QUEUE_TYPE: &[OfQueues] = &[
    ("messages_delivered_total",                    "Total number of messages delivered to consumers",                                              |queues| queues.deliver + queues.deliver_no_ack + queues.get + queues.get_no_ack),
    ("messages_delivered_consume_manual_ack_total", "Total number of messages delivered to consumers using basic.consume with manual acknowledgment", |queues| queues.deliver),
    ("messages_delivered_consume_auto_ack_total",   "Total number of messages delivered to consumers using basic.consume with automatic acknowledgment", |queues| queues.deliver_no_ack),
    ("messages_delivered_get_manual_ack_total",     "Total number of messages delivered to consumers using basic.get with manual acknowledgment",    |queues| queues.get),
    ("messages_delivered_get_auto_ack_total",       "Total number of messages delivered to consumers using basic.get with automatic acknowledgment", |queues| queues.get_no_ack),
    ("messages_get_empty_total",                    "Total number of times basic.get operations fetched no message",                                |queues| queues.get_empty),
    ("messages_redelivered_total",                  "Total number of messages redelivered to consumers",                                            |queues| queues.redeliver),
    ("messages_acknowledged_total",                 "Total number of messages acknowledged by consumers",                                           |queues| queues.ack),
];

/// A count of dead letters: name, help, the queues that have such letters, and the counter.
type OfLetters = (&'static str, &'static str, Of, fn(&LetterCounters) -> &stats::Counter);

/// Messages that no dead letter exchange is there for (`disabled`) are not counted here.
#[rustfmt::skip]
const LETTERS: &[OfLetters] = &[
    ("messages_dead_lettered_maxlen_total",         "Total number of messages dead-lettered due to overflow drop-head or reject-publish-dlx", Of::AtMostOnce,      |letters| &letters.maxlen),
    ("messages_dead_lettered_expired_total",        "Total number of messages dead-lettered due to message TTL exceeded",                     Of::All,             |letters| &letters.expired),
    ("messages_dead_lettered_rejected_total",       "Total number of messages dead-lettered due to basic.reject or basic.nack",               Of::All,             |letters| &letters.rejected),
    ("messages_dead_lettered_delivery_limit_total", "Total number of messages dead-lettered due to delivery-limit exceeded",                  Of::Quorum,          |letters| &letters.delivery_limit),
    ("messages_dead_lettered_confirmed_total",      "Total number of messages dead-lettered and confirmed by target queues",                  Of::AtLeastOnce,     |letters| &letters.confirmed),
];

/// The queues and strategies that can have dead letters of a reason, as in RabbitMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    All,
    AtMostOnce,
    AtLeastOnce,
    Quorum,
}

impl Of {
    fn counters(self, letters: &Letters) -> Vec<(QueueKind, &'static str, &LetterCounters)> {
        let classic = (QueueKind::Classic, "at_most_once", &letters.classic);
        let quorum = (QueueKind::Quorum, "at_most_once", &letters.quorum);
        let sure = (QueueKind::Quorum, "at_least_once", &letters.at_least_once);
        match self {
            Self::All => vec![classic, sure, quorum],
            Self::AtMostOnce => vec![classic, quorum],
            Self::AtLeastOnce => vec![sure],
            Self::Quorum => vec![sure, quorum],
        }
    }
}

/// Writes all of them.
pub(super) fn write(text: &mut Text<'_>, totals: &MetricTotals, letters: &Letters) {
    let prefix = text.set_prefix("rabbitmq_global_");
    for (name, kind, help, value) in BY_PROTOCOL {
        text.family(name, *kind, help);
        if let Some(value) = value(totals) {
            text.sample(&labels(&[PROTOCOL]), value);
        }
    }
    for (name, help, value) in BY_QUEUE_TYPE {
        text.family(name, Counter, help);
        let of_kinds = [
            (QueueKind::Classic, &totals.classic),
            (QueueKind::Quorum, &totals.quorum),
            (QueueKind::Stream, &totals.stream),
        ];
        for (kind, counters) in of_kinds {
            let labels = labels(&[PROTOCOL, ("queue_type", queue_type(kind))]);
            text.sample(&labels, value(counters));
        }
    }
    for (name, help, of, counter) in LETTERS {
        text.family(name, Counter, help);
        for (kind, strategy, counters) in of.counters(letters) {
            let pairs = [("queue_type", queue_type(kind)), ("dead_letter_strategy", strategy)];
            text.sample(&labels(&pairs), counter(counters).get());
        }
    }
    text.set_prefix(prefix);
    write_sizes(text, &totals.channels.sizes);
}

/// Writes the histogram of the sizes of messages.
fn write_sizes(text: &mut Text<'_>, sizes: &Sizes) {
    let help = "Size of messages received from publishers";
    text.family("message_size_bytes", MetricKind::Histogram, help);
    let mut count = 0;
    for (at, in_class) in sizes.counts.iter().enumerate() {
        count += in_class;
        let bound = SIZE_BOUNDS.get(at).map_or("+Inf".to_owned(), |bound| text.bound(*bound));
        text.sample_of("_bucket", &labels(&[PROTOCOL, ("le", &bound)]), count);
    }
    text.sample_of("_count", &labels(&[PROTOCOL]), count);
    text.sample_of("_sum", &labels(&[PROTOCOL]), sizes.bytes);
}
