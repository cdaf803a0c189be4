//! JSON as it is written, without loss: `serde_json` reads whole numbers of more than 64 bits as floats, and nobody can
//! tell afterwards.

use serde::de::Error as _;
use serde_json::{Error, Value};

/// Reads a text.
///
/// # Errors
///
/// If it is not JSON; or, with the category `Data`, if it has a whole number of more than 64 bits.
pub fn read(text: &[u8]) -> Result<Value, Error> {
    let value = serde_json::from_slice(text)?;
    match numbers(text).find(|number| is_too_large(number)) {
        Some(number) => Err(Error::custom(does_not_fit(number))),
        None => Ok(value),
    }
}

/// Says that a whole number cannot be held.
pub fn does_not_fit(number: impl std::fmt::Display) -> String {
    format!("the number {number} does not fit 64 bits")
}

fn is_too_large(number: &str) -> bool {
    let is_whole = !number.contains(['.', 'e', 'E']);
    is_whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
}

/// The numbers of a valid text.
fn numbers(text: &[u8]) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (first, behind) = rest.split_first()?;
            match first {
                b'"' => rest = behind_string(behind),
                b'-' | b'0'..=b'9' => {
                    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                    let len = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
                    let number;
                    (number, rest) = rest.split_at(len);
                    return str::from_utf8(number).ok();
                }
                _ => rest = behind,
            }
        }
    })
}

/// Returns the text behind a string whose first quotation mark was read.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        let is_end = rest[at] == b'"';
        // The byte behind a backslash belongs to it.
        rest = rest.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_more_than_64_bits_are_found() {
        #[rustfmt::skip]
        let cases = [
            ("18446744073709551615",                  None),
            ("-9223372036854775808",                  None),
            ("1.8446744073709552e19",                 None),
            ("1e30",                                  None),
            ("100000000000000000000.5",               None),
            ("\"18446744073709551616\"",              None),
            (r#"{"\\":1,"\"18446744073709551616":2}"#, None),
            ("18446744073709551616",                  Some("18446744073709551616")),
            ("[1,-9223372036854775809 ]",             Some("-9223372036854775809")),
            (r#"{"a\"":{"b\\":99999999999999999999}}"#, Some("99999999999999999999")),
        ];
        for (text, number) in cases {
            let told = read(text.as_bytes()).err();
            assert!(told.as_ref().is_none_or(Error::is_data), "{text}");
            assert_eq!(told.map(|error| error.to_string()), number.map(does_not_fit), "{text}");
        }
        assert!(!read(b"[1").unwrap_err().is_data());
    }
}
