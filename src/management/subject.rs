//! The objects that have numbers with rates and samples.

use super::ranges::RangeKind;
use crate::broker::registry::ConnectionId;
use crate::wire::ShortStr;

/// The object that numbers belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Messages,
    Churn,
    Lengths,
    /// The resources that the node has in use.
    NodeUse,
    /// The work that the node has done.
    NodeWork,
    /// The mean times of the node's operations on files, in microseconds.
    NodeTimes,
    Vhost(ShortStr),
    VhostLengths(ShortStr),
    VhostOctets(ShortStr),
    /// Vhost and name.
    Exchange(ShortStr, ShortStr),
    Queue(ShortStr, ShortStr),
    QueueLengths(ShortStr, ShortStr),
    Connection(ConnectionId),
    Channel(ConnectionId, u16),
}

impl Subject {
    /// The parameters that ask for its samples.
    pub(super) fn range_kind(&self) -> RangeKind {
        match self {
            Self::Messages
            | Self::Churn
            | Self::Vhost(_)
            | Self::Exchange(..)
            | Self::Queue(..)
            | Self::Channel(..) => RangeKind::MessageRates,
            Self::Lengths | Self::VhostLengths(_) | Self::QueueLengths(..) => RangeKind::Lengths,
            Self::VhostOctets(_) | Self::Connection(_) => RangeKind::DataRates,
            Self::NodeUse | Self::NodeWork | Self::NodeTimes => RangeKind::NodeStats,
        }
    }

    /// Answers if it stands for many objects, or for the node.
    pub(super) fn is_sum(&self) -> bool {
        match self {
            Self::Messages
            | Self::Churn
            | Self::Lengths
            | Self::NodeUse
            | Self::NodeWork
            | Self::NodeTimes
            | Self::Vhost(_)
            | Self::VhostLengths(_)
            | Self::VhostOctets(_) => true,
            Self::Exchange(..)
            | Self::Queue(..)
            | Self::QueueLengths(..)
            | Self::Connection(_)
            | Self::Channel(..) => false,
        }
    }
}
