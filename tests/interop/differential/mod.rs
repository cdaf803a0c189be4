//! The referee: what RabbitMQ 3.10 answers to a script, frame by frame, and that ours answers the same.
//!
//! `scripts/NAME.script` says what is sent, `scripts/NAME.rabbitmq-3.10` what a real RabbitMQ 3.10 answered. Ours, with
//! `--compat 3.10`, is compared with the record everywhere; RabbitMQ itself wherever it can be had, which shows that the
//! record is right. After a change of a script: `MQ_RECORD=1 cargo test --test interop differential::rabbitmq`.
//!
//! Reading order: `script` (what a line means), [`speaker`] (who speaks it), `transcript` (what is compared).

mod brokers;
mod random;
mod script;
mod speaker;
mod transcript;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, io};

use speaker::{Place, Speaker, Wait};
use transcript::Exchange;

/// Set to `1` to have the transcripts written anew by the RabbitMQ that is here; to a name for that script alone.
const RECORD: &str = "MQ_RECORD";
/// What ours answers otherwise: a script's name and its step on a line, and under it, indented, the reason.
const KNOWN: &str = "tests/interop/differential/known-differences.txt";
/// Fewer steps than these would not cover what the scripts are for.
const STEPS_MIN: usize = 1000;
/// How often a script is played that differs: on a busy machine a broker may be late where a script waits for a time to
/// live, or where RabbitMQ answers before all is done. What differs each time is a difference.
const PLAYS_MAX: usize = 3;
/// How long RabbitMQ is asked for what a queue holds until it says what it said for the record: its quorum queues do their
/// work behind the answers, later on a busy machine.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// All comparisons share one vhost of one RabbitMQ.
static ON_RABBITMQ: Mutex<()> = Mutex::new(());

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new("tests/interop/differential/scripts");
    let entries = fs::read_dir(folder).expect("the tests run in the package's root");
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "script"));
    found.sort();
    found
}

fn record_of(script: &Path) -> PathBuf {
    script.with_extension("rabbitmq-3.10")
}

/// Speaks a script; where a record says how much comes, it is waited for. What only looks at a queue and is answered
/// otherwise is asked again for so long.
fn speak(
    script: &Path,
    place: &Place,
    recorded: &[Exchange],
    asked_for: Duration,
) -> Vec<Exchange> {
    let text = fs::read_to_string(script).unwrap();
    let mut speaker = Speaker::new(place.clone());
    let mut spoken = Vec::new();
    for (at, step) in script::parse(&text).iter().enumerate() {
        let wait = recorded.get(at).map_or(Wait::Quiet, |(_, answers)| Wait::For(answers.len()));
        let mut answers = speaker.take(step, wait);
        let begin = Instant::now();
        while begin.elapsed() < asked_for {
            let is_as_recorded = recorded.get(at).is_none_or(|(_, wanted)| *wanted == answers);
            let only_looks = step.line.contains("queue.declare passive")
                || answers.iter().any(|answer| answer.ends_with("basic.get-empty"));
            if is_as_recorded || !only_looks {
                break;
            }
            answers = speaker.take(step, wait);
        }
        spoken.push((step.line.clone(), answers));
    }
    spoken
}

/// The steps that ours may answer otherwise, each with its reason.
fn known_differences(text: &str) -> BTreeMap<&str, String> {
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    let mut step = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(reason) = line.strip_prefix("    ") {
            let step = step.unwrap_or_else(|| panic!("the reason of nothing: '{reason}'"));
            known.entry(step).or_default().push_str(reason);
        } else {
            step = Some(line);
            known.insert(line, String::new());
        }
    }
    for (step, reason) in &known {
        assert!(!reason.is_empty(), "{KNOWN} gives no reason for '{step}'");
    }
    known
}

/// A step that was answered otherwise than expected.
struct Difference {
    /// The script's name and the step.
    step: String,
    /// Both answers.
    shown: String,
}

fn differences(script: &Path, expected: &[Exchange], found: &[Exchange]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (at, (step, answers)) in found.iter().enumerate() {
        let wanted = expected.get(at).map(|(_, answers)| answers.as_slice()).unwrap_or_default();
        if wanted != answers.as_slice() {
            let list = |mark: &str, lines: &[String]| {
                lines.iter().flat_map(|line| ["    ", mark, " ", line, "\n"]).collect::<String>()
            };
            let name = script.file_stem().unwrap_or_default().display();
            let step = format!("{name}: {step}");
            let shown =
                format!("{step} (step {})\n{}{}", at + 1, list("-", wanted), list("+", answers));
            differences.push(Difference { step, shown });
        }
    }
    differences
}

/// What differs each time a script is played; what is expected to differ is no reason to play it again.
fn lasting(
    is_expected: impl Fn(&Difference) -> bool,
    mut play: impl FnMut() -> Vec<Difference>,
) -> Vec<Difference> {
    let mut found = play();
    for _ in 1..PLAYS_MAX {
        let Some(once) = found.iter().find(|difference| !is_expected(difference)) else { break };
        _ = writeln!(io::stderr(), "played again, as this differed:\n{}", once.shown);
        found = play();
    }
    found
}

fn recorded(script: &Path) -> Vec<Exchange> {
    let record = record_of(script);
    let text = fs::read_to_string(&record)
        .unwrap_or_else(|error| panic!("{}: {error}; {RECORD}=1 makes it", record.display()));
    let exchanges = transcript::read(&text);
    let steps = script::parse(&fs::read_to_string(script).unwrap());
    assert!(
        exchanges.iter().map(|(line, _)| line).eq(steps.iter().map(|step| &step.line)),
        "{} is older than its script; {RECORD}=1 renews it",
        record.display()
    );
    exchanges
}

#[test]
fn ours_answers_as_the_record_of_rabbitmq() {
    let known = fs::read_to_string(KNOWN).unwrap();
    let known = known_differences(&known);
    let mut met = BTreeSet::new();
    let mut wrong = String::new();
    let mut steps = 0;
    for script in scripts() {
        let expected = recorded(&script);
        steps += expected.len();
        let is_known = |difference: &Difference| known.contains_key(difference.step.as_str());
        let found = lasting(is_known, || {
            let ours = brokers::Ours::start();
            differences(&script, &expected, &speak(&script, &ours.place, &expected, Duration::ZERO))
        });
        for difference in found {
            match known.get_key_value(difference.step.as_str()) {
                Some((step, _)) => _ = met.insert(*step),
                None => wrong += &difference.shown,
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let gone: Vec<_> = known.keys().filter(|step| !met.contains(*step)).collect();
    assert!(gone.is_empty(), "no longer different, so to be taken out of {KNOWN}: {gone:#?}");
    assert!(steps >= STEPS_MIN, "{steps} steps");
}

#[test]
fn rabbitmq_answers_as_recorded() {
    let asked = env::var(RECORD).unwrap_or_default();
    let _alone = ON_RABBITMQ.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wrong = String::new();
    for script in scripts() {
        if !matches!(asked.as_str(), "" | "1") && script.file_stem() != Some(asked.as_ref()) {
            continue;
        }
        if !asked.is_empty() {
            let Some(place) = brokers::rabbitmq() else { return };
            let spoken = speak(&script, &place, &[], Duration::ZERO);
            fs::write(record_of(&script), transcript::written(&spoken)).unwrap();
            continue;
        }
        let expected = recorded(&script);
        let found = lasting(
            |_| false,
            || {
                // Each time in an empty vhost.
                let Some(place) = brokers::rabbitmq() else { return Vec::new() };
                differences(&script, &expected, &speak(&script, &place, &expected, ASKED_FOR))
            },
        );
        wrong.extend(found.into_iter().map(|difference| difference.shown));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
