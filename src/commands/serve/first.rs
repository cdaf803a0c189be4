//! The name of the node, and the vhost and user that a new broker begins with.

use crate::commands::options::effective::EffectiveValue;
use crate::commands::options::name;
use crate::engine::{FirstAccess, Password, ShortStr};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "New broker")]
pub(super) struct FirstOptions {
    /// Give the node this name, for example rabbit@localhost [default: mq@ and the machine's name]
    #[arg(long, value_name = "NAME@HOST", value_parser = node_name)]
    node_name: Option<String>,
    /// Create this virtual host if the broker is new [default: /]
    #[arg(long, value_name = "NAME", value_parser = name::not_empty)]
    default_vhost: Option<ShortStr>,
    /// Create this user, an administrator with all permissions in the default virtual host, if the broker is new
    /// [default: guest]
    #[arg(long, value_name = "NAME", value_parser = name::not_empty)]
    default_user: Option<ShortStr>,
    /// Give the default user this password; other programs can see it on the command line, but not in the environment or
    /// a file for --config [default: guest]
    #[arg(long, value_name = "PASSWORD", value_parser = password)]
    default_pass: Option<Password>,
    /// Let only the user guest log in solely from this machine, or with none, no user
    #[arg(long, value_name = "USERS", value_enum, default_value_t = LoopbackUsers::Guest)]
    loopback_users: LoopbackUsers,
}

/// The users that may log in from the broker's own machine only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LoopbackUsers {
    Guest,
    None,
}

fn password(text: &str) -> Result<Password, String> {
    if text.is_empty() {
        return Err("it is empty, and nobody could log in".to_owned());
    }
    Ok(Password::new(text))
}

/// A name as RabbitMQ wants it: two parts, of which clients are told.
fn node_name(text: &str) -> Result<String, String> {
    match text.split_once('@') {
        Some((name, host)) if !name.is_empty() && !host.is_empty() && !host.contains('@') => {
            Ok(text.to_owned())
        }
        Some(_) | None => Err("it must be a name and a host, such as rabbit@localhost".to_owned()),
    }
}

impl FirstOptions {
    pub(super) fn node(&self) -> Option<String> {
        self.node_name.clone()
    }

    pub(super) fn guest_from_anywhere(&self) -> bool {
        self.loopback_users == LoopbackUsers::None
    }

    /// The value of each key; passwords are hidden.
    pub(super) fn effective(&self) -> [EffectiveValue; 5] {
        let FirstAccess { vhost, user, .. } = self.access();
        let guest = (self.loopback_users == LoopbackUsers::Guest).to_string();
        [
            EffectiveValue::new("mq.node_name", "node-name", self.node()),
            EffectiveValue::new("default_vhost", "default-vhost", Some(vhost.to_string())),
            EffectiveValue::new("default_user", "default-user", Some(user.to_string())),
            EffectiveValue::new("default_pass", "default-pass", Some("'***'".to_owned())),
            EffectiveValue::new("loopback_users.guest", "loopback-users", Some(guest)),
        ]
    }

    /// The first vhost and user of a new broker.
    pub(super) fn access(&self) -> FirstAccess {
        let usual = FirstAccess::default();
        FirstAccess {
            vhost: self.default_vhost.clone().unwrap_or(usual.vhost),
            user: self.default_user.clone().unwrap_or(usual.user),
            password: self.default_pass.clone().unwrap_or(usual.password),
        }
    }
}
