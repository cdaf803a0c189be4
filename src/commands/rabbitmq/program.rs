//! The programs of RabbitMQ's command line, by their names.

use std::ffi::OsStr;
use std::path::Path;

use crate::commands::admin::Program;

/// A name under which this program behaves as one of RabbitMQ's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkName {
    /// A program that administers a broker
    Tool(Program),
    /// `rabbitmq-server`: the broker
    Server,
    /// `rabbitmqadmin`: the client of the management API
    Admin,
}

/// The names of links, in the order in which they are made.
pub const LINK_NAMES: &[(&str, LinkName)] = &[
    ("rabbitmqctl", LinkName::Tool(Program::Ctl)),
    ("rabbitmq-diagnostics", LinkName::Tool(Program::Diagnostics)),
    ("rabbitmq-plugins", LinkName::Tool(Program::Plugins)),
    ("rabbitmq-queues", LinkName::Tool(Program::Queues)),
    ("rabbitmq-streams", LinkName::Tool(Program::Streams)),
    ("rabbitmq-upgrade", LinkName::Tool(Program::Upgrade)),
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

/// The letter of a program in the table of commands.
pub(super) fn letter(program: Program) -> char {
    match program {
        Program::Ctl => 'C',
        Program::Diagnostics => 'D',
        Program::Plugins => 'P',
        Program::Queues => 'Q',
        Program::Streams => 'S',
        Program::Upgrade => 'U',
    }
}
