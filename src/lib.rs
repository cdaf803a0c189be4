//! `mq`: a RabbitMQ-compatible broker and a toolkit in one binary.

pub mod broker;
pub mod cli;
pub mod client;
pub mod commands;
pub mod engine;
pub mod exit;
pub mod management;
pub mod render;
pub mod server;
pub mod tutorial;
pub mod wire;
