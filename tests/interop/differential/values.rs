//! AMQP values as the words of a script: read from one, written into a transcript.
//!
//! A word that is a number is a `signedint`, `true` and `false` are booleans, any other a long string. Other types say
//! theirs with AMQP's letter in front: `l:5`, `T:1700000000`, `S:5`, `V:`. `[a,b]` is an array, `{k=v,k=v}` a table.
//! `\s` stands for a space, `\xHH` for a byte, `\*250a` at the start of a text for 250 times `a`.

use std::fmt::Write as _;

use mq::wire::{FieldTable, FieldValue, ShortStr};

/// The text behind a word: its escapes replaced.
pub(crate) fn text(word: &str) -> Vec<u8> {
    if let Some(rest) = word.strip_prefix("\\*") {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).expect("a letter behind the count");
        return rest[digits..].repeat(rest[..digits].parse().unwrap()).into_bytes();
    }
    let mut bytes = Vec::new();
    let mut rest = word;
    while let Some((before, escaped)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        rest = match escaped.as_bytes()[0] {
            b's' => {
                bytes.push(b' ');
                &escaped[1..]
            }
            b'x' => {
                bytes.push(u8::from_str_radix(&escaped[1..3], 16).unwrap());
                &escaped[3..]
            }
            other => panic!("'\\{}' is no escape", char::from(other)),
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// A short string behind a word.
pub(crate) fn short(word: &str) -> ShortStr {
    let text = String::from_utf8(text(word)).expect("names are UTF-8; use `raw` for others");
    ShortStr::try_from(text).expect("names have at most 255 bytes")
}

/// The value behind a word.
pub(crate) fn value(word: &str) -> FieldValue {
    if let Some(inner) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
        return FieldValue::Array(split(inner).into_iter().map(value).collect());
    }
    if let Some(inner) = word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
        return FieldValue::Table(split(inner).into_iter().map(entry).collect());
    }
    if let Some((letter, rest)) = word.split_once(':')
        && letter.len() == 1
    {
        return typed(letter, rest);
    }
    match word {
        "true" => FieldValue::Bool(true),
        "false" => FieldValue::Bool(false),
        _ => word.parse().map_or_else(|_| FieldValue::LongStr(text(word).into()), FieldValue::I32),
    }
}

/// A key and its value behind `key=word`.
pub(crate) fn entry(word: &str) -> (ShortStr, FieldValue) {
    let (key, word) = word.split_once('=').unwrap_or_else(|| panic!("'{word}' has no value"));
    (short(key), value(word))
}

fn typed(letter: &str, word: &str) -> FieldValue {
    match letter {
        "t" => FieldValue::Bool(word == "true"),
        "b" => FieldValue::I8(word.parse().unwrap()),
        "B" => FieldValue::U8(word.parse().unwrap()),
        "s" => FieldValue::I16(word.parse().unwrap()),
        "u" => FieldValue::U16(word.parse().unwrap()),
        "I" => FieldValue::I32(word.parse().unwrap()),
        "i" => FieldValue::U32(word.parse().unwrap()),
        "l" => FieldValue::I64(word.parse().unwrap()),
        "f" => FieldValue::F32(word.parse().unwrap()),
        "d" => FieldValue::F64(word.parse().unwrap()),
        "D" => FieldValue::Decimal { scale: 2, value: word.parse().unwrap() },
        "S" => FieldValue::LongStr(text(word).into()),
        "x" => FieldValue::Bytes(text(word).into()),
        "T" => FieldValue::Timestamp(word.parse().unwrap()),
        "V" => FieldValue::Void,
        other => panic!("'{other}' is no type of AMQP's"),
    }
}

/// Cuts at the commas that are not inside of brackets.
fn split(words: &str) -> Vec<&str> {
    let (mut found, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, letter) in words.char_indices() {
        match letter {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&words[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if from < words.len() {
        found.push(&words[from..]);
    }
    found
}

/// Bytes as a transcript shows them: one line, no space at either end, nothing lost.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

/// A table as a transcript shows it, in its own order.
pub(crate) fn shown_table(table: &FieldTable) -> String {
    let mut line = String::from("{");
    for (at, (key, value)) in table.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(line, "{comma}{}={}", shown(key.as_bytes()), shown_value(value));
    }
    line + "}"
}

fn shown_value(value: &FieldValue) -> String {
    match value {
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::I8(value) => format!("b:{value}"),
        FieldValue::U8(value) => format!("B:{value}"),
        FieldValue::I16(value) => format!("s:{value}"),
        FieldValue::U16(value) => format!("u:{value}"),
        FieldValue::I32(value) => value.to_string(),
        FieldValue::U32(value) => format!("i:{value}"),
        FieldValue::I64(value) => format!("l:{value}"),
        FieldValue::F32(value) => format!("f:{value}"),
        FieldValue::F64(value) => format!("d:{value}"),
        FieldValue::Decimal { scale, value } => format!("D:{value}/{scale}"),
        FieldValue::LongStr(text) => format!("\"{}\"", shown(text.as_bytes())),
        FieldValue::Bytes(bytes) => format!("x:{}", shown(bytes.as_bytes())),
        FieldValue::Array(values) => {
            format!("[{}]", values.iter().map(shown_value).collect::<Vec<_>>().join(", "))
        }
        FieldValue::Timestamp(_) => "T:<time>".to_owned(),
        FieldValue::Table(table) => shown_table(table),
        FieldValue::Void => "V:".to_owned(),
    }
}

#[test]
fn words_become_values() {
    let table: FieldTable = [entry("a=[1,x,l:2]"), entry("b={k=v,n={}}")].into_iter().collect();
    assert_eq!(shown_table(&table), r#"{a=[1, "x", l:2], b={k="v", n={}}}"#);
    assert_eq!(text("\\*3ab"), b"ababab");
    assert_eq!(text("a\\sb\\x00"), b"a b\0");
}
