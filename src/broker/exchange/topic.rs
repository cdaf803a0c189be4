//! The topic exchange: patterns of words split by dots, kept in a trie (3.1.3.3).
//!
//! `*` stands for exactly one word, `#` for none or more. A message walks down the trie once, on all its ways
//! side by side ([`Reached`]); the cost follows the words of its key and the nodes they lead to, not the number
//! of bindings.

use std::collections::HashMap;

use rustc_hash::FxHashSet;

use super::binding::{Destination, DestinationName, Targets};

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

    /// Takes a binding out and prunes what has become empty.
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
}

/// The nodes that the words of a key have led to so far.
///
/// A node behind `#` takes every word and stays; it is the only kind that two edges lead to (its parent's, and its
/// own), so it alone needs to be known again. Every other node is reached from its one parent, once for each word.
///
/// Cost: words times nodes reached, whatever the wildcards are; without `#` nothing is remembered.
#[derive(Debug, Default)]
struct Reached<'a> {
    /// By the last word.
    now: Vec<&'a Node>,
    /// Behind `#`: for good.
    staying: Vec<&'a Node>,
    /// The identities of `staying`.
    known: FxHashSet<*const Node>,
}

impl<'a> Reached<'a> {
    fn from(root: &'a Node) -> Self {
        let mut reached = Self { now: vec![root], ..Self::default() };
        reached.stay_behind(root);
        reached
    }

    /// Takes in the node behind `#`, and those behind it in a row: no word is needed to get there.
    fn stay_behind(&mut self, mut node: &'a Node) {
        while let Some(hash) = &node.hash
            && self.known.insert(std::ptr::from_ref(&**hash))
        {
            self.staying.push(hash);
            node = hash;
        }
    }

    fn on_word(&mut self, word: &str, spare: &mut Vec<&'a Node>) {
        spare.clear();
        for node in self.now.iter().chain(&self.staying) {
            spare.extend(node.words.get(word));
            spare.extend(node.star.as_deref());
        }
        std::mem::swap(&mut self.now, spare);
        for at in 0..self.now.len() {
            self.stay_behind(self.now[at]);
        }
    }
}

/// The words of a key; an empty key has none, but an empty word between dots is a word.
fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').filter(|_| !key.is_empty())
}

impl Topic {
    pub(super) fn bind(&mut self, pattern: &str, destination: &Destination) {
        let end = words(pattern).fold(&mut self.root, Node::child);
        end.targets.add(destination);
    }

    pub(super) fn unbind(&mut self, pattern: &str, destination: &DestinationName) {
        self.root.remove(&words(pattern).collect::<Vec<_>>(), destination);
    }

    pub(super) fn matches<'a>(&'a self, key: &str, into: &mut Vec<&'a Destination>) {
        let (mut reached, mut spare) = (Reached::from(&self.root), Vec::new());
        for word in words(key) {
            reached.on_word(word, &mut spare);
        }
        for node in reached.now.iter().chain(&reached.staying) {
            node.targets.collect(into);
        }
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
