//! `--fail-if`: a figure, a comparison, a limit.

use std::fmt;
use std::str::FromStr;

use super::figure::{Figure, Unit, UnknownFigure};

/// A condition under which a bench has failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub(super) figure: Figure,
    comparison: Comparison,
    pub(super) limit: Limit,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    Unequal,
}

/// The limit that a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    /// In the figure's unit
    Value(f64),
    /// So many times the other broker's figure (`--against`)
    Times(f64),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidCondition {
    #[error(
        "there is no comparison in it: write a figure, one of > >= < <= = !=, and a limit, such as 'p99>20ms'"
    )]
    NoComparison,
    #[error(
        "{0}; figures are publish-rate, confirm-rate, deliver-rate, published, confirmed, delivered, nacked, lost, \
         duplicates, misordered, corrupt, and min, mean, max or any percentile such as p99.9, of confirms with \
         confirm- in front"
    )]
    Figure(#[from] UnknownFigure),
    #[error("'{limit}' is not a time: write a number and ns, us, ms or s, such as 20ms")]
    Time { limit: String },
    #[error("'{limit}' is not a rate: write a number, such as 50000, 50k or 50k/s")]
    Rate { limit: String },
    #[error("'{limit}' is not a number of messages: write one such as 0, 1000 or 1k")]
    Count { limit: String },
}

/// Longer ones first: the first that is found counts.
const COMPARISONS: [(&str, Comparison); 7] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    ("!=", Comparison::Unequal),
    ("==", Comparison::Equal),
    (">", Comparison::Above),
    ("<", Comparison::Below),
    ("=", Comparison::Equal),
];

impl FromStr for Condition {
    type Err = InvalidCondition;

    fn from_str(text: &str) -> Result<Self, InvalidCondition> {
        let at = text.find(['<', '>', '=', '!']).ok_or(InvalidCondition::NoComparison)?;
        let (name, rest) = text.split_at(at);
        let known = COMPARISONS.iter().find(|(sign, _)| rest.starts_with(sign));
        let (sign, comparison) = known.ok_or(InvalidCondition::NoComparison)?;
        let figure: Figure = name.trim().parse()?;
        let limit = limit(rest[sign.len()..].trim(), figure.unit())?;
        Ok(Self { figure, comparison: *comparison, limit, text: text.trim().to_owned() })
    }
}

fn limit(text: &str, unit: Unit) -> Result<Limit, InvalidCondition> {
    if let Some(times) = text.strip_suffix('x').and_then(number) {
        return Ok(Limit::Times(times));
    }
    let limit = text.to_owned();
    match unit {
        Unit::Seconds => time(text).ok_or(InvalidCondition::Time { limit }),
        Unit::PerSecond => {
            scaled(text.strip_suffix("/s").unwrap_or(text)).ok_or(InvalidCondition::Rate { limit })
        }
        Unit::Messages => scaled(text).ok_or(InvalidCondition::Count { limit }),
    }
    .map(Limit::Value)
}

/// A number that is not negative.
fn number(text: &str) -> Option<f64> {
    let text = text.trim().replace('_', "");
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text.parse().ok().filter(|_| begins)?;
    number.is_finite().then_some(number)
}

fn time(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 5] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    UNITS.iter().find_map(|(unit, seconds)| Some(number(text.strip_suffix(unit)?)? * seconds))
}

fn scaled(text: &str) -> Option<f64> {
    let scale = |unit: [char; 2], factor: f64| Some(number(text.strip_suffix(unit)?)? * factor);
    number(text).or_else(|| scale(['k', 'K'], 1e3)).or_else(|| scale(['m', 'M'], 1e6))
}

impl Condition {
    /// Says in words that it holds for `value`, when it does; `other` is the other broker's figure.
    pub(super) fn holds(&self, value: f64, other: Option<f64>) -> Option<String> {
        let limit = match self.limit {
            Limit::Value(limit) => limit,
            Limit::Times(times) => times * other?,
        };
        let holds = match self.comparison {
            Comparison::Above => value > limit,
            Comparison::AtLeast => value >= limit,
            Comparison::Below => value < limit,
            Comparison::AtMost => value <= limit,
            // Figures that are compared for equality are counts, which a double holds exactly.
            Comparison::Equal => (value - limit).abs() < f64::EPSILON,
            Comparison::Unequal => (value - limit).abs() >= f64::EPSILON,
        };
        let unit = self.figure.unit();
        holds.then(|| format!("{} is {}: --fail-if '{self}'", self.figure, unit.words(value)))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_compared() {
        #[rustfmt::skip]
        let cases = [
            // condition                 holds for      and not for
            ("p99>20ms",                 0.0201,        0.02),
            ("p99.9 >= 1.5 s",           1.5,           1.4999),
            ("confirm-max>250us",        0.000_251,     0.000_25),
            ("publish-rate<100k/s",      99_999.0,      100_000.0),
            ("deliver-rate <= 1.5M",     1_500_000.0,   1_500_001.0),
            ("lost>0",                   1.0,           0.0),
            ("duplicates!=0",            3.0,           0.0),
            ("delivered==1_000",         1000.0,        999.0),
            ("nacked=0",                 0.0,           1.0),
        ];
        for (text, failing, fine) in cases {
            let condition: Condition = text.parse().unwrap();
            assert!(condition.holds(failing, None).is_some(), "{text} {failing}");
            assert_eq!(condition.holds(fine, None), None, "{text} {fine}");
            assert_eq!(condition.to_string(), text);
        }
        let condition: Condition = "p99>20ms".parse().unwrap();
        let said = condition.holds(0.0312, None).unwrap();
        assert_eq!(said, "p99 is 31.2 ms: --fail-if 'p99>20ms'");
    }

    #[test]
    fn a_figure_is_compared_with_the_other_brokers() {
        let condition: Condition = "deliver-rate<0.9x".parse().unwrap();
        assert!(condition.holds(89.0, Some(100.0)).is_some());
        assert_eq!(condition.holds(91.0, Some(100.0)), None);
        assert_eq!(condition.holds(0.0, None), None);
    }

    #[test]
    fn what_is_no_condition_is_told_with_what_would_be() {
        #[rustfmt::skip]
        let cases = [
            ("p99",             "there is no comparison in it: write a figure, one of > >= < <= = !="),
            ("p99!20ms",        "there is no comparison in it"),
            ("",                "there is no comparison in it"),
            ("p99>20",          "'20' is not a time: write a number and ns, us, ms or s, such as 20ms"),
            ("p99>-1ms",        "'-1ms' is not a time"),
            ("p99>infs",        "'infs' is not a time"),
            ("publish-rate<x",  "'x' is not a rate: write a number, such as 50000, 50k or 50k/s"),
            ("lost>none",       "'none' is not a number of messages"),
            ("publishrate<5",   "'publishrate' is not a figure: did you mean 'publish-rate'?; figures are"),
            (">5",              "'' is not a figure; figures are publish-rate"),
        ];
        for (text, said) in cases {
            let error = text.parse::<Condition>().unwrap_err().to_string();
            assert!(error.starts_with(said), "{text}: {error}");
        }
    }
}
