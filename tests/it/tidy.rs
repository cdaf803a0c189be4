//! The architecture and the house rules as tests: who may name whom, and what must not be written at all.
//!
//! Each rule is a function from one source file to what is wrong in it. [`the_house_rules_hold`] runs all of them
//! over the tree; [`every_rule_sees_a_planted_fault`] shows that none of them is blind. To let a layer use
//! something new, add it to the table and say why in the commit. Function length and `unwrap` are clippy's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which layers a layer may name. A folder of `src/`, or a file in it, that is missing here is a fault.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("bug", &[]),
    ("json_text", &[]),
    ("lock", &[]),
    ("moment", &[]),
    ("wire", &[]),
    ("store", &["wire", "bug", "lock", "moment"]),
    ("broker", &["wire", "store", "bug", "lock", "moment"]),
    ("tls", &[]),
    ("server", &["wire", "tls", "store", "broker", "bug", "lock", "moment"]),
    ("management", &["wire", "broker", "server", "bug", "json_text", "lock", "moment"]),
    ("client", &["wire", "tls", "lock"]),
    (
        "engine",
        &["wire", "tls", "json_text", "lock", "store", "broker", "server", "management", "client"],
    ),
    ("render", &[]),
    ("tutorial", &["engine", "render"]),
    ("exit", &["engine"]),
    ("commands", &["json_text", "engine", "render", "tutorial", "exit"]),
    ("cli", &["commands", "engine", "render", "exit"]),
    ("lib", EVERYTHING),
    ("main", EVERYTHING),
];

const EVERYTHING: &[&str] = &["*"];

/// Which folders may use a crate. One that is missing here may be used nowhere.
const MAY_USE: &[(&str, &[&str])] = &[
    ("axum", &["management"]),
    (
        "base64",
        &["wire", "broker", "server", "management", "client", "engine", "commands", "render"],
    ),
    ("bytes", EVERYTHING),
    ("clap", &["cli", "commands", "main"]),
    ("clap_complete", &["cli", "commands"]),
    ("clap_mangen", &["cli", "commands"]),
    ("comfy_table", &["render"]),
    ("crc32c", &["store"]),
    ("csv", &["render"]),
    // Patterns of permissions, policies and filters are PCRE's: look-around and back references, which `regex` has not.
    ("fancy_regex", &["broker", "engine"]),
    ("flate2", &["management"]),
    ("hdrhistogram", &["engine"]),
    ("http_body_util", &["client"]),
    ("hyper", &["management", "client", "engine"]),
    ("hyper_util", &["management", "client"]),
    ("humantime", &["render", "management", "client", "engine", "commands", "cli"]),
    ("indexmap", &["broker", "management", "server"]),
    ("indicatif", &["render"]),
    ("md5", &["broker"]),
    ("percent_encoding", &["wire", "management", "client", "engine"]),
    ("redb", &["store"]),
    ("rustc_hash", &["broker", "server", "store"]),
    ("rustix", &["store", "server", "management", "client", "engine", "render", "commands"]),
    ("rustls", &["tls", "server", "client", "engine"]),
    ("rustls_native_certs", &["client"]),
    ("sd_notify", &["commands"]),
    ("serde", &["json_text", "management", "engine", "render", "commands", "tutorial"]),
    (
        "serde_json",
        &["json_text", "management", "client", "engine", "render", "commands", "tutorial"],
    ),
    ("sha2", &["broker", "engine", "management"]),
    ("strsim", &["render", "engine", "commands", "cli"]),
    ("thiserror", EVERYTHING),
    ("tokio", &["server", "management", "client", "engine", "commands", "tutorial", "cli", "main"]),
    ("tokio_rustls", &["server", "client"]),
    ("toml", &["engine"]),
    ("tracing", EVERYTHING),
    ("tracing_subscriber", &["main", "cli", "commands"]),
    ("triomphe", &["broker", "server"]),
    ("x509_parser", &["tls"]),
];

/// Words that must not stand in the code of a folder, and why.
const MUST_NOT_SAY: &[(&str, &[&str], &str)] = &[
    (
        "wire",
        &["async fn", "async move", ".await", "std::net", "std::fs", "std::io"],
        "wire is bytes",
    ),
    ("wire", CLOCKS, "time is an argument"),
    ("store", POISON, "locks are those of `lock`"),
    ("broker", POISON, "locks are those of `lock`"),
    ("server", POISON, "locks are those of `lock`"),
    ("management", POISON, "locks are those of `lock`"),
    ("client", POISON, "locks are those of `lock`"),
    ("engine", POISON, "locks are those of `lock`"),
    ("store", &[".await"], "the store knows records and files"),
    ("store", SOCKETS, "the store knows records and files"),
    ("broker", &["async fn", "async move", ".await"], "the broker never waits"),
    ("broker", SOCKETS, "the broker never waits"),
    ("broker", &["wire::frame", "wire::method", "wire::Method"], "the broker sees no frames"),
    ("broker", CLOCKS, "time is an argument"),
    ("server/session", &["async fn", "async move", ".await", "tokio"], "a session never waits"),
    ("server/session", SOCKETS, "a session never waits"),
    ("server/session", CLOCKS, "time is an argument"),
    ("management", &["tokio::net", "println!", "eprintln!"], "listeners are the server's"),
    ("engine", &["println!", "eprintln!"], "only render prints"),
    ("engine", SOCKETS, "sockets are the client's"),
    ("render", SOCKETS, "render turns values into text"),
    ("commands", &["println!", "eprintln!"], "only render prints"),
    ("commands", SOCKETS, "commands talk to the engine"),
];

const SOCKETS: &[&str] =
    &["TcpStream", "TcpListener", "TcpSocket", "UdpSocket", "UnixStream", "UnixListener"];

/// The error of a lock of `std`, which says nothing that its user could act on.
const POISON: &[&str] = &["PoisonError"];

const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now"];

/// Lines a file may have, its tests not counted.
const LINES_MAX: usize = 500;

const VAGUE_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "types"];

/// Words that are not written in files; cut in two so that this file may name them.
const BANNED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("dbg", "!"),
    concat!("super", "::super"),
];

/// Words that make a question of a sentence. A doc comment names its subject first: "The number of queues", not "How many
/// queues there are".
const QUESTION_WORDS: &[&str] =
    &["What", "Who", "Whoever", "Whether", "How", "Where", "When", "Why", "Which"];

/// The most doc comments of `src/` that may begin with one of [`QUESTION_WORDS`], in percent.
const QUESTIONS_MAX_PERCENT: usize = 1;

/// Type names that several folders may define: the field's own words, which mean the same in each, and the result of a
/// command under the name of what it did.
const SHARED_NAMES: &[&str] = &[
    "Args",
    "Assembly",
    "Channel",
    "Confirms",
    "Connection",
    "Consumer",
    "Consumers",
    "Content",
    "Context",
    "Counter",
    "Counts",
    "Declared",
    "DelayedRetry",
    "Delivery",
    "Destination",
    "Error",
    "Event",
    "Filter",
    "Index",
    "Matcher",
    "Message",
    "Options",
    "Phase",
    "Published",
    "Publisher",
    "Purged",
    "Reader",
    "Refusal",
    "Share",
    "Shared",
    "State",
    "Stream",
    "TlsFiles",
    "Unacked",
    "Verify",
];

/// Folders that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[
    concat!("/tmp/", "wt"),
    concat!("/tmp/", "target"),
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
];

/// Test support that has to ask again and again, because what it waits for rings no bell.
const MAY_POLL: &[&str] = &["tests/support/rabbitmq.rs"];

/// One file: its path from the package's root, and its text.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    path: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    /// The path within `src/`, when it is there.
    fn in_src(self) -> Option<&'a str> {
        self.path.strip_prefix("src/")
    }

    /// The folder of `src/` that the file is in, or its own name when it is in none.
    fn layer(self) -> Option<&'a str> {
        let path = self.in_src()?;
        Some(path.split_once('/').map_or(path.trim_end_matches(".rs"), |(layer, _)| layer))
    }

    fn is_test(self) -> bool {
        self.path.starts_with("tests/")
    }

    /// The text without lines that are comments only: a comment may name anything.
    fn code(self) -> String {
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        self.text.lines().filter(is_code).fold(String::new(), |text, line| text + line + "\n")
    }

    /// The part of a file in `src/` in front of its tests.
    fn without_tests(self) -> &'a str {
        // Those of a neighbour may use the helpers of these.
        let begins = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(super) mod tests {"];
        let parts = begins.iter().find_map(|begin| self.text.split_once(begin));
        parts.map_or(self.text, |(code, _)| code)
    }
}

type Rule = fn(Source<'_>) -> Vec<String>;

const RULES: &[Rule] = &[
    layers_name_only_layers_below,
    crates_stay_in_their_layers,
    folders_keep_out_what_is_not_theirs,
    files_are_short,
    files_open_with_a_header,
    names_say_something,
    banned_words_are_not_written,
    machine_paths_are_not_written,
    tests_run_and_wait_for_events,
];

/// Whether `word` stands in `text` and is not a part of a longer one.
fn says(text: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + word.len()..]);
        let begins = !word.starts_with(is_name) || !before.ends_with(is_name);
        let ends = !word.ends_with(is_name) || !after.starts_with(is_name);
        begins && ends
    })
}

/// Identifiers that start a path (`name::...`) in `code`, each once for every place.
fn path_heads(code: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices("::").filter_map(move |(end, _)| {
        let before = &code[..end];
        let start = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
        (start < end && !before[..start].ends_with("::")).then(|| &before[start..])
    })
}

/// What follows `prefix` (`crate::`) everywhere in `code`: one name, or each of a `{...}` group.
fn names_after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let name = |text: &'a str| {
        let text = text.trim_start();
        text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
    };
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(name(rest));
            continue;
        };
        let (mut depth, mut start) = (0_usize, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    names.push(name(&group[start..at]));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn layers_name_only_layers_below(source: Source<'_>) -> Vec<String> {
    let Some(layer) = source.layer() else { return Vec::new() };
    let Some((_, below)) = MAY_NAME.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("'{layer}' is no layer of the architecture")];
    };
    let code = source.code();
    let mut named = names_after(&code, "crate::");
    if source.path == format!("src/{layer}/mod.rs") {
        // There `super` is the root of the crate.
        named.extend(names_after(&code, "super::"));
    }
    let is_layer = |name: &&str| MAY_NAME.iter().any(|(layer, _)| layer == name);
    let allowed = |name: &&str| *name == layer || below.contains(name) || *below == EVERYTHING;
    let wrong = named.into_iter().filter(is_layer).filter(|name| !allowed(name));
    wrong.map(|name| format!("{layer} may not name {name}")).collect()
}

fn crates_stay_in_their_layers(source: Source<'_>) -> Vec<String> {
    let Some(layer) = source.layer() else { return Vec::new() };
    let code = source.code();
    let mut wrong: Vec<String> = path_heads(&code)
        .filter_map(|name| {
            let (_, layers) = MAY_USE.iter().find(|(krate, _)| *krate == name)?;
            let allowed = *layers == EVERYTHING || layers.contains(&layer);
            (!allowed).then(|| format!("{layer} may not use the crate {name}"))
        })
        .collect();
    wrong.dedup();
    wrong
}

fn folders_keep_out_what_is_not_theirs(source: Source<'_>) -> Vec<String> {
    let Some(path) = source.in_src() else { return Vec::new() };
    let code = source.code();
    let mut wrong = Vec::new();
    for (folder, words, why) in MUST_NOT_SAY {
        if path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')) {
            let said = words.iter().filter(|word| says(&code, word));
            wrong.extend(said.map(|word| format!("'{}': {why}", word.trim())));
        }
    }
    wrong
}

fn files_are_short(source: Source<'_>) -> Vec<String> {
    let lines = source.without_tests().lines().count();
    let is_long = source.in_src().is_some() && lines > LINES_MAX;
    is_long.then(|| format!("{lines} lines, more than {LINES_MAX}")).into_iter().collect()
}

fn files_open_with_a_header(source: Source<'_>) -> Vec<String> {
    let opens = source.text.starts_with("//! ");
    (!opens).then(|| "does not open with '//! '".to_owned()).into_iter().collect()
}

fn names_say_something(source: Source<'_>) -> Vec<String> {
    let code = source.code();
    let inline = code.lines().filter_map(|line| {
        let (_, name) = line.split_once("mod ")?;
        Some(name.trim_end_matches([' ', '{', ';']))
    });
    let steps = source.path.trim_end_matches(".rs").split('/');
    let vague = steps.chain(inline).filter(|name| VAGUE_NAMES.contains(name));
    vague.map(|name| format!("a module named '{name}' says nothing")).collect()
}

fn banned_words_are_not_written(source: Source<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        for word in BANNED {
            if says(line, word) {
                wrong.push(format!("line {}: {word}", at + 1));
            }
        }
    }
    wrong
}

fn machine_paths_are_not_written(source: Source<'_>) -> Vec<String> {
    let said = MACHINE_PATHS.iter().filter(|path| source.text.contains(**path));
    said.map(|path| format!("'{path}' is a path of one machine")).collect()
}

fn tests_run_and_wait_for_events(source: Source<'_>) -> Vec<String> {
    let tests =
        if source.is_test() { source.text } else { &source.text[source.without_tests().len()..] };
    let mut wrong = Vec::new();
    if tests.contains(concat!("#[ig", "nore")) {
        wrong.push("a test that never runs".to_owned());
    }
    let sleeps = tests.contains(concat!("sle", "ep(")) && !MAY_POLL.contains(&source.path);
    if sleeps {
        wrong.push("a test that sleeps instead of waiting for an event".to_owned());
    }
    wrong
}

/// Every Rust file below `folder`, from the package's root.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_house_rules_hold() {
    let files = [rust_files("src"), rust_files("tests")].concat();
    assert!(files.len() > 10, "the tests run in the package's root");
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let source = Source { path: file.to_str().unwrap(), text: &text };
        let found = RULES.iter().flat_map(|rule| rule(source));
        wrong.extend(found.map(|problem| format!("{}: {problem}", source.path)));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A file that nobody lists is compiled by nobody: its tests would never run.
fn unlisted(folder: &Path) -> Vec<String> {
    let lists = ["main.rs", "mod.rs"].map(|name| folder.join(name));
    let Some(list) = lists.into_iter().find(|list| list.exists()) else { return Vec::new() };
    let listed = fs::read_to_string(&list).unwrap();
    let mut wrong = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let is_module = path.extension().is_some_and(|extension| extension == "rs")
            || path.join("mod.rs").exists();
        let is_listed = listed.lines().any(|line| {
            line.trim_end_matches(';').rsplit_once("mod ").is_some_and(|(_, name)| name == stem)
        });
        if is_module && !is_listed && path.file_name() != list.file_name() {
            wrong.push(format!("{} is not listed in {}", path.display(), list.display()));
        }
        if path.is_dir() && !path.ends_with("target") {
            wrong.extend(unlisted(&path));
        }
    }
    wrong
}

#[test]
fn every_test_file_is_listed() {
    let folders = ["it", "interop", "sim", "bench/growth", "bench/instructions", "bench/scenes"];
    let wrong = folders
        .map(|folder| Path::new("tests").join(folder))
        .into_iter()
        .filter(|folder| folder.exists())
        .flat_map(|folder| unlisted(&folder))
        .collect::<Vec<_>>();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_test_file_that_nobody_lists_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.rs"), "mod listed;\n").unwrap();
    fs::write(folder.path().join("listed.rs"), "").unwrap();
    assert_eq!(unlisted(folder.path()), Vec::<String>::new());
    fs::write(folder.path().join("lost.rs"), "").unwrap();
    assert_eq!(unlisted(folder.path()).len(), 1);
}

/// The first lines of the doc comments in `text`, without their marks.
fn doc_comments(text: &str) -> Vec<&str> {
    let (mut found, mut before) = (Vec::new(), None);
    for line in text.lines().map(str::trim_start) {
        let mark = ["/// ", "//! "].into_iter().find(|mark| line.starts_with(mark.trim_end()));
        if mark.is_some() && mark != before {
            found.extend(mark.and_then(|mark| line.strip_prefix(mark)));
        }
        before = mark;
    }
    found
}

/// Those of the doc comments that begin with one of [`QUESTION_WORDS`].
fn questions<'a>(comments: &[&'a str]) -> Vec<&'a str> {
    let is_question = |comment: &&&str| {
        let word = comment.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        QUESTION_WORDS.contains(&word)
    };
    comments.iter().filter(is_question).copied().collect()
}

#[test]
fn doc_comments_begin_with_their_subject() {
    let texts = rust_files("src").into_iter().map(|file| fs::read_to_string(file).unwrap());
    let texts: Vec<String> = texts.collect();
    let comments: Vec<&str> = texts.iter().flat_map(|text| doc_comments(text)).collect();
    assert!(comments.len() > 1000, "the tests run in the package's root");
    let wrong = questions(&comments);
    assert!(
        wrong.len() * 100 <= comments.len() * QUESTIONS_MAX_PERCENT,
        "{} of {} doc comments begin with a question word:\n{}\n",
        wrong.len(),
        comments.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_doc_comment_that_begins_with_a_question_is_seen() {
    let text = "\
//! Where it is.
//! How is no first line.

/// Whether it is there.
fn f() {
    // What is no doc comment.
}

/// The queue.
///
/// Who is no first line.
/// Whatever is another word.
struct Queue {
    /// How many there are.
    len: u64,
    /// Whatever it is.
    all: u64,
}
";
    let comments = doc_comments(text);
    assert_eq!(comments.len(), 5, "{comments:?}");
    let seen = ["Where it is.", "Whether it is there.", "How many there are."];
    assert_eq!(questions(&comments), seen);
}

/// The names of the types that stand in `text`, without those of its tests and within functions and traits.
fn type_names(source: Source<'_>) -> Vec<&str> {
    let name = |line: &'_ str| {
        let (visibility, rest) = line.split_once(") ").unwrap_or(("", line));
        let is_visible = visibility.starts_with("pub(") && !visibility.contains(' ')
            || visibility.starts_with("pub(in ");
        let item = if is_visible { rest } else { line.strip_prefix("pub ").unwrap_or(line) };
        let kinds = ["struct ", "enum ", "trait ", "type "];
        let name = kinds.iter().find_map(|kind| item.strip_prefix(kind))?;
        let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
        Some(line.len() - name.len()..line.len() - name.len() + end)
    };
    let lines = source.without_tests().lines();
    lines.filter_map(|line| name(line).map(|range| &line[range])).collect()
}

/// Type names that more than one folder of `src/` defines, with the folders.
fn repeated_names(sources: &[(String, String)]) -> Vec<String> {
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, text) in sources {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for name in type_names(Source { path, text }) {
            folders.entry(name).or_default().insert(folder);
        }
    }
    let repeated = folders.into_iter().filter(|(_, folders)| folders.len() > 1);
    let is_wrong = |(name, _): &(&str, BTreeSet<&str>)| !SHARED_NAMES.contains(name);
    repeated.filter(is_wrong).map(|(name, folders)| format!("{name}: {folders:?}")).collect()
}

#[test]
fn a_type_name_has_one_meaning() {
    let sources: Vec<(String, String)> = rust_files("src")
        .into_iter()
        .filter(|file| !file.ends_with("tests.rs"))
        .map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            (file.to_str().unwrap().to_owned(), text)
        })
        .collect();
    let wrong = repeated_names(&sources);
    assert!(wrong.is_empty(), "name these after what they hold:\n{}\n", wrong.join("\n"));
}

#[test]
fn a_type_name_with_two_meanings_is_seen() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let sources = [
        file("src/a/x.rs", "struct Found;\npub(super) enum Once {}\n"),
        file("src/a/y.rs", "pub(in crate::a) struct Once;\n    type Target = Found;\n"),
        file(
            "src/b/x.rs",
            "pub type Found<T> = Vec<T>;\n#[cfg(test)]\nmod tests {\nstruct Once;\n",
        ),
    ];
    assert_eq!(repeated_names(&sources), ["Found: {\"src/a\", \"src/b\"}"]);
}

#[test]
fn every_dependency_has_its_place() {
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let (_, dependencies) = manifest.split_once("\n[dependencies]\n").unwrap();
    let dependencies = dependencies.lines().take_while(|line| !line.starts_with('['));
    let names = dependencies.filter_map(|line| line.split_once(" = ").map(|(name, _)| name));
    let missing: Vec<_> = names
        .map(|name| name.replace('-', "_"))
        .filter(|name| !MAY_USE.iter().any(|(known, _)| known == name))
        .collect();
    assert!(missing.is_empty(), "say in MAY_USE who may use {missing:?}");
}

#[test]
fn every_rule_sees_a_planted_fault() {
    let long = "x\n".repeat(LINES_MAX + 1);
    let ignored = format!("{}]\nfn f() {{}}", concat!("#[ig", "nore"));
    let path_of_a_machine = format!("// {}notes", MACHINE_PATHS[2]);
    let to_do = format!("// {}: later", BANNED[0]);
    let sleeping = format!("#[cfg(test)]\nmod tests {{\n  {}1);", concat!("sle", "ep("));
    #[rustfmt::skip]
    let cases: &[(Rule, &str, &str, usize)] = &[
        // rule                             file                   text                                faults
        (layers_name_only_layers_below,    "src/wire/a.rs",       "use crate::broker::Queue;",             1),
        (layers_name_only_layers_below,    "src/wire/a.rs",       "use crate::wire::Queue;",               0),
        (layers_name_only_layers_below,    "src/client/a.rs",     "use crate::{wire::{X, Y}, server};",    1),
        (layers_name_only_layers_below,    "src/client/a.rs",     "let x = crate::broker::x();",           1),
        (layers_name_only_layers_below,    "src/wire/mod.rs",     "use super::engine::Engine;",            1),
        (layers_name_only_layers_below,    "src/wire/a.rs",       "/// see [`crate::broker`]",             0),
        (layers_name_only_layers_below,    "src/junk/a.rs",       "",                                      1),
        (layers_name_only_layers_below,    "src/cli.rs",          "use crate::server::Server;",            1),
        (crates_stay_in_their_layers,      "src/broker/a.rs",     "#[derive(clap::Args)]",                 1),
        (crates_stay_in_their_layers,      "src/commands/a.rs",   "#[derive(clap::Args)]",                 0),
        (crates_stay_in_their_layers,      "src/broker/a.rs",     "use self::clap::x;",                    0),
        (folders_keep_out_what_is_not_theirs, "src/server/session/a.rs", "x.await",                       1),
        (folders_keep_out_what_is_not_theirs, "src/server/session/a.rs", "x.awaits()",                    0),
        (folders_keep_out_what_is_not_theirs, "src/server/drive.rs",     "x.await",                       0),
        (folders_keep_out_what_is_not_theirs, "src/broker/a.rs", "Instant::now()",                         1),
        (folders_keep_out_what_is_not_theirs, "src/store/a.rs",  "use std::sync::PoisonError;",            1),
        (folders_keep_out_what_is_not_theirs, "src/broker/a.rs", "use std::net::TcpStream;",               1),
        (folders_keep_out_what_is_not_theirs, "src/broker/a.rs", "use std::net::IpAddr;",                  0),
        (folders_keep_out_what_is_not_theirs, "src/broker/a.rs", "use crate::wire::frame;",                1),
        (folders_keep_out_what_is_not_theirs, "src/commands/a.rs", "println!()",                           1),
        (files_are_short,                  "src/wire/a.rs",       &long,                                   1),
        (files_are_short,                  "tests/it/a.rs",       &long,                                   0),
        (files_open_with_a_header,         "src/wire/a.rs",       "use std::fs;",                          1),
        (files_open_with_a_header,         "src/wire/a.rs",       "//! What it is.",                       0),
        (names_say_something,              "src/wire/util.rs",    "",                                      1),
        (names_say_something,              "src/common/a.rs",     "",                                      1),
        (names_say_something,              "src/wire/a.rs",       "pub mod helpers {",                     1),
        (banned_words_are_not_written,     "src/wire/a.rs",       &to_do,                                  1),
        (banned_words_are_not_written,     "src/wire/a.rs",       "let XXXL = 1;",                         0),
        (machine_paths_are_not_written,    "src/wire/a.rs",       &path_of_a_machine,                      1),
        (tests_run_and_wait_for_events,    "tests/it/a.rs",       &ignored,                                1),
        (tests_run_and_wait_for_events,    "src/wire/a.rs",       &sleeping,                               1),
        (tests_run_and_wait_for_events,    "src/server/drive.rs", concat!("sle", "ep(1)"),                 0),
    ];
    for (rule, path, text, faults) in cases {
        let found = rule(Source { path, text });
        assert_eq!(found.len(), *faults, "{path}: {text:.60}: {found:?}");
    }
    for rule in RULES {
        let plants = cases
            .iter()
            .filter(|(planted, _, _, faults)| std::ptr::fn_addr_eq(*planted, *rule) && *faults > 0);
        assert!(plants.count() > 0, "a rule without a planted fault");
    }
}
