//! Random operations on both brokers at once: after each, what was answered and what is in every queue is the same.
//!
//! A sequence is made from its seed, step by step as a line of a script. The first step that differs ends it, so the
//! prefix that a failure prints is the shortest of that sequence and can be kept as a script. Answers that come on their
//! own ways may be late: a difference is one that is still there after [`PATIENCE`] more looks.
//!
//! `MQ_RANDOM_SECONDS` has it run longer than the suite does, `MQ_RANDOM_SEED` begins elsewhere.

use std::sync::PoisonError;
use std::time::{Duration, Instant};
use std::{env, io::Write as _};

use super::speaker::{Speaker, Wait};
use super::{ON_RABBITMQ, brokers, script};

/// How long the sequences of the test suite run.
const RUN: Duration = Duration::from_secs(20);
/// Steps of one sequence, on fresh vhosts.
const STEPS: usize = 60;
/// So often both brokers are asked again before answers that differ are a difference.
const PATIENCE: usize = 20;

/// What every sequence begins with.
const BEGIN: [&str; 2] = ["a1 exchange.declare exchange=dead kind=fanout", "a9 confirm.select"];
const QUEUES: [&str; 4] = ["q1", "q2", "q3", "q4"];
/// What a queue may be declared with. Times to live are left out: two clocks would be compared.
const FEATURES: [&str; 8] = [
    "",
    "durable",
    "x-max-length=3",
    "x-max-length=2 x-overflow=reject-publish",
    "x-max-length-bytes=12",
    "x-dead-letter-exchange=amq.fanout",
    "x-max-length=2 x-dead-letter-exchange=dead x-dead-letter-routing-key=k",
    "auto_delete",
];

/// A small generator (SplitMix64): the same seed, the same sequence, everywhere.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).expect("below the bound")
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// What the sequence must remember to stay within what both brokers decide alike.
#[derive(Debug, Default)]
struct Memory {
    published: usize,
    /// The delivery tags that each channel has been given, by what ours answered.
    tags: Vec<(String, u64)>,
}

impl Memory {
    fn learn(&mut self, answers: &[String]) {
        for answer in answers {
            let Some((channel, rest)) = answer.split_once(' ') else { continue };
            let is_delivery = rest.starts_with("basic.get-ok") || rest.starts_with("basic.deliver");
            let tag = rest.split_once(" tag=").and_then(|(_, rest)| rest.split(' ').next());
            if let Some(tag) = tag.filter(|_| is_delivery).and_then(|tag| tag.parse().ok()) {
                self.tags.push((channel.to_owned(), tag));
            }
            if rest.starts_with("channel.close") {
                self.tags.retain(|(held_by, _)| held_by != channel);
            }
            if rest.starts_with("hangs up") {
                self.tags.retain(|(held_by, _)| held_by[..1] != channel[..1]);
            }
        }
    }
}

/// The next step.
fn next(chance: &mut Chance, memory: &mut Memory) -> String {
    let channel = chance.of(&["a1", "b1", "b2"]);
    let queue = chance.of(&QUEUES);
    match chance.below(20) {
        0..=1 => format!("{channel} queue.declare queue={queue} {}", chance.of(&FEATURES)),
        2 => {
            let (exchange, key) =
                (chance.of(&["amq.fanout", "amq.topic", "dead"]), chance.of(&["k", "k.#", "*"]));
            format!("{channel} queue.bind queue={queue} exchange={exchange} routing_key={key}")
        }
        3..=8 => {
            memory.published += 1;
            let to = match chance.below(4) {
                0 => format!("exchange={} routing_key=k", chance.of(&["amq.fanout", "amq.topic"])),
                _ => format!("routing_key={queue}"),
            };
            let mandatory = chance.of(&["", " mandatory"]);
            let mode = chance.of(&["", " delivery_mode=2"]);
            format!("a9 publish {to}{mandatory}{mode} body=m{}", memory.published)
        }
        9..=11 => format!("{channel} basic.get queue={queue}{}", chance.of(&["", "", " no_ack"])),
        12..=15 => {
            settle(chance, memory).unwrap_or_else(|| format!("{channel} basic.recover requeue"))
        }
        16 => format!("{channel} queue.purge queue={queue}"),
        17 => {
            let condition = chance.of(&["", " if_empty", " if_unused"]);
            format!("{channel} queue.delete queue={queue}{condition}")
        }
        18 => format!("{channel} basic.consume queue={queue} consumer_tag={channel}-{queue}"),
        _ => format!("{channel} basic.cancel consumer_tag={channel}-{queue}"),
    }
}

/// An answer to one of the deliveries.
fn settle(chance: &mut Chance, memory: &mut Memory) -> Option<String> {
    if memory.tags.is_empty() {
        return None;
    }
    let (channel, tag) = memory.tags.swap_remove(chance.below(memory.tags.len()));
    let multiple = chance.below(6) == 0;
    if multiple {
        memory.tags.retain(|(held_by, held)| *held_by != channel || *held > tag);
    }
    let multiple = if multiple { " multiple" } else { "" };
    let requeue = chance.of(&["", " requeue"]);
    Some(match chance.below(3) {
        0 => format!("{channel} basic.nack delivery_tag={tag}{multiple}{requeue}"),
        1 if multiple.is_empty() => format!("{channel} basic.reject delivery_tag={tag}{requeue}"),
        _ => format!("{channel} basic.ack delivery_tag={tag}{multiple}"),
    })
}

/// Does a step and says everything that can be seen behind it.
fn look(speaker: &mut Speaker, line: &str) -> Vec<String> {
    let mut seen = speaker.take(&script::step(line), Wait::Barrier);
    seen.extend(state(speaker));
    seen
}

/// Asks for what is in every queue, which also has every queue do what it was told, then for what came of it.
fn state(speaker: &mut Speaker) -> Vec<String> {
    let mut seen = Vec::new();
    for queue in QUEUES {
        let step = script::step(&format!("z1 queue.declare passive queue={queue}"));
        seen.extend(speaker.take(&step, Wait::Barrier));
    }
    seen.extend(speaker.settle());
    seen
}

/// What was said of something else than the counts, which change while one looks, in each channel's order; and the counts.
fn sorted(seen: &[String]) -> (Vec<String>, Vec<String>) {
    let (counts, mut said): (Vec<String>, Vec<String>) =
        seen.iter().cloned().partition(|line| line.starts_with("z1"));
    said.sort_by_key(|line| line.split(' ').next().unwrap_or_default().to_owned());
    (said, counts[counts.len().saturating_sub(QUEUES.len())..].to_vec())
}

/// Runs one sequence; the first difference is an error with all steps up to it.
fn sequence(seed: u64) -> Result<usize, String> {
    let Some(place) = brokers::rabbitmq() else { return Ok(0) };
    let server = brokers::Ours::start();
    let mut speakers = (Speaker::new(server.place.clone()), Speaker::new(place));
    let (mut chance, mut memory) = (Chance(seed), Memory::default());
    let mut steps: Vec<String> = Vec::new();
    while steps.len() < STEPS {
        let line = match BEGIN.get(steps.len()) {
            Some(line) => (*line).to_owned(),
            None => next(&mut chance, &mut memory),
        };
        steps.push(line.clone());
        let mut ours = look(&mut speakers.0, &line);
        let mut theirs = look(&mut speakers.1, &line);
        for _ in 0..PATIENCE {
            if sorted(&ours) == sorted(&theirs) {
                break;
            }
            ours.extend(state(&mut speakers.0));
            theirs.extend(state(&mut speakers.1));
        }
        let (ours, theirs) = (sorted(&ours), sorted(&theirs));
        if ours != theirs {
            let shown = |(said, counts): &(Vec<String>, Vec<String>)| {
                format!("{}\n{}", said.join("\n"), counts.join("\n"))
            };
            return Err(format!(
                "seed {seed}, {} steps:\n{}\n--- RabbitMQ\n{}\n--- ours\n{}",
                steps.len(),
                steps.join("\n"),
                shown(&theirs),
                shown(&ours)
            ));
        }
        memory.learn(&ours.0);
    }
    Ok(STEPS)
}

#[test]
fn random_sequences_have_the_same_answers_on_both() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let run = number("MQ_RANDOM_SECONDS").map_or(RUN, Duration::from_secs);
    let first: u64 = number("MQ_RANDOM_SEED").unwrap_or(1);
    let _alone = ON_RABBITMQ.lock().unwrap_or_else(PoisonError::into_inner);
    if crate::rabbitmq::RabbitMq::shared().is_none() {
        return;
    }
    let began = Instant::now();
    let (mut seed, mut steps) = (first, 0);
    while began.elapsed() < run {
        steps += sequence(seed).unwrap_or_else(|why| panic!("{why}"));
        seed += 1;
    }
    assert!(steps >= STEPS, "no sequence came to its end");
    let _ = writeln!(std::io::stderr(), "seeds {first} to {}: {steps} steps alike", seed - 1);
}
