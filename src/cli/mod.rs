//! The command line: global options, and the run of one command.
//!
//! Nothing is started before it is needed: help, completions and manuals never see the async runtime, and no
//! broker is asked before the command line is known to be right. Errors are printed here and nowhere else.
//!
//! Reading order: [`Cli`] (what can be typed), [`Invocation`] (what happens then).

mod command_line;
mod global;
mod invocation;
mod local;
pub mod rabbitmq;
mod rabbitmqctl;
mod tips;

pub use command_line::Cli;
pub use global::GlobalOptions;
pub use invocation::{Invocation, Stopped};
