//! The examples of a command, in its help and in its manual page. Each is a line for a shell, and a test runs it.

/// The section of the help of a command that begins with this line.
pub(super) const HEADING: &str = "Examples:";

/// The section with these examples.
pub(super) fn examples(lines: &[&str]) -> String {
    lines.iter().fold(HEADING.to_owned(), |text, line| text + "\n  " + line)
}
