//! `mq unbind`: remove bindings.

use super::bind::BindingOptions;
use super::examples::examples;
use super::{Answer, CommandError, Context};

/// Remove a binding
///
/// The routing key and the headers must be those of the binding. If there is no such binding, nothing changes and the
/// exit code is 0.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq unbind --exchange prices --queue jobs --key 'us.*'",
    "mq unbind --exchange amq.headers --queue jobs --header kind=order --match all",
]))]
pub struct Args {
    #[command(flatten)]
    binding: BindingOptions,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    for binding in args.binding.specs() {
        cx.engine.unbind(&binding).await?;
    }
    args.binding.tell("unbound", "from", cx)
}
