//! Reading the definitions when a broker starts, and handing the messages that were kept to their queues.
//!
//! A row that does not decode, or that names what is not there, is an error: nothing is skipped in silence.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::people::{self, Granted, SavedUser, SavedVhost};
use super::rows::{self, In, Problem};
use crate::broker::admin::Parameter;
use crate::broker::arguments::{exchange_noun, queue_noun};
use crate::broker::auth::{Permission, TopicPermission};
use crate::broker::exchange::ExchangeSettings;
use crate::broker::exchange::binding::Binding;
use crate::broker::queue::Settings;
use crate::broker::vhost::Vhost;
use crate::store::StoreError;
use crate::store::definitions::{Definitions, Row, Table};
use crate::wire::ShortStr;

/// Everything that was written down.
#[derive(Debug, Default)]
pub(in crate::broker) struct Saved {
    pub(in crate::broker) vhosts: Vec<SavedVhost>,
    pub(in crate::broker) users: Vec<SavedUser>,
    pub(in crate::broker) permissions: Vec<Granted<Permission>>,
    pub(in crate::broker) topic_permissions: Vec<Granted<TopicPermission>>,
    pub(in crate::broker) parameters: Vec<Parameter>,
    exchanges: Vec<In<ExchangeSettings>>,
    queues: Vec<Settings>,
    bindings: Vec<In<Binding>>,
}

/// Reads the definitions.
///
/// # Errors
///
/// Names the file and the row that cannot be understood.
pub(in crate::broker) fn load(definitions: &Definitions) -> Result<Saved, StoreError> {
    Ok(Saved {
        vhosts: read(definitions, Table::Vhosts, people::read_vhost)?,
        users: read(definitions, Table::Users, people::read_user)?,
        permissions: read(definitions, Table::Permissions, people::read_permission)?,
        topic_permissions: read(
            definitions,
            Table::TopicPermissions,
            people::read_topic_permission,
        )?,
        parameters: read(definitions, Table::Parameters, people::read_parameter)?,
        exchanges: read(definitions, Table::Exchanges, rows::read_exchange)?,
        queues: read(definitions, Table::Queues, rows::read_queue)?,
        bindings: read(definitions, Table::Bindings, rows::read_binding)?,
    })
}

fn read<T>(
    definitions: &Definitions,
    table: Table,
    read: impl Fn(&Row) -> Result<T, Problem>,
) -> Result<Vec<T>, StoreError> {
    let mut read_rows = Vec::new();
    for row in definitions.rows(table)? {
        read_rows
            .push(read(&row).map_err(|problem| damaged(definitions, &noun(table, &row), problem))?);
    }
    Ok(read_rows)
}

impl Saved {
    /// Fills vhosts with what is theirs.
    ///
    /// # Errors
    ///
    /// Names what a row speaks of that is not there.
    pub(in crate::broker) fn fill(
        self,
        vhosts: &BTreeMap<ShortStr, Arc<Vhost>>,
        definitions: &Definitions,
    ) -> Result<(), StoreError> {
        let vhost = |name: &ShortStr, noun: &dyn Fn() -> String| {
            let missing = || Problem::Missing(format!("vhost '{name}'"));
            vhosts.get(name).ok_or_else(|| damaged(definitions, &noun(), missing()))
        };
        for In { vhost: name, it } in self.exchanges {
            vhost(&name, &|| exchange_noun(&it.name, &name))?.restore_exchange(it);
        }
        for settings in self.queues {
            let name = settings.vhost.clone();
            vhost(&name, &|| queue_noun(&settings.name, &name))?.restore_queue(settings);
        }
        for In { vhost: name, it } in self.bindings {
            let noun = rows::binding_noun(&it, &name);
            let restored = vhost(&name, &|| noun.clone())?.restore_binding(it);
            restored.map_err(|fault| damaged(definitions, &noun, Problem::Refused(fault)))?;
        }
        Ok(())
    }
}

/// What a row is about, as far as it can be read.
fn noun(table: Table, row: &Row) -> String {
    let named = match table {
        Table::Vhosts => rows::read_name(&row.key).map(|name| format!("vhost '{name}'")),
        Table::Users => rows::read_name(&row.key).map(|name| format!("user '{name}'")),
        Table::Exchanges => {
            rows::read_name_in(&row.key).map(|name| exchange_noun(&name.it, &name.vhost))
        }
        Table::Queues => rows::read_name_in(&row.key).map(|name| queue_noun(&name.it, &name.vhost)),
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
    problem: Problem,
}

fn damaged(definitions: &Definitions, noun: &str, problem: Problem) -> StoreError {
    StoreError::Definitions {
        action: "understand",
        path: definitions.path().to_path_buf(),
        source: Box::new(Damaged { noun: noun.to_owned(), problem }),
    }
}
