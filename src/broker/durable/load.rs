//! The definitions, read when a broker starts.
//!
//! A row that does not decode, or that names what is not there, is an error: nothing is skipped in silence.

use super::access::{self, Granted, SavedUser, SavedVhost};
use super::rows::{self, InVhost, RowProblem};
use crate::broker::arguments::{exchange_noun, queue_noun};
use crate::broker::auth::{Permission, TopicPermission};
use crate::broker::exchange::ExchangeSettings;
use crate::broker::exchange::binding::Binding;
use crate::broker::parameters::Parameter;
use crate::broker::queue::Settings;
use crate::store::StoreError;
use crate::store::definitions::{Definitions, Row, Table};

/// Everything that was written down.
#[derive(Debug, Default)]
pub(in crate::broker) struct Saved {
    pub(in crate::broker) vhosts: Vec<SavedVhost>,
    pub(in crate::broker) users: Vec<SavedUser>,
    pub(in crate::broker) permissions: Vec<Granted<Permission>>,
    pub(in crate::broker) topic_permissions: Vec<Granted<TopicPermission>>,
    pub(in crate::broker) parameters: Vec<Parameter>,
    pub(in crate::broker) exchanges: Vec<InVhost<ExchangeSettings>>,
    pub(in crate::broker) queues: Vec<Settings>,
    pub(in crate::broker) bindings: Vec<InVhost<Binding>>,
}

/// Reads the definitions.
///
/// # Errors
///
/// Names the file and the row that cannot be understood.
pub(in crate::broker) fn load(definitions: &Definitions) -> Result<Saved, StoreError> {
    Ok(Saved {
        vhosts: read(definitions, Table::Vhosts, access::read_vhost)?,
        users: read(definitions, Table::Users, access::read_user)?,
        permissions: read(definitions, Table::Permissions, access::read_permission)?,
        topic_permissions: read(
            definitions,
            Table::TopicPermissions,
            access::read_topic_permission,
        )?,
        parameters: read(definitions, Table::Parameters, access::read_parameter)?,
        exchanges: read(definitions, Table::Exchanges, rows::read_exchange)?,
        queues: read(definitions, Table::Queues, rows::read_queue)?,
        bindings: read(definitions, Table::Bindings, rows::read_binding)?,
    })
}

fn read<T>(
    definitions: &Definitions,
    table: Table,
    read: impl Fn(&Row) -> Result<T, RowProblem>,
) -> Result<Vec<T>, StoreError> {
    let mut read_rows = Vec::new();
    for row in definitions.rows(table)? {
        read_rows
            .push(read(&row).map_err(|problem| damaged(definitions, &noun(table, &row), problem))?);
    }
    Ok(read_rows)
}

/// Names the thing that a row describes, as far as it can be read.
fn noun(table: Table, row: &Row) -> String {
    let named = match table {
        Table::Vhosts => rows::read_name(&row.key).map(|name| format!("vhost '{name}'")),
        Table::Users => rows::read_name(&row.key).map(|name| format!("user '{name}'")),
        Table::Exchanges => {
            rows::read_name_in(&row.key).map(|name| exchange_noun(&name.row, &name.vhost))
        }
        Table::Queues => {
            rows::read_name_in(&row.key).map(|name| queue_noun(&name.row, &name.vhost))
        }
        Table::Bindings => Ok("binding".to_owned()),
        Table::Permissions | Table::TopicPermissions => Ok("permission".to_owned()),
        Table::Parameters => Ok("parameter".to_owned()),
    };
    named.unwrap_or_else(|_| format!("key of one of the {}", table.name()))
}

#[derive(Debug, thiserror::Error)]
#[error("{noun}: {problem}")]
struct Damaged {
    noun: String,
    problem: RowProblem,
}

/// The error for a row that cannot be understood; `noun` is its subject.
pub(in crate::broker) fn damaged(
    definitions: &Definitions,
    noun: &str,
    problem: RowProblem,
) -> StoreError {
    StoreError::Definitions {
        action: "understand",
        path: definitions.path().to_path_buf(),
        source: Box::new(Damaged { noun: noun.to_owned(), problem }),
    }
}
