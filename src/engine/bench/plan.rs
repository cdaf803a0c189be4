//! The plan of a run, and the names and routes that follow from it.

use std::time::Duration;

use crate::client::blocking::Envelope;
use crate::engine::topology::{BindingSpec, Destination, ExchangeSpec, QueueSpec};
use crate::wire::{FieldTable, FieldValue, Properties, ShortStr};

use super::stamp::HEAD_BYTES;

/// Smallest body, in bytes, that can be verified: it says whose it is, for which queue and the how-manyth.
pub const SIZE_MIN_TO_VERIFY: usize = HEAD_BYTES;
/// The time for which a queue of a run with consumers outlives a run that could not delete it, in milliseconds.
const EXPIRES_MS: i32 = 120_000;
/// Unconfirmed publishes or unacknowledged deliveries from which on waiting a little for more of them costs no
/// throughput.
const DEEP: u32 = 500;

/// A run: its shape, its load, its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// At least one
    pub publishers: u32,
    pub consumers: u32,
    /// At least one
    pub queues: u32,
    /// Of a direct, topic or headers exchange, each to the next queue in turn; at least one for each queue are made
    pub bindings: u32,
    /// Type of an exchange to publish to; `None` publishes straight to the queues
    pub exchange_kind: Option<ShortStr>,
    pub queue_arguments: FieldTable,
    pub body_bytes: usize,
    pub durability: BenchDurability,
    /// Most publishes of a publisher that may be unconfirmed; 0 is without confirms
    pub unconfirmed_max: u32,
    pub acknowledge: Acknowledge,
    /// Most unacknowledged deliveries of a consumer; 0 is no limit
    pub prefetch: u16,
    pub speed: Speed,
    /// Load before anything is measured
    pub warmup: Duration,
    /// The time to measure; without it `count` is the end
    pub duration: Option<Duration>,
    /// The number of messages to publish in all
    pub count: Option<u64>,
    /// Look whether every message comes once, in its order, and as it was sent
    pub verify: bool,
}

/// The things that survive a restart of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchDurability {
    /// The queues: RabbitMQ 4.3 refuses transient ones that several connections use
    Queues,
    /// Queues and exchange
    Exchange,
    /// Queues, exchange and messages
    Messages,
}

/// The time of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// By being sent: the broker waits for nothing
    Automatically,
    /// All since the last time, after every so many
    Every(u32),
}

/// The speed of publishing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As fast as can be, while fewer than this many messages are in the broker; 0 is no limit
    Flat { backlog_max: u64 },
    /// So many messages a second, of all publishers together
    PerSecond(f64),
}

impl Plan {
    /// Queues that each message reaches.
    pub fn copies(&self) -> u64 {
        if self.is_fanout() { u64::from(self.queues) } else { 1 }
    }

    pub(super) fn is_fanout(&self) -> bool {
        self.exchange_kind.as_deref() == Some("fanout")
    }

    /// True if threads should let a few messages gather before they read. If the broker is under full load, that saves
    /// both sides many system calls; if few messages are under way, it would only slow them down.
    pub(super) fn gathers(&self) -> bool {
        let is_deep = |limit: u32| limit == 0 || limit >= DEEP;
        let has_prefetch = matches!(self.acknowledge, Acknowledge::Every(_));
        matches!(self.speed, Speed::Flat { .. })
            && is_deep(self.unconfirmed_max)
            && (!has_prefetch || is_deep(self.prefetch.into()))
    }

    /// Names everything that the run makes. `tag` makes them its own.
    pub(super) fn layout(&self, tag: &str) -> BenchTopology {
        let mut arguments = self.queue_arguments.clone();
        if self.consumers > 0 && arguments.get("x-expires").is_none() {
            // A run that is killed leaves nothing for ever.
            arguments = arguments.with("x-expires", FieldValue::I32(EXPIRES_MS));
        }
        let queues: Vec<QueueSpec> = (0..self.queues)
            .map(|number| QueueSpec {
                name: ShortStr::truncated(&format!("mq-bench-{tag}-{number}")),
                durable: true,
                arguments: arguments.clone(),
                ..QueueSpec::default()
            })
            .collect();
        let exchange = self.exchange_kind.as_ref().map(|kind| ExchangeSpec {
            name: ShortStr::truncated(&format!("mq-bench-{tag}")),
            kind: kind.clone(),
            durable: self.durability != BenchDurability::Queues,
            ..ExchangeSpec::default()
        });
        let mode = if self.durability == BenchDurability::Messages { 2 } else { 1 };
        let mut layout =
            BenchTopology { queues, exchange, bindings: Vec::new(), routes: Vec::new() };
        let routes = if layout.exchange.is_some() && !self.is_fanout() {
            self.bindings.max(self.queues)
        } else {
            self.queues
        };
        for number in 0..routes {
            layout.add_route(number, mode);
        }
        if self.is_fanout() {
            // One route is all: each message reaches every queue.
            layout.routes.truncate(1);
        }
        layout
    }
}

/// The topology that a run makes in the broker.
#[derive(Clone, Debug, Default)]
pub(super) struct BenchTopology {
    pub(super) queues: Vec<QueueSpec>,
    pub(super) exchange: Option<ExchangeSpec>,
    pub(super) bindings: Vec<BindingSpec>,
    pub(super) routes: Vec<BenchRoute>,
}

/// A way for messages.
#[derive(Clone, Debug)]
pub(super) struct BenchRoute {
    pub(super) envelope: Envelope,
    /// The place of the queue it leads to
    pub(super) queue: u32,
}

impl BenchTopology {
    fn add_route(&mut self, number: u32, delivery_mode: u8) {
        let at = number as usize % self.queues.len();
        let queue = self.queues[at].name.clone();
        let place = number % u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        let properties = Properties { delivery_mode: Some(delivery_mode), ..Properties::default() };
        let Some(exchange) = &self.exchange else {
            let envelope = Envelope { exchange: ShortStr::empty(), routing_key: queue, properties };
            self.routes.push(BenchRoute { envelope, queue: place });
            return;
        };
        let header = FieldTable::new().with("mq-bench", FieldValue::I32(number.cast_signed()));
        let key = |text: String| ShortStr::truncated(&text);
        let (pattern, routing_key, arguments, headers) = match exchange.kind.as_str() {
            // Half of the patterns have a star in the middle, half a hash at the end.
            "topic" if number.is_multiple_of(2) => {
                (format!("k{number}.*.end"), format!("k{number}.mid.end"), None, None)
            }
            "topic" => (format!("k{number}.#"), format!("k{number}.mid.end"), None, None),
            "headers" => (
                String::new(),
                String::new(),
                Some(header.clone().with("x-match", "all")),
                Some(header),
            ),
            _ => (format!("k{number}"), format!("k{number}"), None, None),
        };
        self.bindings.push(BindingSpec {
            source: exchange.name.clone(),
            destination: Destination::Queue(queue),
            routing_key: key(pattern),
            arguments: arguments.unwrap_or_default(),
        });
        let envelope = Envelope {
            exchange: exchange.name.clone(),
            routing_key: key(routing_key),
            properties: Properties { headers, ..properties },
        };
        self.routes.push(BenchRoute { envelope, queue: place });
    }
}

/// The part of `items` that falls to worker `number` of `workers`; workers to spare share one.
pub(super) fn share(items: usize, workers: u32, number: u32) -> impl Iterator<Item = usize> {
    let (workers, number) = (workers as usize, number as usize);
    let step = workers.min(items).max(1);
    (number % step..items).step_by(step)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::shortstr::literal;

    /// One publisher, one consumer, one queue.
    pub(in crate::engine::bench) fn plan() -> Plan {
        Plan {
            publishers: 1,
            consumers: 1,
            queues: 1,
            bindings: 0,
            exchange_kind: None,
            queue_arguments: FieldTable::new(),
            body_bytes: 64,
            durability: BenchDurability::Queues,
            unconfirmed_max: 0,
            acknowledge: Acknowledge::Automatically,
            prefetch: 0,
            speed: Speed::Flat { backlog_max: 0 },
            warmup: Duration::ZERO,
            duration: None,
            count: Some(1),
            verify: false,
        }
    }

    #[test]
    fn work_is_shared_out_without_rest() {
        let parts = |items, workers| -> Vec<Vec<usize>> {
            (0..workers).map(|number| share(items, workers, number).collect()).collect()
        };
        assert_eq!(parts(5, 2), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(parts(2, 4), [vec![0], vec![1], vec![0], vec![1]]);
        assert_eq!(parts(3, 3), [vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn routes_lead_to_all_queues_in_turn() {
        let of = |kind: Option<&'static str>, bindings| {
            let exchange_kind = kind.map(literal);
            let layout = Plan { queues: 2, bindings, exchange_kind, ..plan() }.layout("t");
            let keys: Vec<String> = layout
                .routes
                .iter()
                .map(|route| format!("{}>{}", route.envelope.routing_key, route.queue))
                .collect();
            (layout.bindings.len(), keys.join(" "))
        };
        assert_eq!(of(None, 9), (0, "mq-bench-t-0>0 mq-bench-t-1>1".to_owned()));
        assert_eq!(of(Some("direct"), 3), (3, "k0>0 k1>1 k2>0".to_owned()));
        assert_eq!(of(Some("topic"), 0), (2, "k0.mid.end>0 k1.mid.end>1".to_owned()));
        assert_eq!(of(Some("fanout"), 0), (2, "k0>0".to_owned()));
        assert_eq!(of(Some("headers"), 0), (2, ">0 >1".to_owned()));
    }

    #[test]
    fn only_a_deep_run_waits_for_more_to_gather() {
        let manual = Acknowledge::Every(1);
        #[rustfmt::skip]
        let cases = [
            (Plan { ..plan() },                                                   true),
            (Plan { unconfirmed_max: 1, ..plan() },                               false),
            (Plan { unconfirmed_max: 1000, ..plan() },                            true),
            (Plan { acknowledge: manual, prefetch: 10, ..plan() },                false),
            (Plan { acknowledge: manual, prefetch: 0, ..plan() },                 true),
            (Plan { speed: Speed::PerSecond(1.0), ..plan() },                     false),
        ];
        for (plan, gathers) in cases {
            assert_eq!(plan.gathers(), gathers, "{plan:?}");
        }
    }
}
