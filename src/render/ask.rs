//! Questions to a person at a terminal.

use std::io::{self, BufRead};

/// Reads one line; only a clear yes is a yes.
pub(super) fn answer(input: &mut impl BufRead) -> io::Result<bool> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
