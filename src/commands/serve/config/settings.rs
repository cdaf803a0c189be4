//! All that is set outside the command line: files, then the variables of the `rabbitmq` image, then `MQ_` variables.
//! A later one replaces an earlier one.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::file;
use super::keys::{self, Does, KEYS};

/// A file, or a directory of files; set by `--config` as well.
const CONFIG: &str = "MQ_CONFIG";
/// The configuration file of RabbitMQ and its image, with or without `.conf`.
const RABBITMQ_CONFIG_FILE: &str = "RABBITMQ_CONFIG_FILE";
/// The configuration file of RabbitMQ if no variable names one.
const USUAL: &str = "/etc/rabbitmq/rabbitmq.conf";
/// The further files of RabbitMQ: a directory.
const RABBITMQ_CONFIG_FILES: &str = "RABBITMQ_CONFIG_FILES";

/// Variables of RabbitMQ and its image, and the keys that they set.
const VARIABLES: &[(&str, &str)] = &[
    ("RABBITMQ_DEFAULT_USER", "default_user"),
    ("RABBITMQ_DEFAULT_PASS", "default_pass"),
    ("RABBITMQ_DEFAULT_VHOST", "default_vhost"),
    ("RABBITMQ_NODENAME", "mq.node_name"),
];
/// The port and the address that RabbitMQ's node listens on.
const NODE_PORT: &str = "RABBITMQ_NODE_PORT";
const NODE_IP_ADDRESS: &str = "RABBITMQ_NODE_IP_ADDRESS";
/// RabbitMQ's port, if a variable names an address only.
const PORT: &str = "5672";
/// Variables of RabbitMQ that have no effect here. Others may belong to other programs.
const WITHOUT_EFFECT: &[&str] = &[
    "RABBITMQ_ADVANCED_CONFIG_FILE",
    "RABBITMQ_BASE",
    "RABBITMQ_CONF_ENV_FILE",
    "RABBITMQ_CTL_ERL_ARGS",
    "RABBITMQ_DATA_DIR",
    "RABBITMQ_DIST_PORT",
    "RABBITMQ_ENABLED_PLUGINS",
    "RABBITMQ_ENABLED_PLUGINS_FILE",
    "RABBITMQ_ERLANG_COOKIE",
    "RABBITMQ_FEATURE_FLAGS",
    "RABBITMQ_HOME",
    "RABBITMQ_IO_THREAD_POOL_SIZE",
    "RABBITMQ_LOG",
    "RABBITMQ_LOGS",
    "RABBITMQ_LOG_BASE",
    "RABBITMQ_MNESIA_BASE",
    "RABBITMQ_MNESIA_DIR",
    "RABBITMQ_PID_FILE",
    "RABBITMQ_PLUGINS_DIR",
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
    "RABBITMQ_SERVER_ERL_ARGS",
    "RABBITMQ_SERVER_START_ARGS",
    "RABBITMQ_USE_LONGNAME",
];
/// Variables of RabbitMQ that name its data directory: they count if the broker runs in its place.
const DIRECTORIES: &[&str] = &["RABBITMQ_DATA_DIR", "RABBITMQ_MNESIA_BASE", "RABBITMQ_MNESIA_DIR"];
/// Variables that RabbitMQ's image refuses, because they had an effect in earlier releases.
const REFUSED_VARIABLES: &[&str] = &[
    "RABBITMQ_DEFAULT_PASS_FILE",
    "RABBITMQ_DEFAULT_USER_FILE",
    "RABBITMQ_MANAGEMENT_SSL_CACERTFILE",
    "RABBITMQ_MANAGEMENT_SSL_CERTFILE",
    "RABBITMQ_MANAGEMENT_SSL_DEPTH",
    "RABBITMQ_MANAGEMENT_SSL_FAIL_IF_NO_PEER_CERT",
    "RABBITMQ_MANAGEMENT_SSL_KEYFILE",
    "RABBITMQ_MANAGEMENT_SSL_VERIFY",
    "RABBITMQ_SSL_CACERTFILE",
    "RABBITMQ_SSL_CERTFILE",
    "RABBITMQ_SSL_KEYFILE",
    "RABBITMQ_SSL_DEPTH",
    "RABBITMQ_SSL_FAIL_IF_NO_PEER_CERT",
    "RABBITMQ_SSL_VERIFY",
    "RABBITMQ_VM_MEMORY_HIGH_WATERMARK",
];

/// The place that a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::serve) enum SetBy {
    File { path: PathBuf, line: usize },
    Variable(String),
    CommandLine,
    Default,
}

impl fmt::Display for SetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::CommandLine => f.write_str("command line"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) source: SetBy,
}

/// The settings, each key once, and warnings of keys and variables without an effect.
#[derive(Debug, Default)]
pub(super) struct AllSettings {
    /// In the order in which they were set last.
    all: Vec<(String, Setting)>,
    pub(super) warnings: Vec<String>,
}

/// The reason why the broker does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("cannot read the configuration '{}': {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}, {line}", path.display())]
    Line { path: PathBuf, line: file::NotALine },
    #[error("{at}: '{key}' is not a key of rabbitmq.conf{}", like(*nearest))]
    Unknown { at: SetBy, key: String, nearest: Option<&'static str> },
    #[error("{at}: '{key}' is not implemented; leave it out")]
    NotImplemented { at: SetBy, key: String },
    #[error(
        "the variable {name} is not supported, as in RabbitMQ's image; use a file with --config"
    )]
    Variable { name: String },
    #[error("{at}: '{key}' has $({name}), and the variable {name} is not set")]
    Unset { at: SetBy, key: String, name: String },
    #[error("{at}: {key} = {value}: {why}")]
    Value { at: SetBy, key: String, value: String, why: String },
}

fn like(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

/// The environment of the process.
pub(super) type Environment<'a> = &'a [(String, String)];

impl AllSettings {
    /// Reads everything; `config` is that of the command line.
    /// `is_server` says if the broker runs in the place of RabbitMQ's, whose configuration is in `/etc/rabbitmq`.
    pub(super) fn read(
        config: Option<&Path>,
        environment: Environment<'_>,
        is_server: bool,
    ) -> Result<Self, Wrong> {
        let mut settings = Self::default();
        for path in paths(config, environment, is_server) {
            settings.read_path(&path, environment)?;
        }
        settings.read_rabbitmq_variables(environment, is_server)?;
        for (row, name) in KEYS.iter().filter_map(|row| Some((row, row.variable()?))) {
            if let Some(value) = variable(environment, &name) {
                settings.set(row.name, value, SetBy::Variable(name))?;
            }
        }
        Ok(settings)
    }

    /// The settings in the order in which they were set.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.all.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.in_order().find(|(known, _)| *known == key).map(|(_, setting)| setting)
    }

    /// The keys that begin with a prefix and a dot, without those, and their values.
    pub(super) fn below(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.in_order().filter_map(move |(key, setting)| {
            Some((key.strip_prefix(prefix)?.strip_prefix('.')?, setting.value.as_str()))
        })
    }

    fn read_path(&mut self, path: &Path, environment: Environment<'_>) -> Result<(), Wrong> {
        let unread = |path: &Path, source| Wrong::File { path: path.to_owned(), source };
        for path in file::files(path).map_err(|error| unread(path, error))? {
            let text = fs::read_to_string(&path).map_err(|error| unread(&path, error))?;
            let lines =
                file::parse(&text).map_err(|line| Wrong::Line { path: path.clone(), line })?;
            for line in lines {
                let source = SetBy::File { path: path.clone(), line: line.number };
                let value = file::substituted(&line.value, |name| variable(environment, name));
                let value = value.map_err(|name| Wrong::Unset {
                    at: source.clone(),
                    key: line.key.clone(),
                    name,
                })?;
                self.set(&line.key, &value, source)?;
            }
        }
        Ok(())
    }

    fn read_rabbitmq_variables(
        &mut self,
        environment: Environment<'_>,
        is_server: bool,
    ) -> Result<(), Wrong> {
        let is_set = |name: &&&str| variable(environment, name).is_some();
        if let Some(name) = REFUSED_VARIABLES.iter().find(is_set) {
            return Err(Wrong::Variable { name: (*name).to_owned() });
        }
        let is_used = |name: &&str| {
            let is_stdout = variable(environment, name) == Some("-") && *name == "RABBITMQ_LOGS";
            is_server && (is_stdout || DIRECTORIES.contains(name))
        };
        let without_effect = WITHOUT_EFFECT.iter().filter(|name| is_set(name) && !is_used(name));
        self.warnings.extend(without_effect.map(|name| format!("{name} has no effect here")));
        for (name, key) in VARIABLES {
            if let Some(value) = variable(environment, name) {
                self.set(key, value, SetBy::Variable((*name).to_owned()))?;
            }
        }
        let (port, address) =
            (variable(environment, NODE_PORT), variable(environment, NODE_IP_ADDRESS));
        let (listener, name) = match (port, address) {
            (None, None) => return Ok(()),
            (Some(port), None) => (port.to_owned(), NODE_PORT),
            (port, Some(address)) => {
                let port = port.unwrap_or(PORT);
                let is_v6 = address.contains(':');
                let listener =
                    if is_v6 { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
                (listener, NODE_IP_ADDRESS)
            }
        };
        self.set("listeners.tcp.default", &listener, SetBy::Variable(name.to_owned()))
    }

    fn set(&mut self, key: &str, value: &str, source: SetBy) -> Result<(), Wrong> {
        let key = key.to_owned();
        let Some(row) = keys::find(&key) else {
            return Err(Wrong::Unknown { at: source, nearest: keys::nearest(&key), key });
        };
        match row.does {
            Does::NotImplemented => return Err(Wrong::NotImplemented { at: source, key }),
            Does::Nothing { usual, .. } if usual == Some(value) => {}
            Does::Nothing { why, .. } => {
                self.warnings.push(format!("{source}: '{key}' has no effect, because {why}"));
            }
            Does::Sets { option, .. } if let Some(why) = keys::why_no_effect(option, value) => {
                let warning = format!("{source}: '{key} = {value}' has no effect, because {why}");
                self.warnings.push(warning);
            }
            Does::Sets { .. } => {
                self.all.retain(|(known, _)| *known != key);
                self.all.push((key, Setting { value: value.to_owned(), source }));
            }
        }
        Ok(())
    }
}

fn variable<'a>(environment: Environment<'a>, name: &str) -> Option<&'a str> {
    let found = environment.iter().find(|(known, value)| known == name && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

/// The files and directories to read, in their order.
fn paths(config: Option<&Path>, environment: Environment<'_>, is_server: bool) -> Vec<PathBuf> {
    let named =
        config.map(Path::to_owned).or_else(|| variable(environment, CONFIG).map(Into::into));
    let rabbitmqs = || {
        let path = PathBuf::from(variable(environment, RABBITMQ_CONFIG_FILE)?);
        let is_whole = path.extension().is_some_and(|extension| extension == "conf");
        Some(if is_whole { path } else { path.with_added_extension("conf") })
    };
    let usual = || Some(PathBuf::from(USUAL)).filter(|path| is_server && path.exists());
    let first = named.or_else(rabbitmqs).or_else(usual);
    let mut paths: Vec<PathBuf> = first.into_iter().collect();
    let further = match (variable(environment, RABBITMQ_CONFIG_FILES), paths.first()) {
        (Some(directory), _) => Some(PathBuf::from(directory)),
        // As beside RabbitMQ's own file.
        (None, Some(file)) => file.parent().map(|folder| folder.join("conf.d")),
        (None, None) if is_server => Path::new(USUAL).parent().map(|folder| folder.join("conf.d")),
        (None, None) => None,
    };
    paths.extend(further.filter(|directory| directory.is_dir()));
    paths
}
