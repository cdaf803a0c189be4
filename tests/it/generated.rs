//! The files under `completions/` and `man/` are what this `mq` prints.
//!
//! They are made anew by `MQ_REGENERATE=1 cargo test --test it generated`.

use std::fs;
use std::path::Path;

use crate::support::cli::program;

const SHELLS: [(&str, &str); 4] =
    [("bash", "mq.bash"), ("zsh", "_mq"), ("fish", "mq.fish"), ("powershell", "_mq.ps1")];

fn printed(arguments: &[&str]) -> String {
    let run = program().args(arguments).output().unwrap();
    assert!(run.status.success(), "{arguments:?}: {run:?}");
    String::from_utf8(run.stdout).unwrap()
}

/// Every file and what should be in it.
fn expected() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = SHELLS
        .iter()
        .map(|(shell, file)| (format!("completions/{file}"), printed(&["completions", shell])))
        .collect();
    files.push(("man/mq.1".to_owned(), printed(&["man"])));
    for command in mq::cli::Cli::definition().get_subcommands() {
        let name = command.get_name();
        // What is to be said of a command that does not exist here is in its error.
        if mq::commands::admin::refused().any(|refused| refused == name) {
            continue;
        }
        files.push((format!("man/mq-{name}.1"), printed(&["man", name])));
    }
    files
}

#[test]
fn committed_files_are_what_the_program_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = expected();
    if std::env::var_os("MQ_REGENERATE").is_some() {
        for (path, text) in &files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
    }
    for (path, text) in &files {
        let committed = fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(
            committed == *text,
            "{path} is not what mq prints: run `MQ_REGENERATE=1 cargo test --test it generated`"
        );
    }
    for folder in ["completions", "man"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
            assert!(files.iter().any(|(known, _)| *known == path), "{path} is nobody's");
        }
    }
}

#[test]
fn a_page_of_a_command_has_its_options_and_the_main_page_the_exit_codes() {
    let page = printed(&["man", "publish"]);
    assert!(page.contains(".SH OPTIONS") && page.contains("routing\\-key"), "{page}");
    let main = printed(&["man"]);
    assert!(main.contains("EXIT STATUS") && main.contains("\\fB130\\fR"), "{main}");
}
