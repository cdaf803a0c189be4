//! Options of `mq serve`: definitions are there before the first client comes, or there is no broker; the management API
//! can be off.

use std::fs;

use rustix::process::Signal;

use crate::support::cli::{Running, program};

#[test]
fn a_file_that_is_no_definitions_ends_the_start_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("definitions.json");
    let data = directory.path().join("data");
    #[rustfmt::skip]
    let cases = [
        ("{", "they are not JSON: EOF while parsing an object at line 1 column 1"),
        ("{\"vhosts\":[{\"name\":\"v\"}],\"queues\":[{\"name\":\"q\",\"vhost\":\"w\",\"durable\":true,\"auto_delete\":false,\"arguments\":{}}]}",
            "Please create virtual host \"w\" prior to importing definitions."),
    ];
    for (text, cause) in cases {
        fs::write(&file, text).unwrap();
        let run = program()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .arg("--definitions")
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(65), "{text}");
        let told = String::from_utf8(run.stderr).unwrap();
        let expected = format!(
            "error: cannot load the definitions in '{}'\ncause: {cause}\n\
             hint: use the format of RabbitMQ's export: one JSON object with lists of users, vhosts, queues and so on\n",
            file.display()
        );
        assert!(told.ends_with(&expected), "{told}");
    }
    let missing = directory.path().join("nowhere.json");
    let run = program()
        .args(["serve", "--memory", "--listen", "127.0.0.1:0", "--definitions"])
        .arg(&missing)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(65));
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(told.contains("cause: No such file or directory"), "{told}");
}

#[test]
fn the_management_api_is_turned_off_by_a_word() {
    let mut command = program();
    command.args(["serve", "--memory", "--listen", "127.0.0.1:0", "--http", "none", "--print-url"]);
    let mut running = Running::spawn(&mut command, "Server startup complete");
    assert!(!running.said().contains("management API at"), "{}", running.said());
    let url = running.line();
    let publish = ["publish", "--queue", "q", "1", "--url", url.trim()];
    assert!(program().args(publish).output().unwrap().status.success());
    let list = program().args(["list-queues", "--url", url.trim()]).output().unwrap();
    assert_eq!(list.status.code(), Some(69), "{list:?}");
    running.signal(Signal::TERM);
    assert!(running.end().0.success());
}
