//! The patterns of permissions and policies: regular expressions that are looked for anywhere in a name.
//!
//! RabbitMQ gives them to PCRE (`re:run`). Look-around and back references are there; what PCRE takes as plain text and
//! ours does not, a brace that begins no repetition, is made plain first. A search that gives up finds nothing.

use std::fmt;

use fancy_regex::{Regex, RegexBuilder};

/// Steps a search may take back: enough for any name, and a few milliseconds at most.
const BACKTRACK_MAX: usize = 100_000;
/// Bytes a compiled pattern may have.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A regular expression.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    Everything,
    /// The empty name only.
    Empty,
    Search(Box<Regex>),
}

/// A pattern that is none: what is wrong in PCRE's words, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{{\"{what}\",{at}}}")]
pub struct BadPattern {
    what: String,
    at: usize,
}

impl Pattern {
    /// Reads a pattern; the empty one is found in every name.
    ///
    /// # Errors
    ///
    /// Says what is wrong the way Erlang prints PCRE's error.
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        let matcher = match text {
            "" | ".*" | "^.*" | "^.*$" | "^" => Matcher::Everything,
            _ => Matcher::Search(Box::new(compile(text)?)),
        };
        Ok(Self { text: text.to_owned(), matcher })
    }

    /// Reads the pattern of a permission, where the empty one stands for `^$`.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn of_permission(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() || text == "^$" {
            return Ok(Self { text: text.to_owned(), matcher: Matcher::Empty });
        }
        Self::new(text)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is found in every name there can be.
    pub fn is_everything(&self) -> bool {
        matches!(self.matcher, Matcher::Everything)
    }

    pub fn matches(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::Everything => true,
            Matcher::Empty => name.is_empty(),
            Matcher::Search(regex) => regex.is_match(name).unwrap_or(false),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

fn compile(text: &str) -> Result<Regex, BadPattern> {
    let mut builder = RegexBuilder::new(&with_plain_braces(text));
    builder.backtrack_limit(BACKTRACK_MAX).delegate_size_limit(COMPILED_BYTES_MAX);
    builder.build().map_err(|error| explain(text, &error))
}

/// Escapes braces that begin no repetition, as PCRE reads them.
fn with_plain_braces(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let len = match next {
            // An escape with its letter, and what belongs to `\p{..}`, `\x{..}`, `\g{..}`, `\k{..}`.
            '\\' => {
                let letter = rest[1..].chars().next();
                let len = 1 + letter.map_or(0, char::len_utf8);
                let is_braced = matches!(letter, Some('p' | 'P' | 'x' | 'g' | 'k'))
                    && rest[len..].starts_with('{');
                let closed = rest[len..].find('}').filter(|_| is_braced);
                closed.map_or(len, |end| len + end + 1)
            }
            '{' if !is_repetition(&rest[1..]) => {
                plain.push('\\');
                1
            }
            _ => next.len_utf8(),
        };
        plain.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    plain
}

/// Whether this is what follows the brace of `{3}`, `{3,}` or `{3,5}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match inside.split_once(',') {
        None => is_number(inside),
        Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
    }
}

/// Says what is wrong with a pattern in PCRE's words, as far as it is one of the usual mistakes.
fn explain(text: &str, error: &fancy_regex::Error) -> BadPattern {
    let bad = |what: &str, at: usize| BadPattern { what: what.to_owned(), at };
    let mut depth = 0_usize;
    let mut can_repeat = false;
    let mut chars = text.char_indices();
    while let Some((at, next)) = chars.next() {
        let could_repeat = std::mem::replace(&mut can_repeat, true);
        match next {
            // Looks at the escaped letter, and passes over it.
            '\\' if chars.next().is_none() => {
                return bad("\\\\ at end of pattern", text.len());
            }
            '[' => {
                // A bracket that comes first is a member.
                let inside = text[at + 1..].trim_start_matches('^');
                let skipped = text.len() - inside.len();
                match inside.char_indices().skip(1).find(|(_, c)| *c == ']') {
                    None => return bad("missing terminating ] for character class", text.len()),
                    Some((end, _)) => {
                        let end = skipped + end;
                        chars = text[..].char_indices();
                        chars.by_ref().take_while(|(here, _)| *here < end).for_each(drop);
                    }
                }
            }
            '(' => {
                depth += 1;
                can_repeat = false;
            }
            ')' if depth == 0 => return bad("unmatched parentheses", at),
            ')' => depth -= 1,
            '|' => can_repeat = false,
            '*' | '+' | '?' if !could_repeat && !text[..at].ends_with('(') => {
                return bad("nothing to repeat", at);
            }
            _ => {}
        }
    }
    if depth > 0 {
        return bad("missing )", text.len());
    }
    let told = error.to_string();
    bad(told.lines().last().unwrap_or("not a regular expression"), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_looked_for_anywhere() {
        #[rustfmt::skip]
        let cases = [
            // pattern              name           found
            (".*",                  "",            true),
            ("",                    "anything",    true),
            ("^$",                  "anything",    false),
            ("b",                   "abc",         true),
            ("^b",                  "abc",         false),
            ("^(a|b)",              "bc",          true),
            ("^(?!amq\\.).*",       "amq.gen-1",   false), // as RabbitMQ's documentation has it
            ("^(?!amq\\.).*",       "orders",      true),
            ("(a)\\1",              "xaax",        true),
            ("^a{2}$",              "aa",          true),
            ("^a{2,}$",             "a",           false),
            ("^{client_id}",        "{client_id}", true),  // a brace that repeats nothing is itself
            ("^a{x",                "a{x",         true),
            ("[{]",                 "{",           true),
            ("\\p{L}+",             "é",           true),
        ];
        for (pattern, name, found) in cases {
            assert_eq!(Pattern::new(pattern).unwrap().matches(name), found, "{pattern} in {name}");
        }
    }

    #[test]
    fn the_empty_pattern_of_a_permission_finds_the_empty_name() {
        let pattern = Pattern::of_permission("").unwrap();
        assert!(pattern.matches(""));
        assert!(!pattern.matches("q"));
        assert_eq!(pattern.as_str(), "");
        assert!(Pattern::of_permission(".*").unwrap().is_everything());
    }

    #[test]
    fn what_is_wrong_is_said_in_pcres_words() {
        #[rustfmt::skip]
        let cases = [
            ("(",     "{\"missing )\",1}"),
            ("a(b",   "{\"missing )\",3}"),
            ("a)",    "{\"unmatched parentheses\",1}"),
            ("*",     "{\"nothing to repeat\",0}"),
            ("[a",    "{\"missing terminating ] for character class\",2}"),
            ("a\\",   "{\"\\\\ at end of pattern\",2}"),
        ];
        for (pattern, told) in cases {
            assert_eq!(Pattern::new(pattern).unwrap_err().to_string(), told, "{pattern}");
        }
    }

    #[test]
    fn a_search_that_would_take_for_ever_gives_up() {
        let pattern = Pattern::new("^(?=(a+)+$)(a+)+\\1b$").unwrap();
        assert!(!pattern.matches(&"a".repeat(200)));
    }
}
