//! Options of a publisher that become headers: copies, a delay, a stream's filter value.

use std::time::Duration;

use crate::commands::{CommandError, Context};
use crate::engine::ensure::Delays;
use crate::engine::{FieldValue, Properties, ShortStr, literal};

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Routing")]
pub(in crate::commands) struct HeaderOptions {
    /// Also route the message by this key, which receivers see in the header CC; may be given several times
    #[arg(long, value_name = "KEY")]
    cc: Vec<String>,
    /// Also route the message by this key, which receivers do not see (BCC); may be given several times
    #[arg(long, value_name = "KEY")]
    bcc: Vec<String>,
    /// Delay the message by this time in an exchange of type x-delayed-message, for example 5m (x-delay)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    delay: Option<Duration>,
    /// Set the message's filter value for streams, for example eu (x-stream-filter-value)
    #[arg(long, value_name = "VALUE")]
    filter_value: Option<String>,
}

/// The exchanges that are known to delay messages.
#[derive(Debug, Default)]
pub(in crate::commands) struct Delaying(Vec<ShortStr>);

impl Delaying {
    /// Makes sure that an exchange delays messages, because any other one hands them on at once.
    pub(in crate::commands) async fn check(
        &mut self,
        exchange: &ShortStr,
        cx: &mut Context,
    ) -> Result<(), CommandError> {
        if self.0.contains(exchange) {
            return Ok(());
        }
        match cx.engine.is_delaying(exchange).await? {
            Delays::Yes => {}
            Delays::No => return Err(CommandError::NotDelaying { exchange: exchange.to_string() }),
            Delays::Unknown => cx.out.note(&format!(
                "note: mq cannot tell if exchange '{exchange}' delays messages, because you may not declare it"
            ))?,
        }
        self.0.push(exchange.clone());
        Ok(())
    }
}

impl HeaderOptions {
    /// Answers whether messages are to be delayed.
    pub(in crate::commands) fn is_delayed(&self) -> bool {
        self.delay.is_some()
    }

    /// Refuses options that do not go with `--queue`, before anything is declared.
    pub(in crate::commands) fn check(&self, is_to_queue: bool) -> Result<(), CommandError> {
        if is_to_queue && self.is_delayed() {
            return Err(CommandError::Usage {
                problem: "--delay has no effect with --queue, because the default exchange does not delay messages".into(),
                hint: Some("bind the queue to an exchange of type x-delayed-message, and name that with --exchange".into()),
            });
        }
        Ok(())
    }

    /// Puts what was given on the command line into the headers, over what is there.
    pub(in crate::commands) fn apply(
        &self,
        properties: &mut Properties,
    ) -> Result<(), CommandError> {
        let keys = |keys: &[String]| {
            let keys: Vec<FieldValue> = keys.iter().map(|key| key.as_str().into()).collect();
            (!keys.is_empty()).then_some(FieldValue::Array(keys))
        };
        let headers = [
            ("CC", keys(&self.cc)),
            ("BCC", keys(&self.bcc)),
            ("x-delay", self.delay.map(milliseconds).transpose()?),
            ("x-stream-filter-value", self.filter_value.as_deref().map(FieldValue::from)),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                properties.headers.get_or_insert_default().insert(literal(name), value);
            }
        }
        Ok(())
    }
}

/// Delays have 32 bits in RabbitMQ's timers (`rabbit_delayed_message`), about 49 days.
fn milliseconds(delay: Duration) -> Result<FieldValue, CommandError> {
    match u32::try_from(delay.as_millis()) {
        Ok(milliseconds) => Ok(FieldValue::I64(milliseconds.into())),
        Err(_) => Err(CommandError::Usage {
            problem: "a message can be delayed by at most 49 days".into(),
            hint: Some("publish it later, or give --delay a shorter time".into()),
        }),
    }
}
