//! What is measured: scenes of the publish line, whole and in parts, each a closure that runs one round.
//!
//! A scene is the broker and its sessions in one thread, with neither sockets nor a clock, so that it does exactly the
//! same in every run. Its input is made beforehand; a round checks how many bytes come out, so that nothing can be
//! fast by leaving work out. `wall` takes the time of the scenes, `instructions` counts what they execute.
//!
//! Reading order: [`ALL`], `client`, `line`, `durable`, `parts`. A new scene goes into [`ALL`], and its figure is
//! recorded with `cargo bench --bench instructions -- --record`.

mod client;
mod durable;
mod hollow;
mod line;
mod parts;

/// Something that is done again and again.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// What is counted: `message`, `delivery`, `call`.
    pub(crate) unit: &'static str,
    /// Units in a round.
    pub(crate) units: u64,
    /// Rounds whose instructions are counted: enough that what happens once in a while has its share.
    pub(crate) rounds: u64,
    /// Builds what is needed and answers with what does one round.
    pub(crate) build: fn() -> Round,
}

pub(crate) type Round = Box<dyn FnMut()>;

#[rustfmt::skip]
pub(crate) const ALL: &[Scene] = &[
    // The publish line: bytes of a publisher in, bytes to its consumers and its confirms out.
    Scene { name: "transient-100B", unit: "message", units: line::BATCH, rounds: 50, build: line::transient },
    Scene { name: "confirm-ack-1K", unit: "message", units: line::BATCH, rounds: 50, build: line::confirmed },
    Scene { name: "fanout-5", unit: "message", units: line::BATCH, rounds: 50, build: line::fanout },
    Scene { name: "topic-1000", unit: "message", units: line::BATCH, rounds: 100, build: line::topic },
    Scene { name: "rpc", unit: "call", units: line::CALLS, rounds: 50, build: line::rpc },
    Scene { name: "churn", unit: "connection", units: 1, rounds: 200, build: line::churn },
    Scene { name: "backlog-100B", unit: "message", units: line::BATCH, rounds: 50, build: line::backlog },
    Scene { name: "durable-1K", unit: "message", units: line::BATCH, rounds: 200, build: durable::line },
    // Its parts.
    Scene { name: "decode", unit: "message", units: line::BATCH, rounds: 20, build: parts::decode },
    Scene { name: "encode", unit: "delivery", units: line::BATCH, rounds: 20, build: parts::encode },
    Scene { name: "route-direct", unit: "route", units: parts::KEYS, rounds: 10, build: parts::route_direct },
    Scene { name: "route-topic", unit: "route", units: parts::KEYS, rounds: 10, build: parts::route_topic },
    Scene { name: "route-fanout", unit: "route", units: parts::KEYS, rounds: 10, build: parts::route_fanout },
    Scene { name: "push-deal", unit: "message", units: line::BATCH, rounds: 50, build: parts::push_deal },
    Scene { name: "log-append", unit: "record", units: line::BATCH, rounds: 200, build: durable::append },
];
