//! A run under one of the names of RabbitMQ's programs.

use std::ffi::OsString;

use tokio::runtime::Builder;

use super::invocation::Invocation;
use crate::commands::rabbitmq::{self, LinkName};
use crate::exit::Code;

/// The address on which `rabbitmq-server` serves the management API, as RabbitMQ does.
const SERVED: [&str; 1] = ["serve"];

/// Runs the program whose name this process was started under; `None` under the name of this program.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    let started_as = arguments.next()?;
    match LinkName::of(&started_as)? {
        LinkName::Server => Some(serve(arguments).number()),
        LinkName::Tool(tool) => {
            let words = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
            let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
                return Some(Code::No.number());
            };
            let code = runtime.block_on(Box::pin(rabbitmq::run(tool, words)));
            // A thread that reads stdin must not hold the program back.
            runtime.shutdown_background();
            Some(code)
        }
    }
}

/// `rabbitmq-server`: the broker, with the settings of `mq serve`.
fn serve(arguments: impl Iterator<Item = OsString>) -> Code {
    let words = ["mq"].into_iter().chain(SERVED).map(OsString::from).chain(arguments);
    match Invocation::read(words) {
        Ok(invocation) => invocation.run(),
        Err(stopped) => stopped.print(),
    }
}
