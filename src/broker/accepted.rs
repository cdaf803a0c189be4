//! Everything that the broker accepts by name, and whether it does something: arguments, policy keys, headers, limits,
//! flags.
//!
//! If a name does nothing, its row gives the reason, and so does the README ("Accepted without effect"), which a test
//! compares with these rows. Another test walks the names that the code knows: each has its row.

use super::arguments::queue_arguments;
use super::policies::policy_keys;

pub use super::arguments::Effect;

use Effect::{CarriedOut, Nothing};
use NameKind::{
    BindingArgument, ConsumerArgument, ExchangeArgument, Flag, Header, Parameter, PolicyKey,
    QueueArgument, UserLimit, VhostLimit,
};

/// The place in which a client gives a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    QueueArgument,
    ExchangeArgument,
    BindingArgument,
    ConsumerArgument,
    PolicyKey,
    /// A header of a message.
    Header,
    VhostLimit,
    UserLimit,
    /// A field of a method.
    Flag,
    /// Over the management API and in definitions.
    Parameter,
}

impl NameKind {
    /// The name in the README.
    pub fn name(self) -> &'static str {
        match self {
            QueueArgument => "queue argument",
            ExchangeArgument => "exchange argument",
            BindingArgument => "binding argument",
            ConsumerArgument => "consumer argument",
            PolicyKey => "policy key",
            Header => "message header",
            VhostLimit => "vhost limit",
            UserLimit => "user limit",
            Flag => "method",
            Parameter => "parameter",
        }
    }
}

/// A name that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub place: NameKind,
    pub name: &'static str,
    pub effect: Effect,
}

const fn row(place: NameKind, name: &'static str, effect: Effect) -> Accepted {
    Accepted { place, name, effect }
}

/// The arguments of exchanges, bindings and consumers.
const OTHER_ARGUMENTS: &[Accepted] = &[
    row(ExchangeArgument, "alternate-exchange", CarriedOut),
    row(ExchangeArgument, "hash-header", CarriedOut),
    row(ExchangeArgument, "hash-property", CarriedOut),
    row(ExchangeArgument, "x-delayed-type", CarriedOut),
    row(ExchangeArgument, "x-recent-history-length", CarriedOut),
    row(BindingArgument, "x-match", CarriedOut),
    row(
        BindingArgument,
        "any other argument",
        Nothing(
            "of queues, exchanges, bindings and consumers as well: it is kept, shown and compared, as RabbitMQ does",
        ),
    ),
    row(ConsumerArgument, "x-priority", CarriedOut),
    row(ConsumerArgument, "x-stream-offset", CarriedOut),
    row(ConsumerArgument, "x-stream-filter", CarriedOut),
    row(ConsumerArgument, "x-stream-match-unfiltered", CarriedOut),
    row(
        ConsumerArgument,
        "x-consumer-timeout",
        Nothing(
            "carried out for quorum queues; for others it is accepted and ignored, or refused with `--compat 4.3`",
        ),
    ),
    row(
        ConsumerArgument,
        "x-cancel-on-ha-failover",
        Nothing("there is no other node for a failover"),
    ),
];

/// Headers, limits, flags and parameters.
const OTHER_NAMES: &[Accepted] = &[
    row(Header, "CC", CarriedOut),
    row(Header, "BCC", CarriedOut),
    row(Header, "x-death", CarriedOut),
    row(Header, "x-delay", CarriedOut),
    row(Header, "x-recent-history-no-store", CarriedOut),
    row(Header, "x-stream-filter-value", CarriedOut),
    row(VhostLimit, "max-connections", CarriedOut),
    row(VhostLimit, "max-queues", CarriedOut),
    row(UserLimit, "max-connections", CarriedOut),
    row(UserLimit, "max-channels", CarriedOut),
    row(Flag, "basic.consume no-local", Nothing("RabbitMQ ignores it as well")),
    row(
        Flag,
        "access.request",
        Nothing("it is answered, as RabbitMQ does; AMQP 0-9-1 has no tickets"),
    ),
    row(
        Parameter,
        "global parameters",
        Nothing("they are kept, shown and exported; only `cluster_name` is read"),
    ),
    row(
        Parameter,
        "parameters of shovels and federation",
        Nothing("they come in with definitions only, and are kept, shown and exported"),
    ),
];

/// All names: queue arguments and policy keys are rows of their own tables.
pub fn accepted() -> Vec<Accepted> {
    let arguments = queue_arguments().iter().map(|it| row(QueueArgument, it.name, it.effect));
    let keys = policy_keys().into_iter().map(|(name, effect)| row(PolicyKey, name, effect));
    let others = (OTHER_ARGUMENTS.iter().copied(), OTHER_NAMES.iter().copied());
    arguments.chain(others.0).chain(keys).chain(others.1).collect()
}
