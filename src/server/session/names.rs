//! Names of queues, exchanges and consumers, as clients write them and as the broker makes them.

use crate::broker::Broker;
use crate::broker::replies::Replies;
use crate::wire::ShortStr;

/// Removes line ends from a name (RabbitMQ: `rabbit_channel:strip_cr_lf`).
pub(super) fn strip(name: &ShortStr) -> ShortStr {
    if !name.contains(['\r', '\n']) {
        return name.clone();
    }
    ShortStr::truncated(&name.replace(['\r', '\n'], ""))
}

/// Generates a unique name: the prefix, then 22 letters of URL-safe base64, as RabbitMQ does.
pub(super) fn unique_name(prefix: &str) -> ShortStr {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use std::hash::{BuildHasher, RandomState};
    let halves = [0, 1].map(|half: u64| RandomState::new().hash_one(half).to_be_bytes());
    ShortStr::truncated(&format!("{prefix}{}", URL_SAFE_NO_PAD.encode(halves.concat())))
}

/// Tells whether a channel waits for replies under this name, which since RabbitMQ 4.2 is a queue of which little can
/// be asked (`rabbit_volatile_queue`).
pub(super) fn is_volatile(broker: &Broker, name: &str) -> bool {
    !broker.compat().is_3_10() && Replies::is_reply_name(name) && broker.replies.is_alive(name)
}
