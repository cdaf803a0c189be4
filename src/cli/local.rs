//! `--local DIR`: a directory that is a word of its own.
//!
//! The directory of `--local` is optional, so clap takes it only after an equals sign. Before the command no other word
//! can stand, so a path there is the directory. Behind the command the word may be a body or a column; a path is refused
//! there, because a message for the default directory would be published otherwise.

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;

/// The arguments with `--local DIR` before the command as `--local=DIR`.
///
/// # Errors
///
/// A usage error when a path stands behind `--local` behind the command.
pub(super) fn joined(
    arguments: Vec<OsString>,
    definition: &clap::Command,
) -> Result<Vec<OsString>, clap::Error> {
    let mut joined: Vec<OsString> = Vec::with_capacity(arguments.len());
    let mut command = None;
    let mut words = arguments.into_iter();
    joined.extend(words.next());
    while let Some(word) = words.next() {
        if word == "--" {
            joined.push(word);
            break;
        }
        if command.is_none() {
            command = definition.find_subcommand(&word).map(clap::Command::get_name);
        }
        if word != "--local" {
            joined.push(word);
            continue;
        }
        let Some(next) = words.next() else {
            joined.push(word);
            break;
        };
        match command {
            _ if !is_path(&next) => {
                command =
                    command.or(definition.find_subcommand(&next).map(clap::Command::get_name));
                joined.extend([word, next]);
            }
            None => joined.push([word.as_os_str(), &next].join(OsStr::new("="))),
            Some(command) => return Err(ambiguous(command, &next, definition)),
        }
    }
    joined.extend(words);
    Ok(joined)
}

/// Answers whether a word can only be meant as a path.
fn is_path(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    matches!(bytes, b"." | b".." | b"~")
        || [&b"/"[..], b"./", b"../", b"~/"].iter().any(|start| bytes.starts_with(start))
}

fn ambiguous(command: &str, path: &OsStr, definition: &clap::Command) -> clap::Error {
    let path = path.display();
    let text = format!(
        "'{path}' follows '--local' after a space, so it may be the directory or another argument\n\n  \
         tip: write '--local={path}', or 'mq {command} -- {path}' for another argument"
    );
    clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(definition)
}
