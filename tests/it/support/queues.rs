//! What a [`Peer`] does with queues and messages on channel 1. Start at [`Peer::confirmed`].

use mq::wire::constants::FRAME_MAX_DEFAULT;
use mq::wire::content::ContentHeader;
use mq::wire::method::{basic, confirm, exchange, queue};
use mq::wire::{FieldTable, Method, Properties, ShortStr, frame};

use super::peer::Peer;

/// A name; queues and exchanges of tests have short ones.
pub(crate) fn name(text: &str) -> ShortStr {
    text.parse().unwrap()
}

pub(crate) fn persistent() -> Properties {
    Properties { delivery_mode: Some(2), ..Properties::default() }
}

/// Appends a publish on channel 1.
pub(crate) fn write_publish(
    into: &mut Vec<u8>,
    (exchange, routing_key): (&str, &str),
    properties: &Properties,
    body: &[u8],
) {
    let (exchange, routing_key) = (name(exchange), name(routing_key));
    let publish = basic::Publish { exchange, routing_key, ..Default::default() };
    frame::write_method(into, 1, &publish.into());
    frame::write_content(into, 1, &properties.to_bytes(), body, FRAME_MAX_DEFAULT);
}

/// A message that came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Came {
    pub(crate) delivery_tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) exchange: String,
    pub(crate) properties: Properties,
    pub(crate) body: Vec<u8>,
}

impl Peer {
    /// Says a method on channel 1 and waits for one.
    pub(crate) fn call(&mut self, method: impl Into<Method>) -> Method {
        self.send_method(1, method);
        self.next_method().1
    }

    /// Declares a durable queue; answers how many messages it has.
    pub(crate) fn declare_durable(&mut self, queue: &str, arguments: FieldTable) -> u32 {
        let queue = name(queue);
        self.declare(queue::Declare { queue, durable: true, arguments, ..Default::default() })
    }

    /// Declares a queue; answers how many messages it has.
    pub(crate) fn declare(&mut self, declare: queue::Declare) -> u32 {
        match self.call(declare) {
            Method::QueueDeclareOk(ok) => ok.message_count,
            answer => panic!("declare-ok, not {answer:?}"),
        }
    }

    /// How many messages a queue has that is there.
    pub(crate) fn depth(&mut self, queue: &str) -> u32 {
        self.declare(queue::Declare { queue: name(queue), passive: true, ..Default::default() })
    }

    pub(crate) fn declare_fanout(&mut self, exchange: &str, queues: &[&str]) {
        let (exchange, kind) = (name(exchange), name("fanout"));
        let declare = exchange::Declare {
            exchange: exchange.clone(),
            kind,
            durable: true,
            ..Default::default()
        };
        assert!(matches!(self.call(declare), Method::ExchangeDeclareOk(_)));
        for queue in queues {
            let (queue, exchange) = (name(queue), exchange.clone());
            let bind = queue::Bind { queue, exchange, ..Default::default() };
            assert!(matches!(self.call(bind), Method::QueueBindOk(_)));
        }
    }

    /// Asks for confirms.
    pub(crate) fn confirming(mut self) -> Self {
        assert!(matches!(self.call(confirm::Select::default()), Method::ConfirmSelectOk(_)));
        self
    }

    /// Publishes through the default exchange and waits for the confirm.
    pub(crate) fn confirmed(&mut self, queue: &str, properties: &Properties, body: &[u8]) {
        let mut bytes = Vec::new();
        write_publish(&mut bytes, ("", queue), properties, body);
        self.send(&bytes);
        let (_, answer) = self.next_method();
        assert!(matches!(answer, Method::BasicAck(_)), "{answer:?}");
    }

    pub(crate) fn consume(&mut self, queue: &str, prefetch_count: u16, no_ack: bool) {
        let qos = basic::Qos { prefetch_count, ..Default::default() };
        assert!(matches!(self.call(qos), Method::BasicQosOk(_)));
        let queue = name(queue);
        self.send_method(1, basic::Consume { queue, no_ack, ..Default::default() });
        let (_, answer) = self.next_method();
        assert!(matches!(answer, Method::BasicConsumeOk(_)), "{answer:?}");
    }

    pub(crate) fn ack(&mut self, delivery_tag: u64) {
        self.send_method(1, basic::Ack { delivery_tag, multiple: false });
    }

    /// The next delivery.
    pub(crate) fn delivered(&mut self) -> Came {
        match self.next_method() {
            (1, Method::BasicDeliver(deliver)) => self.content_of(&deliver).expect("a content"),
            (_, answer) => panic!("a delivery, not {answer:?}"),
        }
    }

    /// The content behind a deliver; `None` when the broker hangs up first.
    pub(crate) fn content_of(&mut self, deliver: &basic::Deliver) -> Option<Came> {
        let (properties, body) = self.content()?;
        Some(Came {
            delivery_tag: deliver.delivery_tag,
            redelivered: deliver.redelivered,
            exchange: deliver.exchange.to_string(),
            properties,
            body,
        })
    }

    /// Takes the first message of a queue, acknowledged.
    pub(crate) fn taken(&mut self, queue: &str) -> Option<Came> {
        self.get_as(basic::Get { queue: name(queue), no_ack: true, ..Default::default() })
    }

    /// Gets the first message of a queue, to be acknowledged.
    pub(crate) fn got(&mut self, queue: &str) -> Option<Came> {
        self.get_as(basic::Get { queue: name(queue), ..Default::default() })
    }

    fn get_as(&mut self, get: basic::Get) -> Option<Came> {
        self.send_method(1, get);
        self.answered_get()
    }

    /// The answer to a get that has been sent.
    pub(crate) fn answered_get(&mut self) -> Option<Came> {
        match self.next_method().1 {
            Method::BasicGetEmpty(_) => None,
            Method::BasicGetOk(ok) => {
                let (properties, body) = self.content().expect("a content");
                Some(Came {
                    delivery_tag: ok.delivery_tag,
                    redelivered: ok.redelivered,
                    exchange: ok.exchange.to_string(),
                    properties,
                    body,
                })
            }
            answer => panic!("get-ok or get-empty, not {answer:?}"),
        }
    }

    /// Takes everything that waits in a queue.
    pub(crate) fn drained(&mut self, queue: &str) -> Vec<Came> {
        std::iter::from_fn(|| self.taken(queue)).collect()
    }

    fn content(&mut self) -> Option<(Properties, Vec<u8>)> {
        let header = self.next_frame()?;
        let header = ContentHeader::decode(&header.payload).unwrap();
        let properties = Properties::decode(header.properties).unwrap();
        let mut body = Vec::new();
        while (body.len() as u64) < header.body_size {
            body.extend(self.next_frame()?.payload);
        }
        Some((properties, body))
    }
}

/// Each body with whether it was delivered before.
pub(crate) fn bodies(came: &[Came]) -> Vec<(String, bool)> {
    let text = |came: &Came| String::from_utf8(came.body.clone()).unwrap();
    came.iter().map(|came| (text(came), came.redelivered)).collect()
}
