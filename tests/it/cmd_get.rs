//! `mq get`: one message, or exit code 1.

use crate::broker::Broker;
use crate::support::cli::{Case, on_both, prepare};

on_both!(one_message_is_taken_or_looked_at, a_missing_queue_offers_names_that_are_near);

fn one_message_is_taken_or_looked_at(broker: &Broker) {
    prepare(broker, &[&["publish", "--queue", "q", "a"]]);
    let empty = "queue 'q' has no message to get\n";
    #[rustfmt::skip]
    let cases: [(&[&str], i32, &str, &str); 5] = [
        (&["--peek"],                                 0, "a\n",      ""),
        (&["--template", "{body} {redelivered}"],     0, "a true\n", ""), // looking leaves its mark
        (&[],                                         1, "",         empty),
        (&["-q"],                                     1, "",         ""),
        (&["-o", "json"],                             1, "",         empty),
    ];
    for (options, code, stdout, stderr) in cases {
        let arguments = [&["get", "--queue", "q"], options].concat();
        Case { arguments: &arguments, code, stdout, stderr, ..Case::default() }.on(broker);
    }
}

fn a_missing_queue_offers_names_that_are_near(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "hello"]]);
    let error = "the broker refused to get a message of queue 'helo': 404 NOT_FOUND - no queue 'helo' in \
                 vhost '{vhost}'";
    Case {
        arguments: &["get", "--queue", "helo"],
        code: 65,
        stderr: &format!("error: {error}\nhint: did you mean 'hello'?\n"),
        ..Case::default()
    }
    .on(broker);
    Case {
        arguments: &["get", "--queue", "helo", "-o", "json"],
        code: 65,
        stderr: &format!(
            "{{\"error\":\"{error}\",\"cause\":null,\"hint\":\"did you mean 'hello'?\",\"exit_code\":65}}\n"
        ),
        ..Case::default()
    }
    .on(broker);
}
