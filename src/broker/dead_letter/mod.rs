//! Dead letters: messages that a queue removes and that are published at another exchange.
//!
//! A queue gathers its dead letters under its lock (`queue::outbox`) and has them published when the lock is released.
//! Here each is rewritten ([`letter`]), routed, appended to the store where it must survive, handed to its queues as
//! every message is (`broker::publish`), and only then settled where it was ([`publish`]).
//!
//! RabbitMQ: `rabbit_dead_letter`; 4's `mc:record_death` for the headers.

mod letter;
mod publish;
