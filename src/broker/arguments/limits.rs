//! What applies to a queue at run time: its arguments, and what policies say beside them.
//!
//! [`Limits::merge`] is RabbitMQ's rule for who wins. A queue holds its [`Limits`] under its lock, so that a policy
//! changes them at once; what it was declared with stays in its settings.

use super::queue::{DeadLetterStrategy, Overflow, QueueArguments, QueueKind};
use super::retry::{DelayedRetry, RetrySaid};
use crate::wire::ShortStr;

/// What a policy or an operator policy says about queues; `None` is what it does not speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyLimits {
    /// `message-ttl`
    pub message_ttl_ms: Option<u64>,
    /// `expires`
    pub expires_ms: Option<u64>,
    /// `max-length`
    pub max_length: Option<u64>,
    /// `max-length-bytes`
    pub max_length_bytes: Option<u64>,
    /// `overflow`
    pub overflow: Option<Overflow>,
    /// `dead-letter-exchange`
    pub dead_letter_exchange: Option<ShortStr>,
    /// `dead-letter-routing-key`
    pub dead_letter_routing_key: Option<ShortStr>,
    /// `dead-letter-strategy`
    pub dead_letter_strategy: Option<DeadLetterStrategy>,
    /// `delivery-limit`; below 0 for none.
    pub delivery_limit: Option<i64>,
    /// `delayed-retry-type`, `-min`, `-max`
    pub delayed_retry: RetrySaid,
    /// `consumer-timeout`
    pub consumer_timeout_ms: Option<u64>,
    /// `max-age`
    pub max_age_ms: Option<u64>,
    /// `stream-max-segment-size-bytes`
    pub segment_max_bytes: Option<u64>,
}

/// Where a queue's dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterTo {
    pub exchange: ShortStr,
    /// In place of the keys a message was published with.
    pub routing_key: Option<ShortStr>,
}

/// What applies to a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub message_ttl_ms: Option<u64>,
    pub expires_ms: Option<u64>,
    /// Messages that may wait.
    pub max_length: Option<u64>,
    /// Bytes of bodies that may wait.
    pub max_length_bytes: Option<u64>,
    pub overflow: Overflow,
    pub dead_letter: Option<DeadLetterTo>,
    pub dead_letter_strategy: Option<DeadLetterStrategy>,
    /// Below 0 for none; not said: what the type of the queue begins with.
    pub delivery_limit: Option<i64>,
    pub delayed_retry: Option<DelayedRetry>,
    pub consumer_timeout_ms: Option<u64>,
    pub max_age_ms: Option<u64>,
    pub segment_max_bytes: Option<u64>,
}

/// The smaller of what was said.
fn least(said: [Option<u64>; 3]) -> Option<u64> {
    said.into_iter().flatten().min()
}

/// The largest where one of them means "none", else the smallest (RabbitMQ: `rabbit_quorum_queue`).
fn delivery_limit(said: [Option<i64>; 3]) -> Option<i64> {
    let said = said.into_iter().flatten();
    said.reduce(|one, other| if one < 0 || other < 0 { one.max(other) } else { one.min(other) })
}

impl Limits {
    /// What applies to a queue with these arguments under these policies.
    ///
    /// Of numbers the smallest; else an operator's policy goes before a user's, and an argument before both (RabbitMQ:
    /// `rabbit_policies:merge_policy_value`, `rabbit_amqqueue_process:process_args_policy`).
    pub fn merge(
        arguments: &QueueArguments,
        policy: Option<&PolicyLimits>,
        operator: Option<&PolicyLimits>,
    ) -> Self {
        let none = PolicyLimits::default();
        let (user, operator) = (policy.unwrap_or(&none), operator.unwrap_or(&none));
        let name = |argument: &Option<ShortStr>, operator: &Option<ShortStr>, user| {
            argument.clone().or_else(|| operator.clone()).or_else(|| Option::clone(user))
        };
        let exchange = name(
            &arguments.dead_letter_exchange,
            &operator.dead_letter_exchange,
            &user.dead_letter_exchange,
        );
        let routing_key = name(
            &arguments.dead_letter_routing_key,
            &operator.dead_letter_routing_key,
            &user.dead_letter_routing_key,
        );
        let number = |of: fn(&PolicyLimits) -> Option<u64>, argument: Option<u64>| {
            least([argument, of(user), of(operator)])
        };
        let overflow = arguments.overflow.or(operator.overflow).or(user.overflow);
        // Quorum queues do not dead-letter what they refuse; RabbitMQ warns, and drops from their heads.
        let overflow = overflow.filter(|&overflow| {
            arguments.kind != QueueKind::Quorum || overflow != Overflow::RejectPublishDlx
        });
        Self {
            message_ttl_ms: number(|said| said.message_ttl_ms, arguments.message_ttl_ms),
            expires_ms: number(|said| said.expires_ms, arguments.expires_ms),
            max_length: number(|said| said.max_length, arguments.max_length),
            max_length_bytes: number(|said| said.max_length_bytes, arguments.max_length_bytes),
            overflow: overflow.unwrap_or_default(),
            dead_letter: exchange.map(|exchange| DeadLetterTo { exchange, routing_key }),
            dead_letter_strategy: arguments
                .dead_letter_strategy
                .or(operator.dead_letter_strategy)
                .or(user.dead_letter_strategy),
            delivery_limit: delivery_limit([
                arguments.delivery_limit,
                user.delivery_limit,
                operator.delivery_limit,
            ]),
            delayed_retry: DelayedRetry::merge([
                arguments.delayed_retry,
                operator.delayed_retry,
                user.delayed_retry,
            ]),
            consumer_timeout_ms: number(
                |said| said.consumer_timeout_ms,
                arguments.consumer_timeout_ms,
            ),
            max_age_ms: number(|said| said.max_age_ms, arguments.max_age_ms),
            segment_max_bytes: arguments
                .segment_max_bytes
                .or(operator.segment_max_bytes)
                .or(user.segment_max_bytes),
        }
    }

    /// Whether there is anything beside messages' own times to live that a publish must look at.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a publish may be refused.
    pub fn may_reject(&self) -> bool {
        self.overflow.rejects() && (self.max_length.is_some() || self.max_length_bytes.is_some())
    }

    /// Whether so many waiting messages of so many bytes are too many.
    pub fn is_exceeded_by(&self, len: u64, bytes: u64) -> bool {
        self.max_length.is_some_and(|max| len > max)
            || self.max_length_bytes.is_some_and(|max| bytes > max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shortstr::literal;

    #[test]
    fn of_numbers_the_smallest_counts() {
        #[rustfmt::skip]
        let cases = [
            // argument, policy,   operator, applies
            (None,       None,     None,     None),
            (Some(5),    None,     None,     Some(5)),
            (Some(5),    Some(3),  None,     Some(3)),
            (Some(2),    Some(3),  None,     Some(2)),
            (None,       Some(3),  Some(7),  Some(3)),
            (Some(9),    Some(8),  Some(7),  Some(7)),
        ];
        for (argument, user, operator, applies) in cases {
            let arguments = QueueArguments {
                message_ttl_ms: argument,
                max_length: argument,
                expires_ms: argument,
                ..QueueArguments::default()
            };
            let policy = |value| PolicyLimits {
                message_ttl_ms: value,
                max_length: value,
                expires_ms: value,
                ..PolicyLimits::default()
            };
            let merged = Limits::merge(&arguments, Some(&policy(user)), Some(&policy(operator)));
            assert_eq!(merged.message_ttl_ms, applies);
            assert_eq!((merged.max_length, merged.expires_ms), (applies, applies));
        }
    }

    #[test]
    fn a_delivery_limit_below_0_is_none() {
        #[rustfmt::skip]
        let cases = [
            (None,     None,     None),
            (Some(5),  Some(3),  Some(3)),
            (Some(-1), Some(3),  Some(3)),
            (Some(-1), None,     Some(-1)),
            (Some(7),  Some(-1), Some(7)),
        ];
        for (argument, user, applies) in cases {
            let arguments =
                QueueArguments { delivery_limit: argument, ..QueueArguments::default() };
            let policy = PolicyLimits { delivery_limit: user, ..PolicyLimits::default() };
            assert_eq!(Limits::merge(&arguments, Some(&policy), None).delivery_limit, applies);
        }
    }

    #[test]
    fn an_argument_goes_before_an_operator_and_he_before_a_user() {
        let exchange = |name| PolicyLimits {
            dead_letter_exchange: Some(literal(name)),
            ..PolicyLimits::default()
        };
        let mut arguments = QueueArguments::default();
        let user = PolicyLimits {
            overflow: Some(Overflow::RejectPublish),
            dead_letter_routing_key: Some(literal("key")),
            ..exchange("user")
        };
        let operator = PolicyLimits { overflow: Some(Overflow::DropHead), ..exchange("operator") };
        let merged = Limits::merge(&arguments, Some(&user), Some(&operator));
        assert_eq!(merged.overflow, Overflow::DropHead);
        let to = merged.dead_letter.unwrap();
        assert_eq!((to.exchange, to.routing_key), (literal("operator"), Some(literal("key"))));
        arguments.overflow = Some(Overflow::RejectPublishDlx);
        arguments.dead_letter_exchange = Some(literal("argument"));
        let merged = Limits::merge(&arguments, Some(&user), Some(&operator));
        assert_eq!(merged.overflow, Overflow::RejectPublishDlx);
        assert_eq!(merged.dead_letter.unwrap().exchange, "argument");
        arguments.kind = QueueKind::Quorum;
        let merged = Limits::merge(&arguments, Some(&user), Some(&operator));
        assert_eq!(merged.overflow, Overflow::DropHead);
    }

    #[test]
    fn nothing_said_is_nothing_to_look_at() {
        assert!(Limits::merge(&QueueArguments::default(), None, None).is_none());
        let full = Limits { max_length: Some(2), ..Limits::default() };
        assert!(!full.is_none() && !full.may_reject());
        assert!(!full.is_exceeded_by(2, 1_000) && full.is_exceeded_by(3, 0));
        let bytes = Limits { max_length_bytes: Some(10), ..Limits::default() };
        assert!(!bytes.is_exceeded_by(9, 10) && bytes.is_exceeded_by(1, 11));
        let rejects = Limits { overflow: Overflow::RejectPublish, ..full };
        assert!(rejects.may_reject());
    }
}
