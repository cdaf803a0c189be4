//! `mq`: a RabbitMQ-compatible broker and a toolkit in one binary.

pub mod broker;
pub mod client;
pub mod engine;
pub mod render;
pub mod server;
pub mod wire;
