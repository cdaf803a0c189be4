//! Text from clients on a terminal: control characters are shown instead of obeyed.
//!
//! A queue's name or a message's body may hold the codes that colour a screen, empty it, or rename its window. Line ends
//! and tabs stay; every other control character is written as JSON writes it (`\u001b`), and a byte that is no UTF-8 as
//! `\xff`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text without control characters.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // The end of a line of Windows is no trick; a return alone writes over what stands there.
        if is_obeyed(c) && !(c == '\r' && rest.peek() == Some(&'\n')) {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The same for bytes that may be no text.
pub(super) fn visible_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return match visible(text) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
    }
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&visible(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    Cow::Owned(shown.into_bytes())
}

fn is_obeyed(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        #[rustfmt::skip]
        let cases: [(&[u8], &str); 7] = [
            (b"plain \xc3\xa9\n\ttext",      "plain \u{e9}\n\ttext"),
            (b"\x1b[2Jgone",                "\\u001b[2Jgone"),
            (b"a\rb",                       "a\\u000db"),
            (b"a\r\nb",                     "a\r\nb"),
            (b"bell\x07 del\x7f",           "bell\\u0007 del\\u007f"),
            ("\u{9b}31m".as_bytes(),        "\\u009b31m"),  // CSI in one character
            (b"\xff\x1bz",                  "\\xff\\u001bz"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(String::from_utf8_lossy(&visible_bytes(bytes)), shown, "{bytes:?}");
        }
    }
}
