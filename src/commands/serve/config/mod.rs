//! The configuration of `mq serve` outside its command line: `rabbitmq.conf` and the environment.
//!
//! Each key stands for an option of `mq serve` ([`keys`]), so that its value is checked and obeyed in one place:
//! settings become arguments, unless the command line has the option itself.
//!
//! Reading order: `file` (the syntax), `keys` (the table), `settings` (from where), `arguments` (as options).

mod arguments;
mod file;
mod keys;
mod settings;

pub use self::arguments::{AppliedSettings, Unread, read};
pub(in crate::commands::serve) use self::keys::{KeyHelp, key_help};
