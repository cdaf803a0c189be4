//! The unacknowledged deliveries of a queue, which its connections alone know.
//!
//! An [`UnackedSurvey`] asks each of them by an [`UnackedInquiry`] in its mailbox. It is done when each has answered or
//! is gone. A connection answers also while its client reads nothing.

use std::sync::{Arc, MutexGuard};
use std::task::{self, Poll, Waker};

use super::message::Message;
use super::time::Millis;
use crate::lock::Mutex;
use crate::wire::ShortStr;

/// Tells queues apart, also two of one name of which one is deleted, for as long as both are in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueKey(usize);

impl QueueKey {
    pub fn of<Q>(queue: &Arc<Q>) -> Self {
        Self(Arc::as_ptr(queue).addr())
    }
}

/// A delivery that is not settled.
#[derive(Clone, Debug)]
pub struct UnackedDelivery {
    /// The name of its connection.
    pub connection: Arc<str>,
    pub channel: u16,
    /// `None` for `basic.get`.
    pub consumer_tag: Option<ShortStr>,
    /// `None` while it waits to be sent.
    pub sent: Option<SentDelivery>,
    pub redelivered: bool,
    /// Bytes of the message's body.
    pub body_len: u32,
    /// The message, if it is in memory.
    pub message: Option<Message>,
}

/// The part of a delivery that it has once it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentDelivery {
    pub tag: u64,
    pub at: Millis,
    /// Its client has settled it in a transaction that is not committed yet.
    pub is_uncommitted: bool,
}

#[derive(Debug, Default)]
struct SurveyAnswers {
    deliveries: Vec<UnackedDelivery>,
    /// Connections that have not answered.
    missing: usize,
    asker: Option<Waker>,
}

/// The question for the unacknowledged deliveries of a queue, and the answers to it.
#[derive(Clone, Debug, Default)]
pub struct UnackedSurvey {
    answers: Arc<Mutex<SurveyAnswers>>,
}

impl UnackedSurvey {
    fn lock(&self) -> MutexGuard<'_, SurveyAnswers> {
        self.answers.lock()
    }

    /// Makes the question for one connection.
    pub(super) fn inquire(&self, queue: QueueKey) -> UnackedInquiry {
        self.lock().missing += 1;
        UnackedInquiry { queue, survey: self.clone() }
    }

    /// The deliveries, once each connection has answered or is gone; the oldest first, and those last that are not sent.
    pub fn poll(&self, cx: &task::Context<'_>) -> Poll<Vec<UnackedDelivery>> {
        let mut answers = self.lock();
        if answers.missing > 0 {
            answers.asker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut deliveries = std::mem::take(&mut answers.deliveries);
        drop(answers);
        deliveries.sort_by_key(|delivery| {
            delivery.sent.map_or((Millis::MAX, u64::MAX), |sent| (sent.at, sent.tag))
        });
        Poll::Ready(deliveries)
    }
}

/// The question to one connection. It counts as answered when it is dropped.
#[derive(Debug)]
pub struct UnackedInquiry {
    pub queue: QueueKey,
    survey: UnackedSurvey,
}

impl UnackedInquiry {
    /// Adds deliveries of the connection to the answer.
    pub fn answer(&self, deliveries: impl IntoIterator<Item = UnackedDelivery>) {
        self.survey.lock().deliveries.extend(deliveries);
    }
}

impl Drop for UnackedInquiry {
    fn drop(&mut self) {
        let mut answers = self.survey.lock();
        answers.missing -= 1;
        if answers.missing == 0
            && let Some(asker) = answers.asker.take()
        {
            drop(answers);
            asker.wake();
        }
    }
}
