//! The limits of a vhost: a parameter of the component `vhost-limits`.

use super::parameters::ParameterName;
use super::policies::{pairs, term};
use crate::wire::shortstr::literal;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, ShortStr};

/// RabbitMQ's names of the limits.
const CONNECTIONS: &str = "max-connections";
const QUEUES: &str = "max-queues";

/// The component and the name of the parameter that has them.
pub(in crate::broker) const COMPONENT: &str = "vhost-limits";
const NAME: &str = "limits";

/// The limits of a vhost; `None` is no limit.
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

/// The parameter that holds the limits of a vhost.
pub(in crate::broker) fn parameter_of(vhost: &ShortStr) -> ParameterName {
    ParameterName { vhost: vhost.clone(), component: literal(COMPONENT), name: literal(NAME) }
}

/// Checks the value of a limits parameter.
///
/// # Errors
///
/// `PRECONDITION_FAILED` in RabbitMQ's words for a limit that is unknown or no number.
pub(in crate::broker) fn check(table: &FieldTable) -> Result<(), Fault> {
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
