//! Deletes queues and exchanges: from the definitions first, then from the topology.
//!
//! Both wait for the disk. So the broker decides that a queue may be deleted when no other thread can change the
//! topology any more, under the queue's own lock; from then on the queue takes no consumers, and a client that looks
//! for it waits for the outcome.

use std::sync::{Arc, MutexGuard};

use super::requests::DeleteIf;
use super::state::{PIECE_LEN, Vhost};
use crate::broker::arguments::{exchange_noun, queue_noun};
use crate::broker::exchange::Exchange;
use crate::broker::exchange::binding::DestinationKind;
use crate::broker::queue::{DeletionIf, InUse, Queue};
use crate::broker::registry::ConnectionId;
use crate::broker::removal::Removal;
use crate::broker::time::Millis;
use crate::wire::{Fault, ReplyCode, ShortStr};

/// The reason why a queue stays.
#[derive(Debug)]
enum NotDeleted {
    InUse(InUse),
    /// It could not be struck out.
    Written(Fault),
}

impl Vhost {
    /// Deletes an exchange; one that is not there is no error.
    pub fn delete_exchange(&self, name: &ShortStr, only: DeleteIf) -> Result<(), Fault> {
        self.check_deletable(name)?;
        let noun = exchange_noun(name, &self.name);
        let changing = self.changing();
        let in_use = self.read().exchanges.get(name).is_some_and(Exchange::has_bindings);
        if only.unused && in_use {
            return Err(Fault::new(ReplyCode::PreconditionFailed, format!("{noun} in use")));
        }
        let bindings_len = self.read().bindings_len(DestinationKind::Exchange, name);
        self.change_many(bindings_len, || {
            let removal = Removal::of_exchange(&self.read(), name);
            self.remove(removal, &changing)
        })
    }

    /// Deletes a queue; answers how many messages went with it. One that is not there is no error.
    pub fn delete_queue(
        &self,
        name: &ShortStr,
        only: DeleteIf,
        connection: ConnectionId,
    ) -> Result<u32, Fault> {
        let queue = match self.queue(name, connection) {
            Ok(queue) => queue,
            Err(fault) if fault.code == ReplyCode::NotFound => return Ok(0),
            Err(fault) => return Err(fault),
        };
        check_conditions(&queue, only)?;
        let only = DeletionIf { unused: only.unused, empty: only.empty, expired_at: None };
        self.take_out(&queue, only).map_err(|stays| {
            let why = match stays {
                NotDeleted::Written(fault) => return fault,
                NotDeleted::InUse(InUse::ByConsumers) => "in use",
                NotDeleted::InUse(InUse::ByMessages) => "not empty",
            };
            let noun = queue_noun(name, &self.name);
            Fault::new(ReplyCode::PreconditionFailed, format!("{noun} {why}"))
        })
    }

    /// Takes a queue out and ends it: its time has come, or its last user has gone. One that is used again by then
    /// stays; so does one that cannot be struck out, and counts as used now.
    pub fn remove_queue(&self, queue: &Arc<Queue>, only: DeletionIf, now: Millis) {
        let Err(stays) = self.take_out(queue, only) else { return };
        if let NotDeleted::Written(_) = stays {
            queue.touch(now);
        }
        queue.on_time(now);
    }

    /// Takes a queue out and ends it; answers how many messages went with it.
    fn take_out(&self, queue: &Arc<Queue>, only: DeletionIf) -> Result<u32, NotDeleted> {
        let changing = self.changing();
        if !self.read().is_current(queue) {
            return Ok(0);
        }
        queue.begin_deletion(only).map_err(NotDeleted::InUse)?;
        let bindings_len = self.read().bindings_len(DestinationKind::Queue, queue.name());
        self.change_many(bindings_len, || {
            let removal = Removal::of_queue(&self.read(), queue.name());
            let Err(fault) = self.remove(removal, &changing) else { return Ok(()) };
            if queue.settings().is_durable {
                queue.cancel_deletion();
                return Err(NotDeleted::Written(fault));
            }
            self.remove_unwritten(queue);
            Ok(())
        })?;
        drop(changing);
        self.churn.queue_deleted.add(1);
        Ok(queue.delete())
    }

    /// Takes out a queue that has no row of its own, and leaves over things that have one and should go with it.
    fn remove_unwritten(&self, queue: &Queue) {
        let removal = Removal::of_unwritten_queue(&self.read(), queue.name());
        self.left_over().extend(removal.left_over.iter().cloned());
        self.take_away(removal);
    }

    /// Takes a removal out of the topology: things that have a name first, then their bindings, piece by piece. Until
    /// the last has gone, a binding may lead to a queue that is being deleted; its messages go with that queue.
    fn take_away(&self, mut removal: Removal) {
        let mut bindings = std::mem::take(&mut removal.bindings);
        loop {
            removal.bindings = bindings.split_off(bindings.len().saturating_sub(PIECE_LEN));
            let remains = removal.take_out(&mut self.write());
            // Not under the lock: publishers wait for it, and get it meanwhile.
            for holder in remains.holders() {
                holder.delete();
            }
            for exchange in remains.exchanges() {
                self.shared.ended.exchanges.absorb(&exchange.counters);
            }
            drop(remains);
            if bindings.is_empty() {
                return;
            }
            removal = Removal::default();
        }
    }

    /// Deletes the rows of a removal, then takes it out; then does so for removals that were left over before.
    pub(super) fn remove(
        &self,
        removal: Removal,
        changing: &MutexGuard<'_, ()>,
    ) -> Result<(), Fault> {
        self.strike_out(removal, changing)?;
        let names = self.left_over().clone();
        if names.is_empty() {
            return Ok(());
        }
        let removal = Removal::of_left_over(&self.read(), &names);
        // Refused again, it waits for the next time.
        if self.strike_out(removal, changing).is_ok() {
            self.left_over().retain(|name| !names.contains(name));
        }
        Ok(())
    }

    fn strike_out(&self, removal: Removal, _changing: &MutexGuard<'_, ()>) -> Result<(), Fault> {
        if removal.is_empty() {
            return Ok(());
        }
        let topology = self.read();
        let struck = removal.struck(&topology);
        drop(topology);
        self.definitions.strike_out(&struck)?;
        self.take_away(removal);
        Ok(())
    }
}

/// A quorum queue is deleted whatever is in it, or not at all (RabbitMQ: `rabbit_quorum_queue:delete`).
fn check_conditions(queue: &Queue, only: DeleteIf) -> Result<(), Fault> {
    let flag = match only {
        DeleteIf { unused: true, .. } => "if-unused",
        DeleteIf { empty: true, .. } => "if-empty",
        DeleteIf { .. } => return Ok(()),
    };
    if !queue.is_quorum() {
        return Ok(());
    }
    let noun = queue_noun(queue.name(), &queue.settings().vhost);
    let text = format!(
        "cannot delete {noun}. queue.delete operations with {flag} flag set are not supported by quorum queues"
    );
    Err(Fault::new(ReplyCode::NotImplemented, text))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use tempfile::TempDir;

    use super::*;
    use crate::broker::Broker;
    use crate::broker::auth::{Permission, User};
    use crate::broker::durable::{VhostDefinitions, begin};
    use crate::broker::exchange::binding::DestinationName;
    use crate::broker::exchange::{ExchangeKind, ExchangeSettings};
    use crate::broker::mailbox::{ConsumerSlot, Mailbox};
    use crate::broker::message::{Layout, Message};
    use crate::broker::queue::{ConsumerId, Left, Returned, Shared, Subscription};
    use crate::broker::vhost::{BindingRequest, QueueDeclaration};
    use crate::store::definitions::Definitions;
    use crate::wire::shortstr::literal;
    use crate::wire::{FieldTable, FieldValue};

    const ME: ConnectionId = ConnectionId(1);
    const OTHER: ConnectionId = ConnectionId(2);
    const DAY_MS: u32 = 86_400_000;

    /// A vhost whose disk can be full.
    struct Bench {
        vhost: Arc<Vhost>,
        definitions: Arc<Definitions>,
        directory: TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let directory = TempDir::new().unwrap();
            let definitions = Arc::new(Definitions::open(directory.path()).unwrap());
            let guest = User::administrator(literal("guest"), "guest");
            begin(&definitions, Some(&literal("/")), Some((&guest, &Permission::full()))).unwrap();
            let of_vhost = VhostDefinitions::new(literal("/"), Some(Arc::clone(&definitions)));
            let vhost = Vhost::new(literal("/"), Shared::default(), Arc::default(), of_vhost);
            Self { vhost, definitions, directory }
        }

        fn declare(&self, asked: QueueDeclaration) -> Arc<Queue> {
            self.vhost.declare_queue(asked, false, ME, 0).unwrap()
        }

        /// An exclusive queue, and a durable auto-delete exchange that goes with it.
        fn exclusive(&self) -> Arc<Queue> {
            let queue = self.declare(QueueDeclaration { is_exclusive: true, ..durable("e") });
            self.vhost.declare_exchange(auto_delete("x")).unwrap();
            let destination = DestinationName { kind: DestinationKind::Queue, name: literal("e") };
            let (source, routing_key) = (literal("x"), literal("key"));
            let arguments = FieldTable::new();
            let request = BindingRequest { source, destination, routing_key, arguments };
            self.vhost.bind(request, ME).unwrap();
            queue
        }

        fn has_exchange(&self) -> bool {
            self.vhost.check_exchange("x").is_ok()
        }

        fn is_there(&self, queue: &Arc<Queue>) -> bool {
            self.vhost.read().is_current(queue)
        }
    }

    fn open(directory: &Path) -> Broker {
        Broker::open("mq@test".into(), Definitions::open(directory).unwrap()).unwrap()
    }

    fn durable(name: &'static str) -> QueueDeclaration {
        QueueDeclaration {
            name: literal(name),
            is_durable: true,
            is_exclusive: false,
            is_auto_delete: false,
            declared_by: None,
            arguments: FieldTable::new(),
        }
    }

    fn expiring(name: &'static str) -> QueueDeclaration {
        let arguments = FieldTable::new().with("x-expires", FieldValue::U32(DAY_MS));
        QueueDeclaration { arguments, ..durable(name) }
    }

    fn auto_delete(name: &'static str) -> ExchangeSettings {
        ExchangeSettings {
            name: literal(name),
            kind: ExchangeKind::Direct,
            is_durable: true,
            is_auto_delete: true,
            is_internal: false,
            arguments: FieldTable::new(),
        }
    }

    fn subscribe(queue: &Queue) -> Result<ConsumerId, Fault> {
        let subscription = Subscription {
            tag: literal("c"),
            connection: "c".into(),
            channel: 1,
            slot: ConsumerSlot(0),
            mailbox: Arc::<Mailbox>::default(),
            limit: Arc::default(),
            prefetch: 1,
            no_ack: false,
            exclusive: false,
            arguments: FieldTable::new(),
        };
        queue.subscribe(subscription, 0)
    }

    fn publish(queue: &Queue) {
        _ = queue.push(Message::new(Layout::default(), &mut vec![0; 16]), None, 0);
    }

    /// Deletes while another change is under way, during which another thread does `meanwhile`.
    fn delete_late(bench: &Bench, only: DeleteIf, meanwhile: impl FnOnce()) -> Result<u32, Fault> {
        thread::scope(|scope| {
            let changing = bench.vhost.changing();
            let deletion = scope.spawn(|| bench.vhost.delete_queue(&literal("q"), only, ME));
            meanwhile();
            drop(changing);
            deletion.join().unwrap()
        })
    }

    #[test]
    fn what_a_deletion_depends_on_is_looked_at_when_nothing_can_come_between() {
        let bench = Bench::new();
        let queue = bench.declare(durable("q"));
        let only = DeleteIf { unused: true, empty: false };
        let refused = delete_late(&bench, only, || assert!(subscribe(&queue).is_ok())).unwrap_err();
        assert_eq!(refused.text, "queue 'q' in vhost '/' in use");
        let only = DeleteIf { unused: false, empty: true };
        // The consumer takes the first.
        let publish_two = || (0..2).for_each(|_| publish(&queue));
        let refused = delete_late(&bench, only, publish_two).unwrap_err();
        assert_eq!(refused.text, "queue 'q' in vhost '/' not empty");
    }

    thread_local! {
        /// Long work that this thread was asked for.
        static LONG: Cell<usize> = const { Cell::new(0) };
    }

    /// Publishers may find their ways between the pieces; other changes wait for all of it, and aside.
    #[test]
    fn many_bindings_go_aside_and_piece_by_piece() {
        let Bench { vhost, .. } = Bench::new();
        vhost.shared.blocking.set(|work| {
            LONG.set(LONG.get() + 1);
            work();
        });
        let pieces = 3;
        let count = pieces * PIECE_LEN;
        let transient = QueueDeclaration { is_durable: false, ..durable("q") };
        let vhost = &vhost;
        let bind_all = || {
            vhost.declare_exchange(auto_delete("x")).unwrap();
            vhost.declare_queue(transient.clone(), false, ME, 0).unwrap();
            for at in 0..count {
                let destination =
                    DestinationName { kind: DestinationKind::Queue, name: literal("q") };
                let routing_key = ShortStr::try_from(at.to_string()).unwrap();
                let (source, arguments) = (literal("x"), FieldTable::new());
                let request = BindingRequest { source, destination, routing_key, arguments };
                vhost.bind(request, ME).unwrap();
            }
        };
        let delete_queue = || {
            vhost.delete_queue(&literal("q"), DeleteIf::default(), ME).unwrap();
        };
        let delete_exchange = || {
            vhost.delete_exchange(&literal("x"), DeleteIf::default()).unwrap();
        };
        for delete in [&delete_queue as &dyn Fn(), &delete_exchange] {
            bind_all();
            let (epoch, long) = (vhost.epoch(), LONG.get());
            delete();
            assert_eq!(vhost.epoch() - epoch, pieces as u64);
            assert_eq!(LONG.get() - long, 1);
            let topology = vhost.read();
            assert!(topology.bound_to.is_empty());
            assert!(!topology.exchanges.contains_key("x"));
        }
    }

    #[test]
    fn who_wants_to_make_a_change_waits_aside_for_a_long_one() {
        static ASIDE: AtomicUsize = AtomicUsize::new(0);
        let Bench { vhost, .. } = &Bench::new();
        vhost.shared.blocking.set(|work| {
            ASIDE.fetch_add(1, Ordering::Relaxed);
            work();
        });
        thread::scope(|scope| {
            let changing = vhost.changing();
            vhost.change_many(PIECE_LEN + 1, || {
                let other = scope.spawn(|| drop(vhost.changing()));
                // The change itself, and who waits for it.
                while ASIDE.load(Ordering::Relaxed) < 2 {
                    thread::yield_now();
                }
                assert!(!other.is_finished());
            });
            drop(changing);
        });
    }

    #[test]
    fn a_queue_that_is_used_again_in_time_stays() {
        let bench = Bench::new();
        let queue = bench.declare(QueueDeclaration { is_auto_delete: true, ..expiring("q") });
        let first = subscribe(&queue).unwrap();
        assert_eq!(queue.unsubscribe(first, 0), Left::DeleteQueue);
        let second = subscribe(&queue).unwrap();
        bench.vhost.remove_queue(&queue, DeletionIf { unused: true, ..DeletionIf::default() }, 0);
        assert!(bench.is_there(&queue));
        assert_eq!(queue.unsubscribe(second, 0), Left::DeleteQueue);

        let day = Millis::from(DAY_MS);
        assert!(queue.on_time(day));
        bench
            .vhost
            .declare_queue(
                QueueDeclaration { is_auto_delete: true, ..expiring("q") },
                false,
                ME,
                day,
            )
            .unwrap();
        let expired = |now| DeletionIf { expired_at: Some(now), ..DeletionIf::default() };
        bench.vhost.remove_queue(&queue, expired(day), day);
        assert!(bench.is_there(&queue));
        // It is looked at again when its new time has come.
        let due = bench.vhost.shared.timers.due(2 * day);
        assert!(due.iter().any(|one| Arc::ptr_eq(one, &queue)), "{due:?}");
        bench.vhost.remove_queue(&queue, expired(2 * day), 2 * day);
        assert!(!bench.is_there(&queue));
    }

    #[test]
    fn whoever_looks_for_a_queue_that_is_ending_waits_for_the_outcome() {
        let bench = Bench::new();
        let (vhost, old) = (&bench.vhost, bench.declare(durable("q")));
        let (found, declared) = thread::scope(|scope| {
            let changing = vhost.changing();
            old.begin_deletion(DeletionIf { empty: true, ..DeletionIf::default() }).unwrap();
            let found = scope.spawn(|| vhost.queue("q", ME));
            assert_eq!(subscribe(&old).unwrap_err().code, ReplyCode::NotFound);
            let removal = Removal::of_queue(&vhost.read(), old.name());
            vhost.remove(removal, &changing).unwrap();
            drop(changing);
            let found = found.join().unwrap();
            let declared = scope.spawn(|| bench.declare(durable("q")));
            (found, declared.join().unwrap())
        });
        old.delete();
        assert_eq!(found.unwrap_err().code, ReplyCode::NotFound);
        publish(&declared);
        assert!(!Arc::ptr_eq(&old, &declared));
        assert_eq!(vhost.queue("q", ME).unwrap().counts().ready, 1);
    }

    #[test]
    fn a_declare_does_not_answer_with_a_queue_that_is_ending() {
        let bench = Bench::new();
        let (vhost, old) = (&bench.vhost, bench.declare(durable("q")));
        let declared = thread::scope(|scope| {
            let changing = vhost.changing();
            old.begin_deletion(DeletionIf::default()).unwrap();
            let declared = scope.spawn(|| bench.declare(durable("q")));
            let removal = Removal::of_queue(&vhost.read(), old.name());
            vhost.remove(removal, &changing).unwrap();
            drop(changing);
            declared.join().unwrap()
        });
        assert!(!Arc::ptr_eq(&old, &declared));
        assert!(bench.is_there(&declared));
    }

    #[test]
    fn a_queue_that_the_disk_keeps_has_lost_nothing() {
        let bench = Bench::new();
        let queue = bench.declare(durable("q"));
        publish(&queue);
        bench.definitions.set_full(true);
        let refused = bench.vhost.delete_queue(&literal("q"), DeleteIf::default(), ME);
        assert_eq!(refused.unwrap_err().code, ReplyCode::ResourceError);
        publish(&queue);
        assert_eq!(queue.counts().ready, 2);

        queue.begin_deletion(DeletionIf::default()).unwrap();
        publish(&queue);
        let (entry, _) = queue.get_waiting(false, 0).unwrap().unwrap();
        let returned = Returned { entry, consumer: None, no_ack: false, has_failed: false };
        queue.put_back(vec![returned], 0);
        queue.cancel_deletion();
        assert_eq!(queue.counts().ready, 3);
        subscribe(&queue).unwrap();
    }

    #[test]
    fn a_queue_without_a_row_goes_though_the_disk_is_full() {
        let bench = Bench::new();
        let queue = bench.exclusive();
        assert!(!queue.settings().is_durable);
        bench.definitions.set_full(true);
        bench.vhost.remove_queue(&queue, DeletionIf::default(), 0);
        assert!(!bench.is_there(&queue));
        // No connection is kept out by an owner that has gone.
        let asked = QueueDeclaration { is_durable: false, ..durable("e") };
        bench.vhost.declare_queue(asked, false, OTHER, 0).unwrap();
        let made = |bench: &Bench| bench.vhost.bindings().iter().any(|one| !one.source.is_empty());
        assert!(bench.has_exchange());
        assert!(!made(&bench));

        // Tried again with whatever goes next, and in vain as long as the disk is full.
        bench.vhost.delete_queue(&literal("e"), DeleteIf::default(), OTHER).unwrap();
        assert!(bench.has_exchange());
        bench.definitions.set_full(false);
        bench.declare(durable("q"));
        bench.vhost.delete_queue(&literal("q"), DeleteIf::default(), ME).unwrap();
        assert!(!bench.has_exchange());
        let Bench { vhost, definitions, directory } = bench;
        drop((vhost, definitions));
        let vhost = open(directory.path()).vhost("/").unwrap();
        assert!(vhost.check_exchange("x").is_err());
    }

    #[test]
    fn an_exchange_that_is_left_over_stays_when_it_is_declared_again() {
        let bench = Bench::new();
        let queue = bench.exclusive();
        bench.definitions.set_full(true);
        bench.vhost.remove_queue(&queue, DeletionIf::default(), 0);
        bench.definitions.set_full(false);
        bench.vhost.declare_exchange(auto_delete("x")).unwrap();
        bench.declare(durable("q"));
        bench.vhost.delete_queue(&literal("q"), DeleteIf::default(), ME).unwrap();
        assert!(bench.has_exchange());
    }

    #[test]
    fn the_time_a_broker_took_to_start_does_not_count_for_expiry() {
        let Bench { vhost, definitions, directory } = Bench::new();
        vhost.declare_queue(expiring("q"), false, ME, 0).unwrap();
        drop((vhost, definitions));
        let broker = open(directory.path());
        let (ready_at, day) = (2 * Millis::from(DAY_MS), Millis::from(DAY_MS));
        broker.open_for_use(ready_at);
        let left_at = |now| {
            broker.on_time(now);
            broker.vhost("/").unwrap().queues().len()
        };
        assert_eq!(left_at(ready_at), 1);
        assert_eq!(left_at(ready_at + day - 1), 1);
        assert_eq!(left_at(ready_at + day), 0);
    }
}
