//! The topic exchange: patterns of words split by dots, kept in a trie (3.1.3.3).
//!
//! `*` stands for exactly one word, `#` for none or more. A message walks down the trie once; the cost follows
//! the words of its key and the nodes they lead to, not the number of bindings nor of ways to match one.

use std::collections::HashMap;

use rustc_hash::FxHashSet;

use super::binding::DestinationName;
use super::targets::{Destination, Targets};
use crate::broker::compat::Compat;
use crate::wire::{Fault, ReplyCode};

/// The number of `#` that RabbitMQ 4.3.6 takes in one pattern.
const HASHES_MAX: usize = 2;

/// Bindings by pattern.
#[derive(Debug, Default)]
pub(super) struct Topic {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    words: HashMap<Box<str>, Node>,
    /// Behind `*`.
    star: Option<Box<Node>>,
    /// Behind `#`.
    hash: Option<Box<Node>>,
    /// Patterns that end here.
    targets: Targets,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.words.is_empty()
            && self.star.is_none()
            && self.hash.is_none()
            && self.targets.is_empty()
    }

    fn child(&mut self, word: &str) -> &mut Self {
        match word {
            "*" => self.star.get_or_insert_default(),
            "#" => self.hash.get_or_insert_default(),
            _ => self.words.entry(word.into()).or_default(),
        }
    }

    /// Takes a binding out and prunes the nodes that have become empty.
    fn remove(&mut self, pattern: &[&str], destination: &DestinationName) {
        let Some((word, rest)) = pattern.split_first() else {
            self.targets.remove(destination);
            return;
        };
        let child = match *word {
            "*" => self.star.as_deref_mut(),
            "#" => self.hash.as_deref_mut(),
            word => self.words.get_mut(word),
        };
        let Some(child) = child else { return };
        child.remove(rest, destination);
        if child.is_empty() {
            match *word {
                "*" => self.star = None,
                "#" => self.hash = None,
                word => drop(self.words.remove(word)),
            }
        }
    }
    /// Finds the destinations of the patterns from here on.
    ///
    /// A node behind `#` is walked from every place in the key, in order. A second walk through it begins later in the
    /// key (a node's places only ever grow), and would find the same again: `walked` ends it there.
    ///
    /// Cost: at most words times nodes, whatever the wildcards are; without `#` nothing is remembered.
    fn collect<'a>(&'a self, words: &[&str], walked: &mut Walked, into: &mut Vec<&'a Destination>) {
        if let Some(hash) = &self.hash
            && walked.insert(std::ptr::from_ref(&**hash))
        {
            for skipped in 0..=words.len() {
                hash.collect(&words[skipped..], walked, into);
            }
        }
        let Some((word, rest)) = words.split_first() else {
            self.targets.collect(into);
            return;
        };
        if let Some(child) = self.words.get(*word) {
            child.collect(rest, walked, into);
        }
        if let Some(star) = &self.star {
            star.collect(rest, walked, into);
        }
    }
}

/// The nodes behind `#` that a key has come to, by identity.
type Walked = FxHashSet<*const Node>;

/// The words of a key; an empty key has none, but an empty word between dots is a word.
fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

/// Checks a pattern. With `--compat 4.3` it may have as few `#` as in RabbitMQ 4.3.6; matching costs the same here,
/// however many it has.
///
/// # Errors
///
/// `PRECONDITION_FAILED` in RabbitMQ's words.
pub(super) fn check(pattern: &str, compat: Compat) -> Result<(), Fault> {
    if !compat.is_strict() {
        return Ok(());
    }
    let hashes = words(pattern).into_iter().filter(|word| *word == "#").count();
    if hashes <= HASHES_MAX {
        return Ok(());
    }
    let text = format!(
        "Topic binding key '{pattern}' uses {hashes} '#' wildcards, at most {HASHES_MAX} are allowed"
    );
    Err(Fault::new(ReplyCode::PreconditionFailed, text))
}

impl Topic {
    pub(super) fn bind(&mut self, pattern: &str, destination: &Destination) {
        let end = words(pattern).into_iter().fold(&mut self.root, Node::child);
        end.targets.add(destination);
    }

    pub(super) fn unbind(&mut self, pattern: &str, destination: &DestinationName) {
        self.root.remove(&words(pattern), destination);
    }

    pub(super) fn matches<'a>(&'a self, key: &str, into: &mut Vec<&'a Destination>) {
        self.root.collect(&words(key), &mut Walked::default(), into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::exchange::binding::DestinationKind;
    use crate::wire::shortstr::literal;

    fn topic_matches(pattern: &str, key: &str) -> bool {
        let mut topic = Topic::default();
        topic.bind(pattern, &Destination::Exchange(literal("x")));
        let mut found = Vec::new();
        topic.matches(key, &mut found);
        !found.is_empty()
    }

    /// 3.1.3.3: `*` is one word, `#` is zero or more, words are split by dots.
    #[test]
    fn topic_patterns() {
        #[rustfmt::skip]
        let cases = [
            // pattern      key              matches
            ("a.b",         "a.b",           true),
            ("a.*",         "a.b",           true),
            ("a.*",         "a",             false), // `*` needs its word
            ("a.#",         "a",             true),
            ("a.#",         "a.b.c",         true),
            ("#.b.#",       "a.b.c.b",       true),
            ("*.price.#",   "eu.price.day",  true),
            ("*.price.#",   "price.us",      false),
            ("#",           "",              true),
            ("#.#",         "",              true),
            ("*",           "",              false), // the empty key has no words
            ("a.*.b",       "a..b",          true),  // but an empty word is a word
            ("*.*",         ".",             true),
            ("#.a.#.a",     "a",             false), // each `a` needs its own
            ("#.a.#.a",     "b.a.b.a",       true),
            ("#.*",         "",              false),
            ("*.#",         "a",             true),
            ("#.a.*",       "a.a.b",         true),
            ("",            "",              true),
            ("",            "a",             false),
        ];
        for (pattern, key, matches) in cases {
            assert_eq!(topic_matches(pattern, key), matches, "{pattern:?} against {key:?}");
        }
    }

    /// Each way to share the words out among the `#` would be tried one by one: billions here.
    #[test]
    fn a_row_of_hashes_matches_a_long_key_once() {
        let mut topic = Topic::default();
        let patterns = ["#.#.#.#.#.#", "#.a.#.a.#.a", "#", "#.a.*", "*.#.*.#.*.#.a", "#.b.#"];
        for pattern in patterns {
            topic.bind(pattern, &Destination::Exchange(literal(pattern)));
        }
        let key = vec!["a"; 126].join(".");
        let mut found = Vec::new();
        topic.matches(&key, &mut found);
        let mut found: Vec<_> = found.into_iter().map(|found| found.name().name).collect();
        found.sort();
        let mut expected: Vec<_> = patterns.into_iter().map(literal).collect();
        expected.retain(|pattern| !pattern.contains('b'));
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_unbound_pattern_leaves_nothing_behind() {
        let mut topic = Topic::default();
        let name = DestinationName { kind: DestinationKind::Exchange, name: literal("x") };
        for pattern in ["a.*.#.b", "a.*", "#"] {
            topic.bind(pattern, &Destination::Exchange(literal("x")));
        }
        for pattern in ["a.*.#.b", "a.*", "#"] {
            topic.unbind(pattern, &name);
        }
        assert!(topic.root.is_empty());
    }
}
