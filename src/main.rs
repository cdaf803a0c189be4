//! The `mq` program: reads the command line, runs one command, prints one error if any. Under the name
//! of one of RabbitMQ's programs it is that program.

use std::process::ExitCode;

use mq::cli::{Invocation, rabbitmq};
use mq::exit::Code;

fn main() -> ExitCode {
    let run = || {
        if let Some(code) = rabbitmq::run(std::env::args_os()) {
            return code;
        }
        match Invocation::read(std::env::args_os()) {
            Ok(invocation) => invocation.run(),
            Err(stopped) => stopped.print().number(),
        }
    };
    // What went wrong, and where, was said when the panic began.
    let code = std::panic::catch_unwind(run).unwrap_or(Code::Bug.number());
    ExitCode::from(code)
}
