//! The state of a new broker: its first vhost and user, the definitions that it takes in, the name of its cluster.

use std::path::PathBuf;

use super::definitions_source::{DefinitionsSource, UnchangedDefinitions};
use super::error::Error;
use super::host_options::{FirstAccess, HostOptions};
use crate::broker::{Broker, Defaults};
use crate::wire::ShortStr;

/// The options that say how a broker begins.
#[derive(Clone, Debug)]
pub(super) struct FirstState {
    access: FirstAccess,
    /// The access is there beside that of the definitions, not only if these have none.
    has_access_always: bool,
    definitions: Option<PathBuf>,
    unchanged: UnchangedDefinitions,
    cluster_name: Option<ShortStr>,
}

/// The same with the definitions read, which must be right before anything is made or deleted.
pub(super) struct ReadFirstState<'a> {
    state: &'a FirstState,
    definitions: Option<DefinitionsSource>,
}

impl FirstState {
    pub(super) fn of(options: &HostOptions) -> Self {
        Self {
            access: options.first.clone(),
            has_access_always: options.has_first_access_always,
            definitions: options.definitions.clone(),
            unchanged: options.unchanged_definitions,
            cluster_name: options.cluster_name.clone(),
        }
    }

    /// Reads the definitions.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read or holds no definitions.
    pub(super) fn read(&self) -> Result<ReadFirstState<'_>, Error> {
        let definitions = self.definitions.as_deref().map(DefinitionsSource::read).transpose()?;
        Ok(ReadFirstState { state: self, definitions })
    }

    /// Brings a broker back to this state; all that is in it is deleted. The error is for a client.
    pub(super) fn reset(&self, broker: &Broker) -> Result<(), String> {
        self.try_reset(broker).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        })
    }

    fn try_reset(&self, broker: &Broker) -> Result<(), Error> {
        let read = self.read()?;
        let reset = broker.reset(read.defaults());
        reset.map_err(|fault| Error::refused("reset the node", 500, fault.text))?;
        read.put(broker)?;
        give_defaults(broker);
        Ok(())
    }
}

impl ReadFirstState<'_> {
    /// The first vhost and user of a new broker.
    pub(super) fn defaults(&self) -> Defaults {
        let usual = self.state.access.defaults();
        match &self.definitions {
            Some(source) if !self.state.has_access_always => source.defaults(usual),
            _ => usual,
        }
    }

    /// Takes the definitions in and names the cluster.
    pub(super) fn put(&self, broker: &Broker) -> Result<(), Error> {
        if let Some(source) = &self.definitions {
            source.import(broker, self.state.unchanged)?;
        }
        broker.name_for_good().map_err(|fault| not_named(fault.text))?;
        if let Some(name) = &self.state.cluster_name {
            broker.name_cluster(name).map_err(|fault| not_named(fault.text))?;
        }
        Ok(())
    }
}

/// Gives the vhosts of a new broker what vhosts of their names get.
pub(super) fn give_defaults(broker: &Broker) {
    for vhost in broker.vhosts() {
        broker.give_defaults(vhost.name(), 0);
    }
}

/// The identity of the cluster cannot be written down.
fn not_named(reason: String) -> Error {
    Error::refused("name the cluster", 500, reason)
}
