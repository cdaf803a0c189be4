//! The reason why a binding does not match, in words: for topics word by word, for headers pair by pair.
//!
//! Each answer comes with a likeness from 0 to 1, so that the bindings that were meant come first in a long list.

use super::matching::has_header;
use crate::engine::payload;
use crate::wire::{FieldTable, FieldValue, ShortStr};

/// The reason why a direct exchange's binding does not match, and its likeness to one that does.
pub(super) fn about_key(wanted: &str, key: &str) -> (String, f64) {
    (format!("the key is '{key}', not '{wanted}'"), strsim::jaro_winkler(wanted, key))
}

/// The reason why a topic's pattern does not match, and its likeness to one that does.
pub(super) fn about_topic(pattern: &str, key: &str) -> (String, f64) {
    (topic_mismatch(&words(pattern), &words(key)), strsim::jaro_winkler(pattern, key))
}

/// An empty key has no words.
fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

/// Compares from the left up to the first `#`, then from the right up to the last; what is between two of them can be
/// anywhere in the rest.
fn topic_mismatch(pattern: &[&str], key: &[&str]) -> String {
    let fits = |wanted: &str, word: &str| wanted == "*" || wanted == word;
    let Some(first) = pattern.iter().position(|word| *word == "#") else {
        let both = pattern.iter().zip(key).enumerate();
        for (at, (wanted, word)) in both {
            if !fits(wanted, word) {
                return differs(at, word, wanted);
            }
        }
        return match (pattern.get(key.len()), key.get(pattern.len())) {
            (Some(wanted), _) => format!("word {} is missing: '{wanted}'", key.len() + 1),
            (None, Some(word)) => format!("word {} is too many: '{word}'", pattern.len() + 1),
            (None, None) => "the key fits".to_owned(),
        };
    };
    for (at, wanted) in pattern[..first].iter().enumerate() {
        match key.get(at) {
            Some(word) if fits(wanted, word) => {}
            Some(word) => return differs(at, word, wanted),
            None => return format!("word {} is missing: '{wanted}'", at + 1),
        }
    }
    let behind = pattern.iter().rev().take_while(|word| **word != "#").count();
    for back in 1..=behind {
        let wanted = pattern[pattern.len() - back];
        match key.len().checked_sub(back).filter(|at| *at >= first) {
            Some(at) if fits(wanted, key[at]) => {}
            Some(at) => return differs(at, key[at], wanted),
            None => return format!("a word is missing: '{wanted}'"),
        }
    }
    let between: Vec<&str> = pattern[first..pattern.len() - behind].to_vec();
    format!("nothing between fits '{}'", between.join("."))
}

fn differs(at: usize, word: &str, wanted: &str) -> String {
    format!("word {} is '{word}', not '{wanted}'", at + 1)
}

/// Compares a headers exchange's binding with the headers of a message, pair by pair; answers with a text and a
/// likeness.
pub(super) fn about_headers(
    wanted: &FieldTable,
    headers: &FieldTable,
    matches: bool,
) -> (String, f64) {
    let rule = wanted.get("x-match").and_then(|rule| rule.as_str()).unwrap_or("all");
    let with_x = rule.ends_with("-with-x");
    let takes_part = |name: &ShortStr| *name != "x-match" && (with_x || !name.starts_with("x-"));
    let pairs: Vec<_> = wanted.iter().filter(|(name, _)| takes_part(name)).collect();
    let fits = |name: &ShortStr| has_header(name, wanted, headers);
    let good = pairs.iter().filter(|(name, _)| fits(name)).count();
    #[expect(clippy::cast_precision_loss, reason = "an order is all that is wanted")]
    let likeness = good as f64 / pairs.len().max(1) as f64;
    // Those that decided: of a match what is there, else what is not.
    let decided = pairs.iter().filter(|(name, _)| fits(name) == matches);
    let told: Vec<String> =
        decided.map(|(name, value)| about_header(name, value, headers, matches)).collect();
    let why = match (told.is_empty(), matches) {
        (true, true) => "it asks for no header".to_owned(),
        (true, false) => "it asks for no header that takes part".to_owned(),
        (false, false) if rule.starts_with("any") => format!("none of them: {}", told.join(", ")),
        (false, _) => told.join(", "),
    };
    (why, likeness)
}

fn about_header(
    name: &ShortStr,
    wanted: &FieldValue,
    headers: &FieldTable,
    is_there: bool,
) -> String {
    let Some(found) = headers.get(name) else {
        return match wanted {
            FieldValue::Void => format!("{name} is missing"),
            _ => format!("{name} is missing, not {}", shown(wanted)),
        };
    };
    if is_there {
        return format!("{name} is {}", shown(found));
    }
    let (found, wanted) = (shown(found), shown(wanted));
    if found == wanted {
        return format!("{name} is {found}, but of another type");
    }
    format!("{name} is {found}, not {wanted}")
}

/// A value as people write it; text in quotes, so that '1' and 1 are told apart.
fn shown(value: &FieldValue) -> String {
    match value {
        FieldValue::LongStr(text) | FieldValue::Bytes(text) => format!("'{}'", text.to_text()),
        FieldValue::Void => "anything".to_owned(),
        FieldValue::F32(number) => number.to_string(),
        FieldValue::F64(number) => number.to_string(),
        other => match other.as_integer() {
            Some(number) => number.to_string(),
            None => payload::render_field(other).to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_told_word_by_word() {
        #[rustfmt::skip]
        let cases = [
            ("eu.*.day",   "us.price.day",   "word 1 is 'us', not 'eu'"),
            ("eu.*.day",   "eu.price.night", "word 3 is 'night', not 'day'"),
            ("eu.*",       "eu",             "word 2 is missing: '*'"),
            ("eu.*",       "eu.a.b",         "word 3 is too many: 'b'"),
            ("a.#",        "b.c",            "word 1 is 'b', not 'a'"),
            ("a.b.#",      "a",              "word 2 is missing: 'b'"),
            ("#.day",      "eu.night",       "word 2 is 'night', not 'day'"),
            ("a.#.b",      "a",              "a word is missing: 'b'"),
            ("#.b.#",      "a.c.d",          "nothing between fits '#.b.#'"),
            ("a",          "",               "word 1 is missing: 'a'"),
        ];
        for (pattern, key, why) in cases {
            assert_eq!(about_topic(pattern, key).0, why, "{pattern} against {key}");
        }
    }

    #[test]
    fn headers_are_told_pair_by_pair() {
        let headers = FieldTable::new().with("a", "1").with("n", FieldValue::I32(2));
        let table = FieldTable::new;
        #[rustfmt::skip]
        let cases = [
            (table().with("a", "2"), false, "a is '1', not '2'"),
            (table().with("a", FieldValue::I64(1)), false, "a is '1', not 1"),
            (table().with("a", "1").with("b", "x"), false, "b is missing, not 'x'"),
            (table().with("b", FieldValue::Void), false, "b is missing"),
            (table().with("x-match", "any").with("a", "2").with("n", FieldValue::I64(3)), false,
             "none of them: a is '1', not '2', n is 2, not 3"),
            (table().with("n", FieldValue::I64(2)), true, "n is 2"),
            (table(), true, "it asks for no header"),
            (table().with("x-match", "any").with("x-a", "1"), false, "it asks for no header that takes part"),
        ];
        for (wanted, matches, why) in cases {
            assert_eq!(about_headers(&wanted, &headers, matches).0, why, "{wanted:?}");
        }
    }
}
