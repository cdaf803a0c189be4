//! Definitions that come in: checked as a whole, written down in one transaction, then seen by clients.
//!
//! Semantics are RabbitMQ's (`rabbit_definitions`): users, vhosts, permissions, policies and parameters take the place
//! of what is there; queues, exchanges and bindings that are there stay as they are. RabbitMQ leaves what it has put
//! before an error; here an error changes nothing.
//!
//! Reading order: [`NewDefinitions`], [`Broker::import`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::policies::{PolicyName, with_defaults};
use super::put::missing;
use crate::broker::Broker;
use crate::broker::auth::{Permission, TopicPermission, User};
use crate::broker::durable::{Changes, VhostDefinitions, access};
use crate::broker::exchange::ExchangeSettings;
use crate::broker::parameters::Parameter;
use crate::broker::policies::Policy;
use crate::broker::time::Millis;
use crate::broker::vhost::{Addition, BindingRequest, QueueDeclaration, Vhost};
use crate::broker::vhost_limits::{self, VhostLimits};
use crate::broker::vhost_metadata::{VhostChange, VhostMetadata};
use crate::store::QueueId;
use crate::store::definitions::Change;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, ShortStr};

/// Something in a vhost.
type In<T> = (ShortStr, T);

/// Definitions, each list in the order in which it is put.
#[derive(Debug, Default)]
pub struct NewDefinitions {
    pub users: Vec<User>,
    pub vhosts: Vec<In<VhostChange>>,
    pub limits: Vec<In<FieldTable>>,
    pub permissions: Vec<In<(ShortStr, Permission)>>,
    pub topics: Vec<In<(ShortStr, TopicPermission)>>,
    pub policies: Vec<(PolicyName, FieldTable)>,
    /// Global parameters, and those of components that only keep them.
    pub parameters: Vec<Parameter>,
    pub queues: Vec<In<QueueDeclaration>>,
    pub exchanges: Vec<In<ExchangeSettings>>,
    pub bindings: Vec<In<BindingRequest>>,
}

/// A vhost that definitions speak of.
struct ImportedVhost {
    vhost: Arc<Vhost>,
    metadata: VhostMetadata,
    is_new: bool,
}

impl Broker {
    /// Takes definitions in; `creator` may do everything in the vhosts that are new. A binding one of whose ends
    /// neither is there nor comes is left out with a warning, because RabbitMQ exports bindings of internal exchanges
    /// without the exchanges.
    ///
    /// # Errors
    ///
    /// For the first object that the broker does not take, in RabbitMQ's words; when the definitions cannot be written
    /// down. Nothing is changed then.
    pub fn import(
        &self,
        new: &NewDefinitions,
        creator: Option<&ShortStr>,
        now: Millis,
    ) -> Result<(), Fault> {
        let before: BTreeSet<_> = self.vhosts().iter().map(|vhost| vhost.name().clone()).collect();
        self.import_all(new, creator, now)?;
        for vhost in self.vhosts().iter().filter(|vhost| !before.contains(vhost.name())) {
            self.give_defaults(vhost.name(), now);
        }
        Ok(())
    }

    fn import_all(
        &self,
        new: &NewDefinitions,
        creator: Option<&ShortStr>,
        now: Millis,
    ) -> Result<(), Fault> {
        let _administering = self.administering();
        let subjects = self.subjects(new)?;
        let policies = self.read_policies(&new.policies)?;
        self.check_grants(new, &subjects)?;
        for (_, limits) in &new.limits {
            vhost_limits::check(limits)?;
        }
        let creator = creator.filter(|user| self.users.get(user).is_some());
        let mut changes = record_of(new, &subjects);
        for (name, subject) in subjects.iter().filter(|(_, subject)| subject.is_new) {
            subject.vhost.describe(subject.metadata.clone());
            if let Some(user) = creator {
                changes = changes.with(access::put_permission(name, user, &Permission::full()));
            }
        }
        let NewDefinitions { queues, exchanges, bindings, .. } = new;
        let mut additions = additions(&subjects, queues, exchanges, bindings)?;
        let count = additions.values().map(Addition::durable_queues).sum();
        let rows = |first| rows_of(&mut additions, first);
        changes.write_with_queues(self.definitions.as_ref(), count, rows, "the definitions")?;
        self.apply(new, &subjects, creator);
        for (name, policy) in policies {
            if let Some(subject) = subjects.get(&name.vhost) {
                subject.vhost.policies().put(name.author, policy);
            }
        }
        for addition in additions.into_values() {
            addition.insert(now);
        }
        let mut vhosts = self.vhosts.write();
        for (name, subject) in subjects.iter().filter(|(_, subject)| subject.is_new) {
            vhosts.insert(name.clone(), Arc::clone(&subject.vhost));
        }
        drop(vhosts);
        let with_policies: BTreeSet<_> = new.policies.iter().map(|(name, _)| &name.vhost).collect();
        for subject in with_policies.iter().filter_map(|name| subjects.get(*name)) {
            subject.vhost.refresh_policies(now);
        }
        let granted = new.permissions.iter().map(|(vhost, _)| vhost);
        let granted = granted.chain(new.topics.iter().map(|(vhost, _)| vhost));
        let touched: BTreeSet<_> = subjects.keys().chain(granted).collect();
        for vhost in self.vhosts().iter().filter(|vhost| touched.contains(vhost.name())) {
            vhost.forget_routes();
        }
        Ok(())
    }

    /// Every vhost that is spoken of, those that are new included.
    fn subjects(&self, new: &NewDefinitions) -> Result<BTreeMap<ShortStr, ImportedVhost>, Fault> {
        let mut subjects = BTreeMap::new();
        for (name, change) in &new.vhosts {
            let subject = subjects.entry(name.clone()).or_insert_with(|| {
                if let Ok(vhost) = self.vhost(name) {
                    let metadata = vhost.metadata();
                    return ImportedVhost { vhost, metadata, is_new: false };
                }
                let definitions = VhostDefinitions::new(name.clone(), self.definitions.clone());
                let (shared, churn) = (self.shared.clone(), Arc::clone(&self.churn));
                let vhost = Vhost::new(name.clone(), shared, churn, definitions);
                ImportedVhost { vhost, metadata: VhostMetadata::of_new(name), is_new: true }
            });
            change.clone().apply(&mut subject.metadata);
        }
        let of_objects = new.queues.iter().map(|(vhost, _)| vhost);
        let of_objects = of_objects.chain(new.exchanges.iter().map(|(vhost, _)| vhost));
        let of_objects = of_objects.chain(new.bindings.iter().map(|(vhost, _)| vhost));
        let of_objects = of_objects.chain(new.limits.iter().map(|(vhost, _)| vhost));
        let of_objects = of_objects.chain(new.policies.iter().map(|(name, _)| &name.vhost));
        let parameters = new.parameters.iter().map(|one| &one.name);
        let parameters = parameters.filter(|name| !name.component.is_empty());
        for name in of_objects.chain(parameters.map(|name| &name.vhost)) {
            if !subjects.contains_key(name) {
                let missing = |_| missing(&format!("vhost '{name}'"));
                let vhost = self.vhost(name).map_err(missing)?;
                let metadata = vhost.metadata();
                subjects.insert(name.clone(), ImportedVhost { vhost, metadata, is_new: false });
            }
        }
        Ok(subjects)
    }

    fn read_policies(
        &self,
        policies: &[(PolicyName, FieldTable)],
    ) -> Result<Vec<(PolicyName, Policy)>, Fault> {
        let read = |(name, value): &(PolicyName, FieldTable)| {
            Ok((name.clone(), self.check_policy(name, value)?))
        };
        policies.iter().map(read).collect()
    }

    /// Refuses permissions for a vhost or user that is neither there nor comes.
    fn check_grants(
        &self,
        new: &NewDefinitions,
        subjects: &BTreeMap<ShortStr, ImportedVhost>,
    ) -> Result<(), Fault> {
        let granted = new.permissions.iter().map(|(vhost, (user, _))| (vhost, user));
        let topics = new.topics.iter().map(|(vhost, (user, _))| (vhost, user));
        let coming: BTreeSet<_> = new.users.iter().map(|user| &user.name).collect();
        for (vhost, user) in granted.chain(topics) {
            if !coming.contains(user) && self.users.get(user).is_none() {
                return Err(missing(&format!("user '{user}'")));
            }
            if !subjects.contains_key(vhost) && self.vhost(vhost).is_err() {
                return Err(missing(&format!("vhost '{vhost}'")));
            }
        }
        Ok(())
    }

    /// Applies the definitions, which are written down, to users, vhosts and everything that belongs to them.
    fn apply(
        &self,
        new: &NewDefinitions,
        subjects: &BTreeMap<ShortStr, ImportedVhost>,
        creator: Option<&ShortStr>,
    ) {
        for user in &new.users {
            self.users.put(user.clone());
        }
        for (name, subject) in subjects {
            if !subject.is_new && subject.vhost.metadata() != subject.metadata {
                subject.vhost.describe(subject.metadata.clone());
            }
            if let Some(user) = creator.filter(|_| subject.is_new) {
                self.permissions.set(name, user, Some(Permission::full()));
            }
        }
        for (vhost, (user, permission)) in &new.permissions {
            self.permissions.set(vhost, user, Some(permission.clone()));
        }
        for (vhost, (user, topic)) in &new.topics {
            self.permissions.set_topic(vhost, user, topic.clone());
        }
        for Parameter { name, value } in parameters_of(new) {
            self.parameters.set(&name, Some(value));
        }
        for (name, limits) in &new.limits {
            if let Some(subject) = subjects.get(name) {
                let limits = FieldValue::Table(limits.clone());
                subject.vhost.limit(VhostLimits::of(&limits));
            }
        }
    }
}

/// Makes the changes that write down users, vhosts and everything that belongs to them.
fn record_of(new: &NewDefinitions, subjects: &BTreeMap<ShortStr, ImportedVhost>) -> Changes {
    let mut changes = Changes::default();
    for user in &new.users {
        changes = changes.with(access::put_user(user));
    }
    for (name, _) in &new.vhosts {
        if let Some(subject) = subjects.get(name) {
            changes = changes.with(access::put_vhost(name, &subject.metadata));
        }
    }
    for (vhost, (user, permission)) in &new.permissions {
        changes = changes.with(access::put_permission(vhost, user, permission));
    }
    for (vhost, (user, topic)) in &new.topics {
        changes = changes.with(access::put_topic(vhost, user, topic));
    }
    for parameter in parameters_of(new) {
        changes = changes.with(access::put_parameter(&parameter));
    }
    changes
}

/// All that is kept as a parameter.
fn parameters_of(new: &NewDefinitions) -> Vec<Parameter> {
    let table =
        |name, value: &FieldTable| Parameter { name, value: FieldValue::Table(value.clone()) };
    let limits =
        new.limits.iter().map(|(vhost, limits)| table(vhost_limits::parameter_of(vhost), limits));
    let policies = new.policies.iter().map(|(name, value)| {
        let value = FieldValue::Table(with_defaults(value.clone()));
        Parameter { name: name.parameter(), value }
    });
    limits.chain(policies).chain(new.parameters.iter().cloned()).collect()
}

/// Queues, exchanges and bindings, checked and ready to be written down, by vhost.
fn additions<'a>(
    subjects: &'a BTreeMap<ShortStr, ImportedVhost>,
    queues: &[In<QueueDeclaration>],
    exchanges: &[In<ExchangeSettings>],
    bindings: &[In<BindingRequest>],
) -> Result<BTreeMap<&'a ShortStr, Addition<'a>>, Fault> {
    let vhosts = queues.iter().map(|(vhost, _)| vhost);
    let vhosts = vhosts.chain(exchanges.iter().map(|(vhost, _)| vhost));
    let vhosts: BTreeSet<_> = vhosts.chain(bindings.iter().map(|(vhost, _)| vhost)).collect();
    // One after the other in the order of their names, as all who change several.
    let begun = vhosts.into_iter().filter_map(|name| subjects.get_key_value(name));
    let mut additions: BTreeMap<_, _> =
        begun.map(|(name, subject)| (name, Addition::begin(&subject.vhost))).collect();
    for (vhost, queue) in queues {
        if let Some((addition, subject)) = additions.get_mut(vhost).zip(subjects.get(vhost)) {
            addition.queue(queue.clone(), &subject.metadata)?;
        }
    }
    for (vhost, exchange) in exchanges {
        if let Some(addition) = additions.get_mut(vhost) {
            addition.exchange(exchange.clone())?;
        }
    }
    for (vhost, binding) in bindings {
        let Some(addition) = additions.get_mut(vhost) else { continue };
        match addition.binding(binding.clone()) {
            Err(fault) if fault.code == ReplyCode::NotFound => {
                let (source, destination) = (&binding.source, &binding.destination.name);
                let reason = &fault.text;
                tracing::warn!(%vhost, %source, %destination, %reason, "a binding is left out");
            }
            other => other?,
        }
    }
    Ok(additions)
}

fn rows_of(additions: &mut BTreeMap<&ShortStr, Addition<'_>>, first: QueueId) -> Vec<Change> {
    let mut next = first;
    let mut changes = Vec::new();
    for addition in additions.values_mut() {
        changes.extend(addition.rows(next));
        next.0 += addition.durable_queues();
    }
    changes
}
