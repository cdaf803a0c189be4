//! The alarms of a broker: raised and ended, and kept current with the health of the store.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::alarm::Shortage;
use crate::store::Health;

impl Broker {
    /// Sets the alarm by the health of the store, now and whenever it changes.
    pub fn watch_store(self: &Arc<Self>) {
        let Some(store) = &self.store else { return };
        let broker = Arc::downgrade(self);
        store.watch_health(Box::new(move |_| {
            if let Some(broker) = broker.upgrade() {
                broker.on_health();
            }
        }));
        self.on_health();
    }

    /// Brings the alarm up to date. Two threads may report at once, so each looks for itself.
    fn on_health(&self) {
        let Some(store) = &self.store else { return };
        let change = self.alarm.changing();
        match store.health() {
            Health::Well => self.alarm.end(Shortage::Store, &self.registry, &change),
            Health::Full | Health::Failed => self.alarm.raise(Shortage::Store, &change),
        }
    }

    /// Makes publishers pause from now on.
    pub fn raise_alarm(&self, shortage: Shortage) {
        self.alarm.raise(shortage, &self.alarm.changing());
    }

    /// Tells every connection that publishers may go on, when nothing else is short.
    pub fn end_alarm(&self, shortage: Shortage) {
        self.alarm.end(shortage, &self.registry, &self.alarm.changing());
    }
}
