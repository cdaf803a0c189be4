//! Who may do what over AMQP: the frames of refusals, in RabbitMQ's words.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::auth::{PasswordHash, Permission, TopicPermission, User, UserLimits};
use mq::broker::compat::Compat;
use mq::broker::vhost_metadata::VhostChange;
use mq::wire::constants::PROTOCOL_HEADER;
use mq::wire::method::{basic, channel, connection, exchange, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, Method, Properties, frame};

use super::support::session::{Client, Said, broker, start_ok};

/// A broker with the user `bob`, who may do this in `/`.
fn broker_for(configure: &str, write: &str, read: &str) -> Arc<Broker> {
    let broker = broker();
    add_user(&broker, "bob");
    let permission = Permission::new(configure, write, read).unwrap();
    broker.grant(&literal("/"), &literal("bob"), permission).unwrap();
    broker
}

fn add_user(broker: &Broker, name: &'static str) {
    let password = PasswordHash::new("secret", [1, 2, 3, 4]);
    let (tags, limits) = (Vec::new(), UserLimits::default());
    broker.put_user(User { name: literal(name), tags, password, limits }).unwrap();
}

/// A client that has logged in and asks for a vhost.
fn at_the_door(broker: &Arc<Broker>, user: &str, vhost: &'static str) -> Client {
    let mut client = Client::new(broker, 0);
    client.bytes(&PROTOCOL_HEADER, 0);
    let password = if user == "guest" { "guest" } else { "secret" };
    let response = format!("\0{user}\0{password}").into();
    client.send(0, connection::StartOk { response, ..start_ok("", true) }, 0);
    let tune_ok = connection::TuneOk { channel_max: 100, frame_max: 131_072, heartbeat: 0 };
    client.send(0, tune_ok, 0);
    client.send(0, connection::Open { virtual_host: literal(vhost), ..Default::default() }, 0);
    client
}

fn inside(broker: &Arc<Broker>, user: &str, vhost: &'static str) -> Client {
    let mut client = at_the_door(broker, user, vhost);
    client.send(1, channel::Open::default(), 0);
    let said = client.said();
    assert!(matches!(said.last(), Some(Said::Method(1, Method::ChannelOpenOk(_)))), "{said:?}");
    client
}

/// Code and text of the refusal that was said last, and whether it closes the connection.
fn refusal(client: &mut Client) -> Option<(u16, String)> {
    match client.said().pop()? {
        Said::Method(_, Method::ChannelClose(close)) => {
            client.send(1, channel::CloseOk {}, 0);
            client.send(1, channel::Open::default(), 0);
            client.said();
            Some((close.reply_code, close.reply_text.to_string()))
        }
        Said::Method(0, Method::ConnectionClose(close)) => {
            Some((close.reply_code, close.reply_text.to_string()))
        }
        _ => None,
    }
}

/// What is asked of a client with a channel, and the beginning of the refusal.
type Case = (Method, Option<&'static str>);

fn methods() -> Vec<Case> {
    let letters = |to| FieldTable::new().with("x-dead-letter-exchange", to);
    let alternate = |to| FieldTable::new().with("alternate-exchange", to);
    let declare = |name| queue::Declare { queue: literal(name), ..Default::default() };
    let declare_exchange = |name| exchange::Declare {
        exchange: literal(name),
        kind: literal("topic"),
        ..Default::default()
    };
    let bind = |to, from| queue::Bind {
        queue: literal(to),
        exchange: literal(from),
        ..Default::default()
    };
    let bind_exchange = |to, from| exchange::Bind {
        destination: literal(to),
        source: literal(from),
        ..Default::default()
    };
    #[rustfmt::skip]
    let cases: Vec<Case> = vec![
        (declare("c.q").into(),                              None),
        (declare("w.q").into(),                              Some("configure access to queue 'w.q'")),
        (declare_exchange("c.x").into(),                     None),
        (declare_exchange("x").into(),                       Some("configure access to exchange 'x'")),
        (queue::Declare { arguments: letters("c.dead"), ..declare("c.r") }.into(),
                                                             Some("write access to exchange 'c.dead'")),
        (queue::Declare { arguments: letters("w.dead"), ..declare("c.n") }.into(),
                                                             Some("read access to queue 'c.n'")),
        // One that is there is only compared.
        (exchange::Declare { arguments: alternate("c.y"), ..declare_exchange("c.z") }.into(),
                                                             Some("write access to exchange 'c.y'")),
        (queue::Declare { passive: true, ..declare("nobody") }.into(), Some("configure access to queue 'nobody'")),
        (bind("w.q", "r.x").into(),                          Some("no exchange 'r.x'")),
        (bind("c.q", "r.x").into(),                          Some("write access to queue 'c.q'")),
        (bind("w.q", "c.x").into(),                          Some("read access to exchange 'c.x'")),
        (bind_exchange("c.x", "r.x").into(),                 Some("write access to exchange 'c.x'")),
        (bind_exchange("w.x", "amq.topic").into(),           Some("read access to exchange 'amq.topic'")),
        (queue::Purge { queue: literal("c.q"), ..Default::default() }.into(), Some("read access to queue 'c.q'")),
        (queue::Delete { queue: literal("r.q"), ..Default::default() }.into(), Some("configure access to queue 'r.q'")),
        (exchange::Delete { exchange: literal("amq.topic"), ..Default::default() }.into(),
                                                             Some("deletion of system exchange 'amq.topic'")),
        (exchange::Delete { exchange: literal("w.x"), ..Default::default() }.into(), Some("configure access to exchange 'w.x'")),
        (basic::Get { queue: literal("c.q"), ..Default::default() }.into(), Some("read access to queue 'c.q'")),
        (basic::Consume { queue: literal("c.q"), ..Default::default() }.into(), Some("read access to queue 'c.q'")),
    ];
    cases
}

#[test]
fn every_method_needs_its_permission() {
    let broker = broker_for("^c\\.", "^w\\.", "^(r\\.|c\\.[rz])");
    let mut client = inside(&broker, "bob", "/");
    for (method, refused) in methods() {
        let asked = format!("{method:?}");
        client.send(1, method, 0);
        let told = refusal(&mut client);
        match refused {
            None => assert_eq!(told, None, "{asked}"),
            Some(text) => {
                let (code, told) = told.expect(&asked);
                let name = if text.starts_with("no ") { "NOT_FOUND" } else { "ACCESS_REFUSED" };
                assert!(told.starts_with(&format!("{name} - {text}")), "{asked}: {told}");
                assert_eq!(code, if text.starts_with("no ") { 404 } else { 403 });
                if !text.starts_with("no ") && !text.starts_with("deletion") {
                    assert!(told.ends_with(" in vhost '/' refused for user 'bob'"), "{told}");
                }
            }
        }
    }
}

/// Any one will do. Else a name could be tried out: it is refused whether something has it or not.
#[test]
fn a_passive_declaration_needs_some_permission_since_4_3() {
    let queue = queue::Declare { queue: literal("q"), passive: true, ..Default::default() };
    let exchange =
        exchange::Declare { exchange: literal("amq.fanout"), passive: true, ..Default::default() };
    let refused = |noun: &str| {
        let text = format!("configure access to {noun} in vhost '/' refused for user 'bob'");
        Some((403, format!("ACCESS_REFUSED - {text}")))
    };
    for (compat, read, is_refused) in [
        (Compat::V3_10, "^$", false),
        (Compat::V4, "^$", true),
        (Compat::V4, ".*", false),
        (Compat::V4_3, "^$", true),
        (Compat::V4_3, ".*", false),
    ] {
        let broker = broker_for("^$", "^$", read);
        broker.answer_as(compat);
        Client::open(&broker, 0).declare_durable("q");
        let mut client = inside(&broker, "bob", "/");
        let missing = queue::Declare { queue: literal("missing"), ..queue.clone() };
        client.send(1, missing, 0);
        let not_found = "NOT_FOUND - no queue 'missing' in vhost '/'".to_owned();
        let expected = refused("queue 'missing'").filter(|_| is_refused);
        assert_eq!(refusal(&mut client), expected.or(Some((404, not_found))), "{compat:?}");
        for (method, noun) in [
            (Method::from(queue.clone()), "queue 'q'"),
            (exchange.clone().into(), "exchange 'amq.fanout'"),
        ] {
            client.send(1, method, 0);
            let expected = refused(noun).filter(|_| is_refused);
            assert_eq!(refusal(&mut client), expected, "{compat:?} {noun}");
        }
    }
}

fn publish(client: &mut Client, exchange: &'static str, key: &'static str) {
    let mut bytes = Vec::new();
    let (exchange, routing_key) = (literal(exchange), literal(key));
    let publish = basic::Publish { exchange, routing_key, ..Default::default() };
    frame::write_method(&mut bytes, 1, &publish.into());
    frame::write_content(&mut bytes, 1, &Properties::default().to_bytes(), b"m", 131_072);
    client.bytes(&bytes, 0);
}

#[test]
fn publishing_needs_write_also_after_it_was_allowed() {
    let broker = broker_for("", "^amq\\.(default|fanout)$", "");
    let mut client = inside(&broker, "bob", "/");
    let told = |client: &mut Client, exchange, key| {
        publish(client, exchange, key);
        refusal(client).map(|(_, text)| text)
    };
    let refused = |exchange: &str| {
        Some(format!(
            "ACCESS_REFUSED - write access to exchange '{exchange}' in vhost '/' refused for user 'bob'"
        ))
    };
    for _ in 0..2 {
        assert_eq!(told(&mut client, "", "q"), None);
        assert_eq!(told(&mut client, "amq.fanout", "q"), None);
        // Permission is asked for before it is looked whether the exchange is there.
        for exchange in ["amq.topic", "amq.headers", "nowhere"] {
            assert_eq!(told(&mut client, exchange, "q"), refused(exchange));
        }
    }
    let less = Permission::new("", "^amq\\.fanout$", "").unwrap();
    broker.grant(&literal("/"), &literal("bob"), less).unwrap();
    assert_eq!(told(&mut client, "amq.fanout", "q"), None);
    assert_eq!(told(&mut client, "", "q"), refused("amq.default"));
    broker.answer_as(Compat::V3_10);
    let old =
        "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'bob'";
    assert_eq!(told(&mut client, "", "q").as_deref(), Some(old));
}

#[test]
fn topic_permissions_are_asked_for_at_topic_exchanges_only() {
    let broker = broker_for(".*", ".*", ".*");
    let (root, bob) = (literal("/"), literal("bob"));
    for exchange in ["amq.topic", "amq.direct"] {
        let topic = TopicPermission::new(literal(exchange), "^{username}\\.", "^open\\.").unwrap();
        broker.grant_topic(&root, &bob, topic).unwrap();
    }
    let mut client = inside(&broker, "bob", "/");
    client.declare("q");
    let bind = |key| queue::Bind {
        queue: literal("q"),
        exchange: literal("amq.topic"),
        routing_key: literal(key),
        ..Default::default()
    };
    client.send(1, bind("open.a"), 0);
    assert_eq!(refusal(&mut client), None);
    client.send(1, bind("closed.a"), 0);
    let (_, told) = refusal(&mut client).unwrap();
    let place = "in exchange 'amq.topic' in vhost '/' refused for user 'bob'";
    assert_eq!(told, format!("ACCESS_REFUSED - read access to topic 'closed.a' {place}"));
    publish(&mut client, "amq.topic", "bob.a");
    publish(&mut client, "amq.direct", "eve.a");
    assert_eq!(refusal(&mut client), None);
    publish(&mut client, "amq.topic", "eve.a");
    let (_, told) = refusal(&mut client).unwrap();
    assert_eq!(told, format!("ACCESS_REFUSED - write access to topic 'eve.a' {place}"));
    assert!(broker.revoke_topics(&root, &bob, None).unwrap());
    publish(&mut client, "amq.topic", "eve.a");
    assert_eq!(refusal(&mut client), None);
}

#[test]
fn a_vhost_lets_in_whom_it_may() {
    let broker = broker_for(".*", ".*", ".*");
    add_user(&broker, "eve");
    let (v, w) = (literal("v"), literal("w"));
    broker.put_vhost(&v, VhostChange::default(), Some(&literal("bob"))).unwrap();
    broker.put_vhost(&w, VhostChange::default(), Some(&literal("bob"))).unwrap();
    broker.set_vhost_limit(&v, &literal("max-connections"), 1).unwrap();
    broker.limit_user("bob", |limits| limits.connections_max = Some(2)).unwrap();
    let mut kept = Vec::new();
    #[rustfmt::skip]
    let cases = [
        ("guest", "nowhere", Some("vhost nowhere not found")),
        ("eve",   "/",       Some("access to vhost '/' refused for user 'eve'")),
        ("bob",   "v",       None),
        ("bob",   "v",       Some("access to vhost 'v' refused for user 'bob': connection limit (1) is reached")),
        ("bob",   "w",       None),
        ("bob",   "/",       Some("connection refused for user 'bob': user connection limit (2) is reached")),
        ("guest", "/",       None),
    ];
    for (user, vhost, refused) in cases {
        let mut client = at_the_door(&broker, user, vhost);
        let told = refusal(&mut client);
        let expected = refused.map(|text| (530, format!("NOT_ALLOWED - {text}")));
        assert_eq!(told, expected, "{user} in {vhost}");
        kept.push(client);
    }
    // One that ends makes room.
    kept.remove(2).session.end(0);
    kept.clear();
    assert_eq!(refusal(&mut at_the_door(&broker, "bob", "v")), None);
}

#[test]
fn a_user_has_so_many_channels_on_all_connections() {
    let broker = broker_for(".*", ".*", ".*");
    broker.limit_user("bob", |limits| limits.channels_max = Some(2)).unwrap();
    let mut first = inside(&broker, "bob", "/");
    let _second = inside(&broker, "bob", "/");
    first.send(2, channel::Open::default(), 0);
    let text = "NOT_ALLOWED - number of channels opened for user 'bob' has reached the maximum allowed user \
                limit of (2)";
    assert_eq!(refusal(&mut first), Some((530, text.to_owned())));
}

#[test]
fn whoever_is_deleted_is_told_so() {
    let broker = broker_for(".*", ".*", ".*");
    broker.put_vhost(&literal("v"), VhostChange::default(), Some(&literal("bob"))).unwrap();
    let (mut in_v, mut in_root) = (inside(&broker, "bob", "v"), inside(&broker, "bob", "/"));
    let mut guest = inside(&broker, "guest", "/");
    in_v.declare_durable("q");
    in_v.declare("r");
    in_v.said();
    assert!(broker.delete_vhost(&literal("v")).unwrap());
    let told = |text: &str| Some((320, format!("CONNECTION_FORCED - {text}")));
    assert_eq!(refusal(&mut in_v), told("vhost 'v' is deleted"));
    assert!(broker.delete_user(&literal("bob")).unwrap());
    assert_eq!(refusal(&mut in_root), told("user 'bob' is deleted"));
    assert_eq!(refusal(&mut guest), None);
    assert!(!broker.delete_vhost(&literal("v")).unwrap());
    assert!(!broker.delete_user(&literal("bob")).unwrap());
}
