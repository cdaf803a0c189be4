//! Runtime parameters: named values of a component, in one vhost or global. Policies and the limits of vhosts are
//! parameters, too.

use std::collections::BTreeMap;

use crate::lock::RwLock;
use crate::wire::{FieldValue, ShortStr};

/// The global parameter with the name of the cluster.
pub const CLUSTER_NAME: &str = "cluster_name";
/// The global parameter with the hash of the definitions that were imported at the start; only the broker reads it
/// (RabbitMQ: `rabbit_definitions_hashing`).
pub const IMPORTED_HASH: &str = "imported_definition_hash_value";

/// The name of a parameter, unique in the broker.
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

impl ParameterName {
    /// The name of a global parameter.
    pub fn global(name: &ShortStr) -> Self {
        Self { vhost: ShortStr::empty(), component: ShortStr::empty(), name: name.clone() }
    }
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
        self.parameters.read().get(name).cloned()
    }

    /// All of them that clients see, by vhost, component and name.
    pub fn list(&self) -> Vec<Parameter> {
        let parameters = self.parameters.read();
        let one = |(name, value): (&ParameterName, &FieldValue)| Parameter {
            name: name.clone(),
            value: value.clone(),
        };
        let is_seen = |name: &ParameterName| !(name.vhost.is_empty() && name.name == IMPORTED_HASH);
        parameters.iter().filter(|(name, _)| is_seen(name)).map(one).collect()
    }

    /// Sets a parameter, or takes it away; answers whether there was one.
    pub(in crate::broker) fn set(&self, name: &ParameterName, value: Option<FieldValue>) -> bool {
        let mut parameters = self.parameters.write();
        match value {
            Some(value) => parameters.insert(name.clone(), value).is_some(),
            None => parameters.remove(name).is_some(),
        }
    }

    /// Takes away all of them.
    pub(in crate::broker) fn clear(&self) {
        self.parameters.write().clear();
    }

    /// Takes away all of a vhost.
    pub(in crate::broker) fn forget(&self, vhost: &ShortStr) {
        let mut parameters = self.parameters.write();
        parameters.retain(|name, _| name.vhost != *vhost);
    }
}
