//! Brokers that are opened again are what they were, but for what is not durable.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::broker::Broker;
use crate::broker::admin::{PolicyName, Put};
use crate::broker::auth::{Origin, PasswordHash, Permission, TopicPermission, UserLimits};
use crate::broker::exchange::ExchangeKind;
use crate::broker::exchange::binding::{DestinationKind, DestinationName};
use crate::broker::policies::Author;
use crate::broker::queue::Shared;
use crate::broker::registry::ConnectionId;
use crate::broker::vhost::{BindingRequest, DeleteIf, QueueDeclaration, Vhost};
use crate::broker::vhost_metadata::VhostChange;
use crate::store::definitions::Row;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, FieldValue, ReplyCode};

const ME: ConnectionId = ConnectionId(1);

fn open(directory: &Path) -> Broker {
    Broker::open("mq@test".into(), Definitions::open(directory).unwrap()).unwrap()
}

fn root(broker: &Broker) -> Arc<Vhost> {
    broker.vhost("/").unwrap()
}

fn name(text: &str) -> ShortStr {
    ShortStr::try_from(text).unwrap()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Durable,
    Transient,
}

fn declare_queue(
    vhost: &Vhost,
    queue: &str,
    life: Life,
    arguments: FieldTable,
) -> Result<(), Fault> {
    let asked = QueueDeclaration {
        name: name(queue),
        is_durable: life == Life::Durable,
        is_exclusive: false,
        is_auto_delete: false,
        declared_by: None,
        arguments,
    };
    vhost.declare_queue(asked, false, ME, 0).map(drop)
}

fn declare_exchange(
    vhost: &Vhost,
    exchange: &str,
    life: Life,
    is_auto_delete: bool,
) -> Result<(), Fault> {
    vhost.declare_exchange(ExchangeSettings {
        name: name(exchange),
        kind: ExchangeKind::Headers,
        is_durable: life == Life::Durable,
        is_auto_delete,
        is_internal: exchange.starts_with('i'),
        arguments: FieldTable::new().with("alternate-exchange", "amq.fanout"),
    })
}

fn request(source: &str, kind: DestinationKind, to: &str, key: &str) -> BindingRequest {
    BindingRequest {
        source: name(source),
        destination: DestinationName { kind, name: name(to) },
        routing_key: name(key),
        arguments: FieldTable::new(),
    }
}

/// All that is there and durable, as texts that tell everything.
fn durable_things(vhost: &Vhost) -> BTreeSet<String> {
    let queues = vhost.queues();
    let queues = queues.iter().map(|queue| queue.settings()).filter(|settings| settings.is_durable);
    let exchanges: Vec<_> =
        vhost.exchanges().into_iter().filter(|info| info.settings.is_durable).collect();
    let is_there = |kind, name: &ShortStr| match kind {
        DestinationKind::Queue => queues.clone().any(|queue| queue.name == *name),
        DestinationKind::Exchange => exchanges.iter().any(|info| info.settings.name == *name),
    };
    let bindings = vhost.bindings().into_iter().filter(|binding| {
        is_there(DestinationKind::Exchange, &binding.source)
            && is_there(binding.destination.kind, &binding.destination.name)
    });
    let bindings: Vec<_> = bindings.map(|binding| format!("{binding:?}")).collect();
    let exchanges = exchanges.iter().map(|info| format!("{:?}", info.settings));
    queues.clone().map(|queue| format!("{queue:?}")).chain(exchanges).chain(bindings).collect()
}

#[test]
fn a_new_broker_has_the_root_vhost_and_guest_also_when_opened_again() {
    let directory = TempDir::new().unwrap();
    let hash = |broker: &Broker| broker.users.list()[0].password.clone();
    let broker = open(directory.path());
    let first_hash = hash(&broker);
    drop(broker);
    let broker = open(directory.path());
    assert_eq!(broker.vhosts().len(), 1);
    let guest = broker.users.log_in(b"guest", b"guest", Origin::Local).unwrap();
    assert_eq!((&*guest.tags, hash(&broker)), (&["administrator".to_owned()][..], first_hash));
}

#[test]
fn what_is_durable_comes_back_as_it_was_and_nothing_else_does() {
    let directory = TempDir::new().unwrap();
    let broker = open(directory.path());
    let vhost = root(&broker);
    let (queue, exchange) = (DestinationKind::Queue, DestinationKind::Exchange);
    declare_queue(&vhost, "q", Life::Durable, FieldTable::of_every_type()).unwrap();
    declare_queue(&vhost, "gone", Life::Transient, FieldTable::new()).unwrap();
    declare_exchange(&vhost, "x", Life::Durable, false).unwrap();
    declare_exchange(&vhost, "internal", Life::Durable, true).unwrap();
    declare_exchange(&vhost, "gone", Life::Transient, false).unwrap();
    let mut of_every_type = request("x", queue, "q", "k");
    of_every_type.arguments = FieldTable::of_every_type();
    vhost.bind(of_every_type, ME).unwrap();
    let others = [
        ("x", queue, "q"),
        ("amq.topic", queue, "q"),
        ("amq.topic", exchange, "x"),
        ("internal", exchange, "amq.fanout"),
        ("x", queue, "gone"),
        ("gone", queue, "q"),
        ("gone", exchange, "x"),
    ];
    for (source, kind, to) in others {
        vhost.bind(request(source, kind, to, "k"), ME).unwrap();
    }
    let things = durable_things(&vhost);
    drop((vhost, broker));
    let broker = open(directory.path());
    let vhost = root(&broker);
    assert_eq!(durable_things(&vhost), things);
    assert_eq!(vhost.queues().len(), 1);
    assert!(vhost.exchanges().iter().all(|info| info.settings.name != "gone"));
    let made = vhost.bindings().into_iter().filter(|binding| !binding.source.is_empty());
    assert_eq!(made.count(), 5);
    // A queue that is there already is not written again: a full disk does not matter.
    declare_queue(&vhost, "q", Life::Durable, FieldTable::of_every_type()).unwrap();
    vhost.bind(request("x", queue, "q", "k"), ME).unwrap();
    assert_eq!(durable_things(&vhost), things);
}

#[test]
fn what_goes_with_a_queue_is_gone_after_a_reopen() {
    let directory = TempDir::new().unwrap();
    let broker = open(directory.path());
    let vhost = root(&broker);
    declare_queue(&vhost, "q", Life::Durable, FieldTable::new()).unwrap();
    let mut end = (DestinationKind::Queue, "q".to_owned());
    for at in 0..20 {
        let exchange = format!("chain.{at}");
        declare_exchange(&vhost, &exchange, Life::Durable, true).unwrap();
        vhost.bind(request(&exchange, end.0, &end.1, ""), ME).unwrap();
        end = (DestinationKind::Exchange, exchange);
    }
    vhost.bind(request("amq.topic", end.0, &end.1, ""), ME).unwrap();
    drop((vhost, broker));
    let broker = open(directory.path());
    let vhost = root(&broker);
    assert_eq!(vhost.bindings().len(), 22);
    let old_id = vhost.queues()[0].settings().id;
    vhost.delete_queue(&literal("q"), DeleteIf::default(), ME).unwrap();
    let things = durable_things(&vhost);
    assert!(vhost.bindings().is_empty());
    drop((vhost, broker));
    let broker = open(directory.path());
    let vhost = root(&broker);
    assert_eq!(durable_things(&vhost), things);
    declare_queue(&vhost, "q", Life::Durable, FieldTable::new()).unwrap();
    let new_id = vhost.queues()[0].settings().id;
    assert!(new_id > old_id, "{new_id:?} after {old_id:?}");
}

#[test]
fn a_full_disk_refuses_what_is_durable_and_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let definitions = Arc::new(Definitions::open(directory.path()).unwrap());
    let guest = User::administrator(literal("guest"), "guest");
    begin(&definitions, Some(&literal("/")), Some((&guest, &Permission::full()))).unwrap();
    let of_vhost = VhostDefinitions::new(literal("/"), Some(Arc::clone(&definitions)));
    let vhost = Vhost::new(literal("/"), Shared::default(), Arc::default(), of_vhost);
    declare_queue(&vhost, "q", Life::Durable, FieldTable::new()).unwrap();
    declare_exchange(&vhost, "x", Life::Durable, true).unwrap();
    vhost.bind(request("x", DestinationKind::Queue, "q", ""), ME).unwrap();
    let things = durable_things(&vhost);

    definitions.set_full(true);
    let refused = [
        declare_queue(&vhost, "r", Life::Durable, FieldTable::new()),
        declare_exchange(&vhost, "y", Life::Durable, false),
        vhost.bind(request("x", DestinationKind::Queue, "q", "k"), ME).map(drop),
        vhost.unbind(request("x", DestinationKind::Queue, "q", ""), ME),
        vhost.delete_exchange(&literal("x"), DeleteIf::default()),
        vhost.delete_queue(&literal("q"), DeleteIf::default(), ME).map(drop),
    ];
    let nouns = ["queue 'r'", "exchange 'y'", "binding", "deletion", "deletion", "deletion"];
    for (refused, noun) in refused.into_iter().zip(nouns) {
        let fault = refused.unwrap_err();
        assert_eq!(fault.code, ReplyCode::ResourceError);
        assert!(fault.text.starts_with(noun), "{fault}");
        assert!(fault.text.ends_with(" cannot be written to disk: no storage space"), "{fault}");
    }
    assert_eq!(durable_things(&vhost), things);
    // A change that need not be written down is not refused.
    declare_queue(&vhost, "t", Life::Transient, FieldTable::new()).unwrap();
    vhost.bind(request("x", DestinationKind::Queue, "t", ""), ME).unwrap();
    vhost.delete_queue(&literal("t"), DeleteIf::default(), ME).unwrap();

    definitions.set_full(false);
    declare_queue(&vhost, "r", Life::Durable, FieldTable::new()).unwrap();
    let things = durable_things(&vhost);
    drop((vhost, definitions));
    assert_eq!(durable_things(&root(&open(directory.path()))), things);
}

#[test]
fn a_row_that_makes_no_sense_is_named() {
    let queue_row = |value: &[u8]| Row { key: b"\x01/\x01q".into(), value: value.into() };
    let exchange_row = |value: &[u8]| Row { key: b"\x01/\x01x".into(), value: value.into() };
    let binding = |source: &str, to: &str| {
        rows::of_binding(
            &literal("/"),
            &Binding {
                source: name(source),
                destination: DestinationName { kind: DestinationKind::Queue, name: name(to) },
                routing_key: ShortStr::empty(),
                arguments: FieldTable::new(),
            },
        )
    };
    #[rustfmt::skip]
    let cases = [
        (Table::Queues, queue_row(b""), "queue 'q' in vhost '/': the bytes end before the value does"),
        (Table::Queues, queue_row(b"\x03"), "queue 'q' in vhost '/': its version 3 is not one that this release reads"),
        (Table::Queues, queue_row(b"\x01\0\0\0\x07\0\0\0\0\0X"), "queue 'q' in vhost '/': 1 bytes are left over after the value"),
        (Table::Queues, Row { key: b"\x05/".into(), value: Vec::new() }, "key of one of the queues: the bytes end before the value does"),
        (Table::Queues, Row { key: b"\x01v\x01q".into(), value: b"\x01\0\0\0\x07\0\0\0\0\0".into() }, "queue 'q' in vhost 'v': there is no vhost 'v'"),
        (Table::Exchanges, exchange_row(b"\x01\x04what\0\0\0\0\0"), "exchange 'x' in vhost '/': unknown exchange type 'what'"),
        (Table::Users, Row { key: b"\x01u".into(), value: b"\x01\0\0\0\x01x".into() }, "user 'u': a password's hash has 36 bytes, this one 1"),
        (Table::Bindings, binding("amq.topic", "q"), "binding of queue 'q' to exchange 'amq.topic' in vhost '/': no queue 'q' in vhost '/'"),
        (Table::Bindings, binding("x", "q"), "binding of queue 'q' to exchange 'x' in vhost '/': no exchange 'x' in vhost '/'"),
    ];
    for (table, row, told) in cases {
        let directory = TempDir::new().unwrap();
        drop(open(directory.path()));
        let definitions = Definitions::open(directory.path()).unwrap();
        definitions.apply(vec![Change::Put(table, row)]).unwrap();
        let path = definitions.path().display().to_string();
        let error = Broker::open("mq@test".into(), definitions).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot understand the definitions in '{path}'"));
        assert_eq!(error.source().unwrap().to_string(), told);
    }
}

/// A directory from before there were permissions: its users may still do what they could.
#[test]
fn the_users_of_an_old_directory_may_do_everything() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path()));
    let definitions = Definitions::open(directory.path()).unwrap();
    let mut old = b"\x01\0\0\0\x24".to_vec();
    let hash = PasswordHash::new("secret", [1, 2, 3, 4]);
    old.extend(hash.as_bytes());
    old.extend(b"\0\0\0\x0amonitoring");
    let user = Row { key: b"\x03old".into(), value: old };
    let vhost = Row { key: b"\x01/".into(), value: b"\x01\0\0\0\0".into() };
    let changes = vec![
        Change::RemoveAll(Table::Permissions, Vec::new()),
        Change::Put(Table::Users, user),
        Change::Put(Table::Vhosts, vhost),
    ];
    definitions.apply(changes).unwrap();
    drop(definitions);
    // The second time it is an old one no more.
    for _ in 0..2 {
        let broker = open(directory.path());
        let user = broker.users.log_in(b"old", b"secret", Origin::Remote).unwrap();
        assert_eq!(user.tags, ["monitoring"]);
        assert!(broker.permissions.rights("old", "/").unwrap().is_everything());
        assert!(broker.permissions.rights("guest", "/").is_none(), "guest's row is a new one");
        assert_eq!(root(&broker).metadata().description, "Default virtual host");
    }
}

#[test]
fn what_administrators_said_comes_back() {
    let directory = TempDir::new().unwrap();
    let broker = open(directory.path());
    let (bob, eve, vhost) = (name("bob"), name("eve"), name("v"));
    for user in [&bob, &eve] {
        let password = PasswordHash::new("secret", [1, 2, 3, 4]);
        let tags = vec!["management".to_owned()];
        let limits = UserLimits::default();
        broker.put_user(User { name: user.clone(), tags, password, limits }).unwrap();
    }
    let change = VhostChange {
        description: Some("what it is".into()),
        tags: Some(vec!["a".into(), "b".into()]),
        default_queue_type: Some("quorum".into()),
        is_traced: Some(true),
        is_protected: Some(true),
    };
    assert_eq!(broker.put_vhost(&vhost, change, Some(&bob)).unwrap(), Put::Created);
    broker.put_vhost(&name("gone"), VhostChange::default(), Some(&bob)).unwrap();
    let permission = Permission::new("^c", "", ".*").unwrap();
    assert_eq!(broker.grant(&vhost, &eve, permission.clone()).unwrap(), Put::Created);
    let topic = TopicPermission::new(name("amq.topic"), "^{username}", "").unwrap();
    broker.grant_topic(&vhost, &eve, topic.clone()).unwrap();
    broker.limit_user("eve", |limits| limits.channels_max = Some(3)).unwrap();
    broker.set_vhost_limit(&vhost, &name("max-queues"), 2).unwrap();
    let gone = broker.vhost("gone").unwrap();
    declare_queue(&gone, "q", Life::Durable, FieldTable::new()).unwrap();
    assert!(broker.delete_vhost(&name("gone")).unwrap());
    let refused = declare_queue(&gone, "r", Life::Durable, FieldTable::new()).unwrap_err();
    assert_eq!(refused.text, "vhost 'gone' is deleted");
    assert!(broker.delete_user(&name("guest")).unwrap());
    drop(broker);

    let broker = open(directory.path());
    assert_eq!(
        broker.vhosts().iter().map(|one| one.name().as_str()).collect::<Vec<_>>(),
        ["/", "v"]
    );
    assert_eq!(
        broker.users.list().iter().map(|user| &*user.name).collect::<Vec<_>>(),
        ["bob", "eve"]
    );
    assert_eq!(broker.users.limits("eve").channels_max, Some(3));
    let vhost = broker.vhost("v").unwrap();
    let metadata = vhost.metadata();
    assert_eq!((metadata.description.as_str(), metadata.is_traced), ("what it is", true));
    assert!(metadata.is_protected);
    assert_eq!((metadata.tags.len(), metadata.default_queue_type), (2, Some("quorum".into())));
    assert!(broker.permissions.rights("bob", "v").unwrap().is_everything(), "who made it");
    assert_eq!(*broker.permissions.get("eve", "v").unwrap(), permission);
    assert_eq!(*broker.permissions.list_topics()[0].2, topic);
    assert_eq!(
        broker.permissions.list().len(),
        2,
        "those of guest and of the vhost went with them"
    );
    for queue in ["a", "b"] {
        declare_queue(&vhost, queue, Life::Durable, FieldTable::new()).unwrap();
    }
    let refused = declare_queue(&vhost, "c", Life::Durable, FieldTable::new()).unwrap_err();
    assert_eq!(refused.text, "cannot declare queue 'c': queue limit in vhost 'v' (2) is reached");
    declare_queue(&vhost, "b", Life::Durable, FieldTable::new()).unwrap();
}

#[test]
fn policies_come_back_before_the_queues_they_apply_to() {
    let directory = TempDir::new().unwrap();
    let broker = open(directory.path());
    broker.put_vhost(&name("gone"), VhostChange::default(), None).unwrap();
    let of =
        |vhost: &str| PolicyName { author: Author::User, vhost: name(vhost), name: name("policy") };
    let value = FieldTable::new()
        .with("pattern", "^p$")
        .with("definition", FieldTable::new().with("max-length", FieldValue::I64(7)));
    for vhost in ["/", "gone"] {
        assert_eq!(broker.put_policy(&of(vhost), value.clone(), 0).unwrap(), Put::Created);
    }
    declare_queue(&root(&broker), "p", Life::Durable, FieldTable::new()).unwrap();
    assert!(broker.delete_vhost(&name("gone")).unwrap());
    drop(broker);

    let broker = open(directory.path());
    assert_eq!(broker.parameters.list().len(), 1, "the other went with its vhost");
    let queue = root(&broker).find_queue("p").unwrap();
    assert_eq!(queue.limits().max_length, Some(7));
    assert!(broker.delete_policy(&of("/"), 0).unwrap());
    assert!(!broker.delete_policy(&of("/"), 0).unwrap());
    assert_eq!(queue.limits().max_length, None);
}

/// A generator that needs no crate: splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) % sides
    }

    fn life(&mut self) -> Life {
        if self.below(3) == 0 { Life::Transient } else { Life::Durable }
    }

    fn binding(&mut self) -> BindingRequest {
        let kind =
            if self.below(2) == 0 { DestinationKind::Queue } else { DestinationKind::Exchange };
        let to = match kind {
            DestinationKind::Queue => format!("q{}", self.below(4)),
            DestinationKind::Exchange => format!("x{}", self.below(5)),
        };
        let source =
            if self.below(5) == 0 { "amq.topic".into() } else { format!("x{}", self.below(5)) };
        request(&source, kind, &to, ["", "k"][usize::from(self.below(2) == 0)])
    }
}

/// A reopened broker has the same durable things as the one before, whatever is declared, bound and deleted in whatever
/// order, faults included.
#[test]
fn a_reopened_broker_is_the_same_after_any_sequence() {
    for seed in 0..50 {
        let directory = TempDir::new().unwrap();
        let mut dice = Dice(seed);
        for _ in 0..2 {
            let broker = open(directory.path());
            let vhost = root(&broker);
            for _ in 0..20 {
                // Refused is as good as done here.
                let _ = match dice.below(7) {
                    0 => {
                        let arguments = FieldTable::new().with("n", FieldValue::I32(7));
                        declare_queue(
                            &vhost,
                            &format!("q{}", dice.below(4)),
                            dice.life(),
                            arguments,
                        )
                    }
                    1 => {
                        let is_auto_delete = dice.below(2) == 0;
                        let name = format!("x{}", dice.below(5));
                        declare_exchange(&vhost, &name, dice.life(), is_auto_delete)
                    }
                    2..=4 => vhost.bind(dice.binding(), ME).map(drop),
                    5 => vhost.unbind(dice.binding(), ME),
                    _ if dice.below(2) == 0 => {
                        let name = name(&format!("x{}", dice.below(5)));
                        vhost.delete_exchange(&name, DeleteIf::default())
                    }
                    _ => {
                        let name = name(&format!("q{}", dice.below(4)));
                        vhost.delete_queue(&name, DeleteIf::default(), ME).map(drop)
                    }
                };
            }
            let things = durable_things(&vhost);
            drop((vhost, broker));
            assert_eq!(durable_things(&root(&open(directory.path()))), things, "seed {seed}");
        }
    }
}
