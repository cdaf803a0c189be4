//! `/metrics/memory-breakdown`: where the memory of the process is, in RabbitMQ's categories.

use super::families::Family;
use super::groups::write_one;
use super::text::MetricKind::Gauge;
use super::text::{Number, Text};
use crate::broker::Broker;
use crate::management::memory::MemoryFigures;

#[expect(clippy::unnecessary_wraps, reason = "what a family's function answers")]
fn none(_: &MemoryFigures) -> Option<Number> {
    Some(Number::Whole(0))
}

#[rustfmt::skip]
const FAMILIES: &[Family<MemoryFigures>] = &[
    ("memory_code_module_bytes",                          Gauge, "Code module memory footprint",                                 |memory| Some(memory.program.into())),
    ("memory_client_connection_reader_bytes",             Gauge, "Client connection reader processes footprint in bytes",         none),
    ("memory_client_connection_writer_bytes",             Gauge, "Client connection writer processes footprint in bytes",         none),
    ("memory_client_connection_channel_bytes",            Gauge, "Client connection channel processes footprint in bytes",        none),
    ("memory_client_connection_other_bytes",              Gauge, "Client connection other processes footprint in bytes",          none),
    ("memory_classic_queue_erlang_process_bytes",         Gauge, "Classic queue processes footprint in bytes",                   none),
    ("memory_quorum_queue_erlang_process_bytes",          Gauge, "Quorum queue processes footprint in bytes",                    none),
    ("memory_quorum_queue_dlx_erlang_process_bytes",      Gauge, "Quorum queue DLX worker processes footprint in bytes",         none),
    ("memory_stream_erlang_process_bytes",                Gauge, "Stream processes footprint in bytes",                          none),
    ("memory_stream_replica_reader_erlang_process_bytes", Gauge, "Stream replica reader processes footprint in bytes",           none),
    ("memory_stream_coordinator_erlang_process_bytes",    Gauge, "Stream coordinator processes footprint in bytes",              none),
    ("memory_plugin_bytes",                               Gauge, "Total plugin footprint in bytes",                              none),
    ("memory_modern_metadata_store_bytes",                Gauge, "Modern metadata store footprint in bytes",                     none),
    ("memory_other_erlang_process_bytes",                 Gauge, "Other processes footprint in bytes",                           none),
    ("memory_metrics_bytes",                              Gauge, "Metric table footprint in bytes",                              none),
    ("memory_management_stats_db_bytes",                  Gauge, "Management stats database footprint in bytes",                 none),
    ("memory_classic_metadata_store_bytes",               Gauge, "Classic metadata store footprint in bytes",                    none),
    ("memory_quorum_queue_ets_table_bytes",               Gauge, "Quorum queue ETS tables footprint in bytes",                   none),
    ("memory_modern_metadata_store_ets_table_bytes",      Gauge, "Modern metadata store ETS tables footprint in bytes",          none),
    ("memory_other_ets_table_bytes",                      Gauge, "Other ETS tables footprint in bytes",                          none),
    ("memory_binary_heap_bytes",                          Gauge, "Binary heap size in bytes",                                    |memory| Some(memory.messages.into())),
    ("memory_message_index_bytes",                        Gauge, "Message index footprint in bytes",                             none),
    ("memory_atom_table_bytes",                           Gauge, "Atom table size in bytes",                                     none),
    ("memory_other_system_bytes",                         Gauge, "Other runtime footprint in bytes",                             |memory| Some(memory.rest.into())),
    ("memory_runtime_allocated_unused_bytes",             Gauge, "Runtime allocated but unused blocks size in bytes",            none),
    ("memory_runtime_reserved_unallocated_bytes",         Gauge, "Runtime reserved but unallocated blocks size in bytes",        none),
];

pub(super) fn write(text: &mut Text<'_>, broker: &Broker) {
    write_one(text, FAMILIES, &MemoryFigures::read(broker));
}
