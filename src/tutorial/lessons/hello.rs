//! Lesson 1: one producer, one queue, one consumer.

use crate::tutorial::act::{Act, Lesson, Step};

pub(super) const LESSON: Lesson = Lesson {
    number: 1,
    name: "hello",
    title: "hello",
    story: "\
A producer sends messages, a consumer receives them, and a queue of the broker stores them in
between. The two need not know each other, nor run at the same time. A producer never writes to a
queue itself: it publishes its message to an exchange. The default exchange, whose name is empty,
routes a message to the queue that its routing key names.",
    steps: &[
        Step {
            title: "Send a message to the queue 'hello'",
            command: "mq publish --queue hello --declare transient 'Hello World!'",
            python: "\
channel.queue_declare(queue='hello')
channel.basic_publish(exchange='', routing_key='hello', body='Hello World!')",
            acts: &[
                Act::Queue("hello"),
                Act::Publish { exchange: "", key: "hello", body: "Hello World!" },
            ],
        },
        Step {
            title: "Receive it; it has waited in the queue",
            command: "mq consume --queue hello --declare transient",
            python: "\
def callback(ch, method, properties, body):
    print(body)
    ch.basic_ack(delivery_tag=method.delivery_tag)
channel.basic_consume(queue='hello', on_message_callback=callback)
channel.start_consuming()",
            acts: &[
                Act::Consume { who: "consumer", queue: "hello", prefetch: 0 },
                Act::Receive { who: "consumer", bodies: &["Hello World!"] },
            ],
        },
    ],
};
