//! A broker with an innocent bystander: whatever a test does to the broker, the bystander must not notice.
//!
//! Start at [`Watched::start`] and end a test with [`Watched::assert_unharmed`].

use std::fs;
use std::net::SocketAddr;

use mq::wire::ShortStr;

use super::peer::Peer;
use super::serve::MqServe;

/// A running broker and a client that was there before the trouble.
#[derive(Debug)]
pub(crate) struct Watched {
    serve: MqServe,
    bystander: Peer,
    queue: ShortStr,
}

impl Watched {
    pub(crate) fn start() -> Self {
        let serve = MqServe::start();
        let mut bystander = Peer::on_channel_one(serve.address());
        let queue = bystander.declare_queue();
        Self { serve, bystander, queue }
    }

    /// Where the broker listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.serve.address()
    }

    /// Memory that the broker holds, in bytes (`VmRSS`).
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.serve.process_id());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024
    }

    /// The bystander sends itself a message.
    pub(crate) fn serves_the_bystander(&mut self) {
        self.bystander.publish(&self.queue, &[0, 0], b"still here");
        let (_, body) = self.bystander.get(&self.queue);
        assert_eq!(body, b"still here");
    }

    /// The bystander is served, a new client is served, and nothing panicked.
    pub(crate) fn assert_unharmed(mut self) {
        self.serves_the_bystander();
        let mut newcomer = Peer::on_channel_one(self.address());
        let queue = newcomer.declare_queue();
        newcomer.publish(&queue, &[0, 0], b"hello");
        assert_eq!(newcomer.get(&queue).1, b"hello");
        let said = self.serve.said().join("\n");
        assert!(!said.contains("panicked"), "{said}");
    }
}
