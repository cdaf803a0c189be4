//! Lesson 3: queues and messages that survive a restart of the broker.

use crate::tutorial::act::{Act, Delivery, Lesson, Step};

pub(super) const LESSON: Lesson = Lesson {
    number: 3,
    name: "durability",
    title: "what survives a restart",
    story: "\
A restart of the broker deletes transient queues and messages. A durable queue survives it, and a
message in that queue survives if it was sent with delivery_mode 2. Both are needed: a persistent
message in a transient queue is deleted with its queue. The broker confirms a persistent message
when it is on disk, so a confirmed message also survives a power cut.",
    steps: &[
        Step {
            title: "A durable queue alone: the queue is back, its messages are not",
            command: "\
mq declare-queue hello2
mq publish --routing-key hello2 --transient 'Hello World!'    # now stop and start `mq serve`
mq list-queues name messages",
            python: "\
channel.queue_declare(queue='hello2', durable=True)
channel.basic_publish(exchange='', routing_key='hello2', body='Hello World!')",
            acts: &[
                Act::Queue("hello2"),
                Act::Send { queue: "hello2", body: "Hello World!", as_a: Delivery::Transient },
                Act::Restart,
                Act::Kept { queue: "hello2", bodies: &[] },
            ],
        },
        Step {
            title: "A durable queue and delivery_mode 2: both are back",
            command: "\
mq publish --queue hello2 'Hello World!'    # persistent unless said otherwise
mq consume --queue hello2",
            python: "\
channel.basic_publish(exchange='', routing_key='hello2', body='Hello World!',
                      properties=pika.BasicProperties(delivery_mode=2))",
            acts: &[
                Act::Send { queue: "hello2", body: "Hello World!", as_a: Delivery::Persistent },
                Act::Restart,
                Act::Kept { queue: "hello2", bodies: &["Hello World!"] },
            ],
        },
    ],
};
