//! Lesson 8: how a producer knows that the broker has its messages.

use crate::tutorial::act::{Act, Lesson, Step};

pub(super) const LESSON: Lesson = Lesson {
    number: 8,
    name: "confirms",
    title: "publisher confirms",
    story: "\
A publish has no answer: a producer that only sends cannot know what arrived. On a channel in
confirm mode the broker acknowledges every message once it has taken responsibility for it. One
need not wait for each: send many, and wait for all. A mandatory message that no queue gets comes
back.",
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
            title: "A message that nobody can get comes back",
            command: "mq publish --routing-key nowhere --mandatory 'Is anybody there?'",
            python: "channel.basic_publish(exchange='', routing_key='nowhere', body=body, mandatory=True)",
            acts: &[Act::ComeBack { key: "nowhere" }],
        },
    ],
};
