//! Every way an engine call can fail, in the user's words.
//!
//! `Display` says what could not be done, `source()` why, [`Error::hint`] what to do, [`Error::category`] which
//! exit code. Passwords are masked before a text gets here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::client;
use crate::engine::hints;
use crate::store::StoreError;
use crate::tls::FileError;
use crate::wire::fault::FaultLevel;

/// The kind of a failure; the number is the exit code (sysexits, as rabbitmqctl has them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// 64: the command was not asked for properly.
    Usage = 64,
    /// 65: the broker refused (not found, precondition, conflict).
    Refused = 65,
    /// 69: no broker was reached, or it went away.
    Unreachable = 69,
    /// 70: a bug, here or in the broker.
    Bug = 70,
    /// 75: no answer in time.
    TimedOut = 75,
    /// 77: login or access refused.
    Denied = 77,
}

/// The reason for the failure of an engine call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for what cannot be.
    #[error("{problem}")]
    Usage { problem: String, hint: Option<String> },
    /// Nothing answered, or something that is no broker.
    #[error("cannot reach {what} at {place}")]
    Unreachable { what: Service, place: String, source: Cause },
    /// The management API's address belongs to another broker than the one that was named.
    #[error("the management API at {api} belongs to another broker than {broker}")]
    OtherBroker { broker: String, api: String, source: Cause },
    /// Something answered, and it is not a broker that can be spoken to in this way.
    #[error("cannot reach a broker at {place}")]
    Unfit { place: String, source: Cause, hint: String },
    /// A file for TLS that a broker of ours cannot use.
    #[error("{problem}")]
    TlsFile { problem: String, source: Cause, hint: String },
    /// The connection ended while it was needed.
    #[error("lost the broker at {place}")]
    WentAway { place: String, source: Cause },
    /// The `--local` broker this process had joined is no more.
    #[error("the process that ran the broker of {directory} has ended")]
    HostEnded { directory: String },
    /// The broker answered no. `nearest` are names that exist and are close to one that does not.
    #[error("the broker refused to {doing}: {code} {text}")]
    Refused { doing: String, code: u16, text: String, nearest: Vec<String> },
    /// The management API of this broker has no such call.
    #[error("this broker cannot {doing}")]
    NotOffered { doing: String, source: Cause },
    /// No answer came.
    #[error("no answer to '{doing}' within {}", humantime::format_duration(*.waited))]
    TimedOut { doing: String, waited: Duration, blocked: Option<String> },
    /// The broker did what AMQP does not allow, or its API answered what is no answer.
    #[error("the broker sent an invalid answer to '{doing}'")]
    Protocol { doing: String, source: Cause },
    /// The data directory of `--local` cannot be used.
    #[error("cannot use the data directory {directory}")]
    DataDirectory { directory: String, source: Cause },
    /// The contents of a data directory cannot be used.
    #[error("cannot use the data in {directory}")]
    Contents { directory: String, source: StoreError },
    /// A file of definitions that the broker does not take.
    #[error("cannot load the definitions in '{path}'")]
    Definitions { path: String, source: Cause },
    /// A file with contexts, or of a project, that cannot be used.
    #[error("{problem}")]
    SettingsFile { problem: String, source: Cause, hint: Option<String> },
    /// An address this process cannot listen on.
    #[error("cannot listen on {address}")]
    Listen { address: String, source: Cause },
    /// The threads of a bench could not be had, or one of them broke down.
    #[error("cannot run the benchmark's threads")]
    Threads { source: Cause },
}

/// A service that could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Amqp,
    Management,
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Amqp => "a broker",
            Self::Management => "the management API",
        })
    }
}

/// A text of a refusal that is as long as this and ends in dots was cut: RabbitMQ leaves 252 bytes and three dots, fewer
/// where a letter has several.
const CUT_FROM_BYTES: usize = 250;

/// The reason for a failure, as text.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

impl Cause {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<&Arc<io::Error>> for Cause {
    fn from(error: &Arc<io::Error>) -> Self {
        Self(error.to_string())
    }
}

impl Error {
    /// The refusal of something that the broker would refuse if it were asked.
    pub(crate) fn refused(doing: impl Into<String>, code: u16, text: impl Into<String>) -> Self {
        Self::Refused { doing: doing.into(), code, text: text.into(), nearest: Vec::new() }
    }

    /// A call that this broker does not have.
    pub(crate) fn not_offered(doing: impl Into<String>, why: &str) -> Self {
        Self::NotOffered { doing: doing.into(), source: Cause::new(why) }
    }

    pub(crate) fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), hint: Some(hint.into()) }
    }

    /// Turns an error of the client, which was `doing` something at `place`, into the user's words.
    pub(crate) fn from_client(doing: &str, place: &str, error: client::Error) -> Self {
        let (doing, place) = (doing.to_owned(), place.to_owned());
        match error {
            client::Error::Connect { source, .. } => {
                Self::Unreachable { what: Service::Amqp, place, source: Cause::from(&source) }
            }
            client::Error::Tls { ref hint, .. } | client::Error::Foreign { ref hint, .. } => {
                let hint = hint.clone();
                Self::Unfit { place, source: Cause::new(error.to_string()), hint }
            }
            client::Error::Refused(refusal) if refusal.code == 320 => {
                Self::WentAway { place, source: Cause::new(refusal.to_string()) }
            }
            client::Error::Refused(refusal) if is_bug(&refusal) => {
                Self::Protocol { doing, source: Cause::new(refusal.to_string()) }
            }
            client::Error::Refused(refusal) => Self::Refused {
                doing,
                code: refusal.code,
                text: whole(&refusal.text),
                nearest: Vec::new(),
            },
            client::Error::Lost { why } => Self::WentAway { place, source: Cause::new(why) },
            client::Error::Closed => {
                Self::WentAway { place, source: Cause::new("the connection is already closed") }
            }
            client::Error::Protocol { why } => Self::Protocol { doing, source: Cause::new(why) },
            client::Error::TimedOut { waited } => Self::TimedOut { doing, waited, blocked: None },
        }
    }

    /// A file for TLS that a broker of ours cannot use.
    pub(crate) fn of_tls_file(error: &FileError) -> Self {
        let (problem, source) = (error.to_string(), Cause::new(error.why.clone()));
        Self::TlsFile { problem, source, hint: error.hint.clone() }
    }

    /// The exit code's kind.
    pub fn category(&self) -> Category {
        match self {
            // Threads are what the user asks for: one for each publisher and consumer.
            Self::Usage { .. } | Self::SettingsFile { .. } | Self::Threads { .. } => {
                Category::Usage
            }
            Self::Unreachable { .. }
            | Self::OtherBroker { .. }
            | Self::Unfit { .. }
            | Self::NotOffered { .. }
            | Self::TlsFile { .. }
            | Self::WentAway { .. }
            | Self::HostEnded { .. }
            | Self::DataDirectory { .. }
            | Self::Contents { .. }
            | Self::Listen { .. } => Category::Unreachable,
            Self::Refused { code: 401 | 403, .. } => Category::Denied,
            Self::Refused { code: 530, text, .. } if text.contains("refused") => Category::Denied,
            Self::Refused { .. } | Self::Definitions { .. } => Category::Refused,
            Self::TimedOut { .. } => Category::TimedOut,
            Self::Protocol { .. } => Category::Bug,
        }
    }

    /// Says what the user can do about it: one sentence, printed after `hint:`.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::SettingsFile { hint, .. } => hint.clone(),
            Self::Unfit { hint, .. } | Self::TlsFile { hint, .. } => Some(hint.clone()),
            Self::Unreachable { what: Service::Amqp, .. } => Some(
                "start a broker with `mq serve`, run one in this process with --local, or name another one with --url"
                    .into(),
            ),
            Self::Unreachable { what: Service::Management, .. } => Some(
                "name its address with --http-url; RabbitMQ needs the plugin rabbitmq_management, `mq serve` the option --http"
                    .into(),
            ),
            Self::OtherBroker { .. } => Some(
                "name the address of this broker's management API with --http-url, or name the other broker with --url"
                    .into(),
            ),
            Self::Listen { .. } => Some(
                "another process uses this address: stop it, or choose other addresses with --listen and --http".into(),
            ),
            Self::Contents { source: StoreError::Newer { .. }, .. } => {
                Some("run the release of mq that wrote it, or a later one".into())
            }
            Self::Contents { source: StoreError::Definitions { .. }, .. } => Some(
                "nothing was changed; put a backup of this file back, because `mq store repair` does not repair definitions".into(),
            ),
            Self::Contents { source: StoreError::Damaged { .. }, directory } => Some(format!(
                "nothing was changed; `mq store repair {directory}` copies the damaged bytes aside and keeps what is whole"
            )),
            Self::Definitions { .. } => Some(
                "use the format of RabbitMQ's export: one JSON object with lists of users, vhosts, queues and so on".into(),
            ),
            Self::HostEnded { .. } => Some(
                "run the broker with `mq serve`, so that it does not end with a command".into(),
            ),
            Self::Refused { nearest, .. } if !nearest.is_empty() => {
                Some(did_you_mean(nearest))
            }
            Self::Refused { code, text, .. } => hints::for_refusal(*code, text).map(str::to_owned),
            Self::TimedOut { blocked: Some(reason), .. } => {
                Some(format!("the broker blocks publishers now: {reason}"))
            }
            Self::TimedOut { .. } => Some("wait longer with --timeout".into()),
            Self::Threads { .. } => {
                Some("use fewer publishers and consumers: each is a thread".into())
            }
            Self::NotOffered { .. } => Some(
                "later releases may: `mq server-version` shows the broker's".into(),
            ),
            Self::WentAway { .. }
            | Self::Protocol { .. }
            | Self::DataDirectory { .. }
            | Self::Contents { .. } => None,
        }
    }
}

/// RabbitMQ cuts its texts at 255 bytes, in the middle of a word: what is behind the last whole sentence is left out. A
/// text of several lines becomes one.
fn whole(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').map(str::trim).collect();
    let line = lines.join(" ");
    let Some(cut) = line.strip_suffix("...").filter(|_| text.len() >= CUT_FROM_BYTES) else {
        return line;
    };
    match (cut.rfind(". "), cut.rfind(' ')) {
        (Some(sentence), _) => cut[..=sentence].to_owned(),
        (None, Some(word)) => format!("{} ...", &cut[..word]),
        (None, None) => line,
    }
}

/// Codes that say that our frames were wrong, which no user can help; with the same code RabbitMQ 3 refuses types of
/// exchange that it does not know.
fn is_bug(refusal: &client::Refusal) -> bool {
    refusal.level == FaultLevel::Connection
        && matches!(refusal.code, 501..=505)
        && !refusal.text.contains("exchange type")
}

/// The hint that offers names that exist.
pub(super) fn did_you_mean(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let one = match quoted.as_slice() {
        [init @ .., last] if !init.is_empty() => format!("{} or {last}", init.join(", ")),
        other => other.concat(),
    };
    format!("did you mean {one}?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Refusal;

    fn refused(level: FaultLevel, code: u16, text: &str) -> Error {
        let refusal = Refusal { level, code, text: text.into(), method: (0, 0) };
        let error = client::Error::Refused(Arc::new(refusal));
        Error::from_client("delete queue 'q'", "amqp://h:5672", error)
    }

    #[test]
    fn a_text_that_was_cut_ends_with_its_last_sentence() {
        let begin =
            "INTERNAL_ERROR - Feature `f` is deprecated.\nBy default, it is not permitted.\n";
        let cut = format!("{begin}{}...", "To continue using it, con".repeat(7));
        let said = "INTERNAL_ERROR - Feature `f` is deprecated. By default, it is not permitted.";
        assert_eq!((cut.len(), whole(&cut)), (255, said.to_owned()));
        let word = format!("NOT_FOUND - no queue '{}' in vho...", "q".repeat(220));
        assert_eq!(whole(&word), format!("NOT_FOUND - no queue '{}' in ...", "q".repeat(220)));
        assert_eq!(whole("short and so on..."), "short and so on...");
    }

    /// The codes of `cli.md`, section 2.
    #[test]
    fn every_refusal_has_its_exit_code() {
        #[rustfmt::skip]
        let cases = [
            (FaultLevel::Channel,    404, "NOT_FOUND - no queue 'q' in vhost '/'",                  65),
            (FaultLevel::Channel,    406, "PRECONDITION_FAILED - queue 'q' in vhost '/' in use",    65),
            (FaultLevel::Channel,    403, "ACCESS_REFUSED - access to queue 'q' refused",           77),
            (FaultLevel::Connection, 403, "ACCESS_REFUSED - Login was refused",                     77),
            (FaultLevel::Connection, 530, "NOT_ALLOWED - vhost nope not found",                     65),
            (FaultLevel::Connection, 530, "NOT_ALLOWED - access to vhost '/' refused for user 'u'", 77),
            (FaultLevel::Connection, 320, "CONNECTION_FORCED - broker forced connection closure",   69),
            (FaultLevel::Connection, 501, "FRAME_ERROR - type 1",                                   70),
            (FaultLevel::Connection, 540, "NOT_IMPLEMENTED - immediate=true",                       65),
        ];
        for (level, code, text, exit) in cases {
            assert_eq!(refused(level, code, text).category() as i32, exit, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_close_is_offered() {
        let mut error =
            refused(FaultLevel::Channel, 404, "NOT_FOUND - no queue 'ordres' in vhost '/'");
        let Error::Refused { nearest, .. } = &mut error else { panic!("{error}") };
        *nearest = vec!["orders".into(), "orders.dead".into()];
        assert_eq!(
            error.to_string(),
            "the broker refused to delete queue 'q': 404 NOT_FOUND - no queue 'ordres' in vhost '/'"
        );
        assert_eq!(error.hint().unwrap(), "did you mean 'orders' or 'orders.dead'?");
    }
}
