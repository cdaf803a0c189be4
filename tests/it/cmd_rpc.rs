//! `mq rpc-serve` and `mq rpc-call`: replies, their order, and who answers.

use rustix::process::Signal;

use crate::broker::Broker;
use crate::support::cli::{Case, Running, answer, on_both, prepare};

on_both!(
    what_is_built_in_answers,
    a_program_answers,
    a_program_that_stays_answers_line_by_line,
    replies_are_printed_in_the_order_of_the_requests,
    nobody_to_answer_is_an_error,
    an_interrupted_server_loses_no_request,
);

const READY: &str = "answering the requests in queue 'rpc'";

fn serve(broker: &Broker, by: &[&str]) -> Running {
    Running::start(broker, &[&["rpc-serve", "--queue", "rpc"], by].concat(), READY)
}

fn what_is_built_in_answers(broker: &Broker) {
    let _server = serve(broker, &["--builtin", "fib"]);
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 3] = [
        (&["7", "30"],                   "13\n832040\n"),
        (&["--reply-queue", "10"],       "55\n"),
        (&["x"],                         "error: 'x' is not a number from 0 to 186\n"),
    ];
    for (options, stdout) in cases {
        let arguments = [&["rpc-call", "--queue", "rpc"], options].concat();
        Case { arguments: &arguments, stdout, ..Case::default() }.on(broker);
    }
}

fn a_program_answers(broker: &Broker) {
    let mut server = serve(broker, &["--exec", "tr a-z A-Z", "-n", "1"]);
    assert_eq!(answer(broker, &["rpc-call", "--queue", "rpc", "abc", "-o", "raw"], ""), "ABC");
    let (status, ..) = server.end();
    assert_eq!(status.code(), Some(0));
}

fn a_program_that_stays_answers_line_by_line(broker: &Broker) {
    let script = "n=0; while read line; do n=$((n+1)); echo \"$n $line\"; done";
    let _server = serve(broker, &["--coprocess", script]);
    assert_eq!(answer(broker, &["rpc-call", "--queue", "rpc", "a", "b"], ""), "1 a\n2 b\n");
}

fn replies_are_printed_in_the_order_of_the_requests(broker: &Broker) {
    let _server = serve(broker, &["--builtin", "echo"]);
    let requests: String = (1..=200).map(|number| number.to_string() + "\n").collect();
    let call = ["rpc-call", "--queue", "rpc", "--lines", "-j", "16"];
    assert_eq!(answer(broker, &call, requests.as_str()), requests);
}

fn nobody_to_answer_is_an_error(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "rpc"]]);
    let run = crate::support::cli::mq(broker)
        .args(["rpc-call", "--queue", "rpc", "x", "--timeout", "300ms"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(75), "{run:?}");
    let run = crate::support::cli::mq(broker)
        .args(["rpc-call", "--queue", "nowhere", "x"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(65), "{run:?}");
}

fn an_interrupted_server_loses_no_request(broker: &Broker) {
    let mut server = serve(broker, &["--builtin", "echo"]);
    server.signal(Signal::INT);
    let (status, ..) = server.end();
    assert_eq!(status.code(), Some(130));
    prepare(broker, &[&["publish", "--queue", "rpc", "later"]]);
    assert_eq!(answer(broker, &["get", "--queue", "rpc"], ""), "later\n");
}
