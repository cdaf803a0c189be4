//! `.mq.toml`: the file of a project that names the broker of commands in its folder and below.
//!
//! It names a context, or a URL, and a virtual host. It never holds a command, and a file that belongs to another user is
//! refused: in a shared folder anybody could choose the broker of others.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::engine::error::{Cause, Error};
use crate::engine::toml_file::{self, FileAccess, unreadable};

/// The name of the file.
const NAME: &str = ".mq.toml";

/// A project file that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProjectFile {
    pub(super) path: PathBuf,
    pub(super) broker: ProjectBroker,
    pub(super) vhost: Option<String>,
}

/// The broker that a project file names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ProjectBroker {
    Context(String),
    Url {
        url: String,
        http_url: Option<String>,
    },
    /// It names only a virtual host.
    Unnamed,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Fields {
    context: Option<String>,
    url: Option<String>,
    http_url: Option<String>,
    vhost: Option<String>,
}

impl ProjectFile {
    /// Finds the file in a directory, or in the nearest one above it.
    pub(super) fn find(from: &Path) -> Result<Option<Self>, Error> {
        for directory in from.ancestors() {
            let path = directory.join(NAME);
            if let Some((fields, access)) = toml_file::read::<Fields>(&path)? {
                return Self::new(path, directory, fields, access).map(Some);
            }
        }
        Ok(None)
    }

    fn new(
        path: PathBuf,
        directory: &Path,
        fields: Fields,
        access: FileAccess,
    ) -> Result<Self, Error> {
        let of_directory = directory.metadata().map(|metadata| FileAccess::of(&metadata));
        let of_directory = of_directory.map_err(|error| unreadable(&path, error.into()))?;
        if access.is_foreign() || of_directory.is_foreign() {
            return Err(Error::SettingsFile {
                problem: format!("the project file '{}' is not obeyed", path.display()),
                source: Cause::new("it or its directory belongs to another user"),
                hint: Some(
                    "name the broker with --context, --url or --local, or change the owner of the file and its directory"
                        .into(),
                ),
            });
        }
        let broker = match fields {
            Fields { context: Some(_), url: Some(_), .. } => {
                return Err(unreadable(&path, Cause::new("it names both a context and a URL")));
            }
            Fields { url: None, http_url: Some(_), .. } => {
                return Err(unreadable(&path, Cause::new("http-url needs a url beside it")));
            }
            Fields { context: Some(context), .. } => ProjectBroker::Context(context),
            Fields { url: Some(url), http_url, .. } => ProjectBroker::Url { url, http_url },
            Fields { .. } => ProjectBroker::Unnamed,
        };
        Ok(Self { path, broker, vhost: fields.vhost })
    }
}
