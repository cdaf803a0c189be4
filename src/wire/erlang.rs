//! Bytes and terms the way Erlang prints them, because RabbitMQ's error texts carry them.
//!
//! Clients match on those texts, so ours say the same.

use std::fmt::Write as _;

/// Prints a binary as `<<"abc">>` when it is printable text, as `<<1,2>>` otherwise.
///
/// RabbitMQ: `io_lib:format("~p", [Binary])`.
pub fn binary(bytes: &[u8]) -> String {
    let printable = |byte: &u8| matches!(byte, 0x20..=0x7e | 0xa0..=0xff | 8..=13 | 27);
    if !bytes.is_empty() && bytes.iter().all(printable) {
        let mut text = String::from("<<\"");
        for &byte in bytes {
            match byte {
                b'"' => text.push_str("\\\""),
                b'\\' => text.push_str("\\\\"),
                b'\n' => text.push_str("\\n"),
                b'\r' => text.push_str("\\r"),
                b'\t' => text.push_str("\\t"),
                8 => text.push_str("\\b"),
                11 => text.push_str("\\v"),
                12 => text.push_str("\\f"),
                27 => text.push_str("\\e"),
                _ => text.push(char::from(byte)),
            }
        }
        text.push_str("\">>");
        return text;
    }
    octets(bytes)
}

/// Prints a binary as `<<1,2>>`, printable or not.
///
/// RabbitMQ: `io_lib:format("~w", [Binary])`.
pub fn octets(bytes: &[u8]) -> String {
    let mut text = String::from("<<");
    for (at, byte) in bytes.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{byte}");
    }
    text.push_str(">>");
    text
}

#[cfg(test)]
mod tests {
    use super::binary;

    #[test]
    fn binaries_print_as_erlang_does() {
        let cases: [(&[u8], &str); 5] = [
            (b"", "<<>>"),
            (b"abc", "<<\"abc\">>"),
            (b"a\"b", "<<\"a\\\"b\">>"),
            (&[0, 50], "<<0,50>>"),
            (&[200, 0], "<<200,0>>"),
        ];
        for (bytes, text) in cases {
            assert_eq!(binary(bytes), text, "{bytes:?}");
        }
    }
}
