//! The limits of vhosts, set one by one or all at once.

use super::put::missing;
use crate::broker::Broker;
use crate::broker::durable::access;
use crate::broker::parameters::Parameter;
use crate::broker::vhost::Vhost;
use crate::broker::vhost_limits::{self, VhostLimits};
use crate::wire::{Fault, FieldTable, FieldValue, ShortStr};

impl Broker {
    /// Gives vhosts the limits of their parameters, when the broker starts.
    pub(in crate::broker) fn apply_parameters(&self) {
        for vhost in self.vhosts() {
            if let Some(table) = self.vhost_limits(vhost.name()) {
                vhost.limit(VhostLimits::of(&FieldValue::Table(table)));
            }
        }
    }

    /// Refuses the declaration of one queue too many for the node; one that is there is none.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` in RabbitMQ's words.
    pub fn check_new_queue(&self, vhost: &Vhost, name: &str) -> Result<(), Fault> {
        let limits = self.limits.get();
        if limits.queues_max.is_none() || vhost.find_queue(name).is_some() {
            return Ok(());
        }
        limits.check_queues(self.queues_len(), name)
    }

    /// The same for an exchange.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` in RabbitMQ's words.
    pub fn check_new_exchange(&self, vhost: &Vhost, name: &str) -> Result<(), Fault> {
        let limits = self.limits.get();
        if limits.exchanges_max.is_none() || vhost.check_exchange(name).is_ok() {
            return Ok(());
        }
        limits.check_exchanges(self.exchanges_len(), name, vhost.name())
    }

    /// The number of queues in all vhosts.
    pub(super) fn queues_len(&self) -> usize {
        self.vhosts().iter().map(|vhost| vhost.len().queues).sum()
    }

    /// The number of exchanges in all vhosts.
    pub(super) fn exchanges_len(&self) -> usize {
        self.vhosts().iter().map(|vhost| vhost.len().exchanges).sum()
    }

    /// The limits of a vhost as they were set, negative ones included; `None` when there are none.
    pub fn vhost_limits(&self, vhost: &ShortStr) -> Option<FieldTable> {
        match self.parameters.get(&vhost_limits::parameter_of(vhost)) {
            Some(FieldValue::Table(table)) if !table.is_empty() => Some(table),
            Some(_) | None => None,
        }
    }

    /// Sets all limits of a vhost.
    ///
    /// # Errors
    ///
    /// When one of them is not known or no number, there is no such vhost, or it cannot be written to disk.
    pub fn limit_vhost(&self, vhost: &ShortStr, table: FieldTable) -> Result<(), Fault> {
        vhost_limits::check(&table)?;
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
        vhost_limits::check(&one)?;
        self.set_limits(vhost, |mut table| {
            table.insert(name.clone(), FieldValue::I64(most));
            table
        })
    }

    /// Takes one limit of a vhost away.
    ///
    /// # Errors
    ///
    /// When there is no such vhost, or it cannot be written to disk.
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
        let parameter = vhost_limits::parameter_of(name);
        let (changes, value) = if table.is_empty() {
            (access::remove_parameter(&parameter), None)
        } else {
            let value = FieldValue::Table(table);
            let it = Parameter { name: parameter.clone(), value: value.clone() };
            (access::put_parameter(&it), Some(value))
        };
        self.write_down(changes, &format!("limits of vhost '{name}'"))?;
        vhost.limit(value.as_ref().map(VhostLimits::of).unwrap_or_default());
        self.parameters.set(&parameter, value);
        Ok(())
    }
}
