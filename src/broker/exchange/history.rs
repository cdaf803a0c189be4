//! `x-recent-history`: a fanout exchange that gives what is bound to it newly its last messages.
//!
//! The messages are in memory; they go with the broker, as the plugin's do.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Details;
use crate::broker::message::Message;
use crate::broker::policies::term;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode};

/// How many messages are kept when the exchange does not say.
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
pub(super) fn check(arguments: &FieldTable) -> Result<(), Fault> {
    length(arguments).map(drop)
}

impl History {
    pub(super) fn new(arguments: &FieldTable) -> Self {
        let length = length(arguments).unwrap_or(LENGTH_DEFAULT);
        Self { length, messages: Mutex::default() }
    }

    /// Remembers a message that went through the exchange.
    pub fn add(&self, message: &Message) {
        let is_kept = Details::read(message.properties())
            .is_ok_and(|found| found.headers.get(NO_STORE) != Some(&FieldValue::Bool(true)));
        if !is_kept {
            return;
        }
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push_back(message.clone());
        if messages.len() > self.length {
            messages.pop_front();
        }
    }

    /// What is remembered, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().cloned().collect()
    }
}
