//! The memory of the process, in RabbitMQ's categories (`rabbit_vm:memory`).
//!
//! Known here are the messages that wait in queues, the program itself and the rest. Everything that only Erlang has is 0,
//! because it is not there.

use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::Broker;
use crate::server::resources;

/// The memory of the process in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryFigures {
    pub(super) resident: u64,
    pub(super) program: u64,
    pub(super) messages: u64,
    pub(super) rest: u64,
}

impl MemoryFigures {
    pub(super) fn read(broker: &Broker) -> Self {
        let resident = resources::resident_bytes().unwrap_or(0);
        let program = resources::program_bytes().unwrap_or(0).min(resident);
        let messages = broker.waiting_bytes().min(resident - program);
        Self { resident, program, messages, rest: resident - program - messages }
    }
}

/// A category: its name, and where its bytes are.
type MemoryCategory = (&'static str, fn(&MemoryFigures) -> u64);

/// The categories in RabbitMQ's order; clients fail if one is missing.
#[rustfmt::skip]
const CATEGORIES: [MemoryCategory; 26] = [
    ("connection_readers",                none),
    ("connection_writers",                none),
    ("connection_channels",               none),
    ("connection_other",                  none),
    ("stream_queue_procs",                none),
    ("stream_queue_replica_reader_procs", none),
    ("stream_queue_coordinator_procs",    none),
    ("queue_procs",                       none),
    ("quorum_queue_procs",                none),
    ("quorum_queue_dlx_procs",            none),
    ("plugins",                           none),
    ("metadata_store",                    none),
    ("other_proc",                        none),
    ("metrics",                           none),
    ("mgmt_db",                           none),
    ("quorum_ets",                        none),
    ("mnesia",                            none),
    ("metadata_store_ets",                none),
    ("other_ets",                         none),
    ("binary",                            |memory| memory.messages),
    ("msg_index",                         none),
    ("code",                              |memory| memory.program),
    ("atom",                              none),
    ("other_system",                      |memory| memory.rest),
    ("allocated_unused",                  none),
    ("reserved_unallocated",              none),
];

fn none(_: &MemoryFigures) -> u64 {
    0
}

/// `GET /nodes/:node/memory`.
pub(super) fn breakdown(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.check_node(names)?;
    Ok(json!({"memory": of(&MemoryFigures::read(view.broker))}))
}

/// The bytes of each category; `total` has the sum as measured in each of RabbitMQ's three ways, which are one here.
pub(super) fn of(memory: &MemoryFigures) -> Value {
    let bytes = |(name, bytes): &MemoryCategory| ((*name).to_owned(), Value::from(bytes(memory)));
    let mut all: Map<_, _> = CATEGORIES.iter().map(bytes).collect();
    all.insert("strategy".to_owned(), "rss".into());
    let total = memory.resident;
    all.insert("total".to_owned(), json!({"erlang": total, "rss": total, "allocated": total}));
    Value::Object(all)
}

/// `GET /nodes/:node/memory/relative`: in percent, rounded up.
pub(super) fn relative(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.check_node(names)?;
    let memory = MemoryFigures::read(view.broker);
    let share = |bytes: u64| bytes.saturating_mul(100).div_ceil(memory.resident.max(1));
    let categories = CATEGORIES.iter().map(|(name, bytes)| (*name, share(bytes(&memory))));
    let all = std::iter::once(("total", 100)).chain(categories);
    let all: Map<_, _> = all.map(|(name, share)| (name.to_owned(), share.into())).collect();
    Ok(json!({ "memory": all }))
}
