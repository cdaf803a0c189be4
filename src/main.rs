//! The `mq` program: reads the command line, runs one command, prints one error if any.

use std::process::ExitCode;

use mq::cli::Invocation;
use mq::exit::Code;

fn main() -> ExitCode {
    let run = || match Invocation::read(std::env::args_os()) {
        Ok(invocation) => invocation.run(),
        Err(stopped) => stopped.print(),
    };
    // What went wrong, and where, was said when the panic began.
    let code = std::panic::catch_unwind(run).unwrap_or(Code::Bug);
    ExitCode::from(code.number())
}
