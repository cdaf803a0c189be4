//! The properties of a message, as options.

use std::time::Duration;

use super::argument::{self, Argument};
use crate::commands::CommandError;
use crate::engine::{Properties, ShortStr};

/// AMQP's delivery mode of a message that survives a restart.
const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Properties")]
pub(in crate::commands) struct PropertyOptions {
    /// Add a header, as NAME=VALUE or NAME:TYPE=VALUE (str, int, float, bool, time, bytes, json)
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    headers: Vec<Argument>,
    /// Set the body's content type, for example application/json
    #[arg(long, short = 'C', value_name = "TYPE")]
    content_type: Option<ShortStr>,
    /// Set the body's content encoding, for example gzip
    #[arg(long, value_name = "ENCODING")]
    content_encoding: Option<ShortStr>,
    /// Set the correlation id, which a reply repeats
    #[arg(long, value_name = "ID")]
    correlation_id: Option<ShortStr>,
    /// Set the queue to which a reply is sent
    #[arg(long, value_name = "QUEUE")]
    reply_to: Option<ShortStr>,
    /// Set the priority, 0 to 255; queues with priorities deliver higher ones first
    #[arg(long, value_name = "NUMBER")]
    priority: Option<u8>,
    /// Drop or dead-letter the message if it waits in a queue this long, for example 30s
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expiration: Option<Duration>,
    /// Set the message id
    #[arg(long, value_name = "ID")]
    message_id: Option<ShortStr>,
    /// Set the timestamp, as seconds since 1970 or a date such as 2026-11-22T16:00:00Z
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,
    /// Set the type of the message
    #[arg(long, value_name = "NAME")]
    message_type: Option<ShortStr>,
    /// Set the user id; the broker refuses the message if it is not the connection's user
    #[arg(long, value_name = "NAME")]
    user_id: Option<ShortStr>,
    /// Set the id of the application that made the message
    #[arg(long, value_name = "NAME")]
    app_id: Option<ShortStr>,
    /// Publish the message as transient: it is lost when the broker restarts
    #[arg(long)]
    transient: bool,
}

impl PropertyOptions {
    /// The properties of a new message: persistent unless said so.
    pub(in crate::commands) fn properties(&self) -> Result<Properties, CommandError> {
        let mut properties = Properties {
            delivery_mode: Some(if self.transient { TRANSIENT } else { PERSISTENT }),
            ..Properties::default()
        };
        self.apply(&mut properties)?;
        Ok(properties)
    }

    /// Puts what was given on the command line over what a message has already.
    pub(in crate::commands) fn apply(
        &self,
        properties: &mut Properties,
    ) -> Result<(), CommandError> {
        if self.transient {
            properties.delivery_mode = Some(TRANSIENT);
        }
        for header in &self.headers {
            let headers = properties.headers.get_or_insert_default();
            headers.insert(header.name.clone(), header.value.clone());
        }
        over(&mut properties.content_type, self.content_type.as_ref());
        over(&mut properties.content_encoding, self.content_encoding.as_ref());
        over(&mut properties.correlation_id, self.correlation_id.as_ref());
        over(&mut properties.reply_to, self.reply_to.as_ref());
        over(&mut properties.priority, self.priority.as_ref());
        over(&mut properties.message_id, self.message_id.as_ref());
        over(&mut properties.kind, self.message_type.as_ref());
        over(&mut properties.user_id, self.user_id.as_ref());
        over(&mut properties.app_id, self.app_id.as_ref());
        if let Some(expiration) = self.expiration {
            properties.expiration = ShortStr::try_from(expiration.as_millis().to_string()).ok();
        }
        if let Some(time) = &self.timestamp {
            let seconds = argument::seconds(time).ok_or_else(|| {
                CommandError::usage(format!("'{time}' is not a time for --timestamp"))
            })?;
            properties.timestamp = Some(seconds);
        }
        Ok(())
    }
}

fn over<T: Clone>(place: &mut Option<T>, given: Option<&T>) {
    if let Some(value) = given {
        *place = Some(value.clone());
    }
}
