//! Contexts: brokers with a name, in the file `contexts.toml` of the configuration directory.
//!
//! Only its owner may read the file, because it may hold passwords. It is replaced as a whole and under a lock, so that
//! a reader never sees half of it, and of two changes at once none is lost. Reading order: [`Contexts`] (the contexts
//! and the one in use), [`read`] and [`change`] (the file), `named` (one context).

mod named;
mod password;
mod written;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::engine::alike::most_alike;
use crate::engine::directory::configuration_directory;
use crate::engine::error::{Error, did_you_mean};
use crate::engine::toml_file::{self, FileAccess};

pub use named::{NamedContext, PasswordSource};
use written::{CheckedContext, WrittenContexts};

/// The name of the file.
const NAME: &str = "contexts.toml";
/// The first line of the file.
const FIRST_LINE: &str = "# Written by `mq context`, which does not keep comments.\n\n";

/// All contexts, and the name of the one in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contexts {
    in_use: Option<String>,
    by_name: BTreeMap<String, NamedContext>,
}

/// The contexts of a file.
#[derive(Debug)]
pub struct FoundContexts {
    pub contexts: Contexts,
    path: PathBuf,
    /// `None` if there is no file.
    access: Option<FileAccess>,
}

impl Contexts {
    /// The name of the context in use.
    pub fn in_use(&self) -> Option<&str> {
        self.in_use.as_deref()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &NamedContext)> {
        self.by_name.iter().map(|(name, context)| (name.as_str(), context))
    }

    /// Returns the context with a name.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] with names that are like it when there is none.
    pub fn get(&self, name: &str) -> Result<&NamedContext, Error> {
        self.by_name.get(name).ok_or_else(|| {
            let nearest = most_alike(name, self.by_name.keys().map(String::as_str));
            let hint = match nearest.as_slice() {
                [] if self.by_name.is_empty() => "create one with `mq context add`".to_owned(),
                [] => "`mq context list` shows all contexts".to_owned(),
                nearest => did_you_mean(nearest),
            };
            Error::usage(format!("there is no context '{name}'"), hint)
        })
    }

    /// Adds a context, which takes the place of one with the same name.
    pub fn put(&mut self, name: String, context: NamedContext) {
        self.by_name.insert(name, context);
    }

    /// Chooses the context that is used if nothing else names a broker.
    pub fn choose(&mut self, name: Option<&str>) -> Result<(), Error> {
        if let Some(name) = name {
            self.get(name)?;
        }
        self.in_use = name.map(str::to_owned);
        Ok(())
    }

    /// Removes contexts: all of them, or none if one is not there.
    pub fn remove(&mut self, names: &[String]) -> Result<(), Error> {
        names.iter().try_for_each(|name| self.get(name).map(drop))?;
        for name in names {
            self.by_name.remove(name);
            self.in_use.take_if(|in_use| in_use == name);
        }
        Ok(())
    }
}

/// Reads the contexts; none if there is no file, or no configuration directory.
pub fn read(environment: impl Fn(&str) -> Option<String>) -> Result<FoundContexts, Error> {
    match configuration_directory(environment) {
        Ok(directory) => read_file(directory.join(NAME)),
        Err(_) => {
            Ok(FoundContexts { contexts: Contexts::default(), path: PathBuf::new(), access: None })
        }
    }
}

fn read_file(path: PathBuf) -> Result<FoundContexts, Error> {
    let read = toml_file::read::<WrittenContexts>(&path)?;
    let (written, access) = read.unzip();
    let WrittenContexts { in_use, contexts } = written.unwrap_or_default();
    let by_name = contexts.into_iter().map(|(name, CheckedContext(one))| (name, one)).collect();
    Ok(FoundContexts { contexts: Contexts { in_use, by_name }, path, access })
}

/// Changes the contexts in the file, which is created with its directory if it is not there.
pub fn change<T>(
    environment: impl Fn(&str) -> Option<String>,
    change: impl FnOnce(&mut Contexts) -> Result<T, Error>,
) -> Result<T, Error> {
    let directory = configuration_directory(environment)?;
    let unwritable = |error: io::Error| {
        let problem = format!("cannot write the file '{}'", directory.join(NAME).display());
        Error::SettingsFile { problem, source: error.into(), hint: None }
    };
    let _lock = lock(&directory).map_err(unwritable)?;
    let mut found = read_file(directory.join(NAME))?;
    let before = found.contexts.clone();
    let answer = change(&mut found.contexts)?;
    if found.contexts != before || found.access.is_none() {
        let Contexts { in_use, by_name } = found.contexts;
        let contexts = by_name.into_iter().map(|(name, one)| (name, CheckedContext(one))).collect();
        let written = toml::to_string(&WrittenContexts { in_use, contexts });
        let text = written.expect("texts and tables of texts are TOML");
        replace(&found.path, &(FIRST_LINE.to_owned() + &text)).map_err(unwritable)?;
    }
    Ok(answer)
}

/// Waits for other processes that change the file.
fn lock(directory: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(directory.join("contexts.lock"))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Writes a file beside the old one, then puts it into its place. A link to a file stays one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let new = path.with_extension("toml.new");
    // It is left behind by a process that was killed.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &path)
}
