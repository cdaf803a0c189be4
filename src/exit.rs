//! Every exit code and when it is returned: the one table, also printed by `man mq`.
//!
//! The numbers from 64 on are those of sysexits, as rabbitmqctl uses them.

use crate::engine::Category;

/// The result of a run of `mq`, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Done = 0,
    No = 1,
    Usage = 64,
    Refused = 65,
    Unreachable = 69,
    Bug = 70,
    TimedOut = 75,
    Denied = 77,
    NotRun = 126,
    NotFound = 127,
    Interrupted = 130,
}

impl Code {
    /// The whole table, in the order manuals show it.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::No,
        Self::Usage,
        Self::Refused,
        Self::Unreachable,
        Self::Bug,
        Self::TimedOut,
        Self::Denied,
        Self::NotRun,
        Self::NotFound,
        Self::Interrupted,
    ];

    /// The number the shell sees.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The cases in which it is returned.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::No => {
                "the answer is no: no message to get, a check failed, unroutable with --mandatory, \
                 a handler failed, the result could not be written, the machine has no thread left"
            }
            Self::Usage => "invalid command line",
            Self::Refused => "the broker refused: not found, precondition failed, conflict",
            Self::Unreachable => {
                "no broker could be reached, or it does not offer the command, or the management API belongs to another broker, \
                 or the connection was lost"
            }
            Self::Bug => "a bug, here or in the broker",
            Self::TimedOut => "timed out",
            Self::Denied => "login or access refused",
            Self::NotRun => "mq run: the program cannot be run",
            Self::NotFound => "mq run: there is no such program",
            Self::Interrupted => "interrupted",
        }
    }

    /// The code that goes with an error of the engine.
    pub fn of(category: Category) -> Self {
        match category {
            Category::Usage => Self::Usage,
            Category::Refused => Self::Refused,
            Category::Unreachable => Self::Unreachable,
            Category::Bug => Self::Bug,
            Category::TimedOut => Self::TimedOut,
            Category::Denied => Self::Denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_a_promise() {
        let numbers: Vec<u8> = Code::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, [0, 1, 64, 65, 69, 70, 75, 77, 126, 127, 130]);
    }
}
