//! The `mq` program: reads the command line, runs one command, prints one error if any.

use std::process::ExitCode;

use mq::cli::Invocation;

fn main() -> ExitCode {
    match Invocation::read(std::env::args_os()) {
        Ok(invocation) => ExitCode::from(invocation.run().number()),
        Err(stopped) => ExitCode::from(stopped.print().number()),
    }
}
