//! The README, tried: every command in it runs, and prints what the page says.
//!
//! A `console` block has commands behind `$ ` and the lines that each prints, on stdout or stderr; `...` stands for any
//! lines. All of them run in the order of the page, in one folder, against one broker. The other blocks are listed in
//! [`RUN_ELSEWHERE`].

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::support::serve::MqServe;

/// Lines of other blocks: they build or install the program, and `.ci/run` runs the first two.
const RUN_ELSEWHERE: &[&str] =
    &["cargo run --release -- tutorial all", "cargo test --locked", "cargo install --path ."];

/// Lines that the page may have, so that it can be read in one go.
const LINES_MAX: usize = 250;

/// A block of the page: its language and its lines.
type Block<'a> = (&'a str, Vec<&'a str>);

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some((language, Vec::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((language, mut lines))) => {
                lines.push(line);
                open = Some((language, lines));
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Answers whether these are the lines that were expected, of which `...` stands for any.
fn fits(expected: &[&str], lines: &[&str]) -> bool {
    match expected {
        [] => lines.is_empty(),
        ["...", rest @ ..] => (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..])),
        [first, rest @ ..] => lines.first() == Some(first) && fits(rest, &lines[1..]),
    }
}

#[test]
fn every_command_of_the_readme_runs_and_prints_what_it_says() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let broker = MqServe::start();
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_mq")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let run = |command: &str| {
        let mut shell = Command::new("sh");
        // Both streams in one, in the order of their lines.
        shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(folder.path());
        shell.env("PATH", &path).env("MQ_URL", broker.url());
        shell.env("MQ_HTTP_URL", broker.management_url()).stdin(Stdio::null());
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    };
    let mut commands = 0;
    for (language, lines) in blocks(&page) {
        if language != "console" {
            for line in lines {
                assert!(RUN_ELSEWHERE.contains(&line), "nothing runs '{line}'");
            }
            continue;
        }
        let starts = lines.iter().enumerate().filter(|(_, line)| line.starts_with("$ "));
        let starts: Vec<usize> = starts.map(|(at, _)| at).chain([lines.len()]).collect();
        assert_eq!(starts[0], 0, "a block begins with a command");
        for part in starts.windows(2) {
            let command = lines[part[0]].trim_start_matches("$ ");
            let printed = run(command);
            let printed: Vec<&str> = printed.lines().collect();
            let expected = &lines[part[0] + 1..part[1]];
            assert!(fits(expected, &printed), "{command} printed:\n{}", printed.join("\n"));
            commands += 1;
        }
    }
    assert!(commands > 10, "{commands} commands");
}

#[test]
fn the_readme_is_short() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    assert!(page.lines().count() < LINES_MAX, "{} lines", page.lines().count());
}

#[test]
fn what_a_command_prints_is_compared() {
    #[rustfmt::skip]
    let cases: [(&[&str], &[&str], bool); 6] = [
        (&["a", "b"],     &["a", "b"],      true),
        (&["a"],          &["a", "b"],      false),
        (&["a", "..."],   &["a", "b", "c"], true),
        (&["...", "c"],   &["a", "b", "c"], true),
        (&["...", "d"],   &["a", "b", "c"], false),
        (&[],             &["a"],           false),
    ];
    for (expected, lines, is_fit) in cases {
        assert_eq!(fits(expected, lines), is_fit, "{expected:?} {lines:?}");
    }
    assert_eq!(blocks("x\n```sh\na\nb\n```\ny\n"), [("sh", vec!["a", "b"])]);
}
