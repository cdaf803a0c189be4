//! `x-recent-history`: a fanout exchange that gives its last messages to each new binding.
//!
//! The messages are in memory, and lost when the broker stops, as the plugin's are.

use std::collections::VecDeque;
use std::sync::Arc;

use super::binding::DestinationName;
use super::targets::{Destination, Targets};
use crate::broker::message::Message;
use crate::broker::policies::term;
use crate::lock::Mutex;
use crate::wire::raw::RawProperties;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode};

/// The number of messages kept when the exchange does not say.
const LENGTH_DEFAULT: usize = 20;
const LENGTH: &str = "x-recent-history-length";
/// A message with this header, true, is not kept.
const NO_STORE: &str = "x-recent-history-no-store";

/// The last messages of an exchange.
#[derive(Debug)]
pub struct History {
    length: usize,
    messages: Mutex<VecDeque<Message>>,
}

fn length(arguments: &FieldTable) -> Result<usize, Fault> {
    let Some(value) = arguments.get(LENGTH) else { return Ok(LENGTH_DEFAULT) };
    let given = value.as_integer().filter(|length| *length > 0);
    given.and_then(|length| usize::try_from(length).ok()).ok_or_else(|| {
        let shown = term(value);
        let text = format!("Invalid argument {shown}, '{LENGTH}' must be a positive integer");
        Fault::new(ReplyCode::PreconditionFailed, text)
    })
}

/// Checks the arguments of such an exchange.
///
/// # Errors
///
/// `PRECONDITION_FAILED` in the plugin's words for a length that is no positive integer.
pub(super) fn check(arguments: &FieldTable) -> Result<(), Fault> {
    length(arguments).map(drop)
}

/// The destinations and the last messages.
#[derive(Debug)]
pub(super) struct RecentHistory {
    targets: Targets,
    history: Arc<History>,
}

impl RecentHistory {
    pub(super) fn new(arguments: &FieldTable) -> Self {
        Self { targets: Targets::default(), history: Arc::new(History::new(arguments)) }
    }

    pub(super) fn bind(&mut self, destination: &Destination) {
        self.targets.add(destination);
    }

    pub(super) fn unbind(&mut self, destination: &DestinationName) {
        self.targets.remove(destination);
    }

    #[inline]
    pub(super) fn matches<'a>(&'a self, into: &mut Vec<&'a Destination>) {
        self.targets.collect(into);
    }

    pub(super) fn history(&self) -> &Arc<History> {
        &self.history
    }
}

impl History {
    fn new(arguments: &FieldTable) -> Self {
        let length = length(arguments).unwrap_or(LENGTH_DEFAULT);
        Self { length, messages: Mutex::default() }
    }

    /// Remembers a message that went through the exchange.
    pub fn add(&self, message: &Message) {
        let headers = RawProperties::split(message.properties()).headers();
        if headers.get(NO_STORE) == Some(FieldValue::Bool(true)) {
            return;
        }
        let mut messages = self.messages.lock();
        messages.push_back(message.clone());
        if messages.len() > self.length {
            messages.pop_front();
        }
    }

    /// Returns the remembered messages, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        let messages = self.messages.lock();
        messages.iter().cloned().collect()
    }
}
