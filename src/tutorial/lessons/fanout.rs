//! Lesson 4: publish/subscribe; every subscriber gets every message that is published after it has bound its queue.

use crate::tutorial::act::{Act, Lesson, Step};

pub(super) const LESSON: Lesson = Lesson {
    number: 4,
    name: "fanout",
    title: "publish and subscribe",
    story: "\
A fanout exchange gives every message to every queue that is bound to it. A subscriber
declares a queue of its own and binds it; the broker names the queue, and deletes it when the
subscriber disconnects. A subscriber gets only messages that are published after it has bound its queue.",
    steps: &[
        Step {
            title: "Two subscribers get the same messages",
            command: "\
mq consume --exchange logs --type fanout --declare transient      # in two terminals
mq publish --exchange logs --type fanout --declare transient 'info: Hello World!'",
            python: "\
channel.exchange_declare(exchange='logs', exchange_type='fanout')
queue = channel.queue_declare(queue='', exclusive=True).method.queue
channel.queue_bind(exchange='logs', queue=queue)
channel.basic_publish(exchange='logs', routing_key='', body='info: Hello World!')",
            acts: &[
                Act::Exchange { name: "logs", kind: "fanout" },
                Act::Subscribe { who: "subscriber 1", exchange: "logs", keys: &[""] },
                Act::Subscribe { who: "subscriber 2", exchange: "logs", keys: &[""] },
                Act::Publish { exchange: "logs", key: "", body: "info: Hello World!" },
                Act::Receive { who: "subscriber 1", bodies: &["info: Hello World!"] },
                Act::Receive { who: "subscriber 2", bodies: &["info: Hello World!"] },
            ],
        },
        Step {
            title: "A late subscriber gets no earlier messages",
            command: "mq consume --exchange logs --type fanout --declare transient",
            python: "channel.queue_bind(exchange='logs', queue=queue)",
            acts: &[
                Act::Subscribe { who: "late subscriber", exchange: "logs", keys: &[""] },
                Act::Publish { exchange: "logs", key: "", body: "info: and again" },
                Act::Receive { who: "subscriber 1", bodies: &["info: and again"] },
                Act::Receive { who: "late subscriber", bodies: &["info: and again"] },
            ],
        },
    ],
};
