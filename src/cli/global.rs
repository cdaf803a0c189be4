//! The options of every command: the broker to work with, and the form of the output.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::engine::{TargetOptions, TlsFiles};
use crate::render::{Format, OutputSettings, UnknownFormat};

/// The broker to work with, and the form of the output.
#[derive(Args, Clone, Debug)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
pub struct GlobalOptions {
    /// Work with the broker at this amqp:// or amqps:// address [env: MQ_URL, AMQP_URL, RABBITMQ_URL]
    /// [default: amqp://guest:guest@localhost:5672/]
    #[arg(long, short = 'u', global = true, value_name = "URL", help_heading = "Broker")]
    pub url: Option<String>,
    /// Use the management API at this address, for example http://localhost:15672/ [env: MQ_HTTP_URL, unless --url or
    /// --context is given] [default: the address that the broker announces, else port 15672 of the same host]
    #[arg(long, global = true, value_name = "URL", help_heading = "Broker")]
    pub http_url: Option<String>,
    /// Work with the broker of a data directory on this machine: join it, or run it until the command ends
    /// [env: MQ_LOCAL]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        conflicts_with = "url",
        help_heading = "Broker"
    )]
    pub local: Option<Option<PathBuf>>,
    /// Work with the broker of this context, which `mq context add` names [env: MQ_CONTEXT] [default: the one in
    /// .mq.toml, else the one that `mq context use` chose]
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        conflicts_with_all = ["url", "local"],
        help_heading = "Broker"
    )]
    pub context: Option<String>,
    /// Work in this virtual host [default: the one of the context or in the URL, else /]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Broker")]
    pub vhost: Option<String>,
    /// Wait this long for each reply, for example 500ms or 2m; consume and wait stop after this time [default: 30s for
    /// a reply]
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        value_parser = duration,
        help_heading = "Broker"
    )]
    pub timeout: Option<Duration>,
    /// Trust the certificates in this PEM file [default: the system's]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Broker")]
    pub tls_ca: Option<PathBuf>,
    /// Present the certificate in this PEM file to the broker, or serve with it
    #[arg(long, global = true, value_name = "FILE", help_heading = "Broker")]
    pub tls_cert: Option<PathBuf>,
    /// Use the key in this PEM file for the certificate
    #[arg(long, global = true, value_name = "FILE", help_heading = "Broker")]
    pub tls_key: Option<PathBuf>,
    /// Print the result in this format [default: for lists a table on a terminal, tsv in a pipe]
    #[arg(
        long,
        short = 'o',
        global = true,
        alias = "formatter",
        value_parser = formats().try_map(|name| format(&name)),
        help_heading = "Output"
    )]
    pub format: Option<Format>,
    /// Print only the result and errors
    #[arg(long, short = 'q', global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Rows without a header line, as rabbitmqctl's options ask for it.
    #[arg(skip)]
    pub is_headless: bool,
}

/// Reads a time; a number alone is seconds, as rabbitmqctl takes it.
pub(super) fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text),
    }
}

/// The names of formats; those that rabbitmqctl has for the same are not shown.
fn formats() -> PossibleValuesParser {
    let value = |name: &'static str| match name {
        "table" => PossibleValue::new(name).alias("pretty_table"),
        "jsonl" => PossibleValue::new(name).alias("json_stream"),
        name => PossibleValue::new(name),
    };
    PossibleValuesParser::new(Format::NAMES.map(value))
}

/// The format of a name, which may be rabbitmqctl's.
fn format(name: &str) -> Result<Format, UnknownFormat> {
    match name {
        "pretty_table" => Ok(Format::Table),
        "json_stream" => Ok(Format::Jsonl),
        name => name.parse(),
    }
}

impl GlobalOptions {
    /// Returns the options of the output.
    pub fn settings(&self) -> OutputSettings {
        OutputSettings { format: self.format, is_quiet: self.quiet, is_headless: self.is_headless }
    }

    /// The broker, as far as the command line names it; the engine reads the environment and the files.
    pub fn target_options(&self) -> TargetOptions {
        TargetOptions {
            url: self.url.clone(),
            http_url: self.http_url.clone(),
            local: self.local.clone(),
            context: self.context.clone(),
            vhost: self.vhost.clone(),
            timeout: self.timeout,
            tls: TlsFiles {
                ca: self.tls_ca.clone(),
                cert: self.tls_cert.clone(),
                key: self.tls_key.clone(),
            },
            // A directory that was removed has no project file.
            work_directory: std::env::current_dir().ok(),
        }
    }

    /// An option that says which broker, for a command that asks none.
    pub fn broker_option(&self) -> Option<&'static str> {
        let given = [
            (self.url.is_some(), "--url"),
            (self.http_url.is_some(), "--http-url"),
            (self.local.is_some(), "--local"),
            (self.context.is_some(), "--context"),
            (self.vhost.is_some(), "--vhost"),
            (self.timeout.is_some(), "--timeout"),
        ];
        given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
    }

    /// Answers whether the broker may come to run in this process (`--local`).
    pub fn may_host(&self) -> bool {
        let in_environment = std::env::var_os("MQ_LOCAL").is_some_and(|value| !value.is_empty());
        let is_elsewhere = self.url.is_some() || self.context.is_some();
        self.local.is_some() || (!is_elsewhere && in_environment)
    }
}
