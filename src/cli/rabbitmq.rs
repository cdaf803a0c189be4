//! A run under one of the names of RabbitMQ's programs.

use std::ffi::OsString;

use tokio::runtime::Builder;

use super::invocation::Invocation;
use crate::commands::rabbitmq::{self, LinkName};
use crate::commands::rabbitmqadmin;
use crate::exit::Code;

/// `mq serve` in the place of RabbitMQ's server: on all addresses, with its messages.
const SERVED: [&str; 2] = ["serve", "--as-rabbitmq-server"];

/// Runs the program whose name this process was started under; `None` under the name of this program.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    let started_as = arguments.next()?;
    match LinkName::of(&started_as)? {
        LinkName::Server => Some(serve(arguments)),
        LinkName::Tool(tool) => Some(awaited(rabbitmq::run(tool, words(arguments)))),
        LinkName::Admin => Some(awaited(rabbitmqadmin::run(words(arguments)))),
    }
}

fn words(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    arguments.map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Runs a program to its end.
fn awaited(program: impl Future<Output = u8>) -> u8 {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        return Code::No.number();
    };
    let code = runtime.block_on(Box::pin(program));
    // A thread that reads stdin must not hold the program back.
    runtime.shutdown_background();
    code
}

/// `rabbitmq-server`: the broker, with the settings of `mq serve`.
fn serve(arguments: impl Iterator<Item = OsString>) -> u8 {
    let words = ["mq"].into_iter().chain(SERVED).map(OsString::from).chain(arguments);
    match Invocation::read(words) {
        Ok(invocation) => invocation.run(),
        Err(stopped) => stopped.print().number(),
    }
}
