//! The name of the node, and the vhost and user that a new broker begins with.

use crate::commands::options::effective::EffectiveValue;
use crate::commands::options::name;
use crate::engine::{FirstAccess, LocalUsers, Password, Permission, ShortStr};

/// The pattern that every name matches.
const ANY: &str = ".*";

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "New broker")]
pub(super) struct FirstOptions {
    /// Give the node this name, for example rabbit@localhost [default: rabbit@ and the machine's
    /// name]
    #[arg(long, value_name = "NAME@HOST", value_parser = node_name)]
    node_name: Option<String>,
    /// Create this virtual host if the broker is new [default: /]
    #[arg(long, value_name = "NAME", value_parser = name::not_empty)]
    default_vhost: Option<ShortStr>,
    /// Create this user in the default virtual host if the broker is new [default: guest]
    #[arg(long, value_name = "NAME", value_parser = name::not_empty)]
    default_user: Option<ShortStr>,
    /// Give the default user this password; other programs can see it on the command line, but not in the environment or
    /// a file for --config [default: guest]
    #[arg(long, value_name = "PASSWORD", value_parser = password)]
    default_pass: Option<Password>,
    /// Give the default user these tags, with commas between, or none [default: administrator]
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    default_user_tags: Option<Vec<String>>,
    /// Let the default user configure queues and exchanges whose names match this regular expression [default: .*]
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    default_configure: Option<String>,
    /// Let the default user write to queues and exchanges whose names match this regular expression [default: .*]
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    default_write: Option<String>,
    /// Let the default user read from queues and exchanges whose names match this regular expression [default: .*]
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    default_read: Option<String>,
    /// Let these users, with commas between, log in from this machine only, or with none, no user
    #[arg(long, value_name = "USERS", value_delimiter = ',', default_value = "guest")]
    loopback_users: Vec<ShortStr>,
}

/// The word for no users, and for no tags.
const NONE: &str = "none";

/// Takes a regular expression that a permission can have.
fn pattern(text: &str) -> Result<String, String> {
    let checked = Permission::new(text, text, text);
    checked.map(|_| text.to_owned()).map_err(|_| "it is not a regular expression".to_owned())
}

pub(super) fn password(text: &str) -> Result<Password, String> {
    if text.is_empty() {
        return Err("it is empty, and nobody could log in".to_owned());
    }
    Ok(Password::new(text))
}

/// A name as RabbitMQ wants it: two parts, of which clients are told. The second may be left out for the machine's name.
fn node_name(text: &str) -> Result<String, String> {
    match text.split_once('@') {
        Some((name, host)) if !name.is_empty() && !host.is_empty() && !host.contains('@') => {
            Ok(text.to_owned())
        }
        None if !text.is_empty() => Ok(text.to_owned()),
        Some(_) | None => Err("it must be a name and a host, such as rabbit@localhost".to_owned()),
    }
}

impl FirstOptions {
    pub(super) fn node(&self) -> Option<String> {
        self.node_name.clone()
    }

    /// Takes over the options that change while the broker runs.
    pub(super) fn take_live(&mut self, other: Self) {
        self.loopback_users = other.loopback_users;
    }

    pub(super) fn local_only(&self) -> LocalUsers {
        let named = self.loopback_users.iter().filter(|name| **name != NONE);
        LocalUsers(named.cloned().collect())
    }

    /// The value of each key; passwords are hidden.
    pub(super) fn effective(&self) -> Vec<EffectiveValue> {
        let FirstAccess { vhost, user, tags, .. } = self.access();
        let pattern = |pattern: &Option<String>| pattern.clone().or_else(|| Some(ANY.to_owned()));
        let set = |key: &str, option, value| EffectiveValue::new(key, option, value);
        let set_to =
            |key: String, option| EffectiveValue::new(key, option, Some("true".to_owned()));
        let mut all = vec![
            set("mq.node_name", "node-name", self.node()),
            set("default_vhost", "default-vhost", Some(vhost.to_string())),
            set("default_user", "default-user", Some(user.to_string())),
            set("default_pass", "default-pass", Some("'***'".to_owned())),
            set(
                "default_permissions.configure",
                "default-configure",
                pattern(&self.default_configure),
            ),
            set("default_permissions.write", "default-write", pattern(&self.default_write)),
            set("default_permissions.read", "default-read", pattern(&self.default_read)),
        ];
        let tags = tags.iter().map(|tag| format!("default_user_tags.{tag}"));
        all.extend(tags.map(|key| set_to(key, "default-user-tags")));
        let local = self.local_only().0;
        if local.is_empty() {
            all.push(set("loopback_users", "loopback-users", Some(NONE.to_owned())));
        }
        let local = local.iter().map(|name| format!("loopback_users.{name}"));
        all.extend(local.map(|key| set_to(key, "loopback-users")));
        all
    }

    /// The tags of the default user; `none` for no tag.
    fn tags(&self) -> Option<Vec<String>> {
        let mut tags = self.default_user_tags.clone()?;
        tags.retain(|tag| tag != NONE);
        Some(tags)
    }

    /// The permission of the default user, whose patterns were checked one by one.
    fn permission(&self) -> Option<Permission> {
        let pattern =
            |pattern: &'_ Option<String>| pattern.clone().unwrap_or_else(|| ANY.to_owned());
        let configure = pattern(&self.default_configure);
        let (write, read) = (pattern(&self.default_write), pattern(&self.default_read));
        Permission::new(&configure, &write, &read).ok()
    }

    /// The first vhost and user of a new broker.
    pub(super) fn access(&self) -> FirstAccess {
        let usual = FirstAccess::default();
        FirstAccess {
            vhost: self.default_vhost.clone().unwrap_or(usual.vhost),
            user: self.default_user.clone().unwrap_or(usual.user),
            password: self.default_pass.clone().unwrap_or(usual.password),
            tags: self.tags().unwrap_or(usual.tags),
            permission: self.permission().unwrap_or(usual.permission),
        }
    }
}
