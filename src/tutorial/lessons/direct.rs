//! Lesson 5: subscribers choose messages by routing key.

use crate::tutorial::act::{Act, Lesson, Step};

pub(super) const LESSON: Lesson = Lesson {
    number: 5,
    name: "direct",
    title: "routing",
    story: "\
A direct exchange gives a message to the queues that are bound with exactly its routing key. A
queue may be bound with several keys, and several queues with the same one.",
    steps: &[Step {
        title: "One queue is bound to info and warning, the other to warning and error",
        command: "\
mq consume --exchange direct_logs --type direct --declare transient --key info --key warning
mq consume --exchange direct_logs --type direct --declare transient --key warning --key error
mq publish --exchange direct_logs --type direct --declare transient --routing-key error 'the disk is full'",
        python: "\
channel.exchange_declare(exchange='direct_logs', exchange_type='direct')
for severity in ['info', 'warning']:
    channel.queue_bind(exchange='direct_logs', queue=queue, routing_key=severity)
channel.basic_publish(exchange='direct_logs', routing_key='error', body='the disk is full')",
        acts: &[
            Act::Exchange { name: "direct_logs", kind: "direct" },
            Act::Subscribe { who: "office", exchange: "direct_logs", keys: &["info", "warning"] },
            Act::Subscribe { who: "on call", exchange: "direct_logs", keys: &["warning", "error"] },
            Act::Publish { exchange: "direct_logs", key: "info", body: "all is well" },
            Act::Publish { exchange: "direct_logs", key: "error", body: "the disk is full" },
            Act::Publish { exchange: "direct_logs", key: "warning", body: "it is warm" },
            Act::Receive { who: "office", bodies: &["all is well", "it is warm"] },
            Act::Receive { who: "on call", bodies: &["the disk is full", "it is warm"] },
        ],
    }],
};
