//! `mq bench`: what it measures, what it finds, and that it leaves nothing behind.

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::support::cli::{Case, Running, answer, mq, on_both, program};

on_both!(
    every_shape_comes_through_and_leaves_nothing_behind,
    a_rate_is_kept_and_latencies_are_told,
    conditions_decide_the_exit_code,
    two_brokers_are_compared,
    an_interrupt_prints_what_was_seen_and_cleans_up,
);

/// What a bench that must succeed answers as JSON.
fn bench(broker: &Broker, options: &[&str]) -> Value {
    let text = answer(broker, &[&["bench", "-o", "json"], options].concat(), "");
    serde_json::from_str(&text).expect(&text)
}

fn nothing_is_left(broker: &Broker) {
    let queues = answer(broker, &["list-queues", "name", "-o", "tsv"], "");
    assert!(!queues.contains("mq-bench"), "{queues}");
    let exchanges = answer(broker, &["list-exchanges", "name", "-o", "tsv"], "");
    assert!(!exchanges.contains("mq-bench"), "{exchanges}");
}

fn every_shape_comes_through_and_leaves_nothing_behind(broker: &Broker) {
    #[rustfmt::skip]
    let shapes: [(&[&str], u64); 9] = [
        // options                                                                    copies of each message
        (&[],                                                                                         1),
        (&["-s", "32", "-x", "2", "-y", "3"],                                                         1),
        (&["-x", "3", "-y", "2", "--queues", "5", "--confirm", "100", "--ack", "10", "--prefetch", "50"], 1),
        (&["--persistent", "--confirm", "1", "--ack", "1"],                                           1),
        (&["-t", "fanout", "--queues", "3", "-y", "3"],                                               3),
        (&["-t", "topic", "--queues", "3", "--bindings", "20"],                                       1),
        (&["-t", "headers", "--queues", "2", "--durable"],                                            1),
        (&["-t", "direct", "--rate", "20000", "--confirm", "10"],                                     1),
        (&["-s", "300KB", "--count", "40"],                                                           1),
    ];
    for (options, copies) in shapes {
        let count = if options.contains(&"--count") { "40" } else { "2000" };
        let counted = if count == "40" { Vec::new() } else { vec!["--count", count] };
        let report = bench(broker, &[&["--verify"], options, &counted].concat());
        let sent: u64 = count.parse().unwrap();
        assert_eq!(report["published"], sent, "{options:?}: {report}");
        assert_eq!(report["delivered"], sent * copies, "{options:?}: {report}");
        for fault in ["lost", "duplicates", "misordered", "corrupt"] {
            assert_eq!(report["verify"][fault], 0, "{options:?}: {report}");
        }
        if options.contains(&"--confirm") {
            assert_eq!(report["confirmed"], sent, "{options:?}: {report}");
        }
    }
    nothing_is_left(broker);
}

fn a_rate_is_kept_and_latencies_are_told(broker: &Broker) {
    let report = bench(
        broker,
        &["--rate", "500/s", "--duration", "1s", "--warmup", "200ms", "-c", "100", "-s", "64"],
    );
    let rate = report["publish_rate"].as_f64().unwrap();
    assert!((400.0..600.0).contains(&rate), "{report}");
    for times in ["latency_us", "confirm_latency_us", "lag_us"] {
        let of = |name: &str| report[times][name].as_f64().expect(times);
        let ordered = ["min", "p50", "p90", "p99", "p99.9", "p99.99", "max"].map(of);
        assert!(ordered.is_sorted(), "{times}: {report}");
    }
    assert_eq!(report["shape"]["rate"], 500.0, "{report}");
    assert_eq!(report["shape"]["size_bytes"], 64);
    assert_eq!(
        (&report["failed"], &report["interrupted"]),
        (&Value::from(Vec::<Value>::new()), &false.into())
    );
    assert!(!report["per_second"].as_array().unwrap().is_empty(), "{report}");
}

fn conditions_decide_the_exit_code(broker: &Broker) {
    let run = ["bench", "--count", "500", "--verify", "-c", "100", "-o", "json"];
    let holds = ["--fail-if", "lost>0", "--fail-if", "delivered!=500", "--fail-if", "p99>1000s"];
    answer(broker, &[&run[..], &holds].concat(), "");
    let fails = ["--fail-if", "confirmed=500", "--fail-if", "lost>0", "--fail-if", "max>0ns"];
    let run = mq(broker).args([&run[..], &fails].concat()).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let failed: Vec<&str> =
        report["failed"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(failed[0], "confirmed is 500: --fail-if 'confirmed=500'");
    assert!(failed[1].starts_with("max is ") && failed.len() == 2, "{failed:?}");
    let problem: Value = serde_json::from_slice(&run.stderr).unwrap();
    assert_eq!(problem["error"], failed.join("; "));
    assert_eq!(problem["exit_code"], 1);
    nothing_is_left(broker);
}

fn two_brokers_are_compared(broker: &Broker) {
    let other = Broker::mq();
    let url = other.url();
    let report = bench(broker, &["--count", "300", "--rounds", "2", "--verify", "--against", &url]);
    for side in [&report, &report["against"]] {
        assert_eq!(
            (&side["published"], &side["delivered"]),
            (&600.into(), &600.into()),
            "{report}"
        );
        assert_eq!(side["verify"]["lost"], 0);
    }
    assert!(report["ratio"]["deliver-rate"].as_f64().is_some_and(|ratio| ratio > 0.0), "{report}");
    let table = ["bench", "-q", "--count", "300", "--against", &url, "-o", "tsv"];
    let text = answer(broker, &table, "");
    let (head, rows) = text.split_once('\n').unwrap();
    assert!(
        head.starts_with("figure\tamqp://guest:***@127.0.0.1:") && head.ends_with("\tratio"),
        "{head}"
    );
    assert!(rows.contains("\ndelivered\t900\t900\t1.0\n"), "{rows}");
    nothing_is_left(broker);
    nothing_is_left(&other);
}

fn an_interrupt_prints_what_was_seen_and_cleans_up(broker: &Broker) {
    let mut command = mq(broker);
    command.args(["bench", "-o", "jsonl", "--duration", "1h", "--warmup", "0s", "-c", "10"]);
    let against = broker.url();
    // The note says that it runs; a pipe sees no progress.
    command.args(["--against", &against]);
    let mut bench = Running::spawn(&mut command, "round 1 of 3");
    let second: Value = serde_json::from_str(&bench.line()).unwrap();
    assert_eq!(second["second"], 1, "{second}");
    bench.signal(Signal::INT);
    let (status, stdout, stderr) = bench.end();
    assert_eq!(status.code(), Some(130), "{stderr}");
    let report: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report["interrupted"], true, "{report}");
    assert!(report["published"].as_u64().is_some_and(|count| count > 0), "{report}");
    nothing_is_left(broker);
}

#[test]
fn a_broker_in_this_process_is_measured() {
    let directory = TempDir::new().unwrap();
    let local = format!("--local={}", directory.path().display());
    let options = ["bench", &local, "--count", "1000", "--persistent", "-c", "100", "--verify"];
    let run = program().args(options).output().unwrap();
    let stdout = String::from_utf8(run.stdout).unwrap();
    assert_eq!((run.status.code(), run.stderr.len()), (Some(0), 0), "{stdout}");
    let place = directory.path().display();
    assert!(stdout.starts_with(&format!("figure\t{place}\npublish-rate\t")), "{stdout}");
    for row in ["published\t1000", "confirmed\t1000", "delivered\t1000", "nacked\t0", "lost\t0"] {
        assert!(stdout.lines().any(|line| line == row), "{row}: {stdout}");
    }
    assert!(stdout.contains("\np99_us\t") && stdout.contains("\nconfirm-p99.9_us\t"), "{stdout}");
}

#[test]
fn only_publishing_is_a_run_too() {
    let broker = Broker::mq();
    let report = bench(&broker, &["--consumers", "0", "--count", "1000", "-c", "50"]);
    assert_eq!((&report["published"], &report["confirmed"]), (&1000.into(), &1000.into()));
    assert_eq!((report.get("delivered"), report.get("latency_us")), (None, None), "{report}");
    nothing_is_left(&broker);
}

#[test]
fn mistakes_are_named_before_anybody_is_asked() {
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 12] = [
        (&["--fail-if", "p99"],                "there is no comparison in it"),
        (&["--fail-if", "p99>20"],             "'20' is not a time: write a number and ns, us, ms or s"),
        (&["--fail-if", "publishrate<5"],      "did you mean 'publish-rate'?"),
        (&["--fail-if", "lost>0"],             "hint: turn it on with --verify"),
        (&["--fail-if", "confirm-p99>1s"],     "hint: turn on confirms with --confirm"),
        (&["--fail-if", "deliver-rate<0.9x"],  "hint: name the broker to compare with: --against URL"),
        (&["--fail-if", "p99>1s", "-s", "7"],  "hint: a body of at least 8 bytes"),
        (&["--verify", "--size", "31"],        "hint: give --size 32 or more"),
        (&["--verify", "--consumers", "0"],    "--verify needs consumers"),
        (&["--ack", "20", "--prefetch", "10"], "hint: make --prefetch at least --ack"),
        (&["--size", "1TiB"],                  "'1TiB' is not a size"),
        (&["--publishers", "0"],               "0 is not in 1..=1000"),
    ];
    for (options, said) in cases {
        let run = program().args(["bench", "--url", "amqp://127.0.0.1:1/"]).args(options).output();
        let run = run.unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!((run.status.code(), run.stdout.len()), (Some(64), 0), "{options:?}: {stderr}");
        assert!(stderr.contains(said), "{options:?}: {stderr}");
    }
}

#[test]
fn a_broker_that_is_not_there_or_refuses_is_told() {
    Case {
        arguments: &["bench", "--url", "amqp://guest:s3cret@127.0.0.1:1/"],
        code: 69,
        stderr: "error: cannot reach a broker at amqp://guest:***@127.0.0.1:1/\n\
                 cause: Connection refused (os error 111)\n\
                 hint: start a broker with `mq serve`, run one in this process with --local, or name another one with --url\n",
        ..Case::default()
    }
    .alone();
    let broker = Broker::mq();
    let refused = ["bench", "--argument", "x-message-ttl=nonsense"];
    let run = mq(&broker).args(refused).output().unwrap();
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(65), "{stderr}");
    assert!(
        stderr.starts_with("error: the broker refused to declare queue 'mq-bench-"),
        "{stderr}"
    );
}
