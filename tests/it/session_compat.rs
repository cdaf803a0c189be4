//! Whose answers ours are: what `--compat 4.3` refuses and `--compat 3.10` says otherwise, in frames.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::compat::Compat;
use mq::wire::constants::PROTOCOL_HEADER;
use mq::wire::method::{basic, connection, exchange, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method};

use super::support::session::{Client, Said, broker, start_ok};

const RELEASES: [Compat; 3] = [Compat::V3_10, Compat::V4, Compat::V4_3];

fn broker_as(compat: Compat) -> Arc<Broker> {
    let broker = broker();
    broker.answer_as(compat);
    broker
}

/// What a release answers to a method on channel 1: the level's number, the code and the text; nothing to a yes.
fn refusal(compat: Compat, method: impl Into<Method>) -> Option<(u16, u16, String)> {
    let mut client = Client::open(&broker_as(compat), 0);
    client.send(1, method, 0);
    match client.said().pop()? {
        Said::Method(_, Method::ChannelClose(close)) => {
            Some((1, close.reply_code, close.reply_text.to_string()))
        }
        Said::Method(_, Method::ConnectionClose(close)) => {
            Some((0, close.reply_code, close.reply_text.to_string()))
        }
        _ => None,
    }
}

fn deprecated(feature: &str) -> String {
    format!(
        "INTERNAL_ERROR - Feature `{feature}` is deprecated.\nBy default, this feature is not permitted anymore.\n\
         The feature will be removed from a future major RabbitMQ version, regardless of the configuration; \
         actual version to be determined.\nTo "
    )
}

#[test]
fn only_4_3_refuses_a_queue_that_is_neither_durable_nor_exclusive() {
    let transient = || queue::Declare { queue: literal("q"), ..Default::default() };
    for compat in [Compat::V3_10, Compat::V4] {
        assert_eq!(refusal(compat, transient()), None, "{compat:?}");
    }
    let (level, code, text) = refusal(Compat::V4_3, transient()).unwrap();
    let whole = deprecated("transient_nonexcl_queues");
    assert_eq!((level, code), (0, 541));
    assert_eq!(text, format!("{}...", &whole[..252]));
    // Nor one that goes with its consumers, nor a replicated one.
    let quorum = FieldTable::new().with("x-queue-type", "quorum");
    for refused in [
        queue::Declare { auto_delete: true, ..transient() },
        queue::Declare { queue: literal(""), ..transient() },
        queue::Declare { arguments: quorum, ..transient() },
    ] {
        assert_eq!(refusal(Compat::V4_3, refused), Some((0, 541, text.clone())));
    }
    for allowed in [
        queue::Declare { durable: true, ..transient() },
        queue::Declare { exclusive: true, ..transient() },
        queue::Declare { queue: literal(""), exclusive: true, ..transient() },
    ] {
        assert_eq!(refusal(Compat::V4_3, allowed), None);
    }
}

#[test]
fn only_4_3_refuses_the_place_of_a_queues_master() {
    let located = || queue::Declare {
        queue: literal("q"),
        durable: true,
        arguments: FieldTable::new().with("x-queue-master-locator", "client-local"),
        ..Default::default()
    };
    assert_eq!(refusal(Compat::V4, located()), None);
    let (level, code, text) = refusal(Compat::V4_3, located()).unwrap();
    assert_eq!((level, code), (0, 541));
    assert!(
        text.starts_with("INTERNAL_ERROR - Feature `queue_master_locator` is deprecated."),
        "{text}"
    );
}

/// What is wrong with the arguments is told first.
#[test]
fn for_4_3_arguments_are_looked_at_before_what_is_deprecated() {
    let declare = |name: &'static str, value: i32, durable| queue::Declare {
        queue: literal("q"),
        durable,
        arguments: FieldTable::new().with(name, FieldValue::I32(value)),
        ..Default::default()
    };
    let told = |name, why: &str| {
        let text =
            format!("PRECONDITION_FAILED - invalid arg '{name}' for queue 'q' in vhost '/': {why}");
        Some((1, 406, text))
    };
    let negative = told("x-message-ttl", "{value_negative,-1}");
    assert_eq!(refusal(Compat::V4_3, declare("x-message-ttl", -1, false)), negative);
    // The first store of classic queues is there no more.
    let version = "x-queue-version";
    assert_eq!(refusal(Compat::V4, declare(version, 1, true)), None);
    assert_eq!(refusal(Compat::V4_3, declare(version, 2, true)), None);
    let gone = told(version, "\"unsupported queue version '1'\"");
    assert_eq!(refusal(Compat::V4_3, declare(version, 1, true)), gone);
}

/// A prefetch of the channel counts all its consumers' messages, one of each consumer that one's.
#[test]
fn for_4_3_a_prefetch_of_the_channel_is_one_of_each_consumer() {
    for (compat, delivered) in [(Compat::V3_10, 1), (Compat::V4, 1), (Compat::V4_3, 2)] {
        let mut client = Client::open(&broker_as(compat), 0);
        client.declare_durable("q");
        client.send(1, basic::Qos { prefetch_count: 1, global: true, ..Default::default() }, 0);
        client.consume("q", "one");
        client.consume("q", "two");
        client.publish("q", &[b"1", b"2", b"3"], 0);
        let said = client.said();
        let is_delivery = |said: &&Said| matches!(said, Said::Method(_, Method::BasicDeliver(_)));
        assert_eq!(said.iter().filter(is_delivery).count(), delivered, "{compat:?}: {said:?}");
    }
}

#[test]
fn the_smallest_frame_is_larger_for_4_3() {
    for compat in RELEASES {
        for (frame_max, accepted) in [(4096, compat != Compat::V4_3), (8192, true), (4095, false)] {
            let mut client = Client::new(&broker_as(compat), 0);
            client.bytes(&PROTOCOL_HEADER, 0);
            client.send(0, start_ok("guest", true), 0);
            client.send(0, connection::TuneOk { channel_max: 9, frame_max, heartbeat: 0 }, 0);
            client.said();
            let open = connection::Open { virtual_host: literal("/"), ..Default::default() };
            client.send(0, open, 0);
            let said = client.said();
            let is_open = matches!(said.last(), Some(Said::Method(0, Method::ConnectionOpenOk(_))));
            assert_eq!(is_open, accepted, "{compat:?} and {frame_max}: {said:?}");
        }
    }
}

/// RabbitMQ 4 offers to be `guest` without a word, 3.10 does not.
#[test]
fn who_says_nothing_is_guest_since_4() {
    for (compat, offered) in [
        (Compat::V3_10, "PLAIN AMQPLAIN"),
        (Compat::V4, "PLAIN ANONYMOUS AMQPLAIN"),
        (Compat::V4_3, "PLAIN ANONYMOUS AMQPLAIN"),
    ] {
        let mut client = Client::new(&broker_as(compat), 0);
        client.bytes(&PROTOCOL_HEADER, 0);
        let said = client.said();
        let [Said::Method(0, Method::ConnectionStart(start))] = &said[..] else {
            panic!("{said:?}")
        };
        assert_eq!(start.mechanisms.to_text(), offered);
        let anonymous = connection::StartOk {
            mechanism: literal("ANONYMOUS"),
            response: "".into(),
            ..start_ok("", true)
        };
        client.send(0, anonymous, 0);
        let said = client.said();
        let is_in = matches!(said.last(), Some(Said::Method(0, Method::ConnectionTune(_))));
        assert_eq!(is_in, compat != Compat::V3_10, "{compat:?}: {said:?}");
    }
}

/// A password does not expire, so there is nothing to renew and nothing to refuse.
#[test]
fn a_new_secret_is_taken() {
    for compat in RELEASES {
        let mut client = Client::open(&broker_as(compat), 0);
        client.send(0, connection::UpdateSecret::default(), 0);
        let ok = connection::UpdateSecretOk {};
        assert_eq!(client.said(), [Said::Method(0, ok.into())], "{compat:?}");
    }
}

#[test]
fn an_unknown_exchange_type_closes_the_connection_only_for_3_10() {
    let bogus = || exchange::Declare {
        exchange: literal("x"),
        kind: literal("bogus"),
        ..Default::default()
    };
    for (compat, level, code, name) in [
        (Compat::V3_10, 0, 503, "COMMAND_INVALID"),
        (Compat::V4, 1, 406, "PRECONDITION_FAILED"),
        (Compat::V4_3, 1, 406, "PRECONDITION_FAILED"),
    ] {
        let text = format!("{name} - unknown exchange type 'bogus'");
        assert_eq!(refusal(compat, bogus()), Some((level, code, text)), "{compat:?}");
    }
}

/// Clients choose their ways by product and version.
#[test]
fn a_server_says_which_release_it_is() {
    for (compat, version, platform) in [
        (Compat::V3_10, "3.10.8", "Rust"),
        (Compat::V4, "4.3.6", "Erlang/OTP 29.1.1"),
        (Compat::V4_3, "4.3.6", "Erlang/OTP 29.1.1"),
    ] {
        let mut client = Client::new(&broker_as(compat), 0);
        client.bytes(&PROTOCOL_HEADER, 0);
        let said = client.said();
        let [Said::Method(0, Method::ConnectionStart(start))] = &said[..] else {
            panic!("{said:?}")
        };
        let text = |name| start.server_properties.get(name).and_then(FieldValue::as_str);
        assert_eq!(text("product"), Some("RabbitMQ"));
        assert_eq!((text("version"), text("platform")), (Some(version), Some(platform)));
        // Whose program it is stays told.
        assert_eq!(text("information"), Some("mq, a RabbitMQ-compatible broker"));
    }
}
