//! The operations that a stream does not support, refused in RabbitMQ's words.

use crate::broker::queue::state::Queue;
use crate::wire::{Fault, FieldTable, ReplyCode};

/// Something that a stream refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoPrefetch,
    NoAck,
    /// The channel has a limit for all its consumers.
    GlobalQos,
    /// The value of `x-stream-offset`, as it is shown.
    BadStart(String),
    Get,
    Purge,
    /// `basic.nack` and `basic.reject`, by 3.10.
    Nack,
    /// An argument of `basic.consume` that streams do not know.
    Argument(&'static str),
}

impl Queue {
    /// The refusal as an error.
    pub fn refuse(&self, refusal: Refusal) -> Fault {
        let noun = self.noun();
        let is_3_10 = self.shared.compat.get().is_3_10();
        let (code, text) = match refusal {
            Refusal::NoPrefetch => {
                let text = "consumer prefetch count is not set for";
                let shown = if is_3_10 { format!("'{noun}'") } else { format!("stream {noun}") };
                (ReplyCode::PreconditionFailed, format!("{text} {shown}"))
            }
            Refusal::NoAck => {
                let of = if is_3_10 { "stream queues" } else { "stream" };
                let text = format!("automatic acknowledgement not supported by {of} {noun}");
                (ReplyCode::NotImplemented, text)
            }
            Refusal::GlobalQos => {
                (ReplyCode::NotImplemented, format!("{noun} does not support global qos"))
            }
            Refusal::BadStart(_) if is_3_10 => (ReplyCode::InternalError, String::new()),
            Refusal::BadStart(shown) => {
                let why = format!("{{invalid_stream_offset_arg,{shown}}}");
                let text = format!("invalid arg 'x-stream-offset' for {noun}: {why}");
                (ReplyCode::PreconditionFailed, text)
            }
            Refusal::Get => not_supported("basic.get", &noun),
            Refusal::Purge => not_supported("queue.purge", &noun),
            Refusal::Nack => not_supported("basic.nack and basic.reject", &noun),
            Refusal::Argument(name) => {
                let module = self.settings.kind.module();
                let text = format!("invalid arg '{name}' for {noun} of queue type {module}");
                (ReplyCode::PreconditionFailed, text)
            }
        };
        Fault::new(code, text)
    }

    /// Checks that the arguments of `basic.consume` are for queues of this type.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` naming one that is for others only.
    pub fn check_consumer_arguments(&self, arguments: &FieldTable) -> Result<(), Fault> {
        let compat = self.shared.compat.get();
        let others = match (self.is_stream(), compat.is_3_10()) {
            (true, _) => OF_OTHERS,
            (false, true) => OF_STREAMS_3_10,
            (false, false) => OF_STREAMS,
        };
        let of_quorum = if compat.is_strict() && !self.is_quorum() { OF_QUORUM_4_3 } else { &[] };
        match others.iter().chain(of_quorum).find(|name| arguments.get(name).is_some()) {
            Some(name) => Err(self.refuse(Refusal::Argument(name))),
            None => Ok(()),
        }
    }

    /// Checks that deliveries of a stream can be rejected: in 3.10 they cannot.
    ///
    /// # Errors
    ///
    /// `NOT_IMPLEMENTED`, closing the connection.
    pub fn check_nack(&self) -> Result<(), Fault> {
        let is_3_10 = self.shared.compat.get().is_3_10();
        if is_3_10 { self.check_no_stream(Refusal::Nack) } else { Ok(()) }
    }

    /// Checks that something can be asked of the queue.
    ///
    /// # Errors
    ///
    /// `NOT_IMPLEMENTED`, closing the connection, when it is a stream.
    pub fn check_no_stream(&self, refusal: Refusal) -> Result<(), Fault> {
        if self.is_stream() { Err(self.refuse(refusal)) } else { Ok(()) }
    }
}

/// The arguments of `basic.consume` that only streams know (`rabbit_stream_queue:capabilities`).
const OF_STREAMS: &[&str] = &["x-stream-offset", "x-stream-filter", "x-stream-match-unfiltered"];
/// The same in 3.10.
const OF_STREAMS_3_10: &[&str] = &["x-stream-offset"];
/// The arguments that only quorum queues know in 4.3, and no queue before.
const OF_QUORUM_4_3: &[&str] = &["x-consumer-timeout"];
/// The arguments that all queues but streams know.
const OF_OTHERS: &[&str] = &["x-priority"];

fn not_supported(what: &str, noun: &str) -> (ReplyCode, String) {
    (ReplyCode::NotImplemented, format!("{what} not supported by stream queues {noun}"))
}
