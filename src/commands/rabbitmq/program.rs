//! The programs of RabbitMQ's command line, by their names.

use std::ffi::OsStr;
use std::path::Path;

/// A program that administers a broker, and its letter in the table of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Ctl,
    Diagnostics,
    Plugins,
    Queues,
    Streams,
    Upgrade,
}

/// A name under which this program behaves as one of RabbitMQ's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkName {
    Tool(Tool),
    /// `rabbitmq-server`: the broker
    Server,
    /// `rabbitmqadmin`: the client of the management API
    Admin,
}

/// The names of links, in the order in which they are made.
pub const LINK_NAMES: &[(&str, LinkName)] = &[
    ("rabbitmqctl", LinkName::Tool(Tool::Ctl)),
    ("rabbitmq-diagnostics", LinkName::Tool(Tool::Diagnostics)),
    ("rabbitmq-plugins", LinkName::Tool(Tool::Plugins)),
    ("rabbitmq-queues", LinkName::Tool(Tool::Queues)),
    ("rabbitmq-streams", LinkName::Tool(Tool::Streams)),
    ("rabbitmq-upgrade", LinkName::Tool(Tool::Upgrade)),
    ("rabbitmq-server", LinkName::Server),
    ("rabbitmqadmin", LinkName::Admin),
];

impl LinkName {
    /// The name that a process was started under; `None` for that of this program.
    pub fn of(started_as: &OsStr) -> Option<Self> {
        let name = Path::new(started_as).file_name()?;
        LINK_NAMES.iter().find(|(known, _)| *known == name).map(|(_, link)| *link)
    }
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ctl => "rabbitmqctl",
            Self::Diagnostics => "rabbitmq-diagnostics",
            Self::Plugins => "rabbitmq-plugins",
            Self::Queues => "rabbitmq-queues",
            Self::Streams => "rabbitmq-streams",
            Self::Upgrade => "rabbitmq-upgrade",
        }
    }

    pub(super) fn letter(self) -> char {
        match self {
            Self::Ctl => 'C',
            Self::Diagnostics => 'D',
            Self::Plugins => 'P',
            Self::Queues => 'Q',
            Self::Streams => 'S',
            Self::Upgrade => 'U',
        }
    }
}
