//! `mq`: a RabbitMQ-compatible broker and a toolkit in one binary.
//!
//! # Four kinds of code
//!
//! - **bytes**: [`wire`], AMQP 0-9-1 to values and back.
//! - **state**: [`broker`] and [`server::session`]. Synchronous: no sockets, no clock; time is an argument.
//! - **waiting**: `server::drive`, [`client`], [`management`]. The only async code on the way of a message.
//! - **talk**: [`cli`], [`commands`], [`tutorial`], [`render`].
//!
//! # Layers
//!
//! A layer names only layers to its right, and of those only what `MAY_NAME` in `tests/it/tidy.rs` lists for it.
//!
//! ```text
//! main -> cli -> commands -> tutorial -> engine -> management -> server -> broker -> store -> wire
//!                    |           |          |                      |
//!                    |-> exit    |          '-> client -> wire, tls '-> tls
//!                    '-> render <'
//! ```
//!
//! [`wire`] and [`tls`] name none of the others. [`broker`] never sees frames, tokio, sockets or a delivery tag.
//! [`client`] speaks to any broker of the protocol, not only to ours; it shares [`wire`] and [`tls`] with [`server`].
//! [`commands`] touch no sockets and print through [`render`]. A broker in this process is no second implementation:
//! commands reach it through a Unix socket like any other. Below them all are [`lock`] (locks), [`bug`] (a task that
//! panicked) and [`moment`] (points at which tests stop a thread). `tests/it/tidy.rs` keeps all of this, and
//! `tests/it/floors.rs` does the same for the modules of a folder.
//!
//! # A publish in a straight line
//!
//! ```text
//! server::drive              bytes arrive                        (the only wait)
//! session::frames            wire::frame::parse: a frame, or "more"   slices, no copy
//! session::assembly          method, header, bodies -> one buffer
//! session::publish           properties checked (broker::publish::examine), Message made (one allocation)
//! broker::publish            Publisher::publish: the same for clients, HTTP and transactions
//! broker::publish::routes    (exchange, key) -> Route, remembered until the vhost's epoch changes
//! broker::topology           ... else found: each queue once
//! broker::publish::keep      store::append: a persistent message for durable queues, once, before any of them has it
//! broker::publish::hand_out  to each queue of the route
//! broker::queue              Queue::push: lock; straight to a consumer with credit, or into the backlog
//! broker::mailbox            the consumer's connection is woken if its mailbox was empty
//! session::mailbox           posts are taken out of it, on the consumer's task
//! session::deliver           delivery tag, unacked entry, frames into the outbound buffer -> socket
//! session::confirms          one basic.ack for many: at the end of the round, or when the disk has them
//! ```
//!
//! Everything from assembly to the mailbox is one call stack on the publisher's task: no channel hop, no task
//! switch, no lock but the queue's and the mailbox's, and the store's for a message that is kept. Confirms
//! are sent from that task too, deliveries from the consumer's.
//!
//! A message leaves its queue by a settlement (`session::settle`, then [`broker::queue::Queue::settle`]) or as a dead
//! letter: the queue puts it into its outbox under its lock, and when that is given back, `broker::dead_letter`
//! publishes it at the dead letter exchange and then settles it here.
//!
//! # Words
//!
//! AMQP's:
//!
//! - **broker**: the server that takes messages from publishers and gives them to consumers ([`broker`]).
//! - **virtual host** (vhost): a set of exchanges, queues and permissions that share no names with another
//!   ([`broker::vhost`]).
//! - **exchange**: the address at which a message is published; its type chooses among its bindings ([`broker::exchange`]).
//! - **binding**: a rule that leads messages from an exchange to a queue or to another exchange
//!   ([`broker::exchange::binding`]).
//! - **routing key**: the text that a publisher gives each message, and that bindings are compared with
//!   ([`broker::exchange`]).
//! - **queue**: messages in the order of their publishes, and the consumers that they are delivered to ([`broker::queue`]).
//! - **message**: exchange, routing key, properties and body, which stay as they were published ([`broker::message`]).
//! - **publish**: the command by which a client gives a message to an exchange ([`broker::publish`]).
//! - **confirm**: the broker's answer to a publish: it has the message, and on disk if a durable queue has to keep it
//!   (`session::confirms`).
//! - **delivery**: a message on its way to one consumer, under a delivery tag, the number it has in its channel
//!   (`session::deliver`).
//! - **acknowledgement** (ack): the word of a client that it is done with a delivery, which the queue then forgets
//!   (`session::settle`).
//! - **prefetch**: the number of deliveries that a consumer or channel may hold without having acknowledged them
//!   ([`broker::queue::Subscription`], [`broker::queue::ChannelLimit`]).
//! - **dead letter**: a message that expired, was rejected or had no room, and is published again at another exchange
//!   (`broker::dead_letter`).
//! - **policy**: arguments that an administrator gives to all queues or exchanges whose names match a pattern
//!   ([`broker::policies`]).
//! - **consumer**: a subscription of a channel to a queue, not the program behind it ([`broker::queue::Subscription`]).
//!
//! Ours:
//!
//! - **route**: the queues that messages with one exchange and routing key go to ([`broker::Route`]).
//! - **publisher**: the object that publishes for one client and remembers its routes ([`broker::publish::Publisher`]).
//! - **entry**: a message as it stands in one queue, with its deadline and its place ([`broker::entry::Entry`]).
//! - **slot**: one message of one queue in a file of the store; a record has one for each of its queues ([`store`]).
//! - **place**: the name of a slot and of its record: file, slot, offset ([`store::Place`]).
//! - **batch**: the records that are written and synced together ([`store::Batch`]).
//! - **settle**: to make a message leave its queue for good, in memory and in the store ([`store::Store::settle`]).
//! - **mailbox**: the deliveries and notices that queues have posted to one connection ([`broker::mailbox`]).
//! - **backlog**: the messages of a queue that wait for a consumer (`broker::queue::backlog`).
//! - **outbox**: the dead letters of a queue that are not published yet (`broker::queue::outbox`).
//! - **spill**: files for transient messages that memory has no room for, removed at the next start ([`store::Spill`]).
//! - **maintenance**: the store's thread for work that no confirm and no reader waits for (`store::maintenance`).
//! - **epoch**: a number that grows with every change of a vhost's topology or permissions, so that remembered routes end
//!   ([`broker::vhost::Vhost::epoch`]).
//!
//! # Invariants
//!
//! - A message is in one place: waiting in its queue, on its way in a mailbox, unacknowledged with one channel, or
//!   gone. A session that is dropped, even by a bug, gives back what it holds.
//! - What comes back to a classic queue takes its old place; what one channel publishes leaves in its order.
//! - A message that moves by itself (a dead letter, a delayed one whose time has come) is kept at its new place before it is
//!   settled at the old one (`broker::dead_letter`).
//! - What limits, priorities, streams and traces ask costs a plain publish and a plain delivery one flag each.
//! - Whatever a peer can announce has a limit, named by a constant with its reason; nothing read from the wire
//!   sizes an allocation before its bytes have come.
//! - Errors know their reply code; only `session::closing` makes frames of them.
//!
//! # What survives
//!
//! A broker of a data directory writes durable exchanges, queues and bindings down before a client can see them
//! ([`broker::durable`], rows in [`store::definitions`]), and persistent messages of durable queues into one log that is
//! synced for all connections together ([`store`]). A start takes the directory's lock, checks its format, reads the
//! definitions, then hands every message to its queue, and only then listens ([`engine::host`]).
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
//! Every file stands alone: the marks of its messages are beside it and are removed with it. If acknowledgements were
//! records of the log, a file could not be removed before all files whose messages it settles, and a slow queue would
//! hold the room of a busy one, or its acknowledgements would have to be written again and again. The price is one more
//! small write for many acknowledgements, which no client waits for. Messages are copied only when their file is all
//! but empty, into files of such survivors, which then stay well filled.
//!
//! A queue keeps the bodies at its front in memory and 32 bytes for each message behind them, or less where these
//! lists are long enough to be put away themselves (`broker::queue`).

pub mod broker;
pub mod bug;
pub mod cli;
pub mod client;
pub mod commands;
pub mod engine;
pub mod exit;
pub mod json_text;
pub mod lock;
pub mod management;
pub mod moment;
pub mod render;
pub mod server;
pub mod store;
pub mod tls;
pub mod tutorial;
pub mod wire;
