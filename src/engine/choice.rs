//! The choice of the broker: the command line, then the environment, then the project file, then the context in use.
//!
//! No file is read if an option or a variable names a URL or a directory, and no password is asked for.

use std::path::PathBuf;

use crate::engine::contexts::{self, FoundContexts};
use crate::engine::error::Error;
use crate::engine::project_file::{ProjectBroker, ProjectFile};
use crate::engine::target_options::TargetOptions;

/// Variables with a broker's URL: ours, then those that other programs read as well.
const URL_VARIABLES: [&str; 3] = ["MQ_URL", "AMQP_URL", "RABBITMQ_URL"];

/// The broker that is meant, before anything is known of it.
#[derive(Debug)]
pub(super) enum Choice {
    Url(NamedUrl),
    /// `None` is the default directory
    Directory(Option<PathBuf>),
    Context(ChosenContext),
    /// The default, in the virtual host of the project
    Unnamed {
        vhost: Option<String>,
    },
}

/// A broker's URL, and where it comes from.
#[derive(Debug)]
pub(super) struct NamedUrl {
    pub(super) url: String,
    pub(super) by: String,
    pub(super) http_url: Option<String>,
    pub(super) vhost: Option<String>,
}

/// A context that exists, and the reason why it is meant.
#[derive(Debug)]
pub struct ChosenContext {
    pub name: String,
    /// `--context`, the name of a variable, the path of a project file, or `mq context use`
    pub by: String,
    pub found: FoundContexts,
    /// The virtual host that the project file names
    pub(super) vhost: Option<String>,
}

impl NamedUrl {
    fn new(url: String, by: &str) -> Self {
        Self { url, by: by.to_owned(), http_url: None, vhost: None }
    }
}

/// Decides which broker is meant.
///
/// # Errors
///
/// [`Error::Usage`] when two brokers are named, or a context that does not exist; [`Error::SettingsFile`] when a file
/// cannot be read.
pub(super) fn choose(
    options: &TargetOptions,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Choice, Error> {
    let url = options.url.clone().map(|url| Named::Url(NamedUrl::new(url, "--url")));
    let local = options.local.clone().map(Named::Directory);
    let context = options.context.clone().map(|name| Named::Context(name, "--context"));
    if let Some(choice) = only([url, local, context], environment)? {
        return Ok(choice);
    }
    let url_by = |by: &'static str| Some(NamedUrl::new(environment(by)?, by));
    let url = url_by(URL_VARIABLES[0]).map(Named::Url);
    let local = environment("MQ_LOCAL").map(|directory| Named::Directory(Some(directory.into())));
    let context = environment("MQ_CONTEXT").map(|name| Named::Context(name, "MQ_CONTEXT"));
    if let Some(choice) = only([url, local, context], environment)? {
        return Ok(choice);
    }
    if let Some(url) = URL_VARIABLES.into_iter().find_map(url_by) {
        return Ok(Choice::Url(url));
    }
    let Some(directory) = &options.work_directory else {
        return Ok(Choice::Unnamed { vhost: None });
    };
    of_files(ProjectFile::find(directory)?, environment)
}

/// The context that is meant if the command line names nothing; `None` if the broker has none.
pub fn chosen_context(
    options: &TargetOptions,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<ChosenContext>, Error> {
    let environment = |name: &str| environment(name).filter(|value| !value.is_empty());
    match choose(options, &environment)? {
        Choice::Context(chosen) => Ok(Some(chosen)),
        Choice::Url(_) | Choice::Directory(_) | Choice::Unnamed { .. } => Ok(None),
    }
}

/// A broker that an option or a variable of ours names.
enum Named {
    Url(NamedUrl),
    Directory(Option<PathBuf>),
    Context(String, &'static str),
}

/// The only one of the brokers that are named side by side.
fn only(
    named: [Option<Named>; 3],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Choice>, Error> {
    let mut named = named.into_iter().flatten();
    let first = named.next();
    if named.next().is_some() {
        return Err(Error::usage(
            "more than one broker is named",
            "give only one of --url (MQ_URL), --local (MQ_LOCAL) and --context (MQ_CONTEXT)",
        ));
    }
    match first {
        None => Ok(None),
        Some(Named::Url(url)) => Ok(Some(Choice::Url(url))),
        Some(Named::Directory(directory)) => Ok(Some(Choice::Directory(directory))),
        Some(Named::Context(name, by)) => {
            context(contexts::read(environment)?, name, by, None).map(Some)
        }
    }
}

/// The broker that the project file names, else the context in use, else the default.
fn of_files(
    project: Option<ProjectFile>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Choice, Error> {
    let (path, broker, vhost) = match project {
        Some(ProjectFile { path, broker, vhost }) => (path, broker, vhost),
        None => (PathBuf::new(), ProjectBroker::Unnamed, None),
    };
    let by = format!("'{}'", path.display());
    match broker {
        ProjectBroker::Url { url, http_url } => {
            Ok(Choice::Url(NamedUrl { url, by, http_url, vhost }))
        }
        ProjectBroker::Context(name) => context(contexts::read(environment)?, name, &by, vhost),
        ProjectBroker::Unnamed => {
            let found = contexts::read(environment)?;
            match found.contexts.in_use().map(str::to_owned) {
                Some(name) => context(found, name, "`mq context use`", vhost),
                None => Ok(Choice::Unnamed { vhost }),
            }
        }
    }
}

/// The choice of a context, which must exist.
fn context(
    found: FoundContexts,
    name: String,
    by: &str,
    vhost: Option<String>,
) -> Result<Choice, Error> {
    match found.contexts.get(&name) {
        Ok(_) => Ok(Choice::Context(ChosenContext { name, by: by.to_owned(), found, vhost })),
        Err(Error::Usage { problem, hint }) if by != "--context" => {
            Err(Error::Usage { problem: format!("{problem}, which is named by {by}"), hint })
        }
        Err(error) => Err(error),
    }
}
