//! Queue arguments: one table of them, and the checks of declarations and redeclarations.
//!
//! Texts and order of checks are RabbitMQ's (`rabbit_amqqueue:check_declare_arguments`,
//! `rabbit_misc:assert_args_equivalence`). Arguments that RabbitMQ does not know are kept and ignored.
//!
//! Reading order: `table` (a row for each argument), [`QueueArguments::check`], [`Limits::merge`] (the rule for
//! arguments and policies that disagree), [`assert_queue_equivalence`].

mod checks;
mod declaration;
mod equivalence;
mod expiration;
mod kind;
mod noun;
mod policy_key;
mod retry;
mod row;
mod table;
mod values;

pub use equivalence::{assert_equivalent, assert_flag, assert_queue_equivalence, assert_text};
pub use expiration::parse_expiration;
pub use kind::{Lifetime, QueueKind};
pub use noun::{Context, exchange_noun, queue_noun};
pub use policy_key::{Authors, PolicyKey, Releases, is_above_0, is_mirroring, is_text};
pub use retry::{DelayedRetry, RetrySaid};
pub use row::{Effect, Flag, FlagValue, Merge};
pub(in crate::broker) use table::ONE_MEMBER;
pub use table::{
    DeadLetterTo, Limits, QueueArgument, QueueArguments, policy_keys, queue_arguments,
};
pub use values::{DeadLetterStrategy, Overflow, RetryKind, max_age_ms};
