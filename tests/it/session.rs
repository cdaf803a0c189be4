//! A connection without its socket: frames in, frames out, and time as an argument.

use std::collections::BTreeMap;
use std::sync::Arc;

use mq::wire::constants::{FRAME_BODY, FRAME_HEADER, PROTOCOL_HEADER};
use mq::wire::method::{basic, channel, confirm, connection, queue, tx};
use mq::wire::shortstr::literal;
use mq::wire::{Fault, Method, Properties, ReplyCode, ShortStr, frame};

use super::support::session::{Client, Said, broker, ready, start_ok, write_publish};

#[test]
fn a_peer_that_says_nothing_is_dropped_after_ten_seconds() {
    for greeting in [&b""[..], b"AMQP", &PROTOCOL_HEADER] {
        let mut client = Client::new(&broker(), 0);
        let mut out = Vec::new();
        client.session.on_bytes(greeting, 0, &mut out);
        assert_eq!(client.session.deadline(), Some(10_000), "{greeting:?}");
        client.session.on_timeout(9_999, &mut out);
        assert!(!client.session.is_closed(), "{greeting:?}");
        client.session.on_timeout(10_000, &mut out);
        assert!(client.session.is_closed(), "{greeting:?}");
    }
}

#[test]
fn another_protocol_gets_ours_and_the_end() {
    let headers = [
        *b"AMQP\x00\x01\x00\x00",
        *b"AMQP\x03\x01\x00\x00",
        *b"AMQP\x00\x00\x09\x02",
        *b"GET / HT",
    ];
    for header in headers {
        let mut client = Client::new(&broker(), 0);
        client.bytes(&header, 0);
        assert_eq!(client.out, PROTOCOL_HEADER, "{header:?}");
        assert!(client.session.is_closed(), "{header:?}");
    }
}

#[test]
fn a_refused_login_is_told_to_those_who_can_take_it() {
    let mut told = Client::new(&broker(), 0);
    told.bytes(&PROTOCOL_HEADER, 0);
    told.send(0, start_ok("wrong", true), 0);
    let said = told.said();
    let Some(Said::Method(0, Method::ConnectionClose(close))) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!(
        (close.reply_code, close.reply_text.as_str()),
        (
            403,
            "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
             For details see the broker logfile."
        )
    );

    let mut silent = Client::new(&broker(), 0);
    silent.bytes(&PROTOCOL_HEADER, 0);
    silent.send(0, start_ok("wrong", false), 0);
    let said = silent.said();
    assert!(matches!(said[..], [Said::Method(0, Method::ConnectionStart(_))]), "{said:?}");
    assert_eq!(silent.session.deadline(), Some(3_000));
    silent.session.on_timeout(3_000, &mut Vec::new());
    assert!(silent.session.is_closed());
}

#[test]
fn heartbeats_go_both_ways() {
    let broker = broker();
    let mut client = Client::open(&broker, 10);
    client.session.on_sent(0);
    assert_eq!(client.session.deadline(), Some(5_000));
    client.session.on_timeout(5_000, &mut client.out);
    assert_eq!(client.said(), [Said::Heartbeat]);
    client.bytes(&[8, 0, 0, 0, 0, 0, 0, 0xCE], 12_000);
    client.session.on_timeout(36_999, &mut client.out);
    assert!(!client.session.is_closed());
    client.session.on_timeout(37_000, &mut client.out);
    assert!(client.session.is_closed(), "nothing came for two and a half intervals");
}

#[test]
fn confirms_of_one_round_leave_as_one() {
    let mut client = Client::open(&broker(), 0);
    client.declare("q");
    client.send(1, confirm::Select::default(), 0);
    client.said();
    client.publish("q", &[b"1", b"2", b"3"], 0);
    let ack = basic::Ack { delivery_tag: 3, multiple: true };
    assert_eq!(client.said(), [Said::Method(1, ack.into())]);
    client.publish("q", &[b"4"], 0);
    let ack = basic::Ack { delivery_tag: 4, multiple: false };
    assert_eq!(client.said(), [Said::Method(1, ack.into())]);
}

#[test]
fn messages_of_a_connection_that_is_gone_go_to_the_next_in_their_order() {
    let broker = broker();
    let mut first = Client::open(&broker, 0);
    first.declare("q");
    first.consume("q", "c");
    first.publish("q", &[b"1", b"2", b"3", b"4"], 0);
    assert_eq!(first.deliveries().len(), 4);
    first.send(1, basic::Ack { delivery_tag: 2, multiple: false }, 0);
    // Dropped as a task that has panicked drops it: no goodbye.
    drop(first);
    assert_eq!(ready(&broker, "q"), 3);
    let mut second = Client::open(&broker, 0);
    second.consume("q", "c");
    let expected = [(b"1".to_vec(), true), (b"3".to_vec(), true), (b"4".to_vec(), true)];
    assert_eq!(second.deliveries(), expected);
}

#[test]
fn a_consumer_that_is_not_read_from_leaves_messages_in_the_queue() {
    let broker = broker();
    let mut slow = Client::open(&broker, 0);
    slow.declare("q");
    slow.consume("q", "c");
    let mut publisher = Client::open(&broker, 0);
    let body = vec![7; 100_000];
    let bodies = vec![&body[..]; 30];
    publisher.publish("q", &bodies, 0);
    let waiting = ready(&broker, "q");
    assert!((15..30).contains(&waiting), "about 1 MiB is in the mailbox, {waiting} wait");
    assert_eq!(slow.deliveries().len(), 30, "the rest follows when the mailbox is emptied");
    assert_eq!(ready(&broker, "q"), 0);
}

#[test]
fn a_closed_channel_ignores_everything_until_the_client_agrees() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    client.consume("q", "c");
    client.publish("q", &[b"1"], 0);
    client.said();
    client.send(1, basic::Ack { delivery_tag: 9, multiple: false }, 0);
    let said = client.said();
    let [Said::Method(1, Method::ChannelClose(close))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(close.reply_text.as_str(), "PRECONDITION_FAILED - unknown delivery tag 9");
    assert_eq!((close.class_id, close.method_id), (60, 80));
    assert_eq!(ready(&broker, "q"), 1, "what was not acknowledged is back");
    client.publish("q", &[b"2"], 0);
    client.declare("other");
    assert_eq!(client.said(), []);
    assert_eq!(ready(&broker, "q"), 1, "a publish on a closed channel is ignored");
    client.send(1, channel::CloseOk::default(), 0);
    client.send(1, channel::Open::default(), 0);
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(1, Method::ChannelOpenOk(_))]), "{said:?}");
}

#[test]
fn deliveries_under_way_are_sent_before_cancel_ok() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    client.consume("q", "c");
    client.said();
    client.publish("q", &[b"1"], 0);
    let consumer_tag = literal("c");
    client.send(1, basic::Cancel { consumer_tag, nowait: false }, 0);
    let said = client.said();
    let order: Vec<_> = said
        .iter()
        .filter_map(|said| match said {
            Said::Method(_, method) => Some(method.name()),
            Said::Body(_) | Said::Heartbeat => None,
        })
        .collect();
    assert_eq!(order, ["basic.deliver", "basic.cancel-ok"]);
}

#[test]
fn the_mailbox_of_an_ended_connection_takes_nothing() {
    let broker = broker();
    let mut gone = Client::open(&broker, 0);
    gone.declare("q");
    gone.consume("q", "c");
    gone.session.end(0);
    let mut publisher = Client::open(&broker, 0);
    publisher.publish("q", &[b"1"], 0);
    assert_eq!(ready(&broker, "q"), 1);
    assert!(gone.connection.mailbox.is_empty());
}

/// RabbitMQ, "Direct Reply-to": the request carries a name of the channel's own, and a reply to it needs no queue.
#[test]
fn a_direct_reply_reaches_the_channel_that_asked() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.declare("rpc");
    let (queue, consumer_tag) = (literal("amq.rabbitmq.reply-to"), literal("replies"));
    let no_ack = true;
    client.send(1, basic::Consume { queue, consumer_tag, no_ack, ..Default::default() }, 0);
    let asked = Properties {
        correlation_id: Some(literal("7")),
        reply_to: Some(literal("amq.rabbitmq.reply-to")),
        message_id: Some(literal("m")),
        ..Properties::default()
    };
    client.publish_with("rpc", &asked, b"request");
    client.said();

    let mut server = Client::open(&broker, 0);
    server.send(1, basic::Get { queue: literal("rpc"), ..Default::default() }, 0);
    let properties = server.got_properties();
    let reply_to = properties.reply_to.clone().unwrap();
    assert!(reply_to.starts_with("amq.rabbitmq.reply-to."), "{reply_to}");
    assert_eq!(properties, Properties { reply_to: Some(reply_to.clone()), ..asked });
    server.publish_to(&reply_to, &Properties::default(), b"reply");
    assert_eq!(client.deliveries(), [(b"reply".to_vec(), false)]);
    client.session.end(0);
    server.send(1, queue::Declare { queue: reply_to, ..Default::default() }, 0);
    let said = server.said();
    let Some(Said::Method(1, Method::ChannelClose(close))) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!(close.reply_code, 404, "the name is gone with its channel");
}

/// Whoever asks for the name itself is told that somebody consumes there (seen with RabbitMQ 3.10).
#[test]
fn the_name_direct_replies_are_asked_for_can_be_declared_and_makes_no_queue() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    let name = "amq.rabbitmq.reply-to";
    for passive in [false, true] {
        client.send(1, queue::Declare { queue: literal(name), passive, ..Default::default() }, 0);
        let queue = literal(name);
        let ok = queue::DeclareOk { queue, message_count: 0, consumer_count: 1 };
        assert_eq!(client.said(), [Said::Method(1, ok.into())]);
    }
    assert!(broker.vhost("/").unwrap().find_queue(name).is_none());
    client.send(1, basic::Consume { queue: literal(name), no_ack: true, ..Default::default() }, 0);
    client.said();
    client.send(1, basic::Consume { queue: literal(name), ..Default::default() }, 0);
    let said = client.said();
    let [Said::Method(1, Method::ChannelClose(close))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(close.reply_text, "PRECONDITION_FAILED - reply consumer cannot acknowledge");
}

#[test]
fn a_message_that_is_too_large_closes_its_channel_only() {
    let mut client = Client::open(&broker(), 0);
    let publish = basic::Publish { routing_key: literal("q"), ..Default::default() };
    client.send(1, publish, 0);
    let size: u64 = (128 << 20) + 1;
    let header = [&[0, 60, 0, 0], &size.to_be_bytes()[..], &[0, 0]].concat();
    for (kind, payload) in [(FRAME_HEADER, &header[..]), (FRAME_BODY, b"piece")] {
        let mut bytes = Vec::new();
        frame::write_with(&mut bytes, kind, 1, |to| to.bytes(payload));
        client.bytes(&bytes, 0);
    }
    let said = client.said();
    let [Said::Method(1, Method::ChannelClose(close))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(
        (close.reply_code, close.reply_text.as_str()),
        (
            406,
            "PRECONDITION_FAILED - message size 134217729 is larger than configured max size \
             134217728"
        )
    );
    assert_eq!((close.class_id, close.method_id), (60, 40));
    client.send(1, channel::CloseOk {}, 0);
    client.send(1, channel::Open::default(), 0);
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(1, Method::ChannelOpenOk(_))]), "{said:?}");
}

#[test]
fn an_exclusive_queue_declared_again_takes_no_more_room() {
    let broker = broker();
    let mut client = Client::open(&broker, 10);
    let declare = queue::Declare { queue: literal("own"), exclusive: true, ..Default::default() };
    client.send(1, declare.clone(), 0);
    let queue = broker.vhost("/").unwrap().queues().remove(0);
    let references = Arc::weak_count(&queue);
    for _ in 0..100 {
        client.send(1, declare.clone(), 0);
    }
    assert_eq!(client.said().len(), 101, "each is answered");
    assert_eq!(Arc::weak_count(&queue), references);
    drop(client);
    assert!(broker.vhost("/").unwrap().queues().is_empty());
}

#[test]
fn a_client_that_closes_its_connection_closes_the_stream_too() {
    let broker = broker();
    let mut client = Client::open(&broker, 10);
    client.declare("kept");
    let (queue, exclusive) = (literal("own"), true);
    client.send(1, queue::Declare { queue, exclusive, ..Default::default() }, 0);
    client.said();
    client.send(0, connection::Close::default(), 1_000);
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(0, Method::ConnectionCloseOk(_))]), "{said:?}");
    let queues = broker.vhost("/").unwrap().queues();
    let names: Vec<_> = queues.iter().map(|queue| queue.name().as_str()).collect();
    assert_eq!(names, ["kept"], "an exclusive queue is gone when close-ok leaves");
    client.bytes(&[8, 0, 0, 0, 0, 0, 0, 0xCE], 2_000);
    assert_eq!(client.said(), []);
    assert!(!client.session.is_closed(), "the stream is the client's to close");
    client.session.on_timeout(31_000, &mut client.out);
    assert!(client.session.is_closed(), "but not for ever");
}

#[test]
fn a_broker_that_stops_does_not_wait_for_who_has_closed() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.send(0, connection::Close::default(), 0);
    client.said();
    broker.registry.close_all(&Fault::new(ReplyCode::ConnectionForced, "stopping"));
    assert_eq!(client.said(), []);
    assert!(client.session.is_closed());
}

#[test]
fn when_both_sides_close_each_gets_its_answer() {
    let mut client = Client::open(&broker(), 0);
    client.send(1, basic::Qos { prefetch_size: 1, ..Default::default() }, 0);
    client.send(0, connection::Close::default(), 0);
    let said = client.said();
    assert!(
        matches!(
            said[..],
            [
                Said::Method(0, Method::ConnectionClose(_)),
                Said::Method(0, Method::ConnectionCloseOk(_))
            ]
        ),
        "{said:?}"
    );
    client.send(0, connection::CloseOk {}, 0);
    assert!(client.session.is_closed());
}

/// The queue's end and the consumer's own `basic.cancel` cross: its slot must not be given away twice.
#[test]
fn a_cancel_that_meets_the_end_of_its_queue_leaves_other_consumers_alone() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    for queue in ["gone", "a", "b"] {
        client.declare(queue);
    }
    client.consume("gone", "c");
    let mut bytes = Vec::new();
    let delete = queue::Delete { queue: literal("gone"), nowait: true, ..Default::default() };
    frame::write_method(&mut bytes, 1, &delete.into());
    let cancel = basic::Cancel { consumer_tag: literal("c"), nowait: true };
    frame::write_method(&mut bytes, 1, &cancel.into());
    client.bytes(&bytes, 0);
    client.consume("a", "of a");
    client.consume("b", "of b");
    client.publish("a", &[b"for a"], 0);
    client.publish("b", &[b"for b"], 0);
    let said = client.said();
    let tags: Vec<_> = said
        .iter()
        .filter_map(|said| match said {
            Said::Method(_, Method::BasicDeliver(deliver)) => {
                Some((deliver.consumer_tag.as_str(), deliver.routing_key.as_str()))
            }
            Said::Method(..) | Said::Body(_) | Said::Heartbeat => None,
        })
        .collect();
    assert_eq!(tags, [("of a", "a"), ("of b", "b")]);
}

#[test]
fn what_comes_back_from_many_hands_comes_back_in_order() {
    let broker = broker();
    let mut first = Client::open(&broker, 0);
    first.declare("q");
    let bodies: Vec<_> = (0..9_u8).map(|number| [number]).collect();
    let bodies: Vec<&[u8]> = bodies.iter().map(|body| &body[..]).collect();
    first.publish("q", &bodies, 0);
    for _ in 0..3 {
        first.send(1, basic::Get { queue: literal("q"), ..Default::default() }, 0);
    }
    let mut waiting = Client::open(&broker, 0);
    first.consume("q", "one");
    waiting.consume("q", "other");
    assert_eq!(first.deliveries().len(), 3 + 6, "the rest was dealt to the only consumer");
    first.session.end(0);
    let expected: Vec<_> = bodies.iter().map(|body| (body.to_vec(), true)).collect();
    assert_eq!(waiting.deliveries(), expected);
}

#[test]
fn what_was_taken_before_a_fault_is_confirmed() {
    let mut client = Client::open(&broker(), 0);
    client.declare("q");
    client.send(1, confirm::Select::default(), 0);
    client.said();
    let mut bytes = Vec::new();
    write_publish(&mut bytes, &literal("q"), &Properties::default(), b"1");
    write_publish(&mut bytes, &literal("q"), &Properties::default(), b"2");
    let publish = basic::Publish { exchange: literal("nowhere"), ..Default::default() };
    frame::write_method(&mut bytes, 1, &publish.into());
    frame::write_content(&mut bytes, 1, &Properties::default().to_bytes(), b"3", 131_072);
    client.bytes(&bytes, 0);
    let said = client.said();
    let ack = Said::Method(1, basic::Ack { delivery_tag: 2, multiple: true }.into());
    assert_eq!(said[0], ack);
    assert!(matches!(said[1..], [Said::Method(1, Method::ChannelClose(_))]), "{said:?}");
}

/// A few bytes can ask for a large message again and again; the answers must not pile up here.
#[test]
fn a_round_of_frames_ends_when_it_has_answered_enough() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    client.publish("q", &[&vec![7; 100_000]], 0);
    client.said();
    let mut bytes = Vec::new();
    for tag in 1..=100 {
        let get = basic::Get { queue: literal("q"), ..Default::default() };
        frame::write_method(&mut bytes, 1, &get.into());
        let reject = basic::Reject { delivery_tag: tag, requeue: true };
        frame::write_method(&mut bytes, 1, &reject.into());
    }
    let mut rest = &bytes[..];
    let mut rounds = 0;
    while !rest.is_empty() {
        let mut out = Vec::new();
        let used = client.session.on_bytes(rest, 0, &mut out);
        assert!(used > 0 && out.len() < 2 << 20, "{} bytes in one round", out.len());
        rest = &rest[used..];
        rounds += 1;
    }
    assert!(rounds >= 10, "10 MB in {rounds} rounds");
    assert_eq!(ready(&broker, "q"), 1);
}

#[test]
fn what_waits_for_a_commit_is_counted_until_it_comes() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    client.publish("q", &[b"1", b"2"], 0);
    client.send(1, tx::Select::default(), 0);
    for _ in 0..2 {
        client.send(1, basic::Get { queue: literal("q"), ..Default::default() }, 0);
    }
    client.send(1, basic::Ack { delivery_tag: 2, multiple: true }, 0);
    client.publish("q", &[b"3"], 0);
    let channel = client.connection.channels().remove(0);
    let counted = || (channel.uncommitted.get(), channel.uncommitted_acks.get());
    assert_eq!(counted(), (1, 2));
    client.send(1, tx::Commit::default(), 0);
    assert_eq!(counted(), (0, 0));
    assert_eq!(ready(&broker, "q"), 1);
}

/// More waits than a mailbox holds: a queue that finds it full comes back to all who were turned away, each in turn.
#[test]
fn consumers_of_a_full_connection_get_their_turn_again() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    for queue in ["one", "two"] {
        client.declare(queue);
        for tag in ["a", "b", "c"] {
            let consumer_tag = ShortStr::try_from(format!("{queue}.{tag}")).unwrap();
            let consume =
                basic::Consume { queue: literal(queue), consumer_tag, ..Default::default() };
            client.send(1, consume, 0);
        }
    }
    client.said();
    let body = [0; 10_000];
    // 6 MB, in a mailbox of 1 MiB.
    for queue in ["one", "two"] {
        client.publish(queue, &[&body[..]; 300], 0);
    }
    let mut delivered = BTreeMap::new();
    for said in client.said() {
        if let Said::Method(1, Method::BasicDeliver(deliver)) = said {
            *delivered.entry(deliver.consumer_tag.to_string()).or_insert(0) += 1;
        }
    }
    let each = ["one.a", "one.b", "one.c", "two.a", "two.b", "two.c"].map(|tag| delivered[tag]);
    assert_eq!(each.iter().sum::<i32>(), 600);
    assert!(each.iter().all(|count| (90..=110).contains(count)), "{each:?}");
}
