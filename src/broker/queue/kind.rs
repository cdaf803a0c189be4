//! The kind of a queue, which owns what only queues of that kind have.

use super::backlog::pages::Pages;
use super::delayed::Delayed;
use super::quorum::Quorum;
use super::stream::Stream;
use crate::broker::arguments::QueueKind;

/// The state that only queues of one kind have, beside the backlog and the consumers that all have.
///
/// The places of a message; it is in exactly one of them:
///
/// ```text
///                push               deal, get               settle (ack)
///   publisher --------> backlog ----------------> unacked ---------------> gone
///                        |   ^                     |   |
///                        |   |  put_back, requeue  |   |  reject
///                        |   '---------------------'   |
///                        |   '---- delayed_retry <-----| (quorum)
///                        | expire, trim                |
///                        '------> dead letters <-------'
///                        | purge
///                        '------> gone
///
///   publisher --hold--> Delayed --due--> dead letters (to the delayed exchange)
///   publisher --------> Stream: a message stays there until it is too old
/// ```
#[derive(Debug, Default)]
pub(super) enum Kind {
    #[default]
    Classic,
    /// Counts how often messages come back, and may have them wait before they are ready again.
    Quorum(Quorum),
    /// Keeps its messages itself, and has no backlog.
    Stream(Box<Stream>),
    /// Holds the messages of a delayed exchange until they are due.
    Delayed(Box<Delayed>),
}

impl Kind {
    /// Makes the kind that a queue was declared with; `is_holder` if it holds the messages of a delayed exchange.
    pub(super) fn new(wanted: QueueKind, is_holder: bool, pages: &Pages) -> Self {
        match wanted {
            QueueKind::Stream => Self::Stream(Box::new(Stream::new(pages.clone()))),
            QueueKind::Quorum => Self::Quorum(Quorum::default()),
            QueueKind::Classic if is_holder => Self::Delayed(Box::default()),
            QueueKind::Classic => Self::Classic,
        }
    }

    /// Answers if publishes go to the backlog and nothing else.
    pub(super) fn takes_publishes_plainly(&self) -> bool {
        match self {
            Self::Classic | Self::Quorum(_) => true,
            Self::Stream(_) | Self::Delayed(_) => false,
        }
    }

    #[inline]
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    #[inline]
    pub(super) fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Stream(stream) => Some(stream),
            Self::Classic | Self::Quorum(_) | Self::Delayed(_) => None,
        }
    }

    #[inline]
    pub(super) fn stream_mut(&mut self) -> Option<&mut Stream> {
        match self {
            Self::Stream(stream) => Some(stream),
            Self::Classic | Self::Quorum(_) | Self::Delayed(_) => None,
        }
    }

    pub(super) fn quorum(&self) -> Option<&Quorum> {
        match self {
            Self::Quorum(quorum) => Some(quorum),
            Self::Classic | Self::Stream(_) | Self::Delayed(_) => None,
        }
    }

    pub(super) fn quorum_mut(&mut self) -> Option<&mut Quorum> {
        match self {
            Self::Quorum(quorum) => Some(quorum),
            Self::Classic | Self::Stream(_) | Self::Delayed(_) => None,
        }
    }

    pub(super) fn delayed(&self) -> Option<&Delayed> {
        match self {
            Self::Delayed(delayed) => Some(delayed),
            Self::Classic | Self::Quorum(_) | Self::Stream(_) => None,
        }
    }

    pub(super) fn delayed_mut(&mut self) -> Option<&mut Delayed> {
        match self {
            Self::Delayed(delayed) => Some(delayed),
            Self::Classic | Self::Quorum(_) | Self::Stream(_) => None,
        }
    }
}
