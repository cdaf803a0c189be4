//! How much a vhost may have: a parameter of the component `vhost-limits`.

use super::{Parameter, ParameterName, missing};
use crate::broker::Broker;
use crate::broker::durable::Record;
use crate::broker::policies::{pairs, term};
use crate::wire::shortstr::literal;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, ShortStr};

/// The limits there are; RabbitMQ's names.
const CONNECTIONS: &str = "max-connections";
const QUEUES: &str = "max-queues";

/// The component and the name of the parameter that has them.
pub(in crate::broker) const COMPONENT: &str = "vhost-limits";
const NAME: &str = "limits";

/// How much a vhost may have; `None` is as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VhostLimits {
    pub connections_max: Option<u64>,
    pub queues_max: Option<u64>,
}

impl VhostLimits {
    /// Reads the limits of a parameter's value; a negative one is none.
    pub(in crate::broker) fn of(value: &FieldValue) -> Self {
        let FieldValue::Table(table) = value else { return Self::default() };
        let limit = |name: &str| u64::try_from(table.get(name)?.as_integer()?).ok();
        Self { connections_max: limit(CONNECTIONS), queues_max: limit(QUEUES) }
    }
}

/// Checks the value of a limits parameter.
fn check(table: &FieldTable) -> Result<(), Fault> {
    for (name, value) in table {
        if ![CONNECTIONS, QUEUES].contains(&name.as_str()) {
            let given = pairs(&FieldTable::from_entries(vec![(name.clone(), value.clone())]));
            return Err(refused(&format!("Unrecognised terms {given} in limits")));
        }
        if value.as_integer().is_none() {
            return Err(refused(&format!(
                "{name} should be a number, actually was {}",
                term(value)
            )));
        }
    }
    Ok(())
}

fn refused(why: &str) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, format!("Validation failed\n\n{why}\n"))
}

impl Broker {
    /// Gives vhosts what their parameters say, when the broker starts.
    pub(in crate::broker) fn apply_parameters(&self) {
        for vhost in self.vhosts() {
            if let Some(table) = self.vhost_limits(vhost.name()) {
                vhost.limit(VhostLimits::of(&FieldValue::Table(table)));
            }
        }
    }

    /// The limits of a vhost as they were set, negative ones included; `None` when there are none.
    pub fn vhost_limits(&self, vhost: &ShortStr) -> Option<FieldTable> {
        match self.parameters.get(&limits_of(vhost)) {
            Some(FieldValue::Table(table)) if !table.is_empty() => Some(table),
            Some(_) | None => None,
        }
    }

    /// Sets all limits of a vhost.
    ///
    /// # Errors
    ///
    /// When one of them is not known or no number, there is no such vhost, or it cannot be written down.
    pub fn limit_vhost(&self, vhost: &ShortStr, table: FieldTable) -> Result<(), Fault> {
        check(&table)?;
        self.set_limits(vhost, |_| table)
    }

    /// Sets one limit of a vhost.
    ///
    /// # Errors
    ///
    /// As [`Self::limit_vhost`].
    pub fn set_vhost_limit(
        &self,
        vhost: &ShortStr,
        name: &ShortStr,
        most: i64,
    ) -> Result<(), Fault> {
        let one = FieldTable::from_entries(vec![(name.clone(), FieldValue::I64(most))]);
        check(&one)?;
        self.set_limits(vhost, |mut table| {
            table.insert(name.clone(), FieldValue::I64(most));
            table
        })
    }

    /// Takes one limit of a vhost away.
    ///
    /// # Errors
    ///
    /// When there is no such vhost, or it cannot be written down.
    pub fn clear_vhost_limit(&self, vhost: &ShortStr, name: &str) -> Result<(), Fault> {
        self.set_limits(vhost, |mut table| {
            table.remove(name);
            table
        })
    }

    fn set_limits(
        &self,
        name: &ShortStr,
        change: impl FnOnce(FieldTable) -> FieldTable,
    ) -> Result<(), Fault> {
        let _administering = self.administering();
        let vhost = self.vhost(name).map_err(|_| missing(&format!("vhost '{name}'")))?;
        let table = change(self.vhost_limits(name).unwrap_or_default());
        let parameter = limits_of(name);
        let (record, value) = if table.is_empty() {
            (Record::default().remove_parameter(&parameter), None)
        } else {
            let value = FieldValue::Table(table);
            let it = Parameter { name: parameter.clone(), value: value.clone() };
            (Record::default().put_parameter(&it), Some(value))
        };
        self.write_down(record, &format!("limits of vhost '{name}'"))?;
        vhost.limit(value.as_ref().map(VhostLimits::of).unwrap_or_default());
        self.parameters.set(&parameter, value);
        Ok(())
    }
}

fn limits_of(vhost: &ShortStr) -> ParameterName {
    ParameterName { vhost: vhost.clone(), component: literal(COMPONENT), name: literal(NAME) }
}
