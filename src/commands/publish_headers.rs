//! What a publisher asks of the broker in headers: copies, a delay, a stream's filter value.

use std::time::Duration;

use super::CommandError;
use crate::engine::{FieldValue, Properties, literal};

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Routing")]
pub(super) struct HeaderOptions {
    /// Route a copy by this key as well; receivers see it (CC); may be given several times
    #[arg(long, value_name = "KEY")]
    cc: Vec<String>,
    /// Route a copy by this key as well; receivers do not see it (BCC); may be given several times
    #[arg(long, value_name = "KEY")]
    bcc: Vec<String>,
    /// Have an exchange of type x-delayed-message keep the message this long, for example 5m (x-delay)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    delay: Option<Duration>,
    /// Give the message this value for a stream's filter (x-stream-filter-value)
    #[arg(long, value_name = "VALUE")]
    filter_value: Option<String>,
}

impl HeaderOptions {
    /// Puts what was given on the command line into the headers, over what is there.
    pub(super) fn apply(&self, properties: &mut Properties) -> Result<(), CommandError> {
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
