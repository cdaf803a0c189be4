//! The lines that show the arguments of a command.

use super::asked::Asked;
use super::names::{CommandName, CtlRelease};
use crate::commands::admin::Program;

/// A heading: bold in the earlier release.
pub(super) fn heading(text: &str, release: CtlRelease) -> String {
    match release {
        CtlRelease::V3_10 => format!("\x1b[1m{text}\x1b[0m"),
        CtlRelease::V4_3 => text.to_owned(),
    }
}

/// The line that shows a command's arguments.
fn usage(tool: Program, command: &CommandName) -> String {
    let line = format!(
        "{} [--node <node>] [--longnames] [--quiet] {} {}",
        tool.name(),
        command.name,
        command.usage
    );
    line.trim_end().to_owned()
}

/// The usage under its heading, as it stands below errors.
pub(super) fn usage_block(asked: &Asked, command: &CommandName) -> String {
    format!("{}\n\n{}", heading("Usage", asked.release), usage(asked.tool, command))
}
