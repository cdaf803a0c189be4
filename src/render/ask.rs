//! Questions to a person at a terminal.

use std::io::{self, BufRead, Read};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Reads one line; only a clear yes is a yes.
pub(super) fn answer(input: &mut impl BufRead) -> io::Result<bool> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Characters of a terminal that end or change a line.
const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: [u8; 2] = [0x08, 0x7f];

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden<'a, T: AsFd> {
    terminal: &'a T,
    before: Termios,
}

impl<'a, T: AsFd> Hidden<'a, T> {
    /// Ctrl-C comes as a character, so that it cannot end the process before the terminal is as it was.
    fn new(terminal: &'a T) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl<T: AsFd> Drop for Hidden<'_, T> {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Asks, and reads one line that is not shown. Who answers at once must not see the answer either.
pub(super) fn secret(
    terminal: &(impl AsFd + ReadByte),
    ask: impl FnOnce() -> io::Result<()>,
) -> io::Result<String> {
    let _hidden = Hidden::new(terminal)?;
    ask()?;
    typed(|| terminal.read_byte())
}

/// A source of one byte after the other.
pub(super) trait ReadByte {
    /// The next byte, `None` at the end.
    fn read_byte(&self) -> io::Result<Option<u8>>;
}

impl ReadByte for io::Stdin {
    fn read_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.lock().read(&mut byte)? == 1).then_some(byte[0]))
    }
}

/// The line that is typed, as the terminal's own editing would leave it.
fn typed(mut next: impl FnMut() -> io::Result<Option<u8>>) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        match next()? {
            None | Some(b'\n' | b'\r' | CTRL_D) => break,
            Some(CTRL_C) => return Err(io::ErrorKind::Interrupted.into()),
            Some(byte) if BACKSPACE.contains(&byte) => remove_character(&mut line),
            Some(byte) => line.push(byte),
        }
    }
    String::from_utf8(line).map_err(|_| io::Error::other("what was typed is not UTF-8"))
}

/// Removes the last character, which may have several bytes.
fn remove_character(line: &mut Vec<u8>) {
    let is_inner = |byte: u8| byte & 0xc0 == 0x80;
    while line.pop().is_some_and(is_inner) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_edited_as_it_is_typed() {
        let line = |typed: &str| {
            let mut bytes = typed.bytes().collect::<std::collections::VecDeque<_>>();
            super::typed(move || Ok(bytes.pop_front()))
        };
        assert_eq!(line("ab\u{e9}\x7f\x7fc\nrest").unwrap(), "ac");
        assert_eq!(line("end\x04").unwrap(), "end");
        assert_eq!(line("\x7f\x7fa").unwrap(), "a");
        assert_eq!(line("ab\x03").unwrap_err().kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        let cases = [
            ("y\n", true),
            ("Yes\n", true),
            ("\n", false),
            ("", false),
            ("yep\n", false),
            ("n\n", false),
        ];
        for (typed, yes) in cases {
            assert_eq!(answer(&mut typed.as_bytes()).unwrap(), yes, "{typed:?}");
        }
    }
}
