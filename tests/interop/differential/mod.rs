//! The referee: what RabbitMQ answers to a script, frame by frame, and that ours answers the same.
//!
//! `scripts/NAME.script` says what is sent, `scripts/NAME.rabbitmq-3.10` and `scripts/NAME.rabbitmq-4.3` what a real
//! RabbitMQ 3.10.8 and 4.3.6 answered; the scripts in `scripts/4.3` are of what only the latter has. RabbitMQ 4.3 refuses
//! transient queues that are not exclusive, so the steps that declare one declare a durable one there
//! ([`script::made_durable`]).
//!
//! Ours is compared with the records everywhere: with `--compat 3.10`, with `--compat 4.3`, and without `--compat`, when it
//! answers as 4.3 except for what 4.3 refuses. RabbitMQ itself is compared wherever it can be had, which shows that the
//! records are right. After a change of a script: `MQ_RECORD=1 cargo test --test interop differential::rabbitmq`. With
//! `MQ_SCRIPT=NAME` all of this is done with that script alone.
//!
//! Reading order: `script` (what a line means), [`speaker`] (who speaks it), `transcript` (what is compared), `known`
//! (what may differ, and why).

mod brokers;
mod known;
mod random;
mod script;
mod speaker;
mod transcript;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use brokers::{Mode, Ours, Referee};
use speaker::{Place, Speaker, Wait};
use transcript::Exchange;

/// Set to `1` to have the transcripts written anew by the RabbitMQ that is here.
const RECORD: &str = "MQ_RECORD";
/// The name of the one script that is played.
const SCRIPT: &str = "MQ_SCRIPT";
/// Fewer steps than these would not cover what the scripts are for.
const STEPS_MIN: usize = 1000;
/// How often a script is played that is not answered as expected: on a busy machine a broker may be late where a script
/// waits for a time to live, or where RabbitMQ answers before all is done. What differs each time is a difference.
const PLAYS_MAX: usize = 3;
/// Steps that RabbitMQ 4.3.6 answers in two ways: when a consumer of a quorum queue has timed out and its message has gone to
/// another one, that one times out as well, or never does (seen in three of five runs, and then in each play of the run, with
/// 3.5 s and with 6 s of waiting). Ours is compared with the record, in which it does.
const TWO_ANSWERS: &[&str] = &[
    "31_timeouts: wait 3500 #2",
    "31_timeouts: a1 queue.declare passive queue=t1 #3",
    "31_timeouts: a4 basic.consume queue=t1 consumer_tag=slow #2",
    "31_timeouts: a5 basic.ack delivery_tag=1",
    "31_timeouts: wait 3500 #3",
    "31_timeouts: a7 basic.ack delivery_tag=1",
    "31_timeouts: a6 basic.ack delivery_tag=1",
    "31_timeouts: a1 publish routing_key=t2 body=m5",
];
/// Scripts that are played side by side.
const PLAYED_AT_ONCE: usize = 4;
/// How long RabbitMQ is asked for what a queue holds until it says what it said for the record: its quorum queues do their
/// work behind the answers, later on a busy machine.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// All comparisons share one vhost of each RabbitMQ, and the time of one machine.
static ON_RABBITMQ: Mutex<()> = Mutex::new(());

/// A script as it is spoken with one RabbitMQ and with what is compared with it.
struct Script {
    name: String,
    lines: Vec<String>,
    record: PathBuf,
}

/// The scripts for a RabbitMQ.
fn scripts(referee: Referee) -> Vec<Script> {
    let home = Path::new("tests/interop/differential/scripts");
    let own = home.join(referee.suffix());
    let read = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let mut found = [read(home), read(&own)].concat();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "script"));
    assert!(!found.is_empty(), "the tests run in the package's root");
    found.sort_by_key(|path| path.file_stem().map(ToOwned::to_owned));
    let script = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let is_own = path.starts_with(&own);
        let spoken = |line: &str| match referee {
            Referee::V4_3 if !is_own => script::made_durable(line),
            Referee::V3_10 | Referee::V4_3 => line.to_owned(),
        };
        Script {
            name: path.file_stem().unwrap().display().to_string(),
            lines: script::lines(&text).map(spoken).collect(),
            record: path.with_extension(format!("rabbitmq-{}", referee.suffix())),
        }
    };
    let mut scripts: Vec<_> = found.into_iter().map(script).collect();
    if let Ok(name) = env::var(SCRIPT) {
        scripts.retain(|script| script.name == name);
    }
    scripts
}

impl Script {
    /// Speaks the script; where a record says how much comes, it is waited for. What only looks at a queue and is answered
    /// otherwise is asked again for so long.
    fn speak(&self, place: &Place, recorded: &[Exchange], asked_for: Duration) -> Vec<Exchange> {
        let mut speaker = Speaker::new(place.clone());
        let mut spoken = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let step = script::step(line);
            let wait =
                recorded.get(at).map_or(Wait::Quiet, |(_, answers)| Wait::For(answers.len()));
            let mut answers = speaker.take(&step, wait);
            let begin = Instant::now();
            while begin.elapsed() < asked_for {
                let is_as_recorded = recorded.get(at).is_none_or(|(_, wanted)| *wanted == answers);
                let only_looks = step.line.contains("queue.declare passive")
                    || answers.iter().any(|answer| answer.ends_with("basic.get-empty"));
                if is_as_recorded || !only_looks {
                    break;
                }
                answers = speaker.take(&step, wait);
            }
            spoken.push((step.line, answers));
        }
        spoken
    }

    /// What RabbitMQ answered when the record was made.
    fn recorded(&self) -> Vec<Exchange> {
        let record = self.record.display();
        let text = fs::read_to_string(&self.record)
            .unwrap_or_else(|error| panic!("{record}: {error}; {RECORD}=1 makes it"));
        let exchanges = transcript::read(&text);
        assert!(
            exchanges.iter().map(|(line, _)| line).eq(&self.lines),
            "{record} is older than its script; {RECORD}=1 renews it"
        );
        exchanges
    }

    /// Whether a line of the known differences speaks of this script.
    fn has(&self, step: &str) -> bool {
        step.split_once(": ").is_some_and(|(name, _)| name == self.name)
    }

    fn differences(&self, expected: &[Exchange], found: &[Exchange]) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, (line, answers)) in found.iter().enumerate() {
            let time = times.entry(line).or_default();
            *time += 1;
            let wanted =
                expected.get(at).map(|(_, answers)| answers.as_slice()).unwrap_or_default();
            if wanted != answers.as_slice() {
                let list = |mark: &str, lines: &[String]| {
                    let line = |line: &String| format!("    {mark} {line}\n");
                    lines.iter().map(line).collect::<String>()
                };
                let time = if *time > 1 { format!(" #{time}") } else { String::new() };
                let step = format!("{}: {line}{time}", self.name);
                let shown = format!("{step}\n{}{}", list("-", wanted), list("+", answers));
                differences.push(Difference { step, shown });
            }
        }
        differences
    }
}

/// A step that was answered otherwise than expected.
struct Difference {
    /// The script's name and the step, as the lists of known differences have it.
    step: String,
    /// Both answers.
    shown: String,
}

/// What differs each time a script is played, and what is known to differ if it does so once. A script is played again
/// while something differs that is not known, or does not that is.
fn lasting(known: &BTreeSet<String>, mut play: impl FnMut() -> Vec<Difference>) -> Vec<Difference> {
    let mut met: BTreeMap<String, Difference> = BTreeMap::new();
    for plays in 1.. {
        let (expected, unknown): (Vec<_>, Vec<_>) =
            play().into_iter().partition(|difference| known.contains(&difference.step));
        met.extend(expected.into_iter().map(|difference| (difference.step.clone(), difference)));
        let missing = known.iter().find(|step| !met.contains_key(*step));
        let again = unknown.first().map(|difference| difference.shown.as_str());
        let Some(again) = again.or_else(|| missing.map(String::as_str)) else { break };
        if plays == PLAYS_MAX {
            return met.into_values().chain(unknown).collect();
        }
        _ = writeln!(io::stderr(), "played again, because this was not as expected:\n{again}");
    }
    met.into_values().collect()
}

/// Plays scripts, several at a time, each to a broker of its own: most of a play is waiting. The answers are in the order of
/// the scripts.
fn side_by_side<T: Send>(scripts: &[Script], play: impl Fn(&Script) -> T + Sync) -> Vec<T> {
    let (next, played) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..PLAYED_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(script) = scripts.get(at) else { break };
                    let answer = play(script);
                    played.lock().unwrap().push((at, answer));
                }
            });
        }
    });
    let mut played = played.into_inner().unwrap();
    played.sort_by_key(|(at, _)| *at);
    played.into_iter().map(|(_, answer)| answer).collect()
}

/// Plays every script to ours and compares it with the record; what is known to differ must differ.
fn compare_ours(mode: Mode) {
    let mut known = known::differences(mode);
    let is_one =
        env::var(SCRIPT).inspect(|name| known.retain(|step, _| step.starts_with(name))).is_ok();
    let played = side_by_side(&scripts(mode.referee()), |script| {
        let expected = script.recorded();
        let known: BTreeSet<_> = known.keys().filter(|step| script.has(step)).cloned().collect();
        let found = lasting(&known, || {
            let ours = Ours::start(mode);
            script.differences(&expected, &script.speak(&ours.place, &expected, Duration::ZERO))
        });
        (expected.len(), found)
    });
    let mut met = BTreeSet::new();
    let mut wrong = String::new();
    let mut steps = 0;
    for (step_count, found) in played {
        steps += step_count;
        for difference in found {
            match known.get_key_value(&difference.step) {
                Some((step, _)) => _ = met.insert(step),
                None => wrong += &difference.shown,
            }
        }
    }
    let gone: Vec<_> = known.keys().filter(|step| !met.contains(step)).collect();
    if !gone.is_empty() {
        let path = known::path(mode);
        let mode = mode.name();
        let stale = format!(
            "{gone:#?} do not differ with {mode}: take them out of {path}
"
        );
        wrong.push_str(&stale);
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(is_one || steps >= STEPS_MIN, "{steps} steps");
}

/// Plays every script to RabbitMQ itself and compares it with the record, or makes the record.
fn compare_rabbitmq(referee: Referee) {
    let is_recording = env::var(RECORD).is_ok();
    let _alone = ON_RABBITMQ.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wrong = String::new();
    for script in scripts(referee) {
        if is_recording {
            let Some(place) = referee.place() else { return };
            let spoken = script.speak(&place, &[], Duration::ZERO);
            fs::write(&script.record, transcript::written(&spoken)).unwrap();
            continue;
        }
        let expected = script.recorded();
        let found = lasting(&BTreeSet::new(), || {
            // Each time in an empty vhost.
            let Some(place) = referee.place() else { return Vec::new() };
            let spoken = script.speak(&place, &expected, ASKED_FOR);
            let mut differences = script.differences(&expected, &spoken);
            differences.retain(|difference| !TWO_ANSWERS.contains(&difference.step.as_str()));
            differences
        });
        wrong.extend(found.into_iter().map(|difference| difference.shown));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn ours_answers_as_the_record_of_rabbitmq_3_10() {
    compare_ours(Mode::Compat(Referee::V3_10));
}

#[test]
fn ours_answers_as_the_record_of_rabbitmq_4_3() {
    compare_ours(Mode::Compat(Referee::V4_3));
}

#[test]
fn ours_by_default_answers_as_the_record_of_rabbitmq_4_3() {
    compare_ours(Mode::Default);
}

#[test]
fn rabbitmq_3_10_answers_as_recorded() {
    compare_rabbitmq(Referee::V3_10);
}

#[test]
fn rabbitmq_4_3_answers_as_recorded() {
    compare_rabbitmq(Referee::V4_3);
}
