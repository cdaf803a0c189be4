//! Rates on the command line: `100/s`, `30/m`.

use std::str::FromStr;
use std::time::Duration;

/// A rate, kept as the time between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Rate {
    /// The time from one to the next.
    pub interval: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a rate: write a number and /s, /m or /h, for example 100/s")]
pub(in crate::commands) struct InvalidRate {
    text: String,
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let invalid = || InvalidRate { text: text.to_owned() };
        let (count, unit) = text.split_once('/').unwrap_or((text, "s"));
        let period = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return Err(invalid()),
        };
        let count: u32 = count.parse().map_err(|_| invalid())?;
        let interval = period.checked_div(count).filter(|interval| !interval.is_zero());
        Ok(Self { interval: interval.ok_or_else(invalid)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_time_between_two() {
        let cases =
            [("100/s", 10_000), ("5", 200_000), ("60/m", 1_000_000), ("1/h", 3_600_000_000)];
        for (text, micros) in cases {
            assert_eq!(
                text.parse(),
                Ok(Rate { interval: Duration::from_micros(micros) }),
                "{text}"
            );
        }
        for text in ["", "0/s", "x/s", "1/d", "-1/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
