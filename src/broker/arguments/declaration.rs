//! The check of the arguments that a queue is declared with, by the type of the queue.

use super::kind::{Lifetime, QueueKind};
use super::noun::{Context, precondition};
use super::table::{QueueArguments, ROWS, row_of};
use crate::broker::compat::Compat;
use crate::broker::compat::Feature;
use crate::broker::deprecated;
use crate::wire::{Fault, FieldTable, FieldValue};

/// Bytes of a stream's segment beyond which RabbitMQ refuses (`rabbit_stream_queue`).
const SEGMENT_MAX_BYTES: i64 = 3_000_000_000;

impl QueueArguments {
    /// Reads and checks the arguments of a queue declaration.
    ///
    /// Order of checks: RabbitMQ, `rabbit_channel` (the dead letter exchange), then
    /// `rabbit_amqqueue:check_declare_arguments`, then what the type's module looks at.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` with RabbitMQ's text for what it refuses, `INTERNAL_ERROR` for what is deprecated where
    /// that is not permitted.
    pub fn check(
        arguments: &FieldTable,
        lifetime: Lifetime,
        context: Context<'_>,
    ) -> Result<Self, Fault> {
        let Context { noun, compat } = context;
        let dead_letter = "x-dead-letter-exchange";
        if let Some(value) = arguments.get(dead_letter)
            && !matches!(value, FieldValue::LongStr(_))
        {
            let kind = value.type_name();
            let text = format!("invalid type '{kind}' for arg '{dead_letter}' in {noun}");
            return Err(precondition(text));
        }
        let kind = check_kind(arguments, context)?;
        for argument in ROWS {
            if let Some(value) = arguments.get(argument.name)
                && argument.is_for(kind, compat)
            {
                argument.check(value, arguments, compat).map_err(|why| {
                    precondition(format!("invalid arg '{}' for {noun}: {why}", argument.name))
                })?;
            }
        }
        for (name, _) in arguments {
            if let Some(argument) = row_of(name)
                && argument.is_for_another(kind, compat)
            {
                let module = kind.module();
                let text = format!("invalid arg '{name}' for {noun} of queue type {module}");
                return Err(precondition(text));
            }
        }
        // Order of checks: RabbitMQ, `rabbit_amqqueue:declare`, then the module of classic queues.
        if !lifetime.is_durable && !lifetime.is_exclusive {
            deprecated::check(Feature::TransientQueues, compat)?;
        }
        if arguments.get("x-queue-master-locator").is_some() {
            deprecated::check(Feature::QueueMasterLocator, compat)?;
        }
        kind.check_lifetime(lifetime, noun)?;
        if kind == QueueKind::Stream {
            check_stream(arguments, compat)?;
        }
        Ok(Self::read(arguments))
    }
}

fn check_kind(arguments: &FieldTable, context: Context<'_>) -> Result<QueueKind, Fault> {
    let noun = context.noun;
    let name = "x-queue-type";
    let invalid = |why: &str| precondition(format!("invalid arg '{name}' for {noun}: {why}"));
    match arguments.get(name) {
        None => Ok(QueueKind::Classic),
        Some(FieldValue::LongStr(text)) => QueueKind::from_name(&text.to_text())
            // The names of its modules are none to RabbitMQ.
            .filter(|kind| text.to_text() == kind.name())
            .ok_or_else(|| invalid(&format!("\"unsupported queue type '{}'\"", text.to_text()))),
        Some(other) => Err(invalid(&format!("{{unacceptable_type,{}}}", other.type_name()))),
    }
}

/// Makes the checks of RabbitMQ for a new stream (`rabbit_stream_queue`); its words name no queue.
fn check_stream(arguments: &FieldTable, compat: Compat) -> Result<(), Fault> {
    let number = |name: &str| arguments.get(name).and_then(FieldValue::as_integer);
    let name = "x-stream-max-segment-size-bytes";
    if number(name).is_some_and(|bytes| bytes > SEGMENT_MAX_BYTES) {
        return Err(precondition(format!("Exceeded max value for {name}")));
    }
    let name = "x-stream-filter-size-bytes";
    if !compat.is_3_10() && number(name).is_some_and(|bytes| !(16..=255).contains(&bytes)) {
        return Err(precondition(format!("Invalid value for {name}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::arguments::Overflow;

    const NOUN: &str = "queue 'q' in vhost '/'";

    const DURABLE: Lifetime =
        Lifetime { is_durable: true, is_exclusive: false, is_auto_delete: false };

    fn check(arguments: &FieldTable, compat: Compat) -> Result<QueueArguments, Fault> {
        QueueArguments::check(arguments, DURABLE, Context { noun: NOUN, compat })
    }

    fn told(arguments: &FieldTable, compat: Compat) -> String {
        check(arguments, compat).unwrap_err().text
    }

    fn integer(value: i64) -> FieldValue {
        FieldValue::I64(value)
    }

    /// Terms of RabbitMQ 3.10.8 (`rabbit_amqqueue:declare_args`).
    #[test]
    fn bad_values_are_refused_in_rabbitmqs_words() {
        let longstr = || FieldValue::from("abc");
        let classic = ("x-queue-type", FieldValue::from("classic"));
        let quorum = ("x-queue-type", FieldValue::from("quorum"));
        let stream = ("x-queue-type", FieldValue::from("stream"));
        #[rustfmt::skip]
        let cases = [
            (&classic, "x-message-ttl", integer(-1), "{value_negative,-1}"),
            (&classic, "x-message-ttl", longstr(), "\"expected integer, got longstr\""),
            (&classic, "x-message-ttl", integer(315_360_000_001), "{value_too_large,315360000001}"),
            (&classic, "x-expires", integer(0), "{value_zero,0}"),
            (&classic, "x-expires", integer(-5), "{value_negative,-5}"),
            (&classic, "x-max-length", integer(-5), "{value_negative,-5}"),
            (&classic, "x-max-length-bytes", true.into(), "\"expected integer, got bool\""),
            (&classic, "x-overflow", longstr(), "invalid_overflow"),
            (&classic, "x-overflow", integer(1), "{unacceptable_type,long}"),
            (&classic, "x-dead-letter-routing-key", longstr(), "routing_key_but_no_dlx_defined"),
            (&classic, "x-dead-letter-routing-key", integer(1), "{unacceptable_type,long}"),
            (&classic, "x-max-priority", integer(256), "{max_value_exceeded,256}"),
            (&classic, "x-max-priority", integer(-1), "{value_negative,-1}"),
            (&classic, "x-single-active-consumer", longstr(), "{unacceptable_type,longstr}"),
            (&classic, "x-queue-version", integer(3), "\"unsupported queue version '3'\""),
            (&classic, "x-queue-leader-locator", longstr(), "invalid_queue_locator_arg"),
            (&quorum, "x-dead-letter-strategy", longstr(), "invalid_dlx_strategy"),
            (&quorum, "x-max-in-memory-length", integer(-1), "{value_negative,-1}"),
            (&quorum, "x-quorum-initial-group-size", integer(0), "{value_zero,0}"),
            (&stream, "x-max-age", longstr(), "invalid_max_age"),
            (&stream, "x-max-age", "1w".into(), "invalid_max_age"),
            (&stream, "x-max-age", "0s".into(), "invalid_max_age"),
            (&stream, "x-initial-cluster-size", integer(0), "{value_zero,0}"),
            (&stream, "x-stream-max-segment-size-bytes", integer(-1), "{value_negative,-1}"),
        ];
        for ((key, kind), name, value, why) in cases {
            let arguments = FieldTable::new().with(key, kind.clone()).with(name, value.clone());
            let expected = format!("invalid arg '{name}' for {NOUN}: {why}");
            assert_eq!(told(&arguments, Compat::V4), expected, "{name} {value:?}");
        }
    }

    #[test]
    fn a_type_knows_its_own_arguments_and_refuses_those_of_others() {
        use QueueKind::{Classic, Quorum, Stream};
        #[rustfmt::skip]
        let cases = [
            (Classic, "x-delivery-limit", integer(3)),
            (Classic, "x-max-age", "1h".into()),
            (Quorum,  "x-max-priority", integer(3)),
            (Quorum,  "x-queue-mode", "lazy".into()),
            (Quorum,  "x-max-age", "1h".into()),
            (Stream,  "x-message-ttl", integer(3)),
            (Stream,  "x-max-length", integer(3)),
            (Stream,  "x-overflow", "drop-head".into()),
            (Stream,  "x-single-active-consumer", true.into()),
            (Stream,  "x-dead-letter-exchange", "dlx".into()),
        ];
        for (kind, name, value) in cases {
            let arguments = FieldTable::new().with("x-queue-type", kind.name()).with(name, value);
            let module = kind.module();
            let expected = format!("invalid arg '{name}' for {NOUN} of queue type {module}");
            assert_eq!(told(&arguments, Compat::V4), expected);
        }
        let unknown = FieldTable::new().with("x-unknown", integer(1)).with("other", "text");
        assert!(check(&unknown, Compat::V4).is_ok());
        let locator = FieldTable::new().with("x-queue-leader-locator", "client-local");
        assert!(check(&locator, Compat::V4).is_ok());
        assert!(told(&locator, Compat::V3_10).ends_with("of queue type rabbit_classic_queue"));
    }

    #[test]
    fn types_have_names_and_properties_of_their_own() {
        #[rustfmt::skip]
        let cases = [
            // durable, exclusive, auto-delete, refused
            (true,      false,     false,       None),
            (false,     false,     false,       Some("non-durable")),
            (false,     true,      false,       Some("exclusive-owner")),
            (true,      false,     true,        Some("auto-delete")),
        ];
        for (is_durable, is_exclusive, is_auto_delete, refused) in cases {
            let lifetime = Lifetime { is_durable, is_exclusive, is_auto_delete };
            for kind in [QueueKind::Quorum, QueueKind::Stream] {
                let told = kind.check_lifetime(lifetime, NOUN).err().map(|fault| fault.text);
                let expected = refused.map(|name| format!("invalid property '{name}' for {NOUN}"));
                assert_eq!(told, expected);
            }
            assert_eq!(QueueKind::Classic.check_lifetime(lifetime, NOUN), Ok(()));
        }
        assert_eq!(QueueKind::from_name("rabbit_stream_queue"), Some(QueueKind::Stream));
        let bogus = FieldTable::new().with("x-queue-type", "bogus");
        let expected = "invalid arg 'x-queue-type' for queue 'q' in vhost '/': \
                        \"unsupported queue type 'bogus'\"";
        assert_eq!(told(&bogus, Compat::V4), expected);
    }

    #[test]
    fn streams_have_bounds_of_their_own() {
        let one = |name: &'static str, value| FieldTable::new().with(name, integer(value));
        let told = |table: &FieldTable| check_stream(table, Compat::V4).unwrap_err().text;
        let large = one("x-stream-max-segment-size-bytes", 3_000_000_001);
        assert_eq!(told(&large), "Exceeded max value for x-stream-max-segment-size-bytes");
        for bytes in [15, 256] {
            let filter = one("x-stream-filter-size-bytes", bytes);
            assert_eq!(told(&filter), "Invalid value for x-stream-filter-size-bytes");
        }
        assert_eq!(check_stream(&one("x-stream-filter-size-bytes", 16), Compat::V4), Ok(()));
        // 3.10 does not know it.
        assert_eq!(check_stream(&one("x-stream-filter-size-bytes", 15), Compat::V3_10), Ok(()));
    }

    #[test]
    fn values_are_read_as_they_were_given() {
        let arguments = FieldTable::new()
            .with("x-queue-type", "stream")
            .with("x-max-age", "2h")
            .with("x-max-length-bytes", FieldValue::I32(20))
            .with("x-delivery-limit", "text")
            .with("x-overflow", "reject-publish")
            .with("x-dead-letter-exchange", "dlx");
        let read = QueueArguments::read(&arguments);
        assert_eq!((read.kind, read.max_age_ms), (QueueKind::Stream, Some(7_200_000)));
        assert_eq!((read.max_length_bytes, read.delivery_limit), (Some(20), None));
        assert_eq!(read.overflow, Some(Overflow::RejectPublish));
        assert_eq!(read.dead_letter_exchange.as_deref(), Some("dlx"));
    }
}
