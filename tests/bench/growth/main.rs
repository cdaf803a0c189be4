//! How cost grows: rate, memory and stalls of a broker over the number of each thing it may have many of.
//!
//! `cargo bench --bench growth` prints a table for every axis; `-- queues bodies` only those, `-- --least 100 --most
//! 1000` only sizes in that range. Every row is a broker of its own, started on an empty directory. `MQ_BIN` names another program to
//! measure, such as the release build, which is optimised a little further. Under `cargo test --benches` the smallest rows run, to see that they work.
//!
//! A broker that does not have what a row is about is said to have refused it.
//!
//! What to look for: a rate that falls faster than the axis grows, memory for each that rises, a `ping` (the longest
//! round trip of somebody else, every 10 ms) above 50 ms.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a load generator is a peer with a clock"
)]
#![allow(clippy::cast_precision_loss, reason = "figures are shown with three digits")]

mod backlog;
mod bindings;
mod bodies;
mod broker;
mod client;
mod connections;
mod consumers;
mod flow;
mod moment;
mod ping;
mod queues;
mod rules;
mod table;

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is asked for on the command line.
#[derive(Debug)]
pub(crate) struct Plan {
    axes: Vec<String>,
    /// Sizes below this are left out.
    least: usize,
    /// Sizes above this are left out.
    most: usize,
    /// How long each flow of messages is measured.
    time: Duration,
}

impl Plan {
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut plan =
            Self { axes: Vec::new(), least: 0, most: 10, time: Duration::from_millis(50) };
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What `cargo bench` says, and `cargo test` does not.
                "--bench" => (plan.most, plan.time) = (usize::MAX, Duration::from_secs(1)),
                "--least" => plan.least = number(arguments.next()),
                "--most" => plan.most = number(arguments.next()),
                axis => plan.axes.push(axis.to_owned()),
            }
        }
        plan
    }

    /// 1, 10, 100 ... up to `last`, or as far as was asked for.
    pub(crate) fn steps(&self, last: usize) -> Vec<usize> {
        self.up_to(
            std::iter::successors(Some(1), |step| Some(step * 10)).take_while(|step| *step <= last),
        )
    }

    /// A fixed size, or less of it where only small rows run.
    pub(crate) fn at_most(&self, size: usize) -> usize {
        size.min(self.most.saturating_mul(100))
    }

    pub(crate) fn up_to(&self, sizes: impl IntoIterator<Item = usize>) -> Vec<usize> {
        sizes.into_iter().filter(|size| (self.least..=self.most).contains(size)).collect()
    }
}

fn number(argument: Option<String>) -> usize {
    argument.and_then(|text| text.parse().ok()).expect("a number follows")
}

type Axis = (&'static str, fn(&Plan));

const AXES: &[Axis] = &[
    ("queues", queues::run),
    ("connections", connections::run),
    ("channels", connections::channels),
    ("bindings", bindings::run),
    ("chain", bindings::chain),
    ("backlog", backlog::run),
    ("bodies", bodies::run),
    ("prefetch", consumers::prefetch),
    ("consumers", consumers::run),
    ("expiry", moment::expiry),
    ("delayed", moment::delayed),
    ("dead-letters", moment::dead_letters),
    ("priorities", rules::priorities),
    ("circles", rules::circles),
];

fn main() {
    let plan = Plan::read(std::env::args().skip(1));
    let known: Vec<_> = AXES.iter().map(|(name, _)| *name).collect();
    let unknown = plan.axes.iter().find(|axis| !known.contains(&axis.as_str()));
    assert_eq!(unknown, None, "the axes are {known:?}");
    allow_many_files();
    for (name, run) in AXES {
        if plan.axes.is_empty() || plan.axes.iter().any(|axis| axis == name) {
            run(&plan);
        }
    }
}

/// Both ends of ten thousand connections are sockets; the broker inherits the limit.
fn allow_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the maximum");
}
