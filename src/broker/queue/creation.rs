//! Makes a queue.

use std::sync::Arc;

use super::backlog::Backlog;
use super::backlog::pages::Pages;
use super::backlog::priorities::PriorityRule;
use super::consumers::Consumers;
use super::kind::Kind;
use super::limits::boxed;
use super::settings::Settings;
use super::state::{Queue, Shared, State};
use crate::broker::arguments::Limits;
use crate::broker::delivery_count::CountHeaders;
use crate::broker::time::Millis;
use crate::lock::Mutex;

impl Queue {
    pub fn new(settings: Settings, shared: impl Into<Arc<Shared>>, now: Millis) -> Arc<Self> {
        let shared = shared.into();
        let Settings { name, vhost, .. } = &settings;
        let pages = Pages::new(Arc::clone(&shared.spill), name.clone(), vhost.clone());
        let limits = Limits::merge(&settings.wanted, None, None);
        let limits = boxed(limits);
        let is_holder = settings.holds_for().is_some();
        let kind = Kind::new(settings.kind, is_holder, &pages);
        let backlog = Backlog::new(pages);
        let consumers = Consumers::of(&settings.wanted);
        let state = State { kind, backlog, limits, consumers, used_at: now, ..State::default() };
        let queue = Arc::new_cyclic(|this| Self {
            settings,
            this: this.clone(),
            shared,
            state: Mutex::new(state),
        });
        queue.follow_release();
        queue.arm(&mut queue.lock());
        queue
    }

    /// Follows the release that was chosen, in how returns are told and how priorities count. Called before the queue
    /// is used.
    pub(in crate::broker) fn follow_release(&self) {
        let (wanted, compat) = (&self.settings.wanted, self.shared.compat.get());
        let mut state = self.lock();
        let count_headers = CountHeaders::of(wanted.kind, compat);
        state.backlog.follow(count_headers, PriorityRule::of(wanted, compat));
        state.refresh_fast_path();
    }
}
