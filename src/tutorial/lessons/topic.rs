//! Lesson 6: subscribers choose messages by patterns of the routing key.

use crate::tutorial::act::{Act, Lesson, Step};

pub(super) const LESSON: Lesson = Lesson {
    number: 6,
    name: "topic",
    title: "topics",
    story: "\
A topic exchange compares the words of a routing key, with dots between them, with the pattern of
each binding: a star stands for one word, a hash for any number of words, none included. A queue
gets a message once, however many of its patterns match.",
    steps: &[Step {
        title: "Patterns for info, for errors and the database, for the kernel, for everything",
        command: "\
mq consume --exchange topic_logs --type topic --declare transient --key '*.info'
mq consume --exchange topic_logs --type topic --declare transient --key '*.error' --key 'mysql.*'
mq consume --exchange topic_logs --type topic --declare transient --key 'kern.*' --key '*.critical'
mq consume --exchange topic_logs --type topic --declare transient --key '#'
mq publish --exchange topic_logs --type topic --declare transient --routing-key kern.critical 'A critical error'",
        python: "\
channel.exchange_declare(exchange='topic_logs', exchange_type='topic')
channel.queue_bind(exchange='topic_logs', queue=queue, routing_key='*.info')
channel.basic_publish(exchange='topic_logs', routing_key='kern.critical', body='A critical error')",
        acts: &[
            Act::Exchange { name: "topic_logs", kind: "topic" },
            Act::Subscribe { who: "reader", exchange: "topic_logs", keys: &["*.info"] },
            Act::Subscribe {
                who: "database",
                exchange: "topic_logs",
                keys: &["*.error", "mysql.*"],
            },
            Act::Subscribe {
                who: "kernel",
                exchange: "topic_logs",
                keys: &["kern.*", "*.critical"],
            },
            Act::Subscribe { who: "archive", exchange: "topic_logs", keys: &["#"] },
            Act::Publish { exchange: "topic_logs", key: "apache.info", body: "apache info" },
            Act::Publish { exchange: "topic_logs", key: "mysql.error", body: "mysql error" },
            Act::Publish { exchange: "topic_logs", key: "kern.critical", body: "kern critical" },
            Act::Publish { exchange: "topic_logs", key: "kern", body: "one word" },
            Act::Publish { exchange: "topic_logs", key: "mysql.info", body: "mysql info" },
            Act::Publish { exchange: "topic_logs", key: "kern.info", body: "kern info" },
            Act::Receive { who: "reader", bodies: &["apache info", "mysql info", "kern info"] },
            Act::Receive { who: "database", bodies: &["mysql error", "mysql info"] },
            Act::Receive { who: "kernel", bodies: &["kern critical", "kern info"] },
            Act::Receive {
                who: "archive",
                bodies: &[
                    "apache info",
                    "mysql error",
                    "kern critical",
                    "one word",
                    "mysql info",
                    "kern info",
                ],
            },
        ],
    }],
};
