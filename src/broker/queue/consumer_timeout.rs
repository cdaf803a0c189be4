//! The consumer timeout of a queue: the time for which a client may leave a delivery unacknowledged.
//!
//! RabbitMQ 3.10 has one timeout for a node. Later releases also have one for the queue, the smaller of its argument's
//! and its policy's, which takes precedence over the node's. 4.3 asks the consumer first, then the argument, the policy
//! and the node, and does so only for quorum queues; the default of `mq` does that for quorum queues, too.

use super::state::{Queue, State};
use crate::broker::compat::CompatRelease;
use crate::broker::mailbox::Post;
use crate::broker::time::Millis;

/// The consumer timeouts that are set elsewhere than on the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerTimeout {
    /// `x-consumer-timeout` of the consumer.
    pub consumer_ms: Option<Millis>,
    /// `consumer_timeout` of the node.
    pub node_ms: Option<Millis>,
}

impl Queue {
    /// Returns the time for which a delivery of this queue may stay unacknowledged, or `None` if there is no limit.
    pub fn consumer_timeout(&self, said: ConsumerTimeout) -> Option<Millis> {
        let ConsumerTimeout { consumer_ms, node_ms } = said;
        match self.shared.compat.get().release() {
            CompatRelease::V3_10 => node_ms,
            CompatRelease::V4_3 if !self.is_quorum() => None,
            CompatRelease::V4 if !self.is_quorum() => self.lock().consumer_timeout().or(node_ms),
            CompatRelease::V4 | CompatRelease::V4_3 => consumer_ms
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

    /// Makes the connections of all consumers look up their consumer timeout again.
    pub(super) fn tell_consumer_timeout(&self) {
        for consumer in self.consumers.iter() {
            let told = consumer.subscription();
            told.mailbox.post(Post::TimeLimited { slot: told.slot });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::arguments::{Limits, QueueArguments, QueueKind};
    use crate::broker::compat::Compat;
    use crate::broker::queue::settings::Settings;
    use crate::broker::queue::state::Shared;
    use crate::wire::FieldTable;
    use crate::wire::shortstr::literal;

    fn timeout(
        compat: Compat,
        kind: QueueKind,
        policy_ms: Option<u64>,
        said: ConsumerTimeout,
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
            declared_by: None,
            arguments: FieldTable::new(),
            kind: wanted.kind,
            wanted: wanted.shared(),
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
        let node = ConsumerTimeout { consumer_ms: None, node_ms: Some(30) };
        let both = ConsumerTimeout { consumer_ms: Some(40), ..node };
        #[rustfmt::skip]
        let cases = [
            // release,      type,    policy,   said, limited to
            (Compat::V3_10, Classic, None,     both, Some(30)),
            (Compat::V4,    Classic, None,     both, Some(20)),
            (Compat::V4,    Quorum,  Some(10), both, Some(40)),
            (Compat::V4,    Quorum,  Some(10), node, Some(20)),
            (Compat::V4,    Classic, Some(10), both, Some(10)),
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
