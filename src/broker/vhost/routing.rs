//! The way of a message through the exchanges of a vhost.

use super::refusals::refused;
use super::state::Vhost;
use crate::broker::arguments::exchange_noun;
use crate::broker::route::Route;
use crate::wire::Fault;

impl Vhost {
    /// Finds where a message with these encoded properties goes.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when there is no such exchange, `ACCESS_REFUSED` when it is internal.
    pub fn route(
        &self,
        exchange: &str,
        routing_keys: &[&str],
        properties: &[u8],
    ) -> Result<Route, Fault> {
        let topology = self.read();
        let source = topology.exchange(exchange, &self.name)?;
        if source.settings.is_internal {
            let noun = exchange_noun(exchange, &self.name);
            return Err(refused(format!("cannot publish to internal {noun}")));
        }
        Ok(topology.route(source, routing_keys, properties).traced(self.is_traced()))
    }

    /// Finds where a message of the broker's own goes: nowhere when there is no such exchange. An internal one takes
    /// it too.
    pub(in crate::broker) fn route_within(
        &self,
        exchange: &str,
        routing_keys: &[&str],
        properties: &[u8],
    ) -> Route {
        let topology = self.read();
        match topology.exchanges.get(exchange) {
            Some(source) => topology.route(source, routing_keys, properties),
            None => Route::nowhere(),
        }
    }
}
