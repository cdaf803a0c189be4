//! RabbitMQ's programs, replayed: the runs that were recorded with a real RabbitMQ, run by `mq` under their names.
//!
//! Each run is compared with its recording: stdout, stderr and exit code. It is exact, or equal after the rules of
//! [`rules`], or one of the differences in [`known`].

mod known;
mod rules;
mod sample;
mod scene;

use std::fmt::Write as _;
use std::path::Path;

use self::rules::MASKS;
use self::sample::{EndedRun, RecordedRun, runs};
use self::scene::Scene;

/// How a run compares with its recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    Exact,
    Masked,
    Different,
}

fn likeness(run: &RecordedRun, ended: &EndedRun) -> Likeness {
    if run.ended == *ended {
        return Likeness::Exact;
    }
    let (expected, actual) = (hidden(&run.command, &run.ended), hidden(&run.command, ended));
    if expected == actual { Likeness::Masked } else { Likeness::Different }
}

fn hidden(command: &str, ended: &EndedRun) -> EndedRun {
    let hide = |text: &str| {
        let masks = MASKS.iter().filter(|mask| mask.is_for(command));
        masks.fold(text.to_owned(), |text, mask| mask.hide(&text))
    };
    EndedRun { stdout: hide(&ended.stdout), stderr: hide(&ended.stderr), code: ended.code }
}

#[test]
fn the_programs_of_4_3_print_and_exit_as_recorded() {
    replayed("rabbitmqctl-4.3.6.txt", Scene::start(&[]), known::KNOWN);
}

#[test]
fn every_rule_is_needed() {
    let files = ["rabbitmqctl-4.3.6.txt", "rabbitmqctl-3.10.8.txt", "rabbitmqadmin-3.10.8.txt"];
    let all: Vec<RecordedRun> = files.into_iter().flat_map(recorded).collect();
    for mask in MASKS {
        let hides = |run: &RecordedRun| {
            mask.is_for(&run.command) && mask.hide(&run.ended.stdout) != run.ended.stdout
        };
        assert!(all.iter().any(hides), "no run needs the rule: {}", mask.why);
    }
}

fn recorded(file: &str) -> Vec<RecordedRun> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
    runs(&std::fs::read_to_string(path).unwrap())
}

#[test]
fn the_programs_of_3_10_print_and_exit_as_recorded() {
    replayed("rabbitmqctl-3.10.8.txt", Scene::start_3_10(), known::KNOWN_3_10);
}

#[test]
fn rabbitmqadmin_of_version_1_prints_and_exits_as_recorded() {
    replayed("rabbitmqadmin-3.10.8.txt", Scene::start(&[]), known::KNOWN_ADMIN);
}

#[test]
fn rabbitmqadmin_of_version_2_prints_and_exits_as_recorded() {
    replayed("rabbitmqadmin-2.35.txt", Scene::start(&[]), known::KNOWN_ADMIN_2);
}

/// No broker is at port 1: each program says so and how to name one, with its exit code.
#[test]
fn a_broker_that_is_not_there_is_told_with_the_programs_exit_code() {
    let scene = Scene::start(&[]);
    let nowhere = "http://127.0.0.1:1";
    #[rustfmt::skip]
    let cases = [
        ("rabbitmqctl list_queues --http-url {}",          69, "names another"),
        ("rabbitmq-diagnostics ping --http-url {}",        69, "unable to perform an operation on node"),
        ("rabbitmqadmin --http-url {} list queues",         1, "*** Could not connect"),
        ("rabbitmqadmin --http-url {} nodes list",         69, "cannot reach the management API"),
        ("rabbitmq-plugins enable rabbitmq_management --http-url {}", 0, ""),
        ("rabbitmq-plugins enable rabbitmq_stomp --http-url {}",     65, "mq has no plugin rabbitmq_stomp"),
    ];
    for (command, code, said) in cases {
        assert_ends(&scene, &command.replace("{}", nowhere), code, said);
    }
}

/// RabbitMQ 4.3.6 ends with 1 and the stack of an error for a formatter that it does not know.
#[test]
fn a_formatter_that_cannot_be_used_is_refused() {
    let scene = Scene::start(&[]);
    #[rustfmt::skip]
    let cases = [
        ("rabbitmqctl list_vhosts --formatter xml",          1, "there is no formatter 'xml'"),
        ("rabbitmqctl status --formatter JSON",              1, "there is no formatter 'JSON'"),
        ("rabbitmq-diagnostics ping --formatter xml",        1, "there is no formatter 'xml'"),
        ("rabbitmqctl list_vhosts --formatter inspect",     69, "the formatter 'inspect' is not implemented"),
        ("rabbitmqctl list_vhosts --formatter string",      69, "the formatter 'string' is not implemented"),
        ("rabbitmq-plugins list --formatter plugins",       69, "the formatter 'plugins' is not implemented"),
        ("rabbitmq-diagnostics ping --formatter string",     0, ""),
        ("rabbitmqctl list_vhosts --formatter table",        0, ""),
    ];
    for (command, code, said) in cases {
        assert_ends(&scene, command, code, said);
    }
}

/// Drawn by rabbitmqadmin 2.35.0.
const STYLES: [(&str, &str); 8] = [
    (
        "--table-style modern",
        "\
╭──────┬───────┬─────────┬──────────┬──────────┬────────────────────────────╮
│ name │ vhost │ pattern │ apply_to │ priority │ definition                 │
├──────┼───────┼─────────┼──────────┼──────────┼────────────────────────────┤
│ p1   │ /     │ q       │ queues   │ 0        │ max-length: 5              │
│      │       │         │          │          │ overflow: \"reject-publish\" │
│      │       │         │          │          │                            │
╰──────┴───────┴─────────┴──────────┴──────────┴────────────────────────────╯
",
    ),
    (
        "--table-style borderless",
        concat!(
            " name   vhost   pattern   apply_to   priority   definition                 \n",
            " p1     /       q         queues     0          max-length: 5              \n",
            "                                                overflow: \"reject-publish\" \n",
            "                                                                           \n",
        ),
    ),
    (
        "--table-style markdown",
        concat!(
            "| name | vhost | pattern | apply_to | priority | definition                 |\n",
            "|------|-------|---------|----------|----------|----------------------------|\n",
            "| p1   | /     | q       | queues   | 0        | max-length: 5              |\n",
            "|      |       |         |          |          | overflow: \"reject-publish\" |\n",
            "|      |       |         |          |          |                            |\n",
        ),
    ),
    (
        "--table-style sharp",
        concat!(
            "┌──────┬───────┬─────────┬──────────┬──────────┬────────────────────────────┐\n",
            "│ name │ vhost │ pattern │ apply_to │ priority │ definition                 │\n",
            "├──────┼───────┼─────────┼──────────┼──────────┼────────────────────────────┤\n",
            "│ p1   │ /     │ q       │ queues   │ 0        │ max-length: 5              │\n",
            "│      │       │         │          │          │ overflow: \"reject-publish\" │\n",
            "│      │       │         │          │          │                            │\n",
            "└──────┴───────┴─────────┴──────────┴──────────┴────────────────────────────┘\n",
        ),
    ),
    (
        "--table-style ascii",
        concat!(
            "+------+-------+---------+----------+----------+----------------------------+\n",
            "| name | vhost | pattern | apply_to | priority | definition                 |\n",
            "+------+-------+---------+----------+----------+----------------------------+\n",
            "| p1   | /     | q       | queues   | 0        | max-length: 5              |\n",
            "|      |       |         |          |          | overflow: \"reject-publish\" |\n",
            "|      |       |         |          |          |                            |\n",
            "+------+-------+---------+----------+----------+----------------------------+\n",
        ),
    ),
    (
        "--table-style psql",
        concat!(
            " name | vhost | pattern | apply_to | priority | definition                 \n",
            "------+-------+---------+----------+----------+----------------------------\n",
            " p1   | /     | q       | queues   | 0        | max-length: 5              \n",
            "      |       |         |          |          | overflow: \"reject-publish\" \n",
            "      |       |         |          |          |                            \n",
        ),
    ),
    (
        "--table-style dots",
        concat!(
            ".............................................................................\n",
            ": name : vhost : pattern : apply_to : priority : definition                 :\n",
            ":......:.......:.........:..........:..........:............................:\n",
            ": p1   : /     : q       : queues   : 0        : max-length: 5              :\n",
            ":      :       :         :          :          : overflow: \"reject-publish\" :\n",
            ":      :       :         :          :          :                            :\n",
            ":......:.......:.........:..........:..........:............................:\n",
        ),
    ),
    ("--non-interactive", "p1  /  q  queues  0  max-length: 5,overflow: \"reject-publish\", \n"),
];

#[test]
fn rabbitmqadmin_of_version_2_draws_tables_in_all_its_styles() {
    let scene = Scene::start(&[]);
    let declare = "rabbitmqadmin declare policy --name p1 --pattern q --apply-to queues \
                   --definition {\"max-length\":5,\"overflow\":\"reject-publish\"}";
    assert_ends(&scene, declare, 0, "");
    for (style, expected) in STYLES {
        let ended = scene.run(&run(&format!("rabbitmqadmin {style} policies list")));
        assert_eq!((ended.stdout.as_str(), ended.code), (expected, 0), "{style}: {ended:?}");
    }
    let unknown = "rabbitmqadmin --table-style round policies list";
    assert_ends(&scene, unknown, 2, "invalid value 'round' for '--table-style <table_style>'");
}

/// Options have their whole names, the first letters of them, or one letter, as in rabbitmqadmin 2.35.0.
#[test]
fn rabbitmqadmin_of_version_2_takes_its_options_by_all_their_names() {
    let scene = Scene::start(&[]);
    #[rustfmt::skip]
    let cases = [
        ("permissions declare --username guest --configure .* --read .* --write .*", ""),
        ("declare permissions --user guest --configure .* --read .* --write .*",     ""),
        ("declare user_limit --username guest --name max-channels --value 100",      ""),
        ("users limits --username guest",                                            "max-channels: 100"),
        ("delete user_limit --user guest --name max-channels",                       ""),
        ("queues declare --name opt",                                                ""),
        ("publish message -k opt -m hi",                                             "Message published and routed successfully\n"),
        ("publish message -e amq.fanout -k opt",                                     "Message published but NOT routed\n"),
        ("get messages -q opt -c 2 -a ack_requeue_false",                            "│ hi      │ string "),
        ("queues show --name opt --columns durable,queue_type,name",                 "│ durable │ queue_type │ name │"),
        ("queues show --name opt --columns none",                                    "\n"),
        ("connections close_of_user -u nobody",                                      ""),
        ("list user_connections -u nobody",                                          "│ name │ node │ username │ vhost │"),
        ("plugins list_all",                                                         "│ rabbitmq_management"),
        ("feature_flags enable_all",                                                 ""),
        ("show churn",                                                               "│ Queues and streams created                           │"),
        ("--non-interactive show overview",                                          "Queues and streams (total) "),
        ("--non-interactive channels list",                                          "\n"),
    ];
    for (line, said) in cases {
        let ended = scene.run(&run(&format!("rabbitmqadmin {line}")));
        assert_eq!(ended.code, 0, "{line}: {ended:?}");
        assert!(ended.stdout.contains(said), "{line}: {ended:?}");
        assert_eq!(ended.stdout.is_empty(), said.is_empty(), "{line}: {ended:?}");
    }
    let missing = "rabbitmqadmin show memory_breakdown_in_bytes";
    assert_ends(&scene, missing, 2, "--node <node>");
}

#[test]
fn rabbitmqadmin_prints_completions_that_bash_takes() {
    let script = Scene::start(&[]).run(&run("rabbitmqadmin --bash-completion"));
    assert_eq!((script.code, script.stderr.as_str()), (0, ""));
    let complete = |words: &str, place: usize| {
        let ask = format!(
            "{}\nCOMP_WORDS=(rabbitmqadmin {words}) COMP_CWORD={place}; _rabbitmqadmin; echo \"${{COMPREPLY[*]}}\"",
            script.stdout
        );
        let ended = std::process::Command::new("bash").args(["-c", &ask]).output().unwrap();
        assert!(ended.stderr.is_empty(), "{ended:?}");
        String::from_utf8(ended.stdout).unwrap()
    };
    assert_eq!(complete("li", 1), "list\n");
    assert_eq!(complete("declare ex", 2), "exchange\n");
    assert_eq!(complete("--sort-", 1), "--sort-reverse\n");
    assert_eq!(complete("list queues --format kv", 4), "kvp\n");
}

fn run(command: &str) -> RecordedRun {
    RecordedRun {
        line: 0,
        command: command.to_owned(),
        stdin: String::new(),
        ended: EndedRun::default(),
    }
}

/// Runs a command, which must end with a code and say something on stderr.
fn assert_ends(scene: &Scene, command: &str, code: i32, said: &str) {
    let ended = scene.run(&run(command));
    assert_eq!(ended.code, code, "{command}: {ended:?}");
    assert!(ended.stderr.contains(said), "{command}: {ended:?}");
}

/// Replays the runs of a file; each must be as recorded, or differ for a reason that is known.
fn replayed(file: &str, mut scene: Scene, known: &[(&str, &[&str])]) {
    let mut counts = [0, 0, 0];
    let mut wrong = String::new();
    let mut known: Vec<&str> = known.iter().flat_map(|(_, commands)| *commands).copied().collect();
    let all = recorded(file);
    for run in &all {
        scene.prepare(run);
        let ended = scene.run(run);
        let likeness = likeness(run, &ended);
        counts[likeness as usize] += 1;
        let listed = known.iter().position(|command| *command == run.command);
        match (likeness, listed) {
            (Likeness::Different, Some(place)) => _ = known.remove(place),
            (Likeness::Different, None) => {
                let (expected, actual) =
                    (hidden(&run.command, &run.ended), hidden(&run.command, &ended));
                let _ = writeln!(
                    wrong,
                    "line {}: $ {}\n--- recorded\n{expected:#?}\n--- mq\n{actual:#?}",
                    run.line, run.command
                );
            }
            (Likeness::Exact | Likeness::Masked, _) => {}
        }
    }
    for command in &known {
        let _ = writeln!(wrong, "'{command}' is as recorded now: take it out of the table");
    }
    let [exact, masked, different] = counts;
    assert!(wrong.is_empty(), "{exact} exact, {masked} masked, {different} different\n{wrong}");
    assert_eq!(all.len(), exact + masked + different);
}
