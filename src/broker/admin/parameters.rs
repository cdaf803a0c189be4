//! Parameters that are set and deleted on their own: global ones, and those that are only kept.

use std::hash::{BuildHasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::put::Put;
use crate::broker::Broker;
use crate::broker::durable::access;
use crate::broker::parameters::{CLUSTER_NAME, Parameter, ParameterName};
use crate::wire::shortstr::literal;
use crate::wire::{Fault, FieldValue, ShortStr};

/// The global parameter that is the identity of the cluster.
pub const CLUSTER_ID: &str = "internal_cluster_id";

impl Broker {
    /// Sets a global parameter.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn set_global(&self, name: &ShortStr, value: FieldValue) -> Result<Put, Fault> {
        let _administering = self.administering();
        let parameter = Parameter { name: ParameterName::global(name), value };
        let change = access::put_parameter(&parameter);
        self.write_down(change, &format!("global parameter '{name}'"))?;
        Ok(Put::over(self.parameters.set(&parameter.name, Some(parameter.value))))
    }

    /// Returns the name of the cluster: the node's if it has none.
    pub fn cluster_name(&self) -> String {
        let name = self.parameters.get(&ParameterName::global(&literal(CLUSTER_NAME)));
        let name = name.as_ref().and_then(FieldValue::as_str);
        name.unwrap_or(&self.node).to_owned()
    }

    /// Names the cluster.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn name_cluster(&self, name: &ShortStr) -> Result<Put, Fault> {
        let value = FieldValue::LongStr(name.as_str().into());
        self.set_global(&literal(CLUSTER_NAME), value)
    }

    /// Gives the cluster an identity, if it has none yet: it stays the same over restarts and changes of names.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn name_for_good(&self) -> Result<(), Fault> {
        let name = literal(CLUSTER_ID);
        if self.parameters.get(&ParameterName::global(&name)).is_none() {
            let random: Vec<u8> = (0..2_u8)
                .flat_map(|part| RandomState::new().hash_one(part).to_be_bytes())
                .collect();
            let id = format!("rabbitmq-cluster-id-{}", URL_SAFE_NO_PAD.encode(random));
            self.set_global(&name, FieldValue::LongStr(id.as_str().into()))?;
        }
        Ok(())
    }

    /// Takes a global parameter away; answers whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn clear_global(&self, name: &ShortStr) -> Result<bool, Fault> {
        self.delete_parameter(&ParameterName::global(name))
    }

    /// Deletes a parameter that does nothing but be kept; answers whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be written to disk.
    pub fn delete_parameter(&self, name: &ParameterName) -> Result<bool, Fault> {
        let _administering = self.administering();
        if self.parameters.get(name).is_none() {
            return Ok(false);
        }
        let change = access::remove_parameter(name);
        self.write_down(change, &format!("deletion of parameter '{}'", name.name))?;
        Ok(self.parameters.set(name, None))
    }
}
