//! All queue arguments, a row each, and the settings that their values make.
//!
//! A row says everything that is known of an argument but how it is obeyed: its name, the queues and values that are
//! accepted in each release, its key in policies, the merging of policies, its effect, and its option of `mq
//! declare-queue`. To add one, write its row; if the broker reads its value, add a field to [`QueueArguments`] and, if
//! policies may change it, to [`Limits`].
//!
//! The order of the rows is the order of RabbitMQ's checks (`rabbit_amqqueue`, `declare_args`).

use std::sync::{Arc, LazyLock};

use super::checks::{
    anything, boolean, dead_letter_key, expires, locator, max_age, mode, name, not_negative,
    overflow, positive, priority, strategy, time, version, version_2,
};
use super::kind::QueueKind;
use super::policy_key::{
    PolicyKey, Releases, is_above_0, is_age, is_any_locator, is_count, is_filter_size, is_integer,
    is_locator, is_master, is_mode, is_overflow, is_retry, is_segment_size, is_strategy, is_text,
    is_version,
};
use super::retry::{DelayedRetry, RetrySaid};
use super::row::{ArgumentRow, Flag, FlagValue, Merge};
use super::values::{DeadLetterStrategy, Overflow, RetryKind, max_age_ms};
use crate::wire::{FieldTable, FieldValue, ShortStr};

const C: &[QueueKind] = &[QueueKind::Classic];
const Q: &[QueueKind] = &[QueueKind::Quorum];
const S: &[QueueKind] = &[QueueKind::Stream];
const CQ: &[QueueKind] = &[QueueKind::Classic, QueueKind::Quorum];
const QS: &[QueueKind] = &[QueueKind::Quorum, QueueKind::Stream];
const ALL: &[QueueKind] = &[QueueKind::Classic, QueueKind::Quorum, QueueKind::Stream];

const ONE_LEADER: &str = "one node leads every queue";
pub(in crate::broker) const ONE_MEMBER: &str = "the one node is the only member";
const ONE_STORE: &str = "there is one way to store a queue";
const OWN_MEMORY: &str = "every queue keeps its front in memory and the rest on disk";
const ALL_MEMORY: &str = "memory is limited for all queues together; RabbitMQ 4 ignores it as well";
const NO_BLOOM: &str = "a filter is applied to each message, so there is no filter data";
const NO_PARTITION: &str = "it concerns consumers of an unreachable node, and there is one node";

const fn key(
    name: &'static str,
    noun: &'static str,
    is_valid: fn(&FieldValue) -> bool,
) -> PolicyKey {
    PolicyKey::new(name, noun, is_valid)
}

fn number(value: &FieldValue) -> Option<u64> {
    u64::try_from(value.as_integer()?).ok()
}

fn short(value: &FieldValue) -> Option<ShortStr> {
    ShortStr::try_from(value.as_str()?).ok()
}

/// A queue argument.
pub type QueueArgument = ArgumentRow<QueueArguments>;

/// All of them.
#[rustfmt::skip]
pub(super) const ROWS: &[QueueArgument] = &[
    QueueArgument::new("x-expires", CQ, expires, |to, value| to.expires_ms = number(value))
        .keys(&[key("expires", "queue expiry", is_above_0).of_all()]).merged(Merge::Smaller)
        .flag(Flag::new(2, "expires", FlagValue::Duration, "DURATION", "Delete the queue if it is unused for this long, for example 30m")),
    QueueArgument::new("x-message-ttl", CQ, time, |to, value| to.message_ttl_ms = number(value))
        .keys(&[key("message-ttl", "message TTL", is_count).of_all()]).merged(Merge::Smaller)
        .flag(Flag::new(1, "ttl", FlagValue::Duration, "DURATION", "Drop or dead-letter messages that have waited this long, for example 30s")),
    QueueArgument::new("x-dead-letter-exchange", CQ, name, |to, value| to.dead_letter_exchange = short(value))
        .keys(&[key("dead-letter-exchange", "dead letter exchange name", is_text)])
        .flag(Flag::new(6, "dead-letter-exchange", FlagValue::Name, "EXCHANGE", "Send dropped and rejected messages to this exchange")),
    QueueArgument::new("x-dead-letter-routing-key", CQ, dead_letter_key, |to, value| to.dead_letter_routing_key = short(value))
        .keys(&[key("dead-letter-routing-key", "dead letter routing key", is_text)])
        .flag(Flag { default: Some("their own"), requires: Some("dead-letter-exchange"), ..Flag::new(7, "dead-letter-routing-key", FlagValue::Name, "KEY", "Dead-letter messages with this routing key") }),
    QueueArgument::new("x-dead-letter-strategy", Q, strategy, |to, value| to.dead_letter_strategy = value.as_str().and_then(DeadLetterStrategy::from_name))
        .keys(&[key("dead-letter-strategy", "dead letter strategy", is_strategy)])
        .flag(Flag { default: Some("at-most-once"), ..Flag::new(8, "dead-letter-strategy", FlagValue::Word(&["at-most-once", "at-least-once"]), "STRATEGY", "Dead-letter messages of a quorum queue with this guarantee") }),
    QueueArgument::new("x-max-length", CQ, not_negative, |to, value| to.max_length = number(value))
        .keys(&[key("max-length", "maximum length", is_count).of_all()]).merged(Merge::Smaller)
        .flag(Flag::new(3, "max-length", FlagValue::Count, "MESSAGES", "Keep at most this many messages")),
    QueueArgument::new("x-max-length-bytes", ALL, not_negative, |to, value| to.max_length_bytes = number(value))
        .keys(&[key("max-length-bytes", "maximum length in bytes", is_count).of_all()]).merged(Merge::Smaller)
        .flag(Flag::new(4, "max-length-bytes", FlagValue::Size, "SIZE", "Keep at most this many bytes of bodies, for example 64MiB")),
    QueueArgument::without_effect("x-max-in-memory-length", Q, not_negative, ALL_MEMORY)
        .keys(&[key("max-in-memory-length", "maximum memory in bytes", is_count).of_all()]).merged(Merge::Smaller),
    QueueArgument::without_effect("x-max-in-memory-bytes", Q, not_negative, ALL_MEMORY)
        .keys(&[key("max-in-memory-bytes", "maximum memory in bytes", is_count).of_all()]).merged(Merge::Smaller),
    QueueArgument::new("x-max-priority", C, priority, |to, value| to.max_priority = number(value).and_then(|number| u8::try_from(number).ok()))
        .flag(Flag::new(12, "max-priority", FlagValue::Byte { min: 0 }, "NUMBER", "Deliver messages by priority, 0 to this number")),
    QueueArgument::new("x-overflow", CQ, overflow, |to, value| to.overflow = value.as_str().and_then(Overflow::from_name))
        .keys(&[
            key("overflow", "overflow value", is_overflow).only_in(Releases::Only3),
            key("overflow", "overflow value", is_overflow).of_all().only_in(Releases::Since4),
        ])
        .flag(Flag { default: Some("drop-head"), ..Flag::new(5, "overflow", FlagValue::Word(&["drop-head", "reject-publish", "reject-publish-dlx"]), "RULE", "Drop the oldest message if the queue is full, or refuse new ones") }),
    // 4.0 has given up the modes of classic queues.
    QueueArgument::without_effect("x-queue-mode", C, anything, OWN_MEMORY).in_3_10(C, mode)
        .keys(&[key("queue-mode", "queue-mode value", is_mode)])
        .flag(Flag::new(15, "queue-mode", FlagValue::Word(&["default", "lazy"]), "MODE", "Set the mode of a classic queue; lazy keeps messages on disk rather than in memory")),
    // 4.3 has given up the first store of classic queues.
    QueueArgument::without_effect("x-queue-version", C, version, ONE_STORE).strictly(C, version_2)
        .keys(&[
            key("queue-version", "queue-version value", is_version).only_in(Releases::Only3),
            key("queue-version", "queue-version value", is_version).of_all().only_in(Releases::Since4),
        ])
        .flag(Flag::new(16, "queue-version", FlagValue::Byte { min: 0 }, "VERSION", "Set the version of a classic queue's storage, 1 or 2")),
    QueueArgument::new("x-single-active-consumer", CQ, boolean, |to, value| to.is_single_active_consumer = *value == FieldValue::Bool(true))
        .flag(Flag::new(13, "single-active-consumer", FlagValue::Switch, "", "Deliver to one consumer at a time; the others wait")),
    QueueArgument::new("x-queue-type", ALL, anything, |to, value| to.kind = value.as_str().and_then(QueueKind::from_name).unwrap_or_default())
        .flag(Flag { default: Some("the virtual host's default type"), ..Flag::new(11, "queue-type", FlagValue::Word(&["classic", "quorum", "stream"]), "TYPE", "Declare this type of queue") }),
    QueueArgument::without_effect("x-quorum-initial-group-size", Q, positive, ONE_MEMBER)
        .flag(Flag::new(18, "quorum-initial-group-size", FlagValue::Count, "NODES", "Replicate a new quorum queue on this many nodes")),
    QueueArgument::new("x-max-age", S, max_age, |to, value| to.max_age_ms = value.as_str().and_then(max_age_ms))
        .keys(&[key("max-age", "max age", is_age)])
        .flag(Flag::new(20, "max-age", FlagValue::Age, "AGE", "Keep a stream's messages this long, for example 7D or 12h")),
    QueueArgument::new("x-stream-max-segment-size-bytes", S, not_negative, |to, value| to.segment_max_bytes = number(value))
        .keys(&[key("stream-max-segment-size-bytes", "segment size", is_segment_size)])
        .flag(Flag { alias: Some("stream-max-segment-size-bytes"), ..Flag::new(21, "segment-size", FlagValue::Size, "SIZE", "Limit a stream's files to this size, for example 500MB; retention drops whole files") }),
    QueueArgument::without_effect("x-stream-filter-size-bytes", S, not_negative, NO_BLOOM).since_4()
        .keys(&[key("stream-filter-size-bytes", "filter size", is_filter_size).only_in(Releases::Since4)])
        .flag(Flag::new(22, "filter-size", FlagValue::Byte { min: 16 }, "BYTES", "Set the bytes of filter data per file of a stream, 16 to 255")),
    QueueArgument::without_effect("x-initial-cluster-size", S, positive, ONE_MEMBER)
        .keys(&[key("initial-cluster-size", "cluster size", is_count)])
        .flag(Flag::new(19, "initial-cluster-size", FlagValue::Count, "NODES", "Replicate a new stream on this many nodes")),
    QueueArgument::without_effect("x-queue-leader-locator", ALL, locator, ONE_LEADER).in_3_10(QS, locator)
        .keys(&[key("queue-leader-locator", "queue leader locator value", is_locator)])
        .flag(Flag::new(17, "leader-locator", FlagValue::Word(&["client-local", "balanced"]), "RULE", "Choose the node that leads the queue by this rule")),
    QueueArgument::without_effect("x-queue-master-locator", C, anything, ONE_LEADER)
        .keys(&[
            PolicyKey { says: "invalid", ..key("queue-master-locator", "queue-master-locator value", is_master) }.only_in(Releases::Only3),
            key("queue-master-locator", "master locator", is_any_locator).only_in(Releases::Since4),
        ]),
    QueueArgument::new("x-delivery-limit", Q, anything, |to, value| to.delivery_limit = value.as_integer())
        .keys(&[
            key("delivery-limit", "delivery limit", is_count).of_all().only_in(Releases::Only3),
            key("delivery-limit", "delivery limit", is_integer).of_all().only_in(Releases::Since4),
        ]).merged(Merge::SmallerLimit)
        .flag(Flag::new(9, "delivery-limit", FlagValue::CountOrNone, "TIMES", "Drop or dead-letter a message that was returned more often than this; -1 means no limit")),
    // 4.3 has given up the timeout of classic queues.
    QueueArgument::new("x-consumer-timeout", CQ, not_negative, |to, value| to.consumer_timeout_ms = number(value)).since_4().strictly(Q, not_negative)
        .keys(&[key("consumer-timeout", "consumer timeout", is_count).only_in(Releases::Since4)])
        .flag(Flag::new(10, "consumer-timeout", FlagValue::Duration, "DURATION", "Cancel a consumer or close its channel if it holds a message unacknowledged for longer than this")),
    QueueArgument::without_effect("x-consumer-disconnected-timeout", Q, not_negative, NO_PARTITION).since_4()
        .keys(&[key("consumer-disconnected-timeout", "consumer disconnected timeout", is_count).only_in(Releases::Since4)]),
    // RabbitMQ looks at these in policies only.
    QueueArgument::new("x-delayed-retry-type", Q, anything, |to, value| to.delayed_retry.kind = value.as_str().and_then(RetryKind::from_name)).since_4()
        .keys(&[key("delayed-retry-type", "delayed retry type. Must be one of: all, failed, returned, disabled", is_retry).of_all().only_in(Releases::Since4)]),
    QueueArgument::new("x-delayed-retry-min", Q, anything, |to, value| to.delayed_retry.min_ms = number(value)).since_4()
        .keys(&[key("delayed-retry-min", "delayed retry minimum delay. Must be a positive integer", is_above_0).of_all().only_in(Releases::Since4)]),
    QueueArgument::new("x-delayed-retry-max", Q, anything, |to, value| to.delayed_retry.max_ms = number(value)).since_4()
        .keys(&[key("delayed-retry-max", "delayed retry maximum delay. Must be a positive integer", is_above_0).of_all().only_in(Releases::Since4)]),
];

/// The values that a declaration or a policy gives; `None` where it gives none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueArguments {
    /// `x-queue-type`
    pub kind: QueueKind,
    /// `x-message-ttl`
    pub message_ttl_ms: Option<u64>,
    /// `x-expires`
    pub expires_ms: Option<u64>,
    /// `x-max-length`
    pub max_length: Option<u64>,
    /// `x-max-length-bytes`
    pub max_length_bytes: Option<u64>,
    /// `x-overflow`
    pub overflow: Option<Overflow>,
    /// `x-dead-letter-exchange`
    pub dead_letter_exchange: Option<ShortStr>,
    /// `x-dead-letter-routing-key`
    pub dead_letter_routing_key: Option<ShortStr>,
    /// `x-dead-letter-strategy`
    pub dead_letter_strategy: Option<DeadLetterStrategy>,
    /// `x-max-priority`
    pub max_priority: Option<u8>,
    /// `x-single-active-consumer`
    pub is_single_active_consumer: bool,
    /// `x-delivery-limit`; below 0 for none.
    pub delivery_limit: Option<i64>,
    /// `x-delayed-retry-type`, `-min`, `-max`
    pub delayed_retry: RetrySaid,
    /// `x-consumer-timeout`
    pub consumer_timeout_ms: Option<u64>,
    /// `x-max-age`
    pub max_age_ms: Option<u64>,
    /// `x-stream-max-segment-size-bytes`
    pub segment_max_bytes: Option<u64>,
}

impl QueueArguments {
    /// Puts them where the queues that were declared without arguments share one copy.
    pub fn shared(self) -> Arc<Self> {
        static NONE: LazyLock<Arc<QueueArguments>> = LazyLock::new(Arc::default);
        if self == **NONE { Arc::clone(&NONE) } else { Arc::new(self) }
    }

    /// Reads arguments that were accepted before; a value that means nothing is as if it were not there.
    pub fn read(arguments: &FieldTable) -> Self {
        let mut read = Self::default();
        for row in ROWS {
            if let Some(value) = arguments.get(row.name) {
                (row.read)(&mut read, value);
            }
        }
        read
    }

    /// Reads the definition of a policy; keys of other things than queues are passed over.
    pub fn read_policy(definition: &FieldTable) -> Self {
        let mut read = Self::default();
        for row in ROWS {
            let value = row.keys.first().and_then(|key| definition.get(key.name));
            if let Some(value) = value {
                (row.read)(&mut read, value);
            }
        }
        read
    }
}

/// The destination of a queue's dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterTo {
    pub exchange: ShortStr,
    /// In place of the keys a message was published with.
    pub routing_key: Option<ShortStr>,
}

/// The values in effect for a queue: its arguments merged with policies.
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
    pub dead_letter_strategy: DeadLetterStrategy,
    /// Below 0 for no limit; `None` for the default of the queue's type.
    pub delivery_limit: Option<i64>,
    pub delayed_retry: Option<DelayedRetry>,
    pub consumer_timeout_ms: Option<u64>,
    pub max_age_ms: Option<u64>,
    pub segment_max_bytes: Option<u64>,
}

/// The smallest number that was given.
fn least(said: [Option<u64>; 3]) -> Option<u64> {
    said.into_iter().flatten().min()
}

/// The largest where one of them means "none", else the smallest (RabbitMQ: `rabbit_quorum_queue`).
fn delivery_limit(said: [Option<i64>; 3]) -> Option<i64> {
    let said = said.into_iter().flatten();
    said.reduce(|one, other| if one < 0 || other < 0 { one.max(other) } else { one.min(other) })
}

impl Limits {
    /// Merges the arguments of a queue with the policies that apply to it.
    ///
    /// Of numbers the smallest; else an operator's policy goes before a user's, and an argument before both (RabbitMQ:
    /// `rabbit_policies:merge_policy_value`, `rabbit_amqqueue_process:process_args_policy`).
    pub fn merge(
        arguments: &QueueArguments,
        policy: Option<&QueueArguments>,
        operator: Option<&QueueArguments>,
    ) -> Self {
        let none = QueueArguments::default();
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
        let number = |of: fn(&QueueArguments) -> Option<u64>, argument: Option<u64>| {
            least([argument, of(user), of(operator)])
        };
        let overflow = arguments.overflow.or(operator.overflow).or(user.overflow);
        // Quorum queues do not dead-letter what they refuse; RabbitMQ warns, and drops from their heads.
        let overflow = overflow.filter(|&overflow| {
            arguments.kind != QueueKind::Quorum || overflow != Overflow::RejectPublishDlx
        });
        // RabbitMQ warns, and sends at most once (`rabbit_quorum_queue:dead_letter_handler`).
        let may_keep_letters = arguments.kind == QueueKind::Quorum
            && exchange.is_some()
            && overflow == Some(Overflow::RejectPublish);
        Self {
            message_ttl_ms: number(|said| said.message_ttl_ms, arguments.message_ttl_ms),
            expires_ms: number(|said| said.expires_ms, arguments.expires_ms),
            max_length: number(|said| said.max_length, arguments.max_length),
            max_length_bytes: number(|said| said.max_length_bytes, arguments.max_length_bytes),
            overflow: overflow.unwrap_or_default(),
            dead_letter: exchange.map(|exchange| DeadLetterTo { exchange, routing_key }),
            dead_letter_strategy: if may_keep_letters {
                let said = arguments.dead_letter_strategy.or(operator.dead_letter_strategy);
                said.or(user.dead_letter_strategy).unwrap_or_default()
            } else {
                DeadLetterStrategy::AtMostOnce
            },
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

    /// Answers if nothing but the messages' own times to live limits the queue.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Answers if the queue may refuse a publish.
    pub fn may_reject(&self) -> bool {
        self.overflow.rejects() && (self.max_length.is_some() || self.max_length_bytes.is_some())
    }

    /// Answers if so many waiting messages of so many bytes are too many.
    pub fn is_exceeded_by(&self, len: u64, bytes: u64) -> bool {
        self.max_length.is_some_and(|max| len > max)
            || self.max_length_bytes.is_some_and(|max| bytes > max)
    }
}

/// The argument of that name.
pub(super) fn row_of(name: &str) -> Option<&'static QueueArgument> {
    ROWS.iter().find(|row| row.name == name)
}

/// All queue arguments, in the order of RabbitMQ's checks.
pub fn queue_arguments() -> &'static [QueueArgument] {
    ROWS
}

/// The keys of policies that are queue arguments, each with its row.
pub fn policy_keys() -> impl Iterator<Item = (&'static QueueArgument, &'static PolicyKey)> {
    ROWS.iter().flat_map(|row| row.keys.iter().map(move |key| (row, key)))
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
            let policy = |value| QueueArguments {
                message_ttl_ms: value,
                max_length: value,
                expires_ms: value,
                ..QueueArguments::default()
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
            let policy = QueueArguments { delivery_limit: user, ..QueueArguments::default() };
            assert_eq!(Limits::merge(&arguments, Some(&policy), None).delivery_limit, applies);
        }
    }

    #[test]
    fn an_argument_goes_before_an_operator_and_he_before_a_user() {
        let exchange = |name| QueueArguments {
            dead_letter_exchange: Some(literal(name)),
            ..QueueArguments::default()
        };
        let mut arguments = QueueArguments::default();
        let user = QueueArguments {
            overflow: Some(Overflow::RejectPublish),
            dead_letter_routing_key: Some(literal("key")),
            ..exchange("user")
        };
        let operator =
            QueueArguments { overflow: Some(Overflow::DropHead), ..exchange("operator") };
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
