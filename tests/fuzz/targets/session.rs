//! Fuzzes a connection as a pure object: whatever a client sends after a good handshake, the session answers with
//! whole frames, never panics, and the broker behind it still serves the next client.
//!
//! ```text
//! cargo install cargo-fuzz
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz session tests/fuzz/seeds/session -- -max_total_time=600
//! ```
//!
//! The input is a stream of frames; its last byte says where it is cut in two, because a real one is cut anywhere.
#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use mq::broker::Broker;
use mq::broker::auth::Origin;
use mq::broker::registry::{Connection, Peer};
use mq::server::session::Session;
use mq::wire::constants::{CHANNEL_MAX_DEFAULT, FRAME_MAX_DEFAULT, PROTOCOL_HEADER};
use mq::wire::method::{channel, connection};
use mq::wire::{FieldTable, frame, shortstr};

fuzz_target!(|input: &[u8]| {
    let broker = Arc::new(Broker::new("fuzz@localhost".to_owned()));
    let mut client = Client::log_in(&broker);
    let cut = input.last().map_or(0, |&at| usize::from(at) % (input.len() + 1));
    for part in [&input[..cut], &input[cut..]] {
        client.send(part);
    }
    client.leave();
    Client::log_in(&broker).leave();
});

/// A session, its unread bytes and its clock.
struct Client {
    broker: Arc<Broker>,
    connection: Arc<Connection>,
    session: Session,
    unread: Vec<u8>,
    now: u64,
}

impl Client {
    fn log_in(broker: &Arc<Broker>) -> Self {
        let connection = broker.connect(Peer {
            name: "fuzz".into(),
            host: String::new(),
            port: 0,
            peer_host: String::new(),
            peer_port: 0,
            is_tls: false,
            certificate: None,
            connected_at: SystemTime::UNIX_EPOCH,
        });
        let session = Session::new(Arc::clone(broker), Arc::clone(&connection), Origin::Local, 0);
        let broker = Arc::clone(broker);
        let mut client = Self { broker, connection, session, unread: Vec::new(), now: 0 };
        client.send(handshake());
        assert!(!client.session.is_closed(), "a good handshake is taken");
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        self.now += 5;
        let mut out = Vec::new();
        let used = self.session.on_bytes(&self.unread, self.now, &mut out);
        self.unread.drain(..used);
        self.broker.on_time(self.now);
        while self.session.on_mailbox(self.now, &mut out) {}
        self.session.on_sent(self.now);
        if let Some(deadline) = self.session.deadline()
            && deadline <= self.now
        {
            self.session.on_timeout(self.now, &mut out);
        }
        let mut rest = out.as_slice();
        while let Some(found) = frame::parse(rest, FRAME_MAX_DEFAULT).expect("we write good frames")
        {
            rest = &rest[found.encoded_len()..];
        }
        assert!(rest.is_empty(), "half a frame was written");
    }

    fn leave(mut self) {
        self.session.end(self.now);
        self.broker.disconnect(&self.connection);
    }
}

/// Everything up to two open channels.
fn handshake() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let capabilities = FieldTable::new().with("consumer_cancel_notify", true);
        let start_ok = connection::StartOk {
            client_properties: FieldTable::new().with("capabilities", capabilities),
            mechanism: shortstr::literal("PLAIN"),
            response: "\0guest\0guest".into(),
            locale: shortstr::literal("en_US"),
        };
        let tune_ok = connection::TuneOk {
            channel_max: CHANNEL_MAX_DEFAULT,
            frame_max: FRAME_MAX_DEFAULT,
            heartbeat: 0,
        };
        let open = connection::Open { virtual_host: shortstr::literal("/"), ..Default::default() };
        let mut bytes = PROTOCOL_HEADER.to_vec();
        frame::write_method(&mut bytes, 0, &start_ok.into());
        frame::write_method(&mut bytes, 0, &tune_ok.into());
        frame::write_method(&mut bytes, 0, &open.into());
        frame::write_method(&mut bytes, 1, &channel::Open::default().into());
        frame::write_method(&mut bytes, 2, &channel::Open::default().into());
        bytes
    })
}
