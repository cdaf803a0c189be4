//! Exchanges of a vhost: declared, looked for, listed.

use std::sync::Arc;

use super::refusals::{not_default, not_reserved};
use super::requests::ExchangeInfo;
use super::state::Vhost;
use crate::broker::arguments::{self, exchange_noun};
use crate::broker::exchange::{Exchange, ExchangeKind, ExchangeSettings};
use crate::broker::queue::{Queue, Settings};
use crate::wire::{Fault, ReplyCode};

impl Vhost {
    /// Declares an exchange, or checks that the one of that name is the same.
    pub fn declare_exchange(&self, settings: ExchangeSettings) -> Result<(), Fault> {
        not_default(&settings.name)?;
        let noun = exchange_noun(&settings.name, &self.name);
        // A client that declares it wants it to stay, with bindings or without.
        self.left_over().retain(|name| *name != settings.name);
        if let Some(current) = self.read().exchanges.get(&settings.name) {
            return assert_same_exchange(&current.settings, &settings, &noun);
        }
        self.check_new_exchange(&settings, &noun)?;
        let _changing = self.changing();
        // Another thread may have declared it just before.
        if let Some(current) = self.read().exchanges.get(&settings.name) {
            return assert_same_exchange(&current.settings, &settings, &noun);
        }
        let mut holder = None;
        if settings.kind == ExchangeKind::DelayedMessage {
            let mut settings = Settings::of_holder(&self.name, &settings.name, settings.is_durable);
            if settings.is_durable {
                settings.id = self.definitions.add_queue(&settings)?;
            }
            holder = Some(Queue::new(settings, Arc::clone(&self.shared), 0));
        }
        if settings.is_durable {
            self.definitions.add_exchange(&settings)?;
        }
        let mut exchange = Exchange::new(settings, &self.shared.compat);
        exchange.holder = holder;
        self.insert_exchange(exchange);
        Ok(())
    }

    /// Checks the settings of an exchange that is not there yet.
    pub(super) fn check_new_exchange(
        &self,
        settings: &ExchangeSettings,
        noun: &str,
    ) -> Result<(), Fault> {
        not_reserved("exchange", &settings.name)?;
        if let Some(value) = settings.arguments.get("alternate-exchange")
            && value.as_str().is_none()
        {
            let kind = value.type_name();
            let text = format!("invalid type '{kind}' for arg 'alternate-exchange' in {noun}");
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        }
        let (kind, compat) = (settings.kind, self.shared.compat.get());
        kind.check(&settings.arguments, &settings.name, &self.name, compat)
    }

    /// Checks that an exchange is there (a passive declare).
    pub fn check_exchange(&self, name: &str) -> Result<(), Fault> {
        not_default(name)?;
        self.read().exchange(name, &self.name).map(drop)
    }

    /// Puts an exchange in that is written down, or need not be.
    pub(in crate::broker) fn restore_exchange(&self, settings: ExchangeSettings) {
        self.insert_exchange(Exchange::new(settings, &self.shared.compat));
    }

    fn insert_exchange(&self, mut exchange: Exchange) {
        exchange.alternate = self.alternate(&exchange.settings);
        self.write().exchanges.insert(exchange.settings.name.clone(), exchange);
    }

    /// The queues that no client sees: those of delayed exchanges.
    pub(in crate::broker) fn holders(&self) -> Vec<Arc<Queue>> {
        let topology = self.read();
        topology.exchanges.values().filter_map(|exchange| exchange.holder.clone()).collect()
    }

    /// The exchange of that name.
    pub fn find_exchange(&self, name: &str) -> Option<ExchangeInfo> {
        self.read().exchanges.get(name).map(|exchange| self.info(exchange))
    }

    fn info(&self, exchange: &Exchange) -> ExchangeInfo {
        ExchangeInfo {
            settings: exchange.settings.clone(),
            vhost: self.name.clone(),
            counters: Arc::clone(&exchange.counters),
            delayed: exchange.holder.as_ref().map(|holder| holder.delayed_len()),
        }
    }

    /// All exchanges, in the order of their names.
    pub fn exchanges(&self) -> Vec<ExchangeInfo> {
        let info = |exchange: &Exchange| self.info(exchange);
        let mut exchanges: Vec<_> = self.read().exchanges.values().map(info).collect();
        exchanges.sort_by(|one, other| one.settings.name.cmp(&other.settings.name));
        exchanges
    }
}

/// Order of checks: RabbitMQ, `rabbit_exchange:assert_equivalence`.
fn assert_same_exchange(
    current: &ExchangeSettings,
    asked: &ExchangeSettings,
    noun: &str,
) -> Result<(), Fault> {
    arguments::assert_text("type", current.kind.name(), asked.kind.name(), noun)?;
    arguments::assert_flag("durable", current.is_durable, asked.is_durable, noun)?;
    arguments::assert_flag("auto_delete", current.is_auto_delete, asked.is_auto_delete, noun)?;
    arguments::assert_flag("internal", current.is_internal, asked.is_internal, noun)?;
    for name in ["alternate-exchange", "x-delayed-type"] {
        arguments::assert_equivalent(name, &current.arguments, &asked.arguments, noun)?;
    }
    Ok(())
}
