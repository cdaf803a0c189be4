//! The password of a context: from the file, a command or the environment.

use std::io;
use std::process::{Command, Stdio};

use super::{FoundContexts, PasswordSource};
use crate::engine::error::{Cause, Error};
use crate::engine::toml_file::FileAccess;
use crate::wire::url::Password;

impl FoundContexts {
    /// Returns the password of a context, for which its command may run.
    ///
    /// # Errors
    ///
    /// When another user could have read the password or written the command, and when the source gives none.
    pub(in crate::engine) fn password(
        &self,
        name: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Password>, Error> {
        match &self.contexts.get(name)?.password {
            PasswordSource::None => Ok(None),
            PasswordSource::Stored(password) => {
                let is_open = self.access.is_some_and(FileAccess::is_readable_by_others);
                self.refuse_if(is_open, "other users can read the passwords in it")?;
                Ok(Some(password.clone()))
            }
            PasswordSource::Environment(variable) => match environment(variable) {
                Some(password) => Ok(Some(Password::new(password))),
                None => Err(Error::usage(
                    format!("the variable {variable} is not set"),
                    format!("set it to the password of context '{name}'"),
                )),
            },
            PasswordSource::Command(command) => {
                let is_open = self.access.is_some_and(FileAccess::is_writable_by_others);
                self.refuse_if(is_open, "other users can change the commands in it")?;
                match printed_by(command) {
                    Ok(password) => Ok(Some(Password::new(password))),
                    Err(error) => Err(Error::SettingsFile {
                        problem: format!("the password command of context '{name}' failed"),
                        source: error.into(),
                        hint: Some(format!("`mq context show {name}` shows the command")),
                    }),
                }
            }
        }
    }

    /// Refuses a file that is open to other users, or belongs to one.
    fn refuse_if(&self, is_open: bool, why: &str) -> Result<(), Error> {
        let path = self.path.display();
        let (why, hint) = if self.access.is_some_and(FileAccess::is_foreign) {
            ("it belongs to another user", format!("make it your own: chown $(id -u) '{path}'"))
        } else if is_open {
            (why, format!("run: chmod 600 '{path}'"))
        } else {
            return Ok(());
        };
        let problem = format!("the file '{path}' is not safe");
        Err(Error::SettingsFile { problem, source: Cause::new(why), hint: Some(hint) })
    }
}

/// The first line that a command of the shell prints. Stdin belongs to the command of `mq`.
fn printed_by(command: &str) -> io::Result<String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let ended = shell.output()?;
    if !ended.status.success() {
        return Err(io::Error::other(ended.status.to_string()));
    }
    let printed = String::from_utf8(ended.stdout);
    let printed = printed.map_err(|_| io::Error::other("it printed what is not UTF-8"))?;
    match printed.lines().next() {
        None | Some("") => Err(io::Error::other("it printed nothing")),
        Some(line) => Ok(line.to_owned()),
    }
}
