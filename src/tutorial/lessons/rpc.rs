//! Lesson 7: a request, and the reply that belongs to it.

use crate::tutorial::act::{Act, Lesson, ReplyBy, Step};

pub(super) const LESSON: Lesson = Lesson {
    number: 7,
    name: "rpc",
    title: "remote procedure call",
    story: "\
A client sends a request with two properties: reply_to names the queue for the reply, and
correlation_id tells to which request a reply belongs. The server sends its reply to that queue,
with that correlation_id. The client receives replies from an exclusive queue of its own, or by the
broker's direct reply-to, which needs no queue.",
    steps: &[
        Step {
            title: "Ask for a Fibonacci number",
            command: "\
mq rpc-serve --queue rpc_queue --declare transient --builtin fib
mq rpc-call --queue rpc_queue 7",
            python: "\
channel.queue_declare(queue='rpc_queue')                    # the server
channel.basic_publish(exchange='', routing_key='rpc_queue', body=str(n),
    properties=pika.BasicProperties(reply_to=callback_queue, correlation_id=str(uuid.uuid4())))",
            acts: &[
                Act::Queue("rpc_queue"),
                Act::ServeFibonacci { queue: "rpc_queue" },
                Act::Call { queue: "rpc_queue", request: "7", reply: "13", by: ReplyBy::OwnQueue },
            ],
        },
        Step {
            title: "Ask without a queue for the reply",
            command: "mq rpc-call --queue rpc_queue 30",
            python: "reply_to='amq.rabbitmq.reply-to'",
            acts: &[Act::Call {
                queue: "rpc_queue",
                request: "30",
                reply: "832040",
                by: ReplyBy::Direct,
            }],
        },
    ],
};
