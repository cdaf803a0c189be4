//! Random operations on both brokers at once: after each, what was answered and what is in every queue is the same.
//!
//! A sequence is made from its seed, step by step as a line of a script (`operations`). Answers come on their own ways
//! and may be late, so both are looked at up to [`LOOKS`] times until they agree. What differs then is played
//! again from the start, [`PLAYS`] times in all, and is a difference when it shows each time: RabbitMQ's processes are not
//! always equally fast. Then steps are left out as long as a difference is left, and what remains is printed, a script.
//!
//! The sequences are played with RabbitMQ 3.10 and ours with `--compat 3.10`, and with RabbitMQ 4.3 and ours with
//! `--compat 4.3`; `MQ_RANDOM_RELEASE=4.3` plays them with that one alone. `MQ_RANDOM_SECONDS` has them run longer than the
//! suite does, `MQ_RANDOM_SEED` begins elsewhere, `MQ_RANDOM_SCRIPT` plays the lines of a file instead, as they stand there.

mod operations;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use std::{env, fs, io::Write as _};

use super::brokers::{Mode, Ours, Referee};
use super::speaker::{Speaker, Wait};
use super::{ON_RABBITMQ, script};
use operations::{BEGIN, FIRST_QUORUM, Operations, QUEUES};

/// For so long the test suite begins sequences with each RabbitMQ. One that has begun is played to its end, and the second
/// seed's takes ten seconds and more, so that 4.3 begins behind it: both together take 20 seconds.
const RUN: Duration = Duration::from_secs(5);
/// The releases that `MQ_RANDOM_RELEASE` may name.
const RELEASES: [Referee; 2] = [Referee::V3_10, Referee::V4_3];
/// Steps of one sequence, on fresh vhosts.
const STEPS: usize = 80;
/// Steps of one whose steps take time.
const TIMED_STEPS: usize = 30;
/// So often both brokers are looked at before answers that differ are a difference.
const LOOKS: usize = 60;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// Behind each step of a timed sequence: much longer than any time to live in it, and a chain of them.
const TIMED_PAUSE: Duration = Duration::from_millis(350);
/// So often a difference must show.
const PLAYS: usize = 3;

/// What was said behind a step, and what is in the queues.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// By channel, in the channel's order; confirms apart.
    said: BTreeMap<String, Vec<String>>,
    /// What became of each publish that was to be confirmed, by channel.
    confirmed: BTreeMap<String, BTreeMap<u64, bool>>,
    /// The last that was heard of each queue.
    counts: Vec<String>,
}

impl Seen {
    /// Begins a step.
    fn begin(&mut self) {
        self.said.clear();
    }

    fn hear(&mut self, lines: Vec<String>) {
        for line in lines {
            let Some((channel, rest)) = line.split_once(' ') else { continue };
            let field = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name));
            let tag = field("tag=").and_then(|tag| tag.parse::<u64>().ok());
            match (rest.split(' ').next(), tag) {
                _ if channel == "z0" => {}
                (Some(kind @ ("basic.ack" | "basic.nack")), Some(tag)) => {
                    let answered = self.confirmed.entry(channel.to_owned()).or_default();
                    let first = answered.last_key_value().map_or(1, |(last, _)| last + 1);
                    let is_multiple = field("multiple=") == Some("true");
                    for tag in if is_multiple { first.min(tag)..=tag } else { tag..=tag } {
                        answered.entry(tag).or_insert(kind == "basic.ack");
                    }
                    continue;
                }
                (Some("channel.close" | "channel.close-ok"), _) => {
                    self.confirmed.remove(channel);
                }
                (Some("hangs"), _) => {
                    self.confirmed.retain(|other, _| other[..1] != channel[..1]);
                }
                _ => {}
            }
            self.said.entry(channel.to_owned()).or_default().push(without_getters(rest));
        }
    }

    fn shown(&self) -> String {
        let said = self.said.iter().flat_map(|(channel, lines)| {
            lines.iter().map(move |line| format!("    {channel} {line}\n"))
        });
        let counts = self.counts.iter().map(|line| format!("    {line}\n"));
        let confirmed = self.confirmed.iter().map(|(channel, answered)| {
            let nacked: BTreeSet<_> =
                answered.iter().filter(|one| !one.1).map(|one| one.0).collect();
            let last = answered.last_key_value().map_or(0, |(last, _)| *last);
            format!(
                "    {channel} confirmed up to {last}, {} in all, refused {nacked:?}\n",
                answered.len()
            )
        });
        said.chain(confirmed).chain(counts).collect()
    }
}

/// A broker and what was heard of it.
struct Side {
    speaker: Speaker,
    seen: Seen,
}

impl Side {
    /// Asks what is in every queue, which also has every queue do what it was told, then for what came of it.
    fn look(&mut self) {
        let mut counts = Vec::new();
        for queue in QUEUES {
            let step = script::step(&format!("z1 queue.declare passive queue={queue}"));
            let answers = self.speaker.take(&step, Wait::Barrier);
            let (of_queue, others): (Vec<_>, _) =
                answers.into_iter().partition(|line| line.starts_with("z1 "));
            counts.extend(of_queue.iter().map(|line: &String| without_getters(line)));
            self.seen.hear(others);
        }
        self.seen.counts = counts;
        let settled = self.speaker.settle();
        self.seen.hear(settled);
    }

    fn take(&mut self, line: &str) {
        self.seen.begin();
        let answers = self.speaker.take(&script::step(line), Wait::Barrier);
        self.seen.hear(answers);
        self.look();
    }
}

/// RabbitMQ counts whoever holds a message of a quorum queue as a consumer (`rabbit_fifo:query_consumer_count`), ours
/// does not: how many are told is left out there.
fn without_getters(line: &str) -> String {
    let is_of_quorum =
        QUEUES[FIRST_QUORUM..].iter().any(|name| line.contains(&format!("={name} ")));
    let cut = line.rfind(" consumers=").filter(|_| is_of_quorum).unwrap_or(line.len());
    line[..cut].to_owned()
}

/// A step that was answered differently, and those before it.
struct Difference {
    steps: Vec<String>,
    shown: String,
}

/// Plays the steps that `next` makes from what ours answered last; the first difference ends it.
fn play(
    referee: Referee,
    is_timed: bool,
    mut next: impl FnMut(&[String]) -> Option<String>,
) -> Result<usize, Difference> {
    let server = Ours::start(Mode::Compat(referee));
    let theirs = referee.place().expect("it was there before");
    let [mut ours, mut theirs] = [server.place.clone(), theirs]
        .map(|place| Side { speaker: Speaker::new(place), seen: Seen::default() });
    let (mut steps, mut heard): (Vec<String>, Vec<String>) = Default::default();
    while let Some(line) = next(&heard) {
        steps.push(line.clone());
        ours.take(&line);
        theirs.take(&line);
        if is_timed {
            for side in [&mut ours, &mut theirs] {
                let late = side.speaker.listen(TIMED_PAUSE / 2);
                side.seen.hear(late);
            }
            ours.look();
            theirs.look();
        }
        for _ in 0..LOOKS {
            if ours.seen == theirs.seen {
                break;
            }
            let late = theirs.speaker.listen(PAUSE);
            theirs.seen.hear(late);
            ours.look();
            theirs.look();
        }
        if ours.seen != theirs.seen {
            let (theirs, ours) = (theirs.seen.shown(), ours.seen.shown());
            let shown = format!("  RabbitMQ\n{theirs}  ours\n{ours}");
            return Err(Difference { steps, shown });
        }
        let said = ours.seen.said.iter();
        heard = said
            .flat_map(|(channel, lines)| lines.iter().map(move |line| format!("{channel} {line}")))
            .collect();
    }
    Ok(steps.len())
}

fn replay(referee: Referee, steps: &[String], is_timed: bool) -> Result<usize, Difference> {
    let mut steps = steps.iter();
    play(referee, is_timed, |_| steps.next().cloned())
}

/// Leaves out what a difference does not need: ever smaller pieces of the steps before it.
fn shortest(referee: Referee, mut found: Difference, is_timed: bool) -> Difference {
    let mut piece = found.steps.len() / 2;
    while piece > 0 {
        let mut from = found.steps.len().saturating_sub(1 + piece);
        loop {
            let mut fewer = found.steps.clone();
            fewer.drain(from..(from + piece).min(fewer.len() - 1));
            if let Err(shorter) = replay(referee, &fewer, is_timed) {
                found = shorter;
            }
            if from == 0 {
                break;
            }
            from = from.min(found.steps.len()).saturating_sub(piece);
        }
        piece /= 2;
    }
    found
}

/// Plays one sequence; answers with how many steps were alike.
fn sequence(referee: Referee, seed: u64, unsteady: &mut usize) -> Result<usize, String> {
    let mut operations = Operations::new(referee, seed);
    let is_timed = operations.is_timed;
    let (mut made, count) = (0, if is_timed { TIMED_STEPS } else { STEPS });
    let played = play(referee, is_timed, |heard| {
        operations.learn(heard);
        made += 1;
        let line = match BEGIN.get(made - 1) {
            Some(line) => Some((*line).to_owned()),
            None => (made <= count).then(|| operations.next()),
        };
        line.map(|line| match referee {
            Referee::V3_10 => line,
            Referee::V4_3 => script::made_durable(&line),
        })
    });
    let mut found = match played {
        Ok(steps) => return Ok(steps),
        Err(found) => found,
    };
    for _ in 1..PLAYS {
        match replay(referee, &found.steps, is_timed) {
            Ok(steps) => {
                *unsteady += 1;
                return Ok(steps);
            }
            Err(again) => found = again,
        }
    }
    let Difference { steps, shown } = shortest(referee, found, is_timed);
    Err(format!("seed {seed}, shortened to {} steps:\n{}\n{shown}", steps.len(), steps.join("\n")))
}

/// Plays sequences with this RabbitMQ for as long as is asked for, from this seed unless another is asked for.
fn compare(referee: Referee, first: u64) {
    let release = referee.suffix();
    if let Ok(wanted) = env::var("MQ_RANDOM_RELEASE") {
        assert!(RELEASES.iter().any(|referee| referee.suffix() == wanted), "no release '{wanted}'");
        if wanted != release {
            return;
        }
    }
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let run = number("MQ_RANDOM_SECONDS").map_or(RUN, Duration::from_secs);
    let first = number("MQ_RANDOM_SEED").unwrap_or(first);
    let _alone = ON_RABBITMQ.lock().unwrap_or_else(PoisonError::into_inner);
    if referee.place().is_none() {
        return;
    }
    if let Ok(file) = env::var("MQ_RANDOM_SCRIPT") {
        let steps: Vec<_> = fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect();
        let shown = |found: Difference| format!("{}\n{}", found.steps.join("\n"), found.shown);
        replay(referee, &steps, false).unwrap_or_else(|found| panic!("\n{}", shown(found)));
        return;
    }
    let began = Instant::now();
    let (mut seed, mut steps, mut unsteady) = (first, 0, 0);
    while began.elapsed() < run {
        steps += sequence(referee, seed, &mut unsteady).unwrap_or_else(|why| panic!("\n{why}"));
        seed += 1;
    }
    assert!(steps >= TIMED_STEPS, "no sequence came to its end");
    let last = seed - 1;
    let _ = writeln!(
        std::io::stderr(),
        "RabbitMQ {release}, seeds {first} to {last}: {steps} steps alike, {unsteady} sequences differed once and not \
         again"
    );
}

#[test]
fn random_sequences_have_the_same_answers_on_3_10() {
    compare(Referee::V3_10, 1);
}

#[test]
fn random_sequences_have_the_same_answers_on_4_3() {
    compare(Referee::V4_3, 3);
}
