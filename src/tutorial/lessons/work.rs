//! Lesson 2: several workers share a queue, and no work is lost when one of them dies.

use crate::tutorial::act::{Act, Lesson, Step};

pub(super) const LESSON: Lesson = Lesson {
    number: 2,
    name: "work",
    title: "work queues",
    story: "\
Several consumers of one queue share its messages. The broker keeps a message until its consumer
acknowledges it: if the consumer's connection closes first, the message goes to another consumer,
marked as redelivered. By default the broker delivers messages in turn, however busy a worker is;
with a prefetch of 1 it delivers the next message only after the worker acknowledges the last one.",
    steps: &[ROUND_ROBIN, DEATH, FAIR],
};

const ROUND_ROBIN: Step = Step {
    title: "Two workers get messages in turn",
    command: "\
mq consume --queue work      # in two terminals
mq publish --queue work first second third fourth",
    python: "\
channel.queue_declare(queue='work', durable=True)
channel.basic_consume(queue='work', on_message_callback=callback)   # in two programs
for body in 'first second third fourth'.split():
    channel.basic_publish(exchange='', routing_key='work', body=body)",
    acts: &[
        Act::Queue("work"),
        Act::Consume { who: "worker 1", queue: "work", prefetch: 0 },
        Act::Consume { who: "worker 2", queue: "work", prefetch: 0 },
        Act::Publish { exchange: "", key: "work", body: "first" },
        Act::Publish { exchange: "", key: "work", body: "second" },
        Act::Publish { exchange: "", key: "work", body: "third" },
        Act::Publish { exchange: "", key: "work", body: "fourth" },
        Act::Receive { who: "worker 1", bodies: &["first", "third"] },
        Act::Receive { who: "worker 2", bodies: &["second", "fourth"] },
    ],
};

const DEATH: Step = Step {
    title: "A worker dies, and its message goes to the other",
    command: "\
mq consume --queue work --exec 'sleep 15'     # end it with Ctrl-C while it works
mq consume --queue work --template '{body} (redelivered: {redelivered})'",
    python: "\
def callback(ch, method, properties, body):
    time.sleep(15)                                   # killed in here
    ch.basic_ack(delivery_tag=method.delivery_tag)   # never reached",
    acts: &[
        Act::Publish { exchange: "", key: "work", body: "a long task" },
        Act::Hold { who: "worker 1", body: "a long task" },
        Act::Die { who: "worker 1" },
        Act::ReceiveAgain { who: "worker 2", body: "a long task" },
    ],
};

const FAIR: Step = Step {
    title: "With a prefetch of 1 the faster worker handles more messages",
    command: "mq consume --queue fair --prefetch 1",
    python: "\
channel.queue_declare(queue='fair', durable=True)
channel.basic_qos(prefetch_count=1)
channel.basic_consume(queue='fair', on_message_callback=callback)",
    acts: &[
        Act::Queue("fair"),
        Act::Consume { who: "slow worker", queue: "fair", prefetch: 1 },
        Act::Consume { who: "quick worker", queue: "fair", prefetch: 1 },
        Act::Publish { exchange: "", key: "fair", body: "heavy" },
        Act::Publish { exchange: "", key: "fair", body: "light 1" },
        Act::Publish { exchange: "", key: "fair", body: "light 2" },
        Act::Publish { exchange: "", key: "fair", body: "light 3" },
        Act::Hold { who: "slow worker", body: "heavy" },
        Act::Receive { who: "quick worker", bodies: &["light 1", "light 2", "light 3"] },
        Act::Release { who: "slow worker" },
    ],
};
