//! Files in the syntax of `rabbitmq.conf`: one `key = value` a line, and comments.
//!
//! Source: RabbitMQ's documentation "Configuration" and its parser (cuttlefish, `conf_parse`). A value may stand in
//! single quotes, which it needs if it has a `#`. A key that is there twice has its last value.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A line of a file that sets something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigLine {
    pub(super) key: String,
    pub(super) value: String,
    /// Counted from 1.
    pub(super) number: usize,
}

/// The reason why a line cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: '{text}' is not 'key = value'")]
pub(super) struct NotALine {
    number: usize,
    text: String,
}

/// Reads the text of a file.
///
/// # Errors
///
/// Names the first line that is neither empty, a comment nor `key = value`.
pub(super) fn parse(text: &str) -> Result<Vec<ConfigLine>, NotALine> {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let not_a_line = || NotALine { number, text: shortened(text) };
        let (key, value) = text.split_once('=').ok_or_else(not_a_line)?;
        let key = key.trim();
        let is_key = |c: char| c.is_alphanumeric() || "._-$\\".contains(c);
        if key.is_empty() || !key.chars().all(is_key) {
            return Err(not_a_line());
        }
        let value = value_of(value.trim()).ok_or_else(not_a_line)?;
        lines.push(ConfigLine { key: key.to_owned(), value, number });
    }
    Ok(lines)
}

/// A value with `$(NAME)` replaced by the variable of that name (cuttlefish, phase `rhs_subs`).
///
/// # Errors
///
/// The name of a variable that is not set.
pub(super) fn substituted<'a>(
    value: &str,
    variable: impl Fn(&str) -> Option<&'a str>,
) -> Result<String, String> {
    let (mut done, mut rest) = (String::new(), value);
    while let Some((before, after)) = rest.split_once("$(") {
        let Some((name, behind)) = after.split_once(')') else { break };
        done.push_str(before);
        done.push_str(variable(name).ok_or(name)?);
        rest = behind;
    }
    done.push_str(rest);
    Ok(done)
}

/// The value without its quotes and without a comment behind it.
fn value_of(text: &str) -> Option<String> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let (value, rest) = quoted.split_once('\'')?;
        let rest = rest.trim();
        return (rest.is_empty() || rest.starts_with('#')).then(|| value.to_owned());
    }
    let value = text.split('#').next().unwrap_or_default().trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// A line as an error shows it: without its value, which may be a password.
fn shortened(text: &str) -> String {
    let key = text.split(['=', ' ']).next().unwrap_or_default();
    let short: String = key.chars().take(60).collect();
    if short.len() < text.len() { format!("{short} ...") } else { short }
}

/// The files that a path names: itself, or all `*.conf` of a directory in the order of their names.
///
/// # Errors
///
/// When the directory cannot be read.
pub(super) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_keys_values_and_comments() {
        let text = "# a comment\n\nlisteners.tcp.default=5673\n default_pass = 's3#cret' # quoted\nlog.console.level = debug # loud\n";
        let line = |key: &str, value: &str, number| ConfigLine {
            key: key.into(),
            value: value.into(),
            number,
        };
        let expected = [
            line("listeners.tcp.default", "5673", 3),
            line("default_pass", "s3#cret", 4),
            line("log.console.level", "debug", 5),
        ];
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn variables_stand_in_values() {
        let variable = |name: &str| (name == "USER").then_some("app");
        #[rustfmt::skip]
        let cases = [
            ("plain",              Ok("plain")),
            ("$(USER)",            Ok("app")),
            ("a-$(USER)-$(USER)",  Ok("a-app-app")),
            ("$(OTHER)",           Err("OTHER")),
            ("$(USER",             Ok("$(USER")),
            ("$USER",              Ok("$USER")),
        ];
        for (value, expected) in cases {
            let found = substituted(value, variable);
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{value}");
        }
    }

    #[test]
    fn a_line_that_is_none_is_named_without_its_value() {
        #[rustfmt::skip]
        let cases = [
            ("heartbeat",              "line 1: 'heartbeat' is not 'key = value'"),
            ("heartbeat =",            "line 1: 'heartbeat ...' is not 'key = value'"),
            ("\n= 5",                  "line 2: ' ...' is not 'key = value'"),
            ("pass = 'secret",         "line 1: 'pass ...' is not 'key = value'"),
            ("[{rabbit, []}].",        "line 1: '[{rabbit, ...' is not 'key = value'"),
        ];
        for (text, expected) in cases {
            let found = parse(text).unwrap_err().to_string();
            assert_eq!(found.replace("'' ", "' "), expected.replace("''", "'"), "{text}");
        }
    }
}
