//! Runtime parameters: named values of a component, of a vhost or of all. Policies and limits are such.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::Put;
use crate::broker::Broker;
use crate::broker::durable::Record;
use crate::wire::{Fault, FieldValue, ShortStr};

/// What a parameter is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterName {
    /// Empty for a global one.
    pub vhost: ShortStr,
    /// Empty for a global one.
    pub component: ShortStr,
    pub name: ShortStr,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: ParameterName,
    pub value: FieldValue,
}

impl Broker {
    /// Sets a global parameter.
    ///
    /// # Errors
    ///
    /// When it cannot be written down.
    pub fn set_global(&self, name: &ShortStr, value: FieldValue) -> Result<Put, Fault> {
        let _administering = self.administering();
        let parameter = Parameter { name: global(name), value };
        let record = Record::default().put_parameter(&parameter);
        self.write_down(record, &format!("global parameter '{name}'"))?;
        Ok(Put::over(self.parameters.set(&parameter.name, Some(parameter.value))))
    }

    /// Takes a global parameter away; answers whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be written down.
    pub fn clear_global(&self, name: &ShortStr) -> Result<bool, Fault> {
        let _administering = self.administering();
        let parameter = global(name);
        if self.parameters.get(&parameter).is_none() {
            return Ok(false);
        }
        let record = Record::default().remove_parameter(&parameter);
        self.write_down(record, &format!("end of global parameter '{name}'"))?;
        Ok(self.parameters.set(&parameter, None))
    }
}

fn global(name: &ShortStr) -> ParameterName {
    ParameterName { vhost: ShortStr::empty(), component: ShortStr::empty(), name: name.clone() }
}

/// All parameters.
#[derive(Debug, Default)]
pub struct Parameters {
    parameters: RwLock<BTreeMap<ParameterName, FieldValue>>,
}

impl Parameters {
    pub(in crate::broker) fn new(parameters: impl IntoIterator<Item = Parameter>) -> Self {
        let parameters = parameters.into_iter().map(|one| (one.name, one.value)).collect();
        Self { parameters: RwLock::new(parameters) }
    }

    /// The value of a parameter.
    pub fn get(&self, name: &ParameterName) -> Option<FieldValue> {
        self.parameters.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them, by vhost, component and name.
    pub fn list(&self) -> Vec<Parameter> {
        let parameters = self.parameters.read().unwrap_or_else(PoisonError::into_inner);
        let one = |(name, value): (&ParameterName, &FieldValue)| Parameter {
            name: name.clone(),
            value: value.clone(),
        };
        parameters.iter().map(one).collect()
    }

    /// Sets a parameter, or takes it away; answers whether there was one.
    pub(in crate::broker) fn set(&self, name: &ParameterName, value: Option<FieldValue>) -> bool {
        let mut parameters = self.parameters.write().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => parameters.insert(name.clone(), value).is_some(),
            None => parameters.remove(name).is_some(),
        }
    }

    /// Takes away all of a vhost.
    pub(in crate::broker) fn forget(&self, vhost: &ShortStr) {
        let mut parameters = self.parameters.write().unwrap_or_else(PoisonError::into_inner);
        parameters.retain(|name, _| name.vhost != *vhost);
    }
}
