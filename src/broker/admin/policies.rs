//! Policies: put, taken away, and told to what they apply to.

use super::put::{Put, missing};
use crate::broker::Broker;
use crate::broker::durable::access;
use crate::broker::parameters::{Parameter, ParameterName};
use crate::broker::policies::{Author, Policy};
use crate::broker::time::Millis;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, ShortStr};

/// The name of a policy, with its author and vhost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyName {
    pub author: Author,
    pub vhost: ShortStr,
    pub name: ShortStr,
}

impl PolicyName {
    /// The parameter that a policy is.
    pub fn parameter(&self) -> ParameterName {
        ParameterName {
            vhost: self.vhost.clone(),
            component: ShortStr::truncated(self.author.component()),
            name: self.name.clone(),
        }
    }
}

impl Broker {
    /// Puts a policy, in the place of the one of that name; `value` has its `pattern`, `definition`, `priority` and
    /// `apply-to`. It applies to everything when this returns.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` in RabbitMQ's words for what it would not take; when there is no such vhost, or it cannot
    /// be written down.
    pub fn put_policy(
        &self,
        name: &PolicyName,
        value: FieldTable,
        now: Millis,
    ) -> Result<Put, Fault> {
        let policy = self.check_policy(name, &value)?;
        let _administering = self.administering();
        let vhost =
            self.vhost(&name.vhost).map_err(|_| missing(&format!("vhost '{}'", name.vhost)))?;
        let value = with_defaults(value);
        let parameter = Parameter { name: name.parameter(), value: FieldValue::Table(value) };
        self.write_down(access::put_parameter(&parameter), &noun(name))?;
        let was_there = self.parameters.set(&parameter.name, Some(parameter.value));
        vhost.change_policies(|policies| policies.put(name.author, policy), now);
        Ok(Put::over(was_there))
    }

    /// Reads a policy without putting it.
    ///
    /// # Errors
    ///
    /// As [`Self::put_policy`].
    pub fn check_policy(&self, name: &PolicyName, value: &FieldTable) -> Result<Policy, Fault> {
        let read = Policy::read(name.name.clone(), name.author, value, self.compat());
        read.map_err(|wrong| {
            Fault::new(ReplyCode::PreconditionFailed, format!("Validation failed\n\n{wrong}"))
        })
    }

    /// Takes a policy away; answers whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn delete_policy(&self, name: &PolicyName, now: Millis) -> Result<bool, Fault> {
        let _administering = self.administering();
        let parameter = name.parameter();
        if self.parameters.get(&parameter).is_none() {
            return Ok(false);
        }
        let change = access::remove_parameter(&parameter);
        self.write_down(change, &format!("end of {}", noun(name)))?;
        self.parameters.set(&parameter, None);
        if let Ok(vhost) = self.vhost(&name.vhost) {
            vhost.change_policies(|policies| policies.remove(name.author, &name.name), now);
        }
        Ok(true)
    }

    /// Gives vhosts the policies that are written down, when the broker starts and before their queues are there.
    pub(in crate::broker) fn restore_policies(&self) {
        for Parameter { name, value } in self.parameters.list() {
            let author = Author::BOTH.into_iter().find(|one| name.component == one.component());
            let (Some(author), FieldValue::Table(value)) = (author, value) else { continue };
            let Ok(vhost) = self.vhost(&name.vhost) else { continue };
            match Policy::read_kept(name.name.clone(), author, &value, self.compat()) {
                Ok(policy) => vhost.change_policies(|policies| policies.put(author, policy), 0),
                // It stays, and applies to nothing.
                Err(wrong) => {
                    tracing::warn!(policy = %name.name, vhost = %name.vhost, wrong, "not a policy");
                }
            }
        }
    }
}

/// Adds the defaults of a policy, as listings show them.
pub(super) fn with_defaults(mut value: FieldTable) -> FieldTable {
    if value.get("priority").is_none() {
        value = value.with("priority", FieldValue::I64(0));
    }
    if value.get("apply-to").is_none() {
        value = value.with("apply-to", "all");
    }
    value
}

fn noun(name: &PolicyName) -> String {
    format!("policy '{}' of vhost '{}'", name.name, name.vhost)
}
