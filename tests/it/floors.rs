//! Folders have floors: a module names only modules of floors below its own, so that no modules import each other in a
//! circle.
//!
//! [`FLOORS`] has a row for each floor of a folder, the top one first. The folder's own `mod.rs` stands above all of
//! them, unless a row names it. A module is named where its file says so: through `super::` or `crate::` paths, in
//! `use` lines and in the code. To move a module to another floor, change its row and say why in the commit.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// The floors of each folder, from the top to the ground.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "broker",
        &[
            // It adds to `Broker` what administrators may change.
            "admin backup",
            "dead_letter mod",
            "publish",
            "vhost",
            "removal",
            "topology",
            "durable route trace",
            "exchange",
            "alarm queue",
            "registry replies",
            "accepted mailbox vhost_defaults vhost_limits",
            "entry policies unacked",
            "auth delivery_count message",
            "arguments",
            "deprecated drops ended incidents node_limits timers",
            "sizes",
            "compat memory parameters routing_properties stable_hash stats time vhost_metadata",
            "login_sources",
        ],
    ),
    ("broker/publish", &["transaction", "publisher", "own receipt", "examine keep request routes"]),
    (
        "broker/vhost",
        &[
            "addition bind delete exchanges govern queues restore routing",
            "state",
            "governed refusals requests",
        ],
    ),
    (
        "broker/admin",
        &[
            "definitions vhost_defaults",
            "alarms limits parameters permissions policies reset users vhosts",
            "admission put",
        ],
    ),
    (
        "broker/arguments",
        &[
            "declaration equivalence",
            "table",
            "retry row",
            "checks expiration kind policy_key",
            "noun values",
        ],
    ),
    (
        "broker/auth",
        &[
            "permissions",
            "rights",
            "permission",
            "pattern",
            "pcre users",
            "bad_pattern mechanisms password",
        ],
    ),
    ("broker/durable", &["changes load recovery", "access", "faults rows"]),
    (
        "broker/exchange",
        &[
            "consistent_hash delayed direct fanout headers modulus_hash random recent_history topic",
            "targets",
            "binding",
        ],
    ),
    ("broker/policies", &["merged", "keys", "author term"]),
    (
        "broker/queue",
        &[
            "creation dead_letters deal get lock settle",
            "consumer_timeout deletion finish holding limits purge push reading recover returns sound stats \
             stream_queue subscribe timer turn",
            "state",
            "kind",
            "after_unlock settled stream",
            "backlog consumers counts delayed life outbox quorum settings taken unacked",
        ],
    ),
    (
        "broker/queue/backlog",
        &[
            "priorities",
            "level",
            "purge",
            "on_disk read_retry",
            "pages",
            "stored",
            "read_ahead return_to",
        ],
    ),
    ("broker/queue/backlog/level", &["recovery sound", "mod"]),
    ("broker/queue/consumers", &["consumer", "channel_limit single_active_consumer"]),
    ("broker/queue/quorum", &["delayed_retry"]),
    (
        "broker/queue/stream",
        &[
            "deal publish readers reading recover retention",
            "mod",
            "reader",
            "start",
            "filter index marker order recent synced",
        ],
    ),
    ("broker/queue/stream_queue", &["consume", "deal publish reading recover refusals retention"]),
    (
        "server",
        &[
            "https listener resources tls_facts",
            "address drive",
            "shared",
            "spin",
            "bind_error clock maintenance proxy_protocol session slots stream tls",
        ],
    ),
    (
        "store",
        &[
            "backup repair",
            "check",
            "recovery",
            "recovered definitions",
            "spill",
            "threads",
            "maintenance reclaim writer marker",
            "free_files marking reading",
            "log",
            "state",
            "gathering moves",
            "files pending_marks survivors",
            "replaced damage open_marks jobs",
            "scan",
            "synced index marks",
            "slot_ranges counts",
            "record format medium",
            "io_counters",
            "message batch",
            "place error blocking locks design",
        ],
    ),
    (
        "server/session",
        &[
            "calls sound",
            "closing consume consumer_timeout deliver frames inquiries mailbox methods opening publish resume timeouts topology",
            "access login settle tx",
            "state",
            "channel",
            "transaction",
            "exclusive outgoing overdue unacked",
            "assembly confirms consumers handshake heartbeat names payload round waits",
        ],
    ),
    (
        "management",
        &[
            "routes",
            "dispatch metrics",
            "state",
            "definitions sampling",
            "nodes",
            "import overview",
            "definition_lists",
            "vhosts",
            "connections",
            "unacked",
            "attempts change channels exchanges facts features queues",
            "bindings change_request consumers health memory policies users",
            "view",
            "auth body file",
            "failed_logins json message_stats serving",
            "rates",
            "histories",
            "history subject",
            "ranges",
            "listing",
            "node_numbers",
            "https owner server_info",
            "arguments compression headers idle_timeout refusal",
            "process",
            "configuration http_settings",
        ],
    ),
    (
        "management/metrics",
        &[
            "mod",
            "global memory",
            "groups",
            "objects totals",
            "families",
            "logins",
            "numbers",
            "request text",
            "highest",
        ],
    ),
    (
        "management/change",
        &[
            "messages parameters users",
            "backup connections limits permissions policies process replicas topology vhosts",
        ],
    ),
    (
        "client",
        &[
            "blocking http",
            "connect",
            "connection",
            "channel drive",
            "state",
            "assembly handshake tls",
            "confirms error message options",
        ],
    ),
    (
        "engine",
        &[
            "route",
            "payload rpc",
            "bench consume ensure",
            "inspect publish topology",
            "handle identity nearest",
            "context",
            "local",
            "host listing",
            "contents first_state",
            "host_options",
            "definitions_source ending own_thread",
            "target",
            "choice",
            "contexts project_file",
            "directory management toml_file",
            "error",
            "admin",
            "alike hints target_options",
        ],
    ),
    ("engine/contexts", &["password", "mod", "written", "named"]),
    (
        "engine/bench",
        &[
            "threads",
            "consume",
            "publish",
            "job outcome",
            "counters plan verify",
            "latency pace stamp window",
        ],
    ),
    (
        "commands",
        &[
            "completions get help install_links rpc_call",
            "consume expect man rabbitmq rabbitmqadmin restore run unbind",
            "admin bench bind contexts declare_exchange declare_queue delete_exchange delete_queue ping publish purge_queue route rpc_serve serve smoke status store tutorial wait",
            "handler input list options signals typed_password",
            "context declare error examples failing template",
        ],
    ),
    ("commands/expect", &["check report"]),
    (
        "commands/admin",
        &[
            "table",
            "health",
            "end facts",
            "backup definitions features never operation parameters permissions plugins queues",
            "connections node policies users vhosts",
            "lists",
            "secret show",
            "row",
            "given",
        ],
    ),
    (
        "commands/rabbitmqadmin",
        &[
            "version_2",
            "usage verbs",
            "groups listed",
            "reports",
            "boxes",
            "objects settings",
            "dead",
        ],
    ),
    (
        "commands/rabbitmq",
        &[
            "help",
            "table",
            "health queues",
            "changes facts members node operation plugins policies users vhosts waits",
            "lists",
            "work",
            "reached",
            "columns",
            "shown status usage",
            "failure",
            "asked cell",
            "names",
            "program",
        ],
    ),
    (
        "render",
        &[
            "listing problem",
            "filter output",
            "text",
            "table",
            "ask format paint progress visible words",
        ],
    ),
    ("cli", &["rabbitmq", "invocation", "command_line local tips", "rabbitmqctl", "global"]),
    ("tutorial", &["lessons stage", "act own_broker", "error"]),
];

/// The part of a file in front of its tests, without comments.
fn code(text: &str) -> String {
    let begins = [
        "#[cfg(test)]\nmod tests {",
        "#[cfg(test)]\npub(super) mod tests {",
        "#[cfg(test)]\npub(in crate::broker::queue) mod tests {",
    ];
    let parts = begins.iter().find_map(|begin| text.split_once(begin));
    let code = parts.map_or(text, |(code, _)| code);
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// The paths that a tree of a `use` line names.
fn expand(tree: &str, into: &mut Vec<String>) {
    let Some((prefix, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        into.push(path.split_whitespace().collect());
        return;
    };
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                let part = rest[start..at].trim();
                if !part.is_empty() {
                    expand(&format!("{}{part}", prefix.trim()), into);
                }
                start = at + 1;
                if c == '}' {
                    return;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The paths of a file that begin with `crate`, `super` or `self`.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    for head in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(head) {
            let before = &code[..at];
            // `pub(in ...)` says who may name an item, and names nothing itself.
            if before.ends_with(|c| is_name(c) || c == ':') || before.ends_with("(in ") {
                continue;
            }
            let rest = &code[at..];
            if before.trim_end().ends_with("use") {
                expand(rest.split(';').next().unwrap_or_default(), &mut found);
            } else {
                let end = rest.find(|c| !is_name(c) && c != ':').unwrap_or(rest.len());
                found.push(rest[..end].trim_end_matches(':').to_owned());
            }
        }
    }
    found
}

/// The modules that a path goes through, from the root of the crate.
fn resolve(path: &str, module: &[&str]) -> Vec<String> {
    let mut steps = path.split("::").peekable();
    let mut base: Vec<&str> = module.to_vec();
    match steps.next() {
        Some("crate") => base.clear(),
        Some("super") => _ = base.pop(),
        _ => {}
    }
    while steps.next_if(|step| *step == "super").is_some() {
        base.pop();
    }
    base.into_iter().chain(steps).map(str::to_owned).collect()
}

/// A folder whose modules have floors.
struct Folder<'a> {
    /// Its path below `src`.
    path: Vec<&'a str>,
    rows: &'a [&'a str],
    children: HashSet<String>,
    /// The names that its `mod.rs` takes from its children, and the child of each.
    reexported: HashMap<String, String>,
}

impl<'a> Folder<'a> {
    fn new(path: &'a str, rows: &'a [&'a str], children: HashSet<String>, roof: &str) -> Self {
        let mut named = Vec::new();
        for (at, _) in roof.match_indices("use ") {
            if roof[..at].ends_with(|c: char| c.is_whitespace()) || at == 0 {
                let rest = &roof[at + "use ".len()..];
                expand(rest.split(';').next().unwrap_or_default(), &mut named);
            }
        }
        let reexported = named.iter().filter_map(|path| {
            let path = path.strip_prefix("self::").unwrap_or(path);
            let (child, rest) = path.split_once("::")?;
            let name = rest.rsplit("::").next()?;
            children.contains(child).then(|| (name.to_owned(), child.to_owned()))
        });
        let reexported = reexported.collect();
        Self { path: path.split('/').collect(), rows, children, reexported }
    }

    /// The floor of a module, counted from the roof.
    fn floor(&self, name: &str) -> Option<usize> {
        let has = |row: &&str| row.split_whitespace().any(|listed| listed == name);
        let row = self.rows.iter().position(has);
        row.map(|row| row + 1).or_else(|| (name == "mod").then_some(0))
    }

    /// The child that a path leads to, also by a name that the folder takes from it: `mod` for what stands in the
    /// folder's own `mod.rs`, none for a path out of the folder.
    fn child<'b>(&'b self, path: &'b [String]) -> Option<&'b str> {
        let is_inside =
            path.len() >= self.path.len() && self.path.iter().zip(path).all(|(a, b)| a == b);
        let name = || {
            let name = path.get(self.path.len())?;
            self.children.get(name).or_else(|| self.reexported.get(name))
        };
        is_inside.then(|| name().map_or("mod", String::as_str))
    }

    /// The children that the folder's `mod.rs` names in its code, but for those that it only hands on.
    fn named_by_roof(&self, code: &str) -> HashSet<String> {
        let handed_on = |statement: &&str| {
            let statement = statement.trim_start();
            statement.starts_with("pub use")
                || statement.starts_with("pub(") && statement.contains(") use ")
        };
        let code: String = code.split_inclusive(';').filter(|part| !handed_on(part)).collect();
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let names = |child: &&String| {
            let path = format!("{child}::");
            code.match_indices(&path).any(|(at, _)| {
                let before = code[..at].strip_suffix("self::").unwrap_or(&code[..at]);
                !before.ends_with(is_name)
            })
        };
        self.children.iter().filter(names).cloned().collect()
    }
}

/// The faults in one file of a folder with floors.
fn faults(folder: &Folder, path: &str, text: &str) -> Vec<String> {
    let module = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let module: Vec<&str> = module.split('/').collect();
    let me = module.get(folder.path.len()).copied().unwrap_or("mod");
    let Some(mine) = folder.floor(me) else { return vec![format!("{path}: '{me}' has no floor")] };
    let code = code(text);
    let paths = paths(&code);
    let resolved = paths.iter().map(|path| resolve(path, &module));
    let mut named: HashSet<String> = if me == "mod" {
        folder.named_by_roof(&code)
    } else {
        resolved.filter_map(|path| folder.child(&path).map(str::to_owned)).collect()
    };
    named.remove(me);
    let is_wrong = |name: &&String| folder.floor(name).is_none_or(|other| other <= mine);
    let wrong = named.iter().filter(is_wrong);
    wrong.map(|name| format!("{path}: '{me}' names '{name}', which is on no lower floor")).collect()
}

/// Every Rust file below a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
    found
}

fn children(folder: &Path) -> HashSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let stem = |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(stem).filter(|name| name != "mod").collect()
}

#[test]
fn modules_name_only_modules_of_lower_floors() {
    let mut wrong = Vec::new();
    for (folder, rows) in FLOORS {
        let path = Path::new("src").join(folder);
        let roof = code(&fs::read_to_string(path.join("mod.rs")).unwrap());
        let folder = Folder::new(folder, rows, children(&path), &roof);
        let listed = rows.iter().flat_map(|row| row.split_whitespace());
        let gone = listed.filter(|name| *name != "mod" && !folder.children.contains(*name));
        wrong.extend(gone.map(|name| format!("{}: there is no '{name}'", path.display())));
        // Tests in files of their own may name anything.
        for file in files(&path).iter().filter(|file| !file.ends_with("/tests.rs")) {
            let text = fs::read_to_string(file).unwrap();
            wrong.extend(faults(&folder, file, &text));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_planted_arrow_upward_is_seen() {
    let rows = ["roof", "left right", "ground"];
    let children = || ["roof", "left", "right", "ground", "loose"].map(str::to_owned).into();
    let roof = "pub use roof::Slate;\nuse self::ground::{Gravel, Sand};";
    let folder = Folder::new("a/b", &rows, children(), roof);
    #[rustfmt::skip]
    let cases = [
        // file               text                                          faults
        ("src/a/b/left.rs",   "use super::ground::Stone;",                  0),
        ("src/a/b/left.rs",   "use super::roof::Tile;",                     1),
        ("src/a/b/left.rs",   "use super::right::Door;",                    1),
        ("src/a/b/left.rs",   "use super::House;",                          1),
        ("src/a/b/left.rs",   "use super::{ground::Stone, roof::{A, B}};",  1),
        ("src/a/b/left.rs",   "use crate::a::b::{\n    ground,\n    roof,\n};", 1),
        ("src/a/b/left.rs",   "fn f() { crate::a::b::roof::f() }",          1),
        ("src/a/b/left.rs",   "use super::Slate;",                          1),
        ("src/a/b/left.rs",   "use super::Gravel;",                         0),
        ("src/a/b/left.rs",   "use crate::a::other;",                       0),
        ("src/a/b/left.rs",   "// use super::roof;",                        0),
        ("src/a/b/left/in.rs", concat!("use super", "::super::roof;"),     1),
        ("src/a/b/left/in.rs", "use super::Door;",                          0),
        ("src/a/b/mod.rs",    "use self::{ground, roof};",                  0),
        ("src/a/b/loose.rs",  "",                                           1),
        ("src/a/b/left.rs",   "use super::loose;",                          1),
        ("src/a/b/left.rs",   "pub(in crate::a::b) fn f() {}",              0),
        ("src/a/b/left.rs",   "#[cfg(test)]\nmod tests {\n use super::roof;", 0),
        ("src/a/b/left.rs",   "#[cfg(test)]\npub(in crate::broker::queue) mod tests {\n use super::roof;", 0),
    ];
    for (path, text, count) in cases {
        let found = faults(&folder, path, text);
        assert_eq!(found.len(), count, "{path}: {text}: {found:?}");
    }
    let rows = ["left", "mod", "ground"];
    let folder = Folder::new("a/b", &rows, children(), "");
    #[rustfmt::skip]
    let cases = [
        ("src/a/b/left.rs",   "use super::House;",                          0),
        ("src/a/b/mod.rs",    "pub use left::Door;\nuse ground::Stone;",    0),
        ("src/a/b/mod.rs",    "mod left;\nuse left::Door;",                 1),
        ("src/a/b/mod.rs",    "fn f() { self::left::open() }",              1),
        ("src/a/b/mod.rs",    "fn f() { super::left::open() }",             0),
    ];
    for (path, text, count) in cases {
        let found = faults(&folder, path, text);
        assert_eq!(found.len(), count, "{path}: {text}: {found:?}");
    }
}
