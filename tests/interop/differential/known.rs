//! What is known to differ from a RabbitMQ: a step, and why ours answers it otherwise.
//!
//! ```text
//! # a remark
//! [--compat 4.3, default]
//! 05_consume: a1 basic.get queue=q          the first such step of that script
//! 05_consume: a1 basic.get queue=q #3       the third
//!     The reason, indented, of all steps above it that have none yet.
//! ```
//!
//! A line in brackets says in which modes of ours the steps behind it differ. What does not differ any more is an error.

use std::collections::BTreeMap;
use std::{fs, mem};

use super::brokers::Mode;

/// The list of differences from the RabbitMQ that is compared with.
pub(crate) fn path(mode: Mode) -> String {
    format!("tests/interop/differential/known-differences.rabbitmq-{}.txt", mode.referee().suffix())
}

/// The steps that ours may answer otherwise in this mode, each with its reason.
pub(crate) fn differences(mode: Mode) -> BTreeMap<String, String> {
    let path = path(mode);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let known = parse(&text, mode);
    for (step, reason) in &known {
        assert!(!reason.is_empty(), "{path} gives no reason for '{step}'");
    }
    known
}

fn parse(text: &str, mode: Mode) -> BTreeMap<String, String> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let (mut is_meant, mut steps, mut has_reason) = (true, Vec::new(), true);
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(modes) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_meant = modes.split(", ").any(|name| name == mode.name());
        } else if let Some(reason) = line.strip_prefix("    ") {
            has_reason = true;
            for step in steps.iter().filter(|_| is_meant) {
                known.entry(String::clone(step)).or_default().extend([reason, " "]);
            }
        } else {
            if mem::take(&mut has_reason) {
                steps.clear();
            }
            steps.push(line.to_owned());
            if is_meant {
                let before = known.insert(line.to_owned(), String::new());
                assert!(before.is_none(), "'{line}' is listed twice");
            }
        }
    }
    known
}

#[test]
fn a_difference_belongs_to_the_modes_above_it() {
    use super::brokers::Referee;

    let text = "# x\n[--compat 4.3, default]\ns: a1 one\ns: a1 two\n    why\n    so\n\n\
                [default]\ns: a1 three\n    another\n";
    let strict = parse(text, Mode::Compat(Referee::V4_3));
    let both = [("s: a1 one", "why so "), ("s: a1 two", "why so ")];
    let shown = |known: BTreeMap<String, String>| format!("{known:?}");
    let expected = |known: &[(&str, &str)]| format!("{:?}", BTreeMap::from_iter(known.to_vec()));
    assert_eq!(shown(strict), expected(&both));
    let all = [both.as_slice(), &[("s: a1 three", "another ")]].concat();
    assert_eq!(shown(parse(text, Mode::Default)), expected(&all));
}
