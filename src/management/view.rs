//! The view of one request: the broker, its server, the rates, and the names in its path.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::auth::{ADMINISTRATOR, MONITORING, NOT_YOURS};
use super::http_settings::HttpSettings;
use super::listing::Query;
use super::rates::Rates;
use super::refusal::Refusal;
use super::server_info::ServerInfo;
use crate::broker::Broker;
use crate::broker::auth::User;
use crate::broker::registry::{Connection, NegotiatedParameters};
use crate::broker::vhost::Vhost;

/// Name of the default exchange in paths, where an empty one cannot stand.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// The user that RabbitMQ names for what nobody has asked for over a connection.
pub(super) const INTERNAL_USER: &str = "rmq-internal";

/// The view of one request: all that its handler may look at.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) broker: &'a Broker,
    pub(super) server: &'a ServerInfo,
    pub(super) rates: Rates<'a>,
    /// The user that asks.
    pub(super) user: &'a User,
    pub(super) uptime_ms: u64,
    pub(super) statistics: ShownStatistics,
}

/// The statistics that an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShownStatistics {
    All,
    /// The lengths of queues only
    Lengths,
    None,
}

impl ShownStatistics {
    /// Reads what a request and the operator say (RabbitMQ: `disable_stats`, `enable_queue_totals`).
    pub(super) fn new(query: &Query, settings: &HttpSettings) -> Self {
        let says = |name: &str| query.get(name).is_some_and(|value| value == "true");
        let is_disabled = settings.disable_stats || says("disable_stats");
        match (is_disabled, settings.enable_queue_totals || says("enable_queue_totals")) {
            (false, _) => Self::All,
            (true, true) => Self::Lengths,
            (true, false) => Self::None,
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(
        broker: &'a Broker,
        server: &'a ServerInfo,
        rates: Rates<'a>,
        user: &'a User,
        uptime: Duration,
        statistics: ShownStatistics,
    ) -> Self {
        let uptime_ms = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
        Self { broker, server, rates, user, uptime_ms, statistics }
    }

    pub(super) fn node(&self) -> &'a str {
        &self.broker.node
    }

    /// Refuses the name of another node.
    pub(super) fn check_node(&self, names: &Names) -> Result<(), Refusal> {
        if names.get("node")? == self.node() { Ok(()) } else { Err(Refusal::NotFound) }
    }

    /// The vhosts a list is about: the one in the path, or all that the user may look into.
    pub(super) fn vhosts(&self, names: &Names) -> Result<Vec<Arc<Vhost>>, Refusal> {
        if let Some(name) = names.0.get("vhost") {
            return Ok(vec![self.vhost(name)?]);
        }
        Ok(self.broker.vhosts().into_iter().filter(|vhost| self.may_look_into(vhost)).collect())
    }

    pub(super) fn has_statistics(&self) -> bool {
        self.statistics == ShownStatistics::All
    }

    /// Answers whether the user sees the whole broker.
    pub(super) fn sees_all(&self) -> bool {
        self.user.has_tag(MONITORING)
    }

    /// The vhosts that the user knows of: all, if it sees the whole broker.
    pub(super) fn visible_vhosts(&self) -> Vec<Arc<Vhost>> {
        let all = self.broker.vhosts().into_iter();
        all.filter(|vhost| self.sees_all() || self.may_look_into(vhost)).collect()
    }

    /// Answers whether the user sees the objects of a vhost: with a permission in it, or as an administrator. Monitors
    /// see those of all vhosts in RabbitMQ 3.10 only.
    fn may_look_into(&self, vhost: &Vhost) -> bool {
        let is_3_10 = self.broker.compat().is_3_10();
        self.user.has_tag(if is_3_10 { MONITORING } else { ADMINISTRATOR })
            || self.broker.permissions.get(&self.user.name, vhost.name()).is_some()
    }

    /// Refuses a vhost whose objects the user does not see.
    pub(super) fn check_visible(&self, vhost: &Vhost) -> Result<(), Refusal> {
        if self.may_look_into(vhost) { Ok(()) } else { Err(self.outside()) }
    }

    /// The refusal of a vhost in which the user has no permission: RabbitMQ 4 does not say that there is one.
    pub(super) fn outside(&self) -> Refusal {
        if self.broker.compat().is_3_10() {
            let reason = "User not authorised to access virtual host";
            return Refusal::NotAuthorised { reason };
        }
        if self.user.has_tag(ADMINISTRATOR) {
            return Refusal::NotAuthorised { reason: "Access refused." };
        }
        Refusal::Missing { reason: "Not Found".to_owned() }
    }

    /// Refuses what is another user's, but to users with one of these tags.
    pub(super) fn check_own(&self, owner: &str, tags: &[&str]) -> Result<(), Refusal> {
        if *owner == *self.user.name || self.user.has_tag(tags) {
            return Ok(());
        }
        Err(Refusal::NotAuthorised { reason: NOT_YOURS })
    }

    pub(super) fn vhost(&self, name: &str) -> Result<Arc<Vhost>, Refusal> {
        let vhost = self.broker.vhost(name).map_err(|_| Refusal::NotFound)?;
        self.check_visible(&vhost)?;
        Ok(vhost)
    }

    /// The connection in the path, if the user may see it.
    pub(super) fn connection(
        &self,
        names: &Names,
    ) -> Result<(Arc<Connection>, Arc<NegotiatedParameters>), Refusal> {
        let name = names.get("connection")?;
        let mut all = self.broker.registry.list().into_iter();
        let found = all.find(|connection| *connection.peer.name == *name);
        let connection = found.ok_or(Refusal::NotFound)?;
        let agreed = connection.agreed().ok_or(Refusal::NotFound)?;
        self.check_own(&agreed.user, MONITORING)?;
        Ok((connection, agreed))
    }

    /// The connections that are open, each with what it has agreed on. As in RabbitMQ, one that has not is not
    /// listed; who does not see the whole broker sees his own.
    pub(super) fn connections(&self) -> Vec<(Arc<Connection>, Arc<NegotiatedParameters>)> {
        let list = self.broker.registry.list().into_iter();
        list.filter_map(|connection| {
            let agreed = connection.agreed()?;
            let is_shown = self.sees_all() || agreed.user == self.user.name;
            is_shown.then_some((connection, agreed))
        })
        .collect()
    }
}

/// The names in a path, percent-decoded.
#[derive(Debug)]
pub(super) struct Names(pub(super) HashMap<String, String>);

impl Names {
    /// The part of the path that the route calls `name`.
    pub(super) fn get(&self, name: &str) -> Result<&str, Refusal> {
        self.0.get(name).map(String::as_str).ok_or(Refusal::NotFound)
    }

    pub(super) fn vhost(&self) -> Result<&str, Refusal> {
        self.get("vhost")
    }

    /// The name of an exchange, that of the default exchange being empty.
    pub(super) fn exchange(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).map(|name| if name == DEFAULT_EXCHANGE { "" } else { name })
    }
}
