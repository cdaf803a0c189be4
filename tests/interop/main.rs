//! Foreign clients on our broker, and the same on a real RabbitMQ.
//!
//! Every test here is run twice by [`on_both!`]: against a fresh `mq serve` and against a vhost of its
//! own on the one RabbitMQ of this binary. The second run proves that the test is right; the first
//! that nobody needs to change a program to move to `mq`.
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

/// Makes two tests of each scenario: one on `mq`, one on RabbitMQ.
macro_rules! on_both {
    ($($scenario:ident),* $(,)?) => {
        $(mod $scenario {
            #[test]
            fn on_mq() {
                super::$scenario(&crate::broker::Broker::mq());
            }

            #[test]
            fn on_rabbitmq() {
                if let Some(broker) = crate::broker::Broker::rabbitmq() {
                    super::$scenario(&broker);
                }
            }
        })*
    };
}

mod broker;
mod differential;
mod foreign;
mod installed;
mod our_client;
mod program;
mod rust;
mod seed;

#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
#[allow(dead_code, reason = "shared: other test binaries also look at the management API")]
#[path = "../support/serve.rs"]
mod serve;
