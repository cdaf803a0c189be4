//! What RabbitMQ 4.3.6 says and does, in frames: by default and with `--compat 4.3`, while 3.10 keeps its own ways.
//!
//! Codes, texts and levels were measured on a running 4.3.6.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::compat::Compat;
use mq::broker::node_limits::NodeLimits;
use mq::wire::constants::{FRAME_BODY, FRAME_HEADER};
use mq::wire::method::{basic, channel, exchange, queue, tx};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, ShortStr, frame};

use super::support::session::{Client, Said, broker, ready};

/// Releases whose ways these are.
const OF_4: [Compat; 2] = [Compat::V4, Compat::V4_3];
const ALL: [Compat; 3] = [Compat::V3_10, Compat::V4, Compat::V4_3];

fn broker_as(compat: Compat) -> Arc<Broker> {
    let broker = broker();
    broker.answer_as(compat);
    broker
}

fn client_as(compat: Compat) -> Client {
    Client::open(&broker_as(compat), 0)
}

/// Channel, code and text of the close that was said last, if one was, and the method it is about.
type Refusal = (u16, u16, String, (u16, u16));

fn refusal(client: &mut Client) -> Option<Refusal> {
    match client.said().pop()? {
        Said::Method(number, Method::ChannelClose(close)) => {
            client.send(number, channel::CloseOk {}, 0);
            client.send(number, channel::Open::default(), 0);
            client.said();
            let about = (close.class_id, close.method_id);
            Some((number, close.reply_code, close.reply_text.to_string(), about))
        }
        Said::Method(0, Method::ConnectionClose(close)) => {
            let about = (close.class_id, close.method_id);
            Some((0, close.reply_code, close.reply_text.to_string(), about))
        }
        _ => None,
    }
}

fn asked(client: &mut Client, method: impl Into<Method>) -> Option<Refusal> {
    client.send(1, method, 0);
    refusal(client)
}

/// The text alone.
fn told(client: &mut Client, method: impl Into<Method>) -> Option<String> {
    asked(client, method).map(|(_, _, text, _)| text)
}

fn declaration(name: &str, arguments: FieldTable) -> queue::Declare {
    let queue = ShortStr::try_from(name).unwrap();
    queue::Declare { queue, durable: true, arguments, ..Default::default() }
}

fn typed(kind: &str) -> FieldTable {
    FieldTable::new().with("x-queue-type", kind)
}

fn number(value: i64) -> FieldValue {
    FieldValue::I64(value)
}

fn with_headers(headers: FieldTable) -> Properties {
    Properties { headers: Some(headers), ..Properties::default() }
}

/// A frame of a channel's content.
fn content_frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_with(&mut bytes, kind, 1, |to| to.bytes(payload));
    bytes
}

/// A content header that announces so many bytes.
fn header_of(size: u64) -> Vec<u8> {
    content_frame(FRAME_HEADER, &[&[0, 60, 0, 0], &size.to_be_bytes()[..], &[0, 0]].concat())
}

/// What comes of announcing a body of so many bytes to a broker that allows 16 MiB, or the most there can be.
fn announced(compat: Compat, max: u64, size: u64) -> Option<Refusal> {
    let broker = Broker::new("mq@test".into());
    broker.limits.set(NodeLimits { message_bytes_max: max, ..NodeLimits::default() });
    broker.answer_as(compat);
    let mut client = Client::open(&Arc::new(broker), 0);
    client.send(1, basic::Publish::default(), 0);
    client.bytes(&header_of(size), 0);
    refusal(&mut client)
}

#[test]
fn a_message_above_the_configured_size_closes_its_channel_and_one_above_512_mib_the_connection() {
    const CAP: u64 = NodeLimits::MESSAGE_BYTES_CAP;
    const CONFIGURED: u64 = 16 << 20;
    let of_channel = |size: u64, max: &str| {
        let text = format!("PRECONDITION_FAILED - message size {size} is larger than {max}");
        Some((1, 406, text, (60, 40)))
    };
    let of_connection = |size: u64| {
        let text = format!("content body size {size} exceeds maximum allowed size 536870912");
        Some((0, 501, format!("FRAME_ERROR - {text}"), (60, 40)))
    };
    let configured = "configured max size 16777216";
    for compat in ALL {
        assert_eq!(announced(compat, CONFIGURED, CONFIGURED), None, "{compat:?}");
        let told = announced(compat, CONFIGURED, CONFIGURED + 1);
        assert_eq!(told, of_channel(16_777_217, configured), "{compat:?}");
        assert_eq!(announced(compat, CONFIGURED, CAP), of_channel(CAP, configured), "{compat:?}");
    }
    for compat in OF_4 {
        for max in [CONFIGURED, CAP] {
            assert_eq!(announced(compat, max, CAP + 1), of_connection(CAP + 1), "{compat:?}");
            assert_eq!(announced(compat, max, 1 << 40), of_connection(1 << 40), "{compat:?}");
        }
    }
    let told = announced(Compat::V3_10, CAP, CAP + 1);
    assert_eq!(told, of_channel(CAP + 1, "max size 536870912"));
}

#[test]
fn more_body_than_was_announced_is_an_error_of_the_publish() {
    let mut client = client_as(Compat::V4_3);
    client.send(1, basic::Publish::default(), 0);
    client.bytes(&[header_of(3), content_frame(FRAME_BODY, b"1234")].concat(), 0);
    let text = "FRAME_ERROR - content body frame exceeds remaining content size";
    assert_eq!(refusal(&mut client), Some((0, 501, text.to_owned(), (60, 40))));
}

#[test]
fn only_4_3_refuses_a_topic_key_with_more_than_two_wildcards_for_many_words() {
    let kind = literal("topic");
    let bind = |key| queue::Bind {
        queue: literal("q"),
        exchange: literal("amq.topic"),
        routing_key: literal(key),
        ..Default::default()
    };
    let refused = |key: &str, count: u8, method| {
        let text = format!(
            "PRECONDITION_FAILED - Topic binding key '{key}' uses {count} '#' wildcards, at most 2 are allowed"
        );
        Some((1, 406, text, method))
    };
    for compat in ALL {
        let mut client = client_as(compat);
        client.send(1, declaration("q", FieldTable::new()), 0);
        let declare =
            exchange::Declare { exchange: literal("t"), kind: kind.clone(), ..Default::default() };
        client.send(1, declare, 0);
        client.said();
        for taken in ["#.a.#", "#.#", "a#.#.#b.#"] {
            assert_eq!(asked(&mut client, bind(taken)), None, "{compat:?} {taken}");
        }
        for (key, count) in [("#.a.#.b.#", 3), ("#.#.#", 3), ("#.a.#.b.#.c.#", 4)] {
            let expected = refused(key, count, (50, 20)).filter(|_| compat == Compat::V4_3);
            assert_eq!(asked(&mut client, bind(key)), expected, "{compat:?} {key}");
            // Taking one away is no error.
            let queue::Bind { queue, exchange, routing_key, .. } = bind(key);
            let unbind = queue::Unbind { queue, exchange, routing_key, ..Default::default() };
            assert_eq!(asked(&mut client, unbind), None, "{compat:?} {key}");
        }
        let between = exchange::Bind {
            destination: literal("amq.fanout"),
            source: literal("t"),
            routing_key: literal("#.a.#.b.#"),
            ..Default::default()
        };
        let expected = refused("#.a.#.b.#", 3, (40, 30)).filter(|_| compat == Compat::V4_3);
        assert_eq!(asked(&mut client, between), expected, "{compat:?}");
        // What is missing is told first, and other exchanges have no wildcards.
        let nowhere = queue::Bind { queue: literal("none"), ..bind("#.#.#") };
        let missing = "NOT_FOUND - no queue 'none' in vhost '/'";
        assert_eq!(told(&mut client, nowhere).as_deref(), Some(missing));
        let direct = queue::Bind { exchange: literal("amq.direct"), ..bind("#.#.#") };
        assert_eq!(asked(&mut client, direct), None, "{compat:?}");
    }
}

/// What a commit says and how many messages then are in the queue, which `late` makes ready after the publish.
fn committed(
    compat: Compat,
    early: &[&'static str],
    late: impl Fn(&mut Client),
) -> (Vec<u16>, u64) {
    let broker = broker_as(compat);
    let (mut client, mut other) = (Client::open(&broker, 0), Client::open(&broker, 0));
    for name in early {
        other.declare_durable(name);
    }
    client.send(1, tx::Select::default(), 0);
    client.said();
    let publish =
        basic::Publish { routing_key: literal("later"), mandatory: true, ..Default::default() };
    let mut bytes = Vec::new();
    frame::write_method(&mut bytes, 1, &publish.into());
    frame::write_content(&mut bytes, 1, &Properties::default().to_bytes(), b"1", 131_072);
    client.bytes(&bytes, 0);
    assert_eq!(client.said(), []);
    late(&mut other);
    client.send(1, tx::Commit {}, 0);
    let codes = client.said().into_iter().filter_map(|said| match said {
        Said::Method(1, Method::BasicReturn(returned)) => Some(returned.reply_code),
        Said::Method(1, Method::TxCommitOk(_)) | Said::Body(_) => None,
        other => panic!("{other:?}"),
    });
    (codes.collect(), ready(&broker, "later"))
}

#[test]
fn a_transaction_routes_a_message_when_it_is_published() {
    let declare = |client: &mut Client| client.declare_durable("later");
    assert_eq!(committed(Compat::V3_10, &[], declare), (vec![], 1));
    for compat in OF_4 {
        assert_eq!(committed(compat, &[], declare), (vec![312], 0), "{compat:?}");
    }
    // RabbitMQ 4.3.6 crashes when the queue has gone since then; it is told as when there was none.
    let delete = |client: &mut Client| {
        client.send(1, queue::Delete { queue: literal("later"), ..Default::default() }, 0);
    };
    for compat in ALL {
        assert_eq!(committed(compat, &["later"], delete), (vec![312], 0), "{compat:?}");
        assert_eq!(committed(compat, &["later"], |_| ()), (vec![], 1), "{compat:?}");
    }
}

#[test]
fn a_queue_declared_as_another_type_hears_of_types() {
    let kinds = [Some("classic"), Some("quorum"), Some("stream"), None, Some("bogus")];
    for compat in OF_4 {
        let mut client = client_as(compat);
        for name in ["classic", "quorum", "stream"] {
            assert_eq!(asked(&mut client, declaration(name, typed(name))), None);
            for kind in kinds {
                let arguments = kind.map_or_else(FieldTable::new, typed);
                let received = kind.unwrap_or("classic");
                let expected = format!(
                    "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '{name}' in vhost '/': \
                     received '{received}' but current is '{name}'"
                );
                let expected = Some(expected).filter(|_| received != name);
                let found = told(&mut client, declaration(name, arguments));
                assert_eq!(found, expected, "{compat:?} {kind:?}");
            }
        }
        // One that was declared without a type is classic.
        assert_eq!(asked(&mut client, declaration("plain", FieldTable::new())), None);
        let text = told(&mut client, declaration("plain", typed("quorum"))).unwrap();
        assert!(text.ends_with("received 'quorum' but current is 'classic'"), "{text}");
    }
    let mut client = client_as(Compat::V3_10);
    assert_eq!(asked(&mut client, declaration("q", FieldTable::new())), None);
    let text = told(&mut client, declaration("q", typed("quorum"))).unwrap();
    let old = "received the value 'quorum' of type 'longstr' but current is none";
    assert!(text.ends_with(old), "{text}");
}

#[test]
fn the_modules_of_queue_types_are_no_names_of_types() {
    for compat in ALL {
        for name in ["rabbit_classic_queue", "rabbit_quorum_queue", "rabbit_stream_queue"] {
            let text = format!(
                "PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'q' in vhost '/': \"unsupported queue type '{name}'\""
            );
            let found = asked(&mut client_as(compat), declaration("q", typed(name)));
            assert_eq!(found, Some((1, 406, text, (50, 10))), "{compat:?}");
        }
    }
}

#[test]
fn what_4_3_does_not_look_at_is_not_refused() {
    let mode = |value: FieldValue| FieldTable::new().with("x-queue-mode", value);
    for compat in OF_4 {
        let mut client = client_as(compat);
        for (name, value) in [("a", "bogus".into()), ("b", number(1)), ("c", "lazy".into())] {
            assert_eq!(asked(&mut client, declaration(name, mode(value))), None, "{compat:?}");
        }
        let text = told(&mut client, declaration("a", mode("lazy".into()))).unwrap();
        assert!(text.ends_with("received 'lazy' but current is 'bogus'"), "{text}");
        let of_quorum = typed("quorum").with("x-queue-mode", "lazy");
        let text = told(&mut client, declaration("d", of_quorum)).unwrap();
        assert!(text.ends_with("of queue type rabbit_quorum_queue"), "{text}");
        let delayed = ["x-delayed-retry-type", "x-delayed-retry-min", "x-delayed-retry-max"];
        for (at, name) in delayed.into_iter().enumerate() {
            for value in [number(-1), "bogus".into(), true.into()] {
                let queue = format!("{at}{value:?}");
                let arguments = typed("quorum").with(name, value);
                assert_eq!(asked(&mut client, declaration(&queue, arguments)), None, "{name}");
            }
            let arguments = FieldTable::new().with(name, number(1));
            let text = told(&mut client, declaration("classic", arguments)).unwrap();
            assert!(text.ends_with("of queue type rabbit_classic_queue"), "{text}");
        }
        let filter = typed("stream").with("x-stream-filter-size-bytes", number(15));
        let text = "PRECONDITION_FAILED - Invalid value for x-stream-filter-size-bytes";
        assert_eq!(told(&mut client, declaration("s", filter)).as_deref(), Some(text));
    }
    let found = told(&mut client_as(Compat::V3_10), declaration("q", mode("bogus".into())));
    assert!(found.unwrap().ends_with("\"unsupported queue mode 'bogus'\""));
}

#[test]
fn a_publish_is_examined_in_the_order_of_its_release() {
    let expiration = || Some(literal("abc"));
    let user_id = || Some(literal("nobody"));
    let copies = || Some(FieldTable::new().with("CC", "q"));
    let reply_to = || Some(literal("amq.rabbitmq.reply-to"));
    let of_expiration = "invalid expiration 'abc': no_integer";
    let of_user = "user_id property set to 'nobody' but authenticated user was 'guest'";
    let of_copies = "invalid message: {unacceptable_type_in_header,\"CC\",longstr}";
    let of_reply = "fast reply consumer does not exist";
    let none = Properties::default;
    #[rustfmt::skip]
    let cases = [
        // properties                                                            4              3.10
        (Properties { expiration: expiration(), user_id: user_id(), ..none() },  of_expiration, of_user),
        (Properties { headers: copies(), user_id: user_id(), ..none() },         of_copies,     of_user),
        (Properties { headers: copies(), expiration: expiration(), ..none() },   of_expiration, of_expiration),
        (Properties { reply_to: reply_to(), expiration: expiration(), ..none() }, of_reply,     of_reply),
        (Properties { reply_to: reply_to(), headers: copies(), ..none() },       of_reply,      of_reply),
        (Properties { user_id: user_id(), ..none() },                            of_user,       of_user),
    ];
    for compat in ALL {
        for (properties, of_4, of_3_10) in &cases {
            let mut client = client_as(compat);
            client.publish_with("q", properties, b"");
            let why = if compat == Compat::V3_10 { of_3_10 } else { of_4 };
            let expected = (1, 406, format!("PRECONDITION_FAILED - {why}"), (60, 40));
            assert_eq!(refusal(&mut client), Some(expected), "{compat:?} {properties:?}");
        }
    }
}

#[test]
fn an_expiration_is_delivered_in_its_normal_form() {
    #[rustfmt::skip]
    let cases = [
        ("600000", "600000"), ("+600000", "600000"), ("007000", "7000"), ("-0", "0"), ("00", "0"), ("0", "0"),
    ];
    for compat in ALL {
        for (given, normal) in cases {
            let mut client = client_as(compat);
            let publish = basic::Publish { mandatory: true, ..Default::default() };
            let properties =
                Properties { expiration: Some(literal(given)), ..with_headers(typed("x")) };
            let mut bytes = Vec::new();
            frame::write_method(&mut bytes, 1, &publish.into());
            frame::write_content(&mut bytes, 1, &properties.to_bytes(), b"body", 131_072);
            client.bytes(&bytes, 0);
            let expected = if compat == Compat::V3_10 { given } else { normal };
            let properties = Properties { expiration: Some(literal(expected)), ..properties };
            assert_eq!(client.got_properties(), properties, "{compat:?}");
            assert_eq!(client.said().pop(), Some(Said::Body(b"body".to_vec())));
        }
    }
    // The time to live is that number.
    let broker = broker_as(Compat::V4);
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    let properties = Properties { expiration: Some(literal("007000")), ..Properties::default() };
    client.publish_with("q", &properties, b"body");
    broker.on_time(6_999);
    assert_eq!(ready(&broker, "q"), 1);
    broker.on_time(7_000);
    assert_eq!(ready(&broker, "q"), 0);
}

#[test]
fn headers_are_delivered_in_the_order_of_their_names() {
    let nested = || FieldTable::new().with("z", true).with("a", true);
    let entry = |name: &'static str, value: FieldValue| (literal(name), value);
    let given = FieldTable::from_entries(vec![
        entry("b", number(1)),
        entry("a", FieldValue::Table(nested())),
        entry("B", number(2)),
        entry("b", number(3)),
        entry("aa", "text".into()),
    ]);
    let sorted = FieldTable::from_entries(vec![
        entry("B", number(2)),
        entry("a", FieldValue::Table(nested())),
        entry("aa", "text".into()),
        entry("b", number(3)),
    ]);
    for compat in ALL {
        let mut client = client_as(compat);
        client.declare_durable("q");
        client.said();
        let properties =
            Properties { message_id: Some(literal("id")), ..with_headers(given.clone()) };
        client.publish_with("q", &properties, b"body");
        client.send(1, basic::Get { queue: literal("q"), ..Default::default() }, 0);
        let got = client.got_properties();
        let as_given = Properties::decode(&properties.to_bytes()).unwrap().headers.unwrap();
        let headers = if compat == Compat::V3_10 { &as_given } else { &sorted };
        assert_eq!(got.message_id, properties.message_id);
        assert_eq!(got.headers.as_ref(), Some(headers), "{compat:?}");
        assert!(client.said().contains(&Said::Body(b"body".to_vec())));
    }
}

#[test]
fn only_for_4_3_a_headers_exchange_tells_whole_numbers_from_others() {
    let of = |value: &FieldValue| FieldTable::new().with("a", value.clone());
    let whole = [FieldValue::I8(1), FieldValue::I16(1), FieldValue::I32(1), FieldValue::U32(1)];
    let whole = [&whole[..], &[number(1), FieldValue::Timestamp(1)]].concat();
    let fractional = [FieldValue::F32(1.0), FieldValue::F64(1.0)];
    let all: Vec<_> = whole.iter().chain(&fractional).collect();
    for compat in ALL {
        for (at, asked) in all.iter().enumerate() {
            for (by, given) in all.iter().enumerate() {
                let broker = broker_as(compat);
                let mut client = Client::open(&broker, 0);
                client.declare_durable("q");
                let exchange = || literal("amq.headers");
                let (queue, arguments) = (literal("q"), of(asked));
                let bind =
                    queue::Bind { queue, exchange: exchange(), arguments, ..Default::default() };
                client.send(1, bind, 0);
                let publish = basic::Publish { exchange: exchange(), ..Default::default() };
                let mut bytes = Vec::new();
                frame::write_method(&mut bytes, 1, &publish.into());
                let properties = with_headers(of(given)).to_bytes();
                frame::write_content(&mut bytes, 1, &properties, b"", 131_072);
                client.bytes(&bytes, 0);
                let is_alike = (at < whole.len()) == (by < whole.len());
                let expected = u64::from(is_alike || compat != Compat::V4_3);
                assert_eq!(ready(&broker, "q"), expected, "{compat:?} {asked:?} {given:?}");
            }
        }
    }
}

#[test]
fn an_exchange_type_that_is_not_there_closes_the_channel() {
    let declare = |kind| exchange::Declare {
        exchange: literal("x"),
        kind: literal(kind),
        ..Default::default()
    };
    for compat in OF_4 {
        let text = "PRECONDITION_FAILED - invalid exchange type 'x-jms-topic'".to_owned();
        let found = asked(&mut client_as(compat), declare("x-jms-topic"));
        assert_eq!(found, Some((1, 406, text, (40, 10))), "{compat:?}");
    }
}

/// A channel that waits for direct replies, and another client of its broker.
fn replies(compat: Compat) -> (Client, Client) {
    let broker = broker_as(compat);
    let (mut waiting, mut other) = (Client::open(&broker, 0), Client::open(&broker, 0));
    let (queue, consumer_tag) = (literal("amq.rabbitmq.reply-to"), literal("replies"));
    waiting.send(1, basic::Consume { queue, consumer_tag, no_ack: true, ..Default::default() }, 0);
    other.declare_durable("q");
    other.said();
    waiting.said();
    (waiting, other)
}

fn reply_name(waiting: &mut Client, other: &mut Client) -> ShortStr {
    let reply_to = Some(literal("amq.rabbitmq.reply-to"));
    waiting.publish_with("q", &Properties { reply_to, ..Properties::default() }, b"request");
    other.send(1, basic::Get { queue: literal("q"), no_ack: true, ..Default::default() }, 0);
    let name = other.got_properties().reply_to.expect("a name for the reply");
    other.said();
    name
}

#[test]
fn a_name_for_replies_is_a_queue_of_which_little_can_be_asked() {
    for compat in OF_4 {
        let (mut waiting, mut client) = replies(compat);
        let name = reply_name(&mut waiting, &mut client);
        let (queue, exchange) = (|| name.clone(), || literal("amq.direct"));
        let noun = format!("queue '{name}' in vhost '/'");
        let missing = "NOT_FOUND - no queue 'amq.rabbitmq.reply-to' in vhost '/'".to_owned();
        let volatile =
            "ACCESS_REFUSED - cannot bind or unbind to a volatile (direct reply-to) queue"
                .to_owned();
        let bind = queue::Bind { queue: queue(), exchange: exchange(), ..Default::default() };
        let unbind = queue::Unbind { queue: queue(), exchange: exchange(), ..Default::default() };
        let short = || literal("amq.rabbitmq.reply-to");
        let get = basic::Get { queue: queue(), ..Default::default() };
        let consume = basic::Consume { queue: queue(), no_ack: true, ..Default::default() };
        let purge = queue::Purge { queue: queue(), ..Default::default() };
        let bind_short = queue::Bind { queue: short(), ..bind.clone() };
        let unbind_short = queue::Unbind { queue: short(), ..unbind.clone() };
        let purge_short = queue::Purge { queue: short(), ..Default::default() };
        let get_short = basic::Get { queue: short(), ..Default::default() };
        let creator = format!("PRECONDITION_FAILED - only creator channel may consume from {noun}");
        let cases: [(Method, Option<(u16, String)>); 8] = [
            (bind.into(), Some((403, volatile.clone()))),
            (unbind.into(), Some((403, volatile))),
            (bind_short.into(), Some((404, missing.clone()))),
            (unbind_short.into(), None),
            (purge.into(), None),
            (purge_short.into(), Some((404, missing.clone()))),
            (get_short.into(), Some((404, missing))),
            (consume.into(), Some((406, creator))),
        ];
        for (method, expected) in cases {
            let asking = format!("{compat:?} {method:?}");
            let found = asked(&mut client, method).map(|(_, code, text, _)| (code, text));
            assert_eq!(found, expected, "{asking}");
        }
        let text = format!("NOT_IMPLEMENTED - basic.get not supported by volatile {noun}");
        assert_eq!(asked(&mut client, get), Some((0, 540, text, (60, 70))), "{compat:?}");
    }
}

#[test]
fn a_name_for_replies_that_is_deleted_gets_none() {
    for compat in ALL {
        let (mut waiting, mut client) = replies(compat);
        let name = reply_name(&mut waiting, &mut client);
        client.publish_to(&name, &Properties::default(), b"first");
        assert_eq!(waiting.deliveries(), [(b"first".to_vec(), false)], "{compat:?}");
        client.send(1, queue::Delete { queue: name.clone(), ..Default::default() }, 0);
        let deleted = Said::Method(1, queue::DeleteOk { message_count: 0 }.into());
        assert_eq!(client.said(), [deleted], "{compat:?}");
        client.publish_to(&name, &Properties::default(), b"second");
        let is_kept = compat == Compat::V3_10;
        assert_eq!(waiting.deliveries().len(), usize::from(is_kept), "{compat:?}");
        let look = queue::Declare { queue: name.clone(), passive: true, ..Default::default() };
        let gone = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
        assert_eq!(told(&mut client, look), (!is_kept).then_some(gone), "{compat:?}");
    }
}

#[test]
fn the_timeout_of_a_consumer_is_a_number_of_milliseconds() {
    for compat in ALL {
        for kind in ["classic", "quorum"] {
            let mut client = client_as(compat);
            assert_eq!(asked(&mut client, declaration("q", typed(kind))), None);
            let negative = "{value_negative,-1}";
            for (value, why) in [
                (number(1_000), None),
                (number(0), None),
                (number(-1), Some(negative)),
                ("abc".into(), Some("\"expected integer, got longstr\"")),
            ] {
                let arguments = FieldTable::new().with("x-consumer-timeout", value.clone());
                let (queue, consumer_tag) = (literal("q"), literal("c"));
                let consume =
                    basic::Consume { queue, consumer_tag, arguments, ..Default::default() };
                let found = told(&mut client, consume);
                let cancel = basic::Cancel { consumer_tag: literal("c"), nowait: true };
                client.send(1, cancel, 0);
                client.said();
                // Only 4.3 refuses it for a queue that is not a quorum queue; elsewhere it does nothing there.
                let why = match (compat, kind) {
                    (Compat::V3_10, _) | (Compat::V4, "classic") => None,
                    (Compat::V4_3, "classic") => {
                        Some(" of queue type rabbit_classic_queue".to_owned())
                    }
                    _ => why.map(|why| format!(": {why}")),
                };
                let expected = why.map(|why| {
                    format!("PRECONDITION_FAILED - invalid arg 'x-consumer-timeout' for queue 'q' in vhost '/'{why}")
                });
                assert_eq!(found, expected, "{compat:?} {kind} {value:?}");
            }
        }
    }
}
