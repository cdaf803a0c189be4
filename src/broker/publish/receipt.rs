//! The wait for the outcome of one publish, for those who have no channel to hear of it.

use std::sync::Arc;
use std::task::{self, Poll};

use super::request::Published;
use crate::broker::vhost::Vhost;
use crate::store::Outcome;

/// The outcome of a message whose publisher waits for the answer.
#[derive(Clone, Debug)]
pub struct Receipt {
    published: Published,
    vhost: Arc<Vhost>,
}

impl Receipt {
    pub fn new(published: Published, vhost: Arc<Vhost>) -> Self {
        vhost.wake_store();
        Self { published, vhost }
    }

    /// Answers whether some queue is bound for the message.
    pub fn is_routed(&self) -> bool {
        self.published != Published::Nowhere
    }

    /// The outcome, once it is known: a message that is to be on disk is there.
    pub fn poll(&self, cx: &task::Context<'_>) -> Poll<Published> {
        let Published::OnDisk(batch) = self.published else { return Poll::Ready(self.published) };
        let Some(store) = self.vhost.shared().store() else { return Poll::Ready(self.published) };
        match store.outcome(batch) {
            Outcome::Waiting => {
                store.wake_after(batch, cx.waker());
                Poll::Pending
            }
            Outcome::Synced => Poll::Ready(self.published),
            Outcome::Failed => Poll::Ready(Published::NotKept),
        }
    }
}
