//! `mq unbind`: take bindings away.

use super::bind::BindingOptions;
use super::{Answer, CommandError, Context};

/// Take a binding away
///
/// It must be named as it was made: same key, same headers. One that is not there is no error.
#[derive(Clone, Debug, clap::Args)]
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
