//! Queues of a vhost: declared, looked for, listed.

use std::sync::Arc;

use super::refusals::{locked, no_queue, not_reserved};
use super::requests::QueueDeclaration;
use super::state::Vhost;
use crate::broker::arguments::{self, QueueArguments, QueueKind, queue_noun};
use crate::broker::queue::{Queue, Settings};
use crate::broker::registry::ConnectionId;
use crate::broker::time::Millis;
use crate::wire::{Fault, ReplyCode};

impl Vhost {
    /// Finds a queue that `connection` may use; one that is ending is waited for.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when there is none, `RESOURCE_LOCKED` when it is exclusive to another connection.
    pub fn queue(&self, name: &str, connection: ConnectionId) -> Result<Arc<Queue>, Fault> {
        let find = || {
            let queue = self.read().queues.get(name).cloned();
            queue.ok_or_else(|| no_queue(name, &self.name))
        };
        let mut queue = find()?;
        if queue.is_being_deleted() {
            drop(self.changing());
            queue = find()?;
        }
        match queue.settings().exclusive_owner {
            Some(owner) if owner != connection => Err(locked(&queue_noun(name, &self.name))),
            Some(_) | None => Ok(queue),
        }
    }

    /// Declares a queue, or checks that the one of that name is the same.
    pub fn declare_queue(
        &self,
        mut asked: QueueDeclaration,
        server_named: bool,
        connection: ConnectionId,
        now: Millis,
    ) -> Result<Arc<Queue>, Fault> {
        self.give_type(&mut asked);
        let noun = queue_noun(&asked.name, &self.name);
        let context = arguments::Context { noun: &noun, compat: self.shared.compat.get() };
        if server_named {
            check_server_named(QueueKind::of(&asked.arguments))?;
        } else {
            not_reserved("queue", &asked.name)?;
        }
        self.churn.queue_declared.add(1);
        // RabbitMQ: an exclusive queue goes with its connection and is never durable.
        asked.is_durable &= !asked.is_exclusive;
        if let Some(queue) = self.read().queues.get(&asked.name)
            && queue.touch(now)
        {
            return same_queue(queue, &asked, connection, context);
        }
        let wanted = QueueArguments::check(&asked.arguments, asked.lifetime(), context)?;
        let _changing = self.changing();
        // Another thread may have declared it just before, or it was being deleted and has stayed.
        if let Some(queue) = self.read().queues.get(&asked.name) {
            queue.touch(now);
            return same_queue(queue, &asked, connection, context);
        }
        self.check_room(&asked.name, 0)?;
        let mut settings = self.settings_of_new(asked, connection, wanted);
        if settings.is_durable {
            settings.id = self.definitions.add_queue(&settings)?;
        }
        let queue = Queue::new(settings, Arc::clone(&self.shared), now);
        self.apply_policies_to_new(&queue, now);
        self.write().queues.insert(queue.name().clone(), Arc::clone(&queue));
        self.churn.queue_created.add(1);
        Ok(queue)
    }

    /// Makes the settings of a queue that was asked for and checked; it has no id yet.
    pub(super) fn settings_of_new(
        &self,
        asked: QueueDeclaration,
        connection: ConnectionId,
        wanted: QueueArguments,
    ) -> Settings {
        Settings {
            id: None,
            name: asked.name,
            vhost: self.name.clone(),
            is_durable: asked.is_durable,
            is_auto_delete: asked.is_auto_delete,
            exclusive_owner: asked.is_exclusive.then_some(connection),
            declared_by: asked.declared_by,
            arguments: asked.arguments,
            kind: wanted.kind,
            wanted: wanted.shared(),
        }
    }

    /// All queues, in the order of their names.
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        let mut queues: Vec<_> = self.read().queues.values().cloned().collect();
        queues.sort_by(|one, other| one.name().cmp(other.name()));
        queues
    }

    /// The queue of that name, for those who only look at it.
    pub fn find_queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.read().queues.get(name).cloned()
    }
}

/// RabbitMQ: `rabbit_channel`, `queue.declare`.
fn check_server_named(kind: QueueKind) -> Result<(), Fault> {
    if kind.may_be_server_named() {
        return Ok(());
    }
    let text = format!("Cannot declare a server-named queue for type {}", kind.module());
    Err(Fault::new(ReplyCode::PreconditionFailed, text))
}

/// Order of checks: RabbitMQ, `rabbit_amqqueue:assert_equivalence`.
fn same_queue(
    queue: &Arc<Queue>,
    asked: &QueueDeclaration,
    connection: ConnectionId,
    context: arguments::Context<'_>,
) -> Result<Arc<Queue>, Fault> {
    let noun = context.noun;
    let current = queue.settings();
    if current.exclusive_owner != asked.is_exclusive.then_some(connection) {
        return Err(locked(noun));
    }
    arguments::assert_flag("durable", current.is_durable, asked.is_durable, noun)?;
    arguments::assert_flag("auto_delete", current.is_auto_delete, asked.is_auto_delete, noun)?;
    let kind = current.kind;
    arguments::assert_queue_equivalence(kind, &current.arguments, &asked.arguments, context)?;
    Ok(Arc::clone(queue))
}
