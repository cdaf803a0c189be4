//! The topology of a vhost as a whole.

use std::sync::Arc;

use super::{BindingRequest, DeleteIf, QueueDeclaration, Vhost};
use crate::broker::durable::VhostDefinitions;
use crate::broker::exchange::binding::{DestinationKind, DestinationName};
use crate::broker::exchange::{ExchangeKind, ExchangeSettings};
use crate::broker::queue::{self, Queue};
use crate::broker::registry::ConnectionId;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, ReplyCode, ShortStr};

const ME: ConnectionId = ConnectionId(1);

fn vhost() -> Arc<Vhost> {
    let name = literal("/");
    let definitions = VhostDefinitions::new(name.clone(), None);
    Vhost::new(name, queue::Shared::default(), Arc::default(), definitions)
}

fn declare_queue(vhost: &Vhost, name: &'static str) -> Arc<Queue> {
    let asked = QueueDeclaration {
        name: literal(name),
        is_durable: true,
        is_exclusive: false,
        is_auto_delete: false,
        declared_by: None,
        arguments: FieldTable::new(),
    };
    vhost.declare_queue(asked, false, ME, 0).unwrap()
}

fn declare_auto_delete(vhost: &Vhost, name: &ShortStr) {
    let settings = ExchangeSettings {
        name: name.clone(),
        kind: ExchangeKind::Fanout,
        is_durable: false,
        is_auto_delete: true,
        is_internal: false,
        arguments: FieldTable::new(),
    };
    vhost.declare_exchange(settings).unwrap();
}

fn request(source: &ShortStr, kind: DestinationKind, name: &ShortStr) -> BindingRequest {
    BindingRequest {
        source: source.clone(),
        destination: DestinationName { kind, name: name.clone() },
        routing_key: ShortStr::empty(),
        arguments: FieldTable::new(),
    }
}

#[test]
fn a_long_chain_of_auto_delete_exchanges_goes_with_its_queue() {
    let vhost = vhost();
    let predeclared = vhost.exchanges().len();
    let mut end = declare_queue(&vhost, "end").name().clone();
    let mut kind = DestinationKind::Queue;
    for at in 0..20_000 {
        let name = ShortStr::try_from(format!("chain.{at}")).unwrap();
        declare_auto_delete(&vhost, &name);
        vhost.bind(request(&name, kind, &end), ME).unwrap();
        (kind, end) = (DestinationKind::Exchange, name);
    }
    assert_eq!(vhost.exchanges().len(), predeclared + 20_000);
    vhost.delete_queue(&literal("end"), DeleteIf::default(), ME).unwrap();
    assert_eq!(vhost.exchanges().len(), predeclared);
    assert!(vhost.bindings().is_empty());
}

/// Were each exchange looked for among those that were asked before, this would take minutes.
#[test]
fn a_message_goes_through_a_long_ring_of_exchanges_once() {
    let vhost = vhost();
    let queue = declare_queue(&vhost, "q");
    let name = |at: usize| ShortStr::try_from(format!("ring.{at}")).unwrap();
    let count = 50_000;
    (0..count).for_each(|at| declare_auto_delete(&vhost, &name(at)));
    for at in 0..count {
        let next = name((at + 1) % count);
        vhost.bind(request(&name(at), DestinationKind::Exchange, &next), ME).unwrap();
    }
    for at in [count / 2, count - 1] {
        vhost.bind(request(&name(at), DestinationKind::Queue, queue.name()), ME).unwrap();
    }
    let route = vhost.route(&name(0), &[""], &[]).unwrap();
    assert_eq!(route.queues().len(), 1, "the queue is found twice, and gets the message once");
}

/// Were each looked for among all that lead to the queue, this would take minutes.
#[test]
fn many_bindings_to_one_queue_go_one_by_one_or_all_together() {
    let vhost = vhost();
    let queue = declare_queue(&vhost, "q").name().clone();
    let exchange = literal("x");
    let bindings = |vhost: &Vhost| vhost.bindings().len();
    let bind_all = || {
        for at in 0..50_000 {
            let routing_key = ShortStr::try_from(format!("key.{at}")).unwrap();
            let request = request(&exchange, DestinationKind::Queue, &queue);
            vhost.bind(BindingRequest { routing_key, ..request }, ME).unwrap();
        }
    };
    declare_auto_delete(&vhost, &exchange);
    bind_all();
    for at in 0..49_999 {
        let routing_key = ShortStr::try_from(format!("key.{at}")).unwrap();
        let request = request(&exchange, DestinationKind::Queue, &queue);
        vhost.unbind(BindingRequest { routing_key, ..request }, ME).unwrap();
    }
    // The queue's own to the default exchange, and the last.
    assert_eq!(bindings(&vhost), 2);
    bind_all();
    vhost.delete_exchange(&exchange, DeleteIf::default()).unwrap();
    assert_eq!(bindings(&vhost), 1);
    assert!(vhost.read().bound_to.is_empty());
}

/// The destination goes between the two locks that a bind takes, one after the other.
#[test]
fn a_binding_is_never_made_to_what_has_gone() {
    let (vhost, queue) = (vhost(), literal("q"));
    let [source, target] = ["amq.topic", "target"].map(literal);
    declare_queue(&vhost, "q");
    declare_auto_delete(&vhost, &target);
    let to_queue = request(&source, DestinationKind::Queue, &queue);
    let to_exchange = request(&source, DestinationKind::Exchange, &target);
    let old_queue = vhost.destination(&to_queue, ME).unwrap();
    let old_exchange = vhost.destination(&to_exchange, ME).unwrap();
    vhost.delete_queue(&queue, DeleteIf::default(), ME).unwrap();
    vhost.delete_exchange(&target, DeleteIf::default()).unwrap();

    let no_queue = "no queue 'q' in vhost '/'";
    let refusal = |request: &BindingRequest, destination| {
        let fault = vhost.bind_to(request.clone(), destination).unwrap_err();
        assert_eq!(fault.code, ReplyCode::NotFound);
        fault.text
    };
    assert_eq!(refusal(&to_queue, &old_queue), no_queue);
    assert_eq!(refusal(&to_exchange, &old_exchange), "no exchange 'target' in vhost '/'");
    let from_nowhere = request(&literal("nowhere"), DestinationKind::Queue, &queue);
    assert_eq!(refusal(&from_nowhere, &old_queue), "no exchange 'nowhere' in vhost '/'");

    // A queue of the same name is not the one that was found, and can be bound afterwards.
    let new_queue = declare_queue(&vhost, "q");
    assert_eq!(refusal(&to_queue, &old_queue), no_queue);
    vhost.bind(to_queue, ME).unwrap();
    let route = vhost.route(&source, &[""], &[]).unwrap();
    assert_eq!(route.queues().len(), 1);
    assert!(Arc::ptr_eq(&route.queues()[0], &new_queue));
}
