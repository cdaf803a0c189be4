//! Ages as streams count them: a number of years, months, days, hours, minutes or seconds.

use std::str::FromStr;

/// An age as RabbitMQ writes it, for example `7D`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Age(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not an age: write a number and one of Y, M, D, h, m or s, for example 7D or 12h"
)]
pub(in crate::commands) struct InvalidAge {
    text: String,
}

impl Age {
    pub(in crate::commands) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Age {
    type Err = InvalidAge;

    fn from_str(text: &str) -> Result<Self, InvalidAge> {
        let number = text.strip_suffix(['Y', 'M', 'D', 'h', 'm', 's']);
        match number.map(str::parse::<u64>) {
            Some(Ok(1..)) if !text.starts_with('+') => Ok(Self(text.to_owned())),
            _ => Err(InvalidAge { text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_a_number_and_a_unit() {
        for text in ["7D", "12h", "1Y", "30m", "5s", "2M"] {
            assert_eq!(text.parse::<Age>().unwrap().as_str(), text);
        }
        for text in ["7d", "D", "0h", "1.5h", "-1h", "+1h", "12", "1h30m", ""] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }
}
