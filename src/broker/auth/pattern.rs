//! The patterns of permissions and policies: regular expressions that are looked for anywhere in a name.
//!
//! RabbitMQ gives them to PCRE (`re:run`); `pcre` says what ours reads otherwise. A search that gives up finds nothing.

use std::fmt;

use fancy_regex::{Regex, RegexBuilder};

use super::bad_pattern::BadPattern;
use super::pcre::translate;

/// Steps a search may take back: enough for any name, and a few milliseconds at most.
const BACKTRACK_MAX: usize = 100_000;
/// Steps back for a filter, which is tried on every name of a list: some 50 microseconds a name at most.
const FILTER_BACKTRACK_MAX: usize = 1_000;
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

impl Pattern {
    /// Reads a pattern; the empty one is found in every name.
    ///
    /// # Errors
    ///
    /// Explains the fault of a pattern in PCRE's words, if it is one of the usual mistakes.
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

    /// Reads the filter of a list, which is looked for in any case.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn of_filter(text: &str) -> Result<Self, BadPattern> {
        let mut builder = builder(text)?;
        builder.backtrack_limit(FILTER_BACKTRACK_MAX).case_insensitive(true);
        let regex = builder.build().map_err(|error| explain(text, &error))?;
        Ok(Self { text: text.to_owned(), matcher: Matcher::Search(Box::new(regex)) })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Answers whether it matches every name there can be.
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
    builder(text)?.build().map_err(|error| explain(text, &error))
}

fn builder(text: &str) -> Result<RegexBuilder, BadPattern> {
    let mut builder = RegexBuilder::new(&translate(text)?);
    builder.backtrack_limit(BACKTRACK_MAX).delegate_size_limit(COMPILED_BYTES_MAX);
    Ok(builder)
}

/// Says what is wrong with a pattern in PCRE's words, as far as it is one of the usual mistakes.
fn explain(text: &str, error: &fancy_regex::Error) -> BadPattern {
    let bad = BadPattern::new;
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
            ("^[a-z&&[b]]$",        "b]",          true),  // no intersection of classes
            ("^[a-z&&[b]]$",        "b",           false),
            ("^[a[b]]$",            "[]",          true),
            ("^[]a]+$",             "]a",          true),
            ("^[^]a]+$",            "b",           true),
            ("^[[:alpha:]&]+$",     "a&",          true),
            ("^[+--]$",             ",",           true),
            ("^[--a]+$",            "-5",          true),
            ("^\\<a\\>$",           "<a>",         true),  // no word boundaries
            ("^\\Q[a]{2}\\E+$",     "[a]{2}}",     true),
            ("^a\\hb$",             "a b",         true),
            ("^a\\hb$",             "afb",         false), // no hexadecimal digit
            ("^(?i)ABC(?#c)$",      "abc",         true),
            ("^(?P<x>a)(?P=x)$",    "aa",          true),
            ("^(?>a+)b",            "aab",         true),
        ];
        for (pattern, name, found) in cases {
            assert_eq!(Pattern::new(pattern).unwrap().matches(name), found, "{pattern} in {name}");
        }
    }

    #[test]
    fn filters_are_looked_for_in_any_case() {
        #[rustfmt::skip]
        let cases = [
            // filter       name       found
            ("ORD",         "orders",  true),
            ("^É",          "éa",      true),
            ("^(?!amq)",    "AMQ.x",   false),
            ("[A-C]$",      "ab",      true),
            ("^b",          "ab",      false),
        ];
        for (filter, name, found) in cases {
            let pattern = Pattern::of_filter(filter).unwrap();
            assert_eq!(pattern.matches(name), found, "{filter} in {name}");
        }
        assert!(Pattern::of_filter("(").is_err());
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
            ("(?R)",  "{\"recursive call could loop indefinitely\",3}"),
            ("a(?R)", "{\"recursive call could loop indefinitely\",4}"),
            ("(?1)",  "{\"recursion, conditions, callouts and branch reset are not supported\",2}"),
            ("(?&n)", "{\"recursion, conditions, callouts and branch reset are not supported\",2}"),
            ("(?C1)", "{\"recursion, conditions, callouts and branch reset are not supported\",2}"),
            ("(?|a)", "{\"recursion, conditions, callouts and branch reset are not supported\",2}"),
            ("(?u)",  "{\"recursion, conditions, callouts and branch reset are not supported\",2}"),
            ("(*F)",  "{\"verbs are not supported\",1}"),
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
