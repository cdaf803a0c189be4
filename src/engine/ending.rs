//! The end of a broker of this process: what is left in it, and what has happened to messages.

use std::fmt;

use crate::broker::Broker;
use crate::broker::incidents::{Incident, Within};
use crate::wire::ShortStr;

/// The messages that are left when a broker has ended, and the incidents before.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// None if nobody watched
    pub incidents: Vec<(Incident, u64)>,
    pub left: Vec<LeftIn>,
}

/// The messages that are left in a queue; streams keep theirs in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftIn {
    pub vhost: ShortStr,
    pub queue: ShortStr,
    pub messages: u64,
}

impl fmt::Display for LeftIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vhost, queue, messages } = self;
        let (noun, verb) = if *messages == 1 { ("message", "is") } else { ("messages", "are") };
        write!(f, "{messages} {noun} {verb} left in queue '{queue}'{}", Within(vhost))
    }
}

impl Ending {
    /// Looks at a broker that lets no client in any more.
    pub(super) fn of(broker: &Broker) -> Self {
        Self { incidents: broker.incidents().counted(), left: left_in(broker) }
    }
}

/// The queues in which messages are left.
fn left_in(broker: &Broker) -> Vec<LeftIn> {
    let mut left = Vec::new();
    for queue in broker.vhosts().iter().flat_map(|vhost| vhost.queues()) {
        let info = queue.info();
        let messages = info.ready + info.unacked + info.letters;
        if messages > 0 && !queue.is_stream() {
            let (vhost, queue) = (info.settings.vhost, info.settings.name);
            left.push(LeftIn { vhost, queue, messages });
        }
    }
    left
}
