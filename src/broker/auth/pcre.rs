//! PCRE's way of writing regular expressions, for a library that reads some of them otherwise.
//!
//! RabbitMQ gives the patterns of permissions and policies to PCRE. Our library has look-around and back references,
//! and would take some other constructs of PCRE for something else: `(?R)`, a recursion, is a flag for it, with which a
//! permission would be for every name. [`translate`] writes down what can be said in another way and refuses the rest:
//! recursion, conditions, callouts, verbs, branch reset.

use super::bad_pattern::BadPattern;

/// Flags that both read alike.
const FLAGS: &str = "imsxU-";

/// Character classes that PCRE calls by name, as members of a class: horizontal and vertical white space.
const HORIZONTAL: &str = " \\t";
const VERTICAL: &str = "\\n\\x0b\\f\\r";

/// A pattern on its way.
struct Translation<'a> {
    text: &'a str,
    at: usize,
    out: String,
}

/// Writes a pattern of PCRE down for our library; one that is malformed is left as it is, for the library to refuse.
///
/// # Errors
///
/// For what PCRE can do and our library cannot.
pub(super) fn translate(text: &str) -> Result<String, BadPattern> {
    let mut all = Translation { text, at: 0, out: String::with_capacity(text.len()) };
    while let Some(next) = all.rest().chars().next() {
        match next {
            '\\' => all.escape(),
            '[' => all.class(),
            '(' => all.group()?,
            '{' if !is_repetition(&all.rest()[1..]) => all.write("\\{", 1),
            _ => all.copy(next.len_utf8()),
        }
    }
    Ok(all.out)
}

impl<'a> Translation<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn copy(&mut self, len: usize) {
        let copied = &self.rest()[..len];
        self.out.push_str(copied);
        self.at += len;
    }

    /// Writes something in the place of the next `len` bytes.
    fn write(&mut self, written: &str, len: usize) {
        self.out.push_str(written);
        self.at += len;
    }

    /// An escape with its letter, and the braces that belong to it.
    fn escape(&mut self) {
        let rest = self.rest();
        let Some(letter) = rest[1..].chars().next() else { return self.copy(1) };
        let len = 1 + letter.len_utf8();
        match letter {
            // Word boundaries for our library.
            '<' => self.write("<", len),
            '>' => self.write(">", len),
            'b' | 'B' if rest[len..].starts_with('{') => {
                self.copy(len);
                self.write("\\{", 1);
            }
            'h' => self.write(&format!("[{HORIZONTAL}]"), len),
            'H' => self.write(&format!("[^{HORIZONTAL}]"), len),
            'v' => self.write(&format!("[{VERTICAL}]"), len),
            'V' => self.write(&format!("[^{VERTICAL}]"), len),
            'Q' => {
                let quoted = rest[len..].split("\\E").next().unwrap_or_default();
                let end = (len + quoted.len() + 2).min(rest.len());
                self.write(&fancy_regex::escape(quoted), end);
            }
            'p' | 'P' | 'x' | 'g' | 'k' if rest[len..].starts_with('{') => {
                let closed = rest[len..].find('}');
                self.copy(closed.map_or(len, |end| len + end + 1));
            }
            _ => self.copy(len),
        }
    }

    /// A class of characters. Brackets, `&&`, `--` and `~~` in it are members, and not classes in a class.
    fn class(&mut self) {
        let rest = self.rest();
        let negated = usize::from(rest[1..].starts_with('^'));
        self.copy(1 + negated);
        let mut is_first = true;
        while let Some(next) = self.rest().chars().next() {
            let rest = self.rest();
            match next {
                ']' if !is_first => return self.copy(1),
                ']' => self.write("\\]", 1),
                '[' if rest.starts_with("[:") && rest.contains(":]") => {
                    self.copy(rest.find(":]").map_or(1, |end| end + 2));
                }
                '[' => self.write("\\[", 1),
                '&' => self.write("\\&", 1),
                '~' => self.write("\\~", 1),
                '-' if is_first => self.write("\\-", 1),
                // A range that ends in a hyphen.
                '-' if rest.starts_with("--") => self.write("-\\-", 2),
                '\\' => match rest[1..].chars().next() {
                    Some('h') => self.write(HORIZONTAL, 2),
                    Some('v') => self.write(VERTICAL, 2),
                    Some('b') => self.write("\\x08", 2),
                    Some('<') => self.write("<", 2),
                    Some('>') => self.write(">", 2),
                    letter => self.copy(1 + letter.map_or(0, char::len_utf8)),
                },
                _ => self.copy(next.len_utf8()),
            }
            is_first = false;
        }
    }

    /// The beginning of a group.
    fn group(&mut self) -> Result<(), BadPattern> {
        let rest = self.rest();
        if rest.starts_with("(*") && rest[2..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(self.refused("verbs are not supported", 1));
        }
        let Some(inside) = rest.strip_prefix("(?") else {
            self.copy(1);
            return Ok(());
        };
        if let Some(comment) = inside.strip_prefix('#') {
            let end = comment.find(')').map_or(rest.len(), |end| end + 4);
            self.at += end;
            return Ok(());
        }
        if inside.starts_with("R)") || inside.starts_with("0)") {
            return Err(self.refused("recursive call could loop indefinitely", 3));
        }
        let is_known = [":", "=", "!", ">", "<", "P<", "P=", "'"];
        let flags = inside.trim_start_matches(|c| FLAGS.contains(c));
        let are_flags = flags.len() < inside.len() && flags.starts_with([')', ':']);
        if !are_flags && !is_known.iter().any(|known| inside.starts_with(known)) {
            let what = "recursion, conditions, callouts and branch reset are not supported";
            return Err(self.refused(what, 2));
        }
        self.copy(2);
        Ok(())
    }

    fn refused(&self, what: &str, further: usize) -> BadPattern {
        BadPattern::new(what, self.at + further)
    }
}

/// Answers whether this is the text after the brace of `{3}`, `{3,}` or `{3,5}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match inside.split_once(',') {
        None => is_number(inside),
        Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
    }
}
