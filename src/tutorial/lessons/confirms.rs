//! Lesson 8: publisher confirms.

use crate::tutorial::act::{Act, Lesson, Step};

pub(super) const LESSON: Lesson = Lesson {
    number: 8,
    name: "confirms",
    title: "publisher confirms",
    story: "\
A publish has no answer, so a producer that only sends cannot know what arrived. On a channel in
confirm mode the broker acknowledges every message once it has taken responsibility for it. You
need not wait for each: send many, and wait for all. If no queue gets a mandatory message, the
broker returns it.",
    steps: &[
        Step {
            title: "Send many, then wait for all confirms",
            command: "seq 100 | mq publish --queue confirmed --lines",
            python: "\
channel.queue_declare(queue='confirmed', durable=True)
channel.confirm_delivery()
channel.basic_publish(exchange='', routing_key='confirmed', body=body)",
            acts: &[Act::Queue("confirmed"), Act::ConfirmAll { queue: "confirmed", count: 100 }],
        },
        Step {
            title: "A message that no queue gets is returned",
            command: "mq publish --routing-key nowhere --mandatory 'Is anybody there?'",
            python: "channel.basic_publish(exchange='', routing_key='nowhere', body=body, mandatory=True)",
            acts: &[Act::ComeBack { key: "nowhere" }],
        },
    ],
};
