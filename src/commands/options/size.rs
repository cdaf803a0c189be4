//! Sizes on the command line: `4096`, `64KiB`, `1MB`.

use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Size {
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a size: write a number of bytes, or one with KB, KiB, MB, MiB, GB or GiB")]
pub(in crate::commands) struct InvalidSize {
    text: String,
}

const UNITS: [(&str, u64); 8] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("b", 1),
    ("", 1),
];

impl Size {
    /// Reads a size as RabbitMQ does: `k`, `M` and `G` with or without `B` or `iB`, where `MB` is a million bytes and `M`
    /// is `MiB`.
    pub(in crate::commands) fn of_rabbitmq(text: &str) -> Result<Self, InvalidSize> {
        let lower = text.to_ascii_lowercase();
        let whole = match lower.as_bytes().last() {
            Some(b'k' | b'm' | b'g') => format!("{lower}ib"),
            _ => lower,
        };
        whole.parse().map_err(|_| InvalidSize { text: text.to_owned() })
    }
}

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let invalid = || InvalidSize { text: text.to_owned() };
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim().to_ascii_lowercase();
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let number: u64 = number.parse().map_err(|_| invalid())?;
        Ok(Self { bytes: number.checked_mul(*factor).ok_or_else(invalid)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_have_units() {
        let cases =
            [("0", 0), ("4096", 4096), ("64KiB", 65536), ("1 mb", 1_000_000), ("2GiB", 2 << 30)];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(Size { bytes }), "{text}");
        }
        for text in ["", "KiB", "1.5MiB", "-1", "1TiB", "99999999999999999999"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
