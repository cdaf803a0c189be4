//! Foreign clients on our broker, and the same on a real RabbitMQ.
//!
//! Every test here is run twice by [`on_both!`] or three times by [`on_all!`]: against a fresh `mq serve` and against a
//! vhost of its own on a RabbitMQ of this binary. The runs on RabbitMQ prove that the test is right, the first that no
//! program needs a change to move to `mq`.
//!
//! What a test needs from outside (RabbitMQ, Python environments, a node package) is installed once
//! under `target/interop` and reused. Where that is impossible, one loud line says so and the test is
//! skipped, unless `MQ_REQUIRE_INTEROP=1`. Start reading at `seed.rs`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test is a peer with a clock, and stops when it cannot go on"
)]

/// Makes two tests of each scenario: one on `mq`, one on RabbitMQ 3.10.
macro_rules! on_both {
    ($($scenario:ident),* $(,)?) => {
        $(mod $scenario {
            on_broker!($scenario: on_mq, on_rabbitmq);
        })*
    };
}

/// Makes three tests of each scenario: on `mq`, on RabbitMQ 3.10 and on RabbitMQ 4.3.
macro_rules! on_all {
    ($($scenario:ident),* $(,)?) => {
        $(mod $scenario {
            on_broker!($scenario: on_mq, on_rabbitmq, on_rabbitmq_4_3);
        })*
    };
}

macro_rules! on_broker {
    ($scenario:ident: $($broker:ident),*) => {
        $(#[test]
        fn $broker() {
            if let Some(broker) = crate::broker::$broker() {
                super::$scenario(&broker);
            }
        })*
    };
}

#[allow(dead_code, reason = "shared: other test binaries run on other brokers")]
mod broker;
mod differential;
mod foreign;
mod installed;
mod mixed;
mod our_client;
mod program;
mod rust;
mod seed;

#[path = "../support/installing.rs"]
mod installing;
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
#[allow(dead_code, reason = "shared: other test binaries also look at the management API")]
#[path = "../support/serve.rs"]
mod serve;
