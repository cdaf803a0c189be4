//! The users, limits and operator policies that new virtual hosts get by their names, under the keys of `rabbitmq.conf`.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use crate::commands::CommandError;
use crate::commands::options::effective::EffectiveValue;
use crate::commands::options::size::Size;
use crate::engine::{
    DefaultLimits, DefaultPolicy, DefaultUser, FieldTable, FieldValue, Pattern, Permission,
    ShortStr, User, VhostDefaults,
};

/// The keys, without the name of the user, limit or policy that each has behind it.
const USERS: &str = "default_users.";
const LIMITS: &str = "default_limits.vhosts.";
const POLICIES: &str = "default_policies.operator.";

/// The pattern that every name matches.
const ANY: &str = ".*";

#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[command(next_help_heading = "New virtual hosts")]
pub(super) struct NewVhostOptions {
    /// Give new virtual hosts users, limits and operator policies: a key of rabbitmq.conf that begins with
    /// default_users., default_limits.vhosts. or default_policies.operator., and its value; may be given several times
    #[arg(long = "new-vhosts", value_name = "KEY=VALUE")]
    settings: Vec<VhostSetting>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct VhostSetting {
    key: String,
    value: String,
}

impl FromStr for VhostSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("it must be a key, = and a value")?;
        let is_known = [USERS, LIMITS, POLICIES].iter().any(|prefix| key.starts_with(prefix));
        if !is_known {
            return Err(format!("'{key}' begins with none of {USERS}, {LIMITS} and {POLICIES}"));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

/// The settings of one user, limit or policy, by their names.
type SettingGroup<'a> = BTreeMap<&'a str, &'a VhostSetting>;

impl NewVhostOptions {
    /// The value of each key; passwords are hidden.
    pub(super) fn effective(&self) -> Vec<EffectiveValue> {
        let value = |VhostSetting { key, value }: &VhostSetting| {
            let shown = if key.ends_with(".password") { "'***'" } else { value };
            EffectiveValue::new(key, "new-vhosts", Some(shown.to_owned()))
        };
        self.settings.iter().map(value).collect()
    }

    /// The settings by what they belong to.
    ///
    /// # Errors
    ///
    /// Names a key that says nothing behind the name.
    fn groups(&self, prefix: &str) -> Result<BTreeMap<&str, SettingGroup<'_>>, CommandError> {
        let mut groups: BTreeMap<&str, SettingGroup<'_>> = BTreeMap::new();
        for setting in &self.settings {
            let Some(rest) = setting.key.strip_prefix(prefix) else { continue };
            let (name, field) = rest.split_once('.').ok_or_else(|| unknown(&setting.key))?;
            groups.entry(name).or_default().insert(field, setting);
        }
        Ok(groups)
    }

    /// All that new vhosts get.
    pub(super) fn defaults(&self) -> Result<VhostDefaults, CommandError> {
        let limits = self.groups(LIMITS)?.into_values().map(limits).collect::<Result<_, _>>()?;
        let policies = self.groups(POLICIES)?.into_iter();
        let policies =
            policies.map(|(name, group)| policy(name, group)).collect::<Result<_, _>>()?;
        let users = self.groups(USERS)?.into_iter();
        let users = users.map(|(name, group)| user(name, group)).collect::<Result<_, _>>()?;
        Ok(VhostDefaults { limits, policies, users })
    }
}

fn limits(mut group: SettingGroup<'_>) -> Result<DefaultLimits, CommandError> {
    let vhosts = pattern(group.remove("pattern"))?;
    let mut limits = FieldTable::new();
    for (field, setting) in group {
        let name = match field {
            "max_connections" => "max-connections",
            "max_queues" => "max-queues",
            _ => return Err(unknown(&setting.key)),
        };
        limits = limits.with(name, FieldValue::I64(number(setting)?));
    }
    Ok(DefaultLimits { vhosts, limits })
}

fn policy(name: &str, mut group: SettingGroup<'_>) -> Result<DefaultPolicy, CommandError> {
    let vhosts = pattern(group.remove("vhost_pattern"))?;
    let queues = pattern(group.remove("queue_pattern"))?;
    let apply_to = group.remove("apply_to").map_or("all", |setting| setting.value.as_str());
    let mut definition = FieldTable::new();
    for (field, setting) in group {
        let (name, value) = match field {
            "expires" => ("expires", millis(setting)?),
            "message_ttl" => ("message-ttl", millis(setting)?),
            "max_length" => ("max-length", number(setting)?),
            "max_length_bytes" => ("max-length-bytes", bytes(setting)?),
            "max_in_memory_length" => ("max-in-memory-length", number(setting)?),
            "max_in_memory_bytes" => ("max-in-memory-bytes", bytes(setting)?),
            "delivery_limit" => ("delivery-limit", number(setting)?),
            _ => return Err(unknown(&setting.key)),
        };
        definition = definition.with(name, FieldValue::I64(value));
    }
    let value = FieldTable::new()
        .with("pattern", queues.as_str())
        .with("apply-to", apply_to)
        .with("definition", FieldValue::Table(definition));
    Ok(DefaultPolicy { vhosts, name: short(name)?, value })
}

fn user(name: &str, mut group: SettingGroup<'_>) -> Result<DefaultUser, CommandError> {
    let vhosts = pattern(group.remove("vhost_pattern"))?;
    let mut text = |field: &str| group.remove(field).map(|setting| setting.value.as_str());
    let [configure, write, read] =
        ["configure", "write", "read"].map(|field| text(field).unwrap_or(ANY));
    let permission = Permission::new(configure, write, read);
    let permission = permission.map_err(|_| {
        CommandError::usage(format!("the permission of {USERS}{name} is no regular expression"))
    })?;
    // As in RabbitMQ, nobody knows the password of a user that is given none.
    let random =
        || format!("{:x}{:x}", RandomState::new().hash_one(1), RandomState::new().hash_one(2));
    let password = text("password").map_or_else(random, str::to_owned);
    let tags = text("tags").unwrap_or_default().split(',').map(str::trim);
    let tags = tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    if let Some(setting) = group.into_values().next() {
        return Err(unknown(&setting.key));
    }
    Ok(DefaultUser { vhosts, user: User::tagged(short(name)?, &password, tags), permission })
}

fn pattern(setting: Option<&VhostSetting>) -> Result<Pattern, CommandError> {
    let (key, text) = setting.map_or(("", ANY), |setting| (&setting.key, &setting.value));
    Pattern::new(text)
        .map_err(|_| CommandError::usage(format!("{key} = {text}: it is no regular expression")))
}

fn short(name: &str) -> Result<ShortStr, CommandError> {
    ShortStr::try_from(name)
        .map_err(|_| CommandError::usage(format!("the name '{name}' is too long")))
}

fn number(setting: &VhostSetting) -> Result<i64, CommandError> {
    let number = setting.value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| wrong(setting, "a number above 0"))
}

fn bytes(setting: &VhostSetting) -> Result<i64, CommandError> {
    let bytes = Size::of_rabbitmq(&setting.value).ok().and_then(|size| size.bytes.try_into().ok());
    bytes.ok_or_else(|| wrong(setting, "a size such as 10MB"))
}

/// A number of milliseconds, or a time such as `10s`.
fn millis(setting: &VhostSetting) -> Result<i64, CommandError> {
    let text = setting.value.as_str();
    let millis = text.parse().ok().or_else(|| {
        humantime::parse_duration(text).ok().and_then(|time| time.as_millis().try_into().ok())
    });
    millis.ok_or_else(|| wrong(setting, "a time such as 10s, or milliseconds"))
}

fn wrong(VhostSetting { key, value }: &VhostSetting, wanted: &str) -> CommandError {
    CommandError::usage(format!("{key} = {value}: it must be {wanted}"))
}

fn unknown(key: &str) -> CommandError {
    CommandError::usage(format!("'{key}' is not a key of rabbitmq.conf that is implemented"))
}
