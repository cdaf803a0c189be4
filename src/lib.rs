//! `mq`: a RabbitMQ-compatible broker and a toolkit in one binary.
//!
//! # Four kinds of code
//!
//! - **bytes**: [`wire`], AMQP 0-9-1 to values and back.
//! - **state**: [`broker`] and `server::session`. Synchronous: no sockets, no clock; time is an argument.
//! - **waiting**: `server::drive`, [`client`], [`management`]. The only async code on the way of a message.
//! - **talk**: [`cli`], [`commands`], [`tutorial`], [`render`].
//!
//! # Who may name whom
//!
//! ```text
//! main -> cli -> commands, tutorial -> engine -> client -> wire
//!                        |                  \--> server, management -> broker -> store, wire
//!                        \--> render
//! ```
//!
//! `wire` names nothing of ours; `broker` never sees frames, tokio, sockets or a delivery tag; `client` does not
//! know who answers; `commands` touch no sockets and print through `render`. A broker in this process is no second
//! implementation: commands reach it through a Unix socket like any other. `tests/it/tidy.rs` keeps all of this.
//!
//! # A publish in a straight line
//!
//! ```text
//! server::drive            bytes arrive                        (the only wait)
//! wire::frame              a frame, or "more"                  slices, no copy
//! session::assembly        method, header, bodies -> one buffer
//! session::publish         properties scanned, Message made (one allocation)
//! session::routes          (exchange, key) -> queues, remembered until the topology changes
//! broker::vhost::route       ... else matched: each queue once
//! store::append            a persistent message for durable queues: once, before any of them has it
//! broker::queue::push      lock; straight to a consumer with credit, or ready
//! broker::mailbox          the consumer's connection is woken if its mailbox was empty
//! session::deliver         delivery tag, unacked entry, frames into the outbound buffer -> socket
//! session::confirms        one basic.ack for many: at the end of the round, or when the disk has them
//! ```
//!
//! Everything from assembly to the mailbox is one call stack on the publisher's task: no channel hop, no task
//! switch, no lock but the queue's and the mailbox's, and the store's for what is to be kept.
//!
//! # Invariants
//!
//! - A message is in one place: waiting in its queue, on its way in a mailbox, unacknowledged with one channel, or
//!   gone. A session that is dropped, even by a bug, gives back what it holds.
//! - What comes back to a classic queue takes its old place; what one channel publishes leaves in its order.
//! - A message that moves by itself (a dead letter, a delayed one whose time has come) is kept at its new place before it is
//!   settled at the old one (`broker::queue`, its `grave`).
//! - What limits, priorities, streams and traces ask costs a plain publish and a plain delivery one flag each.
//! - Whatever a peer can announce has a limit, named by a constant with its reason; nothing read from the wire
//!   sizes an allocation before its bytes have come.
//! - Errors know their reply code; only `session::closing` makes frames of them.
//!
//! # What survives
//!
//! A broker of a data directory writes durable exchanges, queues and bindings down before anybody can see them
//! (`broker::durable`, rows in `store::definitions`), and persistent messages of durable queues into one log that is
//! synced for everybody ([`store`]). A start takes the directory's lock, checks its format, reads the definitions, then
//! hands every message to its queue, and only then listens (`engine::host`).
//!
//! ```text
//! DIR/format                     the version of all of it
//! DIR/mq.lock                    held by the process that runs the broker
//! DIR/definitions.redb           vhosts, users, permissions, policies and other parameters, exchanges, queues, bindings
//! DIR/messages/NNNNNNNN.log      records, each written once and read back in place
//!              NNNNNNNN.marks    which of its slots are settled or were delivered
//!              NNNNNNNN.index    its slots, so that a start reads no messages
//! DIR/spill/                     transient messages and lists of places that memory had no room for
//! ```
//!
//! Every file stands alone: what was said of its messages is beside it and goes with it. Were acknowledgements records
//! of the log, a file could not go before all files whose messages it settles had gone, and a slow queue would hold
//! the room of a busy one, or its acknowledgements would have to be written again and again. The price is one more small
//! write for many acknowledgements, which nobody waits for. Messages are copied only when their file is all
//! but empty, into files of such survivors, which then stay well filled.
//!
//! A queue keeps the bodies at its front in memory and 32 bytes for each message behind them, or less where these
//! lists are long enough to be put away themselves (`broker::queue`).

pub mod broker;
pub mod cli;
pub mod client;
pub mod commands;
pub mod engine;
pub mod exit;
pub mod management;
pub mod render;
pub mod server;
pub mod store;
pub mod tutorial;
pub mod wire;
