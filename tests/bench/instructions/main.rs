//! Counts the instructions of every scene and holds them against the recorded ones.
//!
//! ```text
//! cargo bench --bench instructions                  what CI runs: fails when a scene has become dearer
//! cargo bench --bench instructions -- fanout        only scenes whose names have `fanout` in them
//! cargo bench --bench instructions -- --record      writes the figures of now into tests/bench/figures.txt
//! ```
//!
//! Under `cargo test --benches` every scene runs once, to see that it works.
//!
//! Instructions and not time, because a shared machine's times vary by more than a slowdown that matters, and these by
//! less than a thousandth. Each scene runs in a process of its own under valgrind's callgrind, which counts only within
//! [`measured_rounds`]. What could differ between two runs is fenced: one thread, no clock, no socket, no disk, an
//! emptied environment. The seeds of the standard library's hash maps stay random; they move a figure by a
//! few instructions in ten thousand.
//!
//! Reading order: [`main`], `callgrind` (one scene is counted), `figures` (what is recorded, and when that fails).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people who build mq")]

mod callgrind;
mod figures;
#[path = "../scenes/mod.rs"]
mod scenes;

use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use figures::{Figure, Figures};
use scenes::{Round, Scene};

/// Where figures are kept, from the package's root, in which cargo runs this.
const FILE: &str = "tests/bench/figures.txt";
/// Rounds before the counting begins: buffers have grown and routes are remembered by then.
const WARM_ROUNDS: u64 = 20;
/// How far two counts of one scene may be apart, in percent of the smaller, to be recorded.
const UNSTEADY_PERCENT: f64 = 0.5;

/// Said below the failures.
const WHAT_TO_DO: &str = "\
A profile of each scene is in target/callgrind: `callgrind_annotate target/callgrind/SCENE.out`.
If the cost buys something, record it, and say in the commit what it buys: `cargo bench --bench instructions -- --record`";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is asked of this program.
#[derive(Debug, Default)]
struct Asked {
    is_bench: bool,
    record: bool,
    /// A part of a scene's name.
    filter: String,
}

fn main() -> ExitCode {
    let mut asked = Asked::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            callgrind::RUN => return run(&arguments.next().unwrap_or_default()),
            "--record" => asked.record = true,
            // What `cargo bench` says, and `cargo test --benches` does not.
            "--bench" => asked.is_bench = true,
            option if option.starts_with('-') => {
                eprintln!("error: '{option}' is not known; there are --record and names of scenes");
                return ExitCode::FAILURE;
            }
            name => name.clone_into(&mut asked.filter),
        }
    }
    let done = match asked {
        Asked { is_bench: false, .. } => Ok(try_all()),
        Asked { record: true, filter, .. } => record(&filter),
        Asked { record: false, filter, .. } => check(&filter),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::FAILURE
    })
}

/// Runs a scene, as callgrind's child.
fn run(name: &str) -> ExitCode {
    let Some(scene) = scenes::ALL.iter().find(|scene| scene.name == name) else {
        eprintln!("error: there is no scene '{name}'");
        return ExitCode::FAILURE;
    };
    let mut round = (scene.build)();
    for _ in 0..WARM_ROUNDS {
        round();
    }
    measured_rounds(&mut round, scene.rounds);
    ExitCode::SUCCESS
}

/// Runs each scene once and counts nothing: a build that is not optimised has no figures.
fn try_all() -> ExitCode {
    for scene in scenes::ALL {
        measured_rounds(&mut (scene.build)(), 1);
    }
    println!("{} passed, 0 failed", scenes::ALL.len());
    ExitCode::SUCCESS
}

/// Callgrind counts while this function runs, and finds it by its name.
#[inline(never)]
fn measured_rounds(round: &mut Round, count: u64) {
    for _ in 0..count {
        round();
    }
}

/// Compares all scenes with what is recorded.
fn check(filter: &str) -> Result<ExitCode, Failure> {
    let toolchain = callgrind::toolchain()?;
    let text = fs::read_to_string(FILE).map_err(|error| format!("cannot read {FILE}: {error}"))?;
    let figures = Figures::parse(&text)?;
    let baseline = figures.nearest(&toolchain).ok_or("no figures are recorded")?;
    println!("{}", baseline.announce(&toolchain));
    let now = count_all(filter)?;
    let is_whole = filter.is_empty();
    let verdict = baseline.compare(&now, is_whole);
    print!("{}", verdict.table);
    for line in &verdict.hints {
        println!("{line}");
    }
    for line in &verdict.failures {
        eprintln!("error: {line}");
    }
    // How many were looked at, as test runners say it.
    println!("{} passed, {} failed", now.len() - verdict.slower, verdict.failures.len());
    if verdict.failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{WHAT_TO_DO}");
    Ok(ExitCode::FAILURE)
}

/// Writes the figures of now down, each counted twice.
fn record(filter: &str) -> Result<ExitCode, Failure> {
    let toolchain = callgrind::toolchain()?;
    let (first, second) = (count_all(filter)?, count_all(filter)?);
    for (one, other) in first.iter().zip(&second) {
        let apart = (one.count - other.count).abs() / one.count.min(other.count) * 100.0;
        if apart > UNSTEADY_PERCENT {
            let Figure { scene, count } = one;
            let text = format!("{scene} is not steady: {count:.1}, then {:.1}", other.count);
            return Err(text.into());
        }
    }
    let mut figures = match fs::read_to_string(FILE) {
        Ok(text) => Figures::parse(&text)?,
        Err(_) => Figures::default(),
    };
    if filter.is_empty() {
        let names: Vec<&str> = scenes::ALL.iter().map(|scene| scene.name).collect();
        figures.forget_all_but(&names);
    }
    figures.record(&toolchain, &first);
    fs::write(FILE, figures.to_string())?;
    println!("recorded in {FILE} for {toolchain}:");
    for Figure { scene, count } in &first {
        let unit = scenes::ALL.iter().find(|known| known.name == scene).map_or("", |one| one.unit);
        println!("{scene:<16} {count:>10.1} instructions a {unit}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Instructions a unit of every scene whose name has `filter` in it, several counted at once.
fn count_all(filter: &str) -> Result<Vec<Figure>, Failure> {
    let wanted: Vec<&Scene> =
        scenes::ALL.iter().filter(|scene| scene.name.contains(filter)).collect();
    if wanted.is_empty() {
        return Err(format!("no scene has '{filter}' in its name").into());
    }
    let next = AtomicUsize::new(0);
    let counted = Mutex::new(Vec::new());
    let work = || {
        while let Some(scene) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let count = callgrind::count(scene.name);
            counted.lock().unwrap_or_else(PoisonError::into_inner).push((scene.name, count));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let counted = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut figures = Vec::new();
    for scene in wanted {
        let (_, count) = counted.iter().find(|(name, _)| *name == scene.name).ok_or("not run")?;
        let total = *count.as_ref().map_err(ToString::to_string)?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let count = total as f64 / (scene.rounds * scene.units) as f64;
        figures.push(Figure { scene: scene.name.to_owned(), count });
    }
    Ok(figures)
}
