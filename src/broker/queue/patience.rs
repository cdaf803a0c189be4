//! How long a client may keep a delivery of a queue to itself, by whoever has a say in it.
//!
//! RabbitMQ 3.10 has one time for a node. Later releases have one of the queue as well, the smaller of its argument's and
//! its policy's, which goes before the node's. 4.3 asks the consumer first, then the argument, the policy, the node, and
//! only does so for quorum queues.

use super::{Millis, Queue, State};
use crate::broker::compat::Compat;
use crate::broker::mailbox::Post;

/// What is said beside the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// `x-consumer-timeout` of the consumer.
    pub consumer_ms: Option<Millis>,
    /// `consumer_timeout` of the node.
    pub node_ms: Option<Millis>,
}

impl Queue {
    /// How long a delivery of this queue may stay unacknowledged, when that is limited.
    pub fn consumer_timeout(&self, said: Patience) -> Option<Millis> {
        let Patience { consumer_ms, node_ms } = said;
        match self.shared.compat.get() {
            Compat::V3_10 => node_ms,
            Compat::V4 => self.lock().consumer_timeout().or(node_ms),
            Compat::V4_3 if !self.is_quorum() => None,
            Compat::V4_3 => consumer_ms
                .or(self.settings.wanted.consumer_timeout_ms)
                .or_else(|| self.lock().consumer_timeout())
                .or(node_ms),
        }
    }
}

impl State {
    pub(super) fn consumer_timeout(&self) -> Option<Millis> {
        self.limits.as_deref()?.consumer_timeout_ms
    }

    /// Has the connections of all consumers look at the time that they have now.
    pub(super) fn tell_consumer_timeout(&self) {
        for consumer in self.consumers.iter() {
            let told = &consumer.subscription;
            told.mailbox.post(Post::TimeLimited { slot: told.slot });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::arguments::{Limits, QueueArguments, QueueKind};
    use crate::broker::queue::{Settings, Shared};
    use crate::wire::FieldTable;
    use crate::wire::shortstr::literal;

    fn timeout(
        compat: Compat,
        kind: QueueKind,
        policy_ms: Option<u64>,
        said: Patience,
    ) -> Option<u64> {
        let wanted =
            QueueArguments { kind, consumer_timeout_ms: Some(20), ..QueueArguments::default() };
        let settings = Settings {
            id: None,
            name: literal("q"),
            vhost: literal("/"),
            is_durable: true,
            is_auto_delete: false,
            exclusive_owner: None,
            arguments: FieldTable::new(),
            wanted,
        };
        let shared = Shared::default();
        shared.compat.choose(compat);
        let queue = Queue::new(settings, shared, 0);
        let least = policy_ms.map_or(20, |policy_ms| policy_ms.min(20));
        queue.set_limits(Limits { consumer_timeout_ms: Some(least), ..Limits::default() }, 0);
        queue.consumer_timeout(said)
    }

    #[test]
    fn each_release_asks_others() {
        use QueueKind::{Classic, Quorum};
        let node = Patience { consumer_ms: None, node_ms: Some(30) };
        let both = Patience { consumer_ms: Some(40), ..node };
        #[rustfmt::skip]
        let cases = [
            // release,      type,    policy,   said, limited to
            (Compat::V3_10, Classic, None,     both, Some(30)),
            (Compat::V4,    Classic, None,     both, Some(20)),
            (Compat::V4,    Quorum,  Some(10), both, Some(10)),
            (Compat::V4_3,  Classic, Some(10), both, None),
            (Compat::V4_3,  Quorum,  Some(10), both, Some(40)),
            (Compat::V4_3,  Quorum,  Some(10), node, Some(20)), // the argument before the policy
        ];
        for (compat, kind, policy_ms, said, limited) in cases {
            let told = timeout(compat, kind, policy_ms, said);
            assert_eq!(told, limited, "{compat:?} {kind:?} {policy_ms:?} {said:?}");
        }
    }
}
