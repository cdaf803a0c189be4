//! What is accepted by name: the table of it, the README, and the names in the code say the same.

use std::fs;
use std::path::{Path, PathBuf};

use mq::broker::accepted::{Effect, NameKind, accepted};
use mq::broker::exchange::ExchangeKind;

const HEADING: &str = "### Accepted without effect";

/// Names in the code that nobody says to the broker, beside the types of exchanges: headers and properties that it
/// tells, and a type that it does not have.
const TOLD: &[&str] = &[
    "x-acquired-count",
    "x-delivery-count",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-jms-topic",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
    "x-stream-offset",
];

#[test]
fn the_readme_lists_what_is_accepted_without_effect_and_why() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.unwrap();
    let (_, section) = readme.split_once(HEADING).expect("a section of what has no effect");
    let section = section.split("\n#").next().unwrap();
    let told: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    // Names of one place and one reason share a row.
    let mut rows: Vec<(NameKind, &str, Vec<String>)> = Vec::new();
    for accepted in &accepted() {
        let Effect::Nothing(why) = accepted.effect else { continue };
        let name = format!("`{}`", accepted.name);
        match rows.iter_mut().find(|row| (row.0, row.1) == (accepted.place, why)) {
            Some((_, _, names)) => names.push(name),
            None => rows.push((accepted.place, why, vec![name])),
        }
    }
    let row = |(place, why, names): &(NameKind, &str, Vec<String>)| {
        format!("| {} | {} | {why} |", names.join(", "), place.name())
    };
    let wanted: Vec<String> = rows.iter().map(row).collect();
    assert_eq!(told, wanted);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| self::files(folder));
    files.into_iter().chain(below).collect()
}

/// Texts in code that are names of arguments: `"x-..."`.
fn names(code: &str) -> Vec<&str> {
    let ends = |rest: &str| rest.find(|c: char| !c.is_ascii_lowercase() && c != '-');
    let name = |(at, _): (usize, &str)| {
        let rest = &code[at + 1..];
        let len = ends(rest)?;
        // Alone it is the beginning of many.
        (len > "x-".len() && rest[len..].starts_with('"')).then(|| &rest[..len])
    };
    code.match_indices("\"x-").filter_map(name).collect()
}

#[test]
fn every_argument_that_the_code_names_has_its_row() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let accepted = accepted();
    let mut seen = 0;
    for path in ["broker", "server"].iter().flat_map(|layer| files(&source.join(layer))) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("mod tests {").next().unwrap();
        for name in names(code) {
            seen += 1;
            let is_type = ExchangeKind::ALL.into_iter().any(|kind| kind.name() == name);
            let is_row = accepted.iter().any(|row| row.name == name);
            let is_known = is_row || is_type || TOLD.contains(&name);
            assert!(is_known, "'{name}' in {} is accepted, and not in the table", path.display());
        }
    }
    assert!(seen > 80, "{seen} names");
    assert_eq!(names(r#"get("x-a") and "x-b c" or "x-c-d""#), ["x-a", "x-c-d"]);
}
