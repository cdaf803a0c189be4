//! The figures of a bench by name: what is printed, and what `--fail-if` compares.

use std::str::FromStr;
use std::time::Duration;

use crate::engine::bench::{BenchOutcome, Latency, Plan};
use crate::render::words;

/// One figure of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Figure {
    Rate(LatencyStage),
    Count(LatencyStage),
    Refused,
    VerifyFault(VerifyFault),
    Time(Times, Statistic),
}

/// A stage on the way of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LatencyStage {
    Published,
    Confirmed,
    Delivered,
}

/// A fault that `--verify` finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VerifyFault {
    Lost,
    Duplicates,
    Misordered,
    Corrupt,
}

/// From when a message was due to when what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Delivery,
    Confirm,
    /// It was sent: our own delay
    Lag,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Statistic {
    Min,
    Mean,
    /// Of 100
    Percentile(f64),
    Max,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    PerSecond,
    Messages,
    Seconds,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not a figure{}", .nearest.as_ref().map(|name| format!(": did you mean '{name}'?")).unwrap_or_default())]
pub(super) struct UnknownFigure {
    pub(super) name: String,
    nearest: Option<String>,
}

/// The statistics that are shown of times.
pub(super) const STATISTICS: [Statistic; 8] = [
    Statistic::Min,
    Statistic::Mean,
    Statistic::Percentile(50.0),
    Statistic::Percentile(90.0),
    Statistic::Percentile(99.0),
    Statistic::Percentile(99.9),
    Statistic::Percentile(99.99),
    Statistic::Max,
];

/// Figures with a name of their own; those of times have a statistic behind it.
const NAMED: [(&str, Figure); 11] = [
    ("publish-rate", Figure::Rate(LatencyStage::Published)),
    ("confirm-rate", Figure::Rate(LatencyStage::Confirmed)),
    ("deliver-rate", Figure::Rate(LatencyStage::Delivered)),
    ("published", Figure::Count(LatencyStage::Published)),
    ("confirmed", Figure::Count(LatencyStage::Confirmed)),
    ("delivered", Figure::Count(LatencyStage::Delivered)),
    ("nacked", Figure::Refused),
    ("lost", Figure::VerifyFault(VerifyFault::Lost)),
    ("duplicates", Figure::VerifyFault(VerifyFault::Duplicates)),
    ("misordered", Figure::VerifyFault(VerifyFault::Misordered)),
    ("corrupt", Figure::VerifyFault(VerifyFault::Corrupt)),
];

/// Words in front of a statistic; none is the time to delivery.
const TIMES: [(&str, Times); 3] =
    [("confirm-", Times::Confirm), ("lag-", Times::Lag), ("", Times::Delivery)];

impl FromStr for Figure {
    type Err = UnknownFigure;

    fn from_str(text: &str) -> Result<Self, UnknownFigure> {
        let name = text.to_ascii_lowercase().replace('_', "-");
        if let Some((_, figure)) = NAMED.iter().find(|(known, _)| *known == name) {
            return Ok(*figure);
        }
        let found = TIMES.iter().find_map(|(prefix, times)| {
            let statistic = statistic(name.strip_prefix(prefix)?)?;
            Some(Self::Time(*times, statistic))
        });
        found.ok_or_else(|| UnknownFigure { nearest: nearest(&name), name: text.to_owned() })
    }
}

fn statistic(name: &str) -> Option<Statistic> {
    Some(match name {
        "min" => Statistic::Min,
        "mean" => Statistic::Mean,
        "max" => Statistic::Max,
        "median" => Statistic::Percentile(50.0),
        name => {
            let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
            let is_percent = (0.0..=100.0).contains(&percent);
            return is_percent.then_some(Statistic::Percentile(percent));
        }
    })
}

fn nearest(name: &str) -> Option<String> {
    /// Names that are less alike than this are no slip of the finger.
    const ALIKE: f64 = 0.7;
    let named = NAMED.iter().map(|(known, _)| (*known).to_owned());
    let times = STATISTICS
        .iter()
        .flat_map(|statistic| TIMES.map(|(_, times)| Figure::Time(times, *statistic).to_string()));
    let scored = named.chain(times).map(|known| (strsim::jaro_winkler(name, &known), known));
    let best = scored.filter(|(score, _)| *score > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, known)| known)
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Self::Time(times, statistic) = self {
            let prefix = TIMES.iter().find(|(_, known)| known == times);
            return write!(f, "{}{statistic}", prefix.map_or("", |(prefix, _)| prefix));
        }
        let named = NAMED.iter().find(|(_, known)| known == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl std::fmt::Display for Statistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Min => f.write_str("min"),
            Self::Mean => f.write_str("mean"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
            Self::Max => f.write_str("max"),
        }
    }
}

impl Figure {
    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Rate(_) => Unit::PerSecond,
            Self::Count(_) | Self::Refused | Self::VerifyFault(_) => Unit::Messages,
            Self::Time(..) => Unit::Seconds,
        }
    }

    /// Says what a run lacks for this figure; `None` if it has the figure.
    pub(super) fn missing(self, plan: &Plan) -> Option<&'static str> {
        let has_confirms = plan.unconfirmed_max > 0;
        match self {
            Self::Rate(LatencyStage::Confirmed)
            | Self::Count(LatencyStage::Confirmed)
            | Self::Refused
            | Self::Time(Times::Confirm, _)
                if !has_confirms =>
            {
                Some("turn on confirms with --confirm")
            }
            Self::Rate(LatencyStage::Delivered)
            | Self::Count(LatencyStage::Delivered)
            | Self::Time(Times::Delivery, _)
                if plan.consumers == 0 =>
            {
                Some("it needs consumers: see --consumers")
            }
            Self::Time(Times::Delivery, _) if plan.body_bytes < SIZE_MIN_FOR_TIMES => {
                Some("a body of at least 8 bytes says when its message was due: see --size")
            }
            Self::Time(Times::Lag, _)
                if !matches!(plan.speed, crate::engine::bench::Speed::PerSecond(_)) =>
            {
                Some("messages are due at a time only with --rate")
            }
            Self::VerifyFault(_) if !plan.verify => Some("turn it on with --verify"),
            Self::Rate(_)
            | Self::Count(_)
            | Self::Refused
            | Self::VerifyFault(_)
            | Self::Time(..) => None,
        }
    }

    /// The value, in messages, messages a second or seconds; `None` when the run has none.
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    pub(super) fn of(self, outcome: &BenchOutcome) -> Option<f64> {
        let count = |stage| match stage {
            LatencyStage::Published => outcome.published as f64,
            LatencyStage::Confirmed => outcome.confirmed as f64,
            LatencyStage::Delivered => outcome.delivered as f64,
        };
        match self {
            Self::Rate(stage) => {
                let seconds = outcome.elapsed.as_secs_f64();
                (seconds > 0.0).then(|| count(stage) / seconds)
            }
            Self::Count(stage) => Some(count(stage)),
            Self::Refused => Some(outcome.refused as f64),
            Self::VerifyFault(fault) => outcome.verdict.map(|verdict| {
                (match fault {
                    VerifyFault::Lost => verdict.lost,
                    VerifyFault::Duplicates => verdict.duplicates,
                    VerifyFault::Misordered => verdict.misordered,
                    VerifyFault::Corrupt => verdict.corrupt,
                }) as f64
            }),
            Self::Time(times, statistic) => {
                let times = match times {
                    Times::Delivery => &outcome.latency,
                    Times::Confirm => &outcome.confirm_latency,
                    Times::Lag => &outcome.lag,
                };
                (!times.is_empty()).then(|| statistic.of(times).as_secs_f64())
            }
        }
    }
}

/// Bytes of body that a message needs to say when it was due.
const SIZE_MIN_FOR_TIMES: usize = 8;

impl Statistic {
    fn of(self, times: &Latency) -> Duration {
        match self {
            Self::Min => times.min(),
            Self::Mean => times.mean(),
            Self::Percentile(percent) => times.quantile(percent / 100.0),
            Self::Max => times.max(),
        }
    }
}

impl Unit {
    /// A value for people.
    pub(super) fn words(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", words::grouped(rounded(value))),
            Self::Messages => words::grouped(rounded(value)),
            Self::Seconds => words::time(Duration::from_secs_f64(value.max(0.0))),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure to look at; a cast saturates"
)]
pub(super) fn rounded(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_found_by_its_name() {
        for (name, figure) in NAMED {
            assert_eq!((name.parse(), figure.to_string().as_str()), (Ok(figure), name));
        }
        for statistic in STATISTICS {
            for (_, times) in TIMES {
                let figure = Figure::Time(times, statistic);
                assert_eq!(figure.to_string().parse(), Ok(figure));
            }
        }
        let p75 = Figure::Time(Times::Confirm, Statistic::Percentile(75.5));
        assert_eq!("Confirm_P75.5".parse(), Ok(p75));
    }

    #[test]
    fn the_name_that_was_meant_is_offered() {
        #[rustfmt::skip]
        let cases = [
            ("publishrate", Some("publish-rate")),
            ("dupicates",   Some("duplicates")),
            ("p101",        Some("p100")),
            ("confirm-p9x", Some("confirm-p99")),
            ("qqqq",        None),
        ];
        for (name, nearest) in cases {
            let error = name.parse::<Figure>().unwrap_err();
            match nearest {
                Some("p100") => assert!(error.nearest.is_some(), "{error}"),
                nearest => assert_eq!(error.nearest.as_deref(), nearest, "{error}"),
            }
        }
    }
}
