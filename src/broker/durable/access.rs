//! Vhosts, users, permissions and parameters as rows.
//!
//! A row that may grow new properties is a table of named values: a release takes those it knows, and a value that an
//! older release has not written gets its default.

use super::rows::{
    InVhost, OLD_HASH_BYTES, RowKind, RowProblem, key_in, name_key, read_name, read_name_in,
    read_value, value, written,
};
use crate::broker::auth::{Hashing, PasswordHash, Permission, TopicPermission, User, UserLimits};
use crate::broker::parameters::{Parameter, ParameterName};
use crate::broker::vhost_metadata::VhostMetadata;
use crate::store::definitions::{Change, Row, Table};
use crate::wire::codec::Wire;
use crate::wire::{FieldTable, FieldValue, LongStr, Reader, ShortStr, Writer};

/// Version of a user's row: before, every user could do everything everywhere, and that was not written down.
const USER_VERSION: u8 = 2;

/// A vhost as it was written down.
#[derive(Clone, Debug)]
pub(in crate::broker) struct SavedVhost {
    pub(in crate::broker) name: ShortStr,
    pub(in crate::broker) metadata: VhostMetadata,
}

/// A user as it was written down.
#[derive(Clone, Debug)]
pub(in crate::broker) struct SavedUser {
    pub(in crate::broker) user: User,
    /// It is from a time without permissions.
    pub(in crate::broker) is_old: bool,
}

/// A permission of a user in a vhost; `P` is [`Permission`] or [`TopicPermission`].
#[derive(Clone, Debug)]
pub(in crate::broker) struct Granted<P> {
    pub(in crate::broker) vhost: ShortStr,
    pub(in crate::broker) user: ShortStr,
    pub(in crate::broker) permission: P,
}

/// The vhosts.
pub(in crate::broker) const VHOSTS: RowKind<SavedVhost> = RowKind {
    table: Table::Vhosts,
    read: read_vhost,
    noun: |key| read_name(key).map(|name| format!("vhost '{name}'")),
};

/// The users.
pub(in crate::broker) const USERS: RowKind<SavedUser> = RowKind {
    table: Table::Users,
    read: read_user,
    noun: |key| read_name(key).map(|name| format!("user '{name}'")),
};

/// The permissions of users in vhosts.
pub(in crate::broker) const PERMISSIONS: RowKind<Granted<Permission>> = RowKind {
    table: Table::Permissions,
    read: read_permission,
    noun: |_| Ok("permission".to_owned()),
};

/// The permissions of users for topics.
pub(in crate::broker) const TOPIC_PERMISSIONS: RowKind<Granted<TopicPermission>> = RowKind {
    table: Table::TopicPermissions,
    read: read_topic_permission,
    noun: |_| Ok("permission".to_owned()),
};

/// The parameters: policies, limits of vhosts, global parameters, and those of components that do not run here.
pub(in crate::broker) const PARAMETERS: RowKind<Parameter> = RowKind {
    table: Table::Parameters,
    read: read_parameter,
    noun: |_| Ok("parameter".to_owned()),
};

fn texts(list: &[String]) -> FieldValue {
    FieldValue::Array(list.iter().map(|text| FieldValue::LongStr(text.as_str().into())).collect())
}

fn read_texts(value: Option<&FieldValue>) -> Vec<String> {
    let Some(FieldValue::Array(values)) = value else { return Vec::new() };
    values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

fn text(value: Option<&FieldValue>) -> Option<String> {
    Some(value?.as_str()?.to_owned())
}

fn number(value: Option<&FieldValue>) -> Option<u64> {
    u64::try_from(value?.as_integer()?).ok()
}

/// A count as a value; none can be larger.
fn counted(count: u64) -> FieldValue {
    FieldValue::I64(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(in crate::broker) fn put_vhost(name: &ShortStr, metadata: &VhostMetadata) -> Change {
    let mut table = FieldTable::new()
        .with("description", metadata.description.as_str())
        .with("tags", texts(&metadata.tags))
        .with("tracing", metadata.is_traced)
        .with("protected_from_deletion", metadata.is_protected);
    if let Some(kind) = &metadata.default_queue_type {
        table = table.with("default_queue_type", kind.as_str());
    }
    let row = Row { key: name_key(name), value: value(|to| table.encode(to)) };
    Change::Put(Table::Vhosts, row)
}

fn read_vhost(row: &Row) -> Result<SavedVhost, RowProblem> {
    let table = read_value(&row.value, |from| Ok(FieldTable::decode(from)?))?;
    let name = read_name(&row.key)?;
    let metadata = match text(table.get("description")) {
        // Written when a vhost was a name and nothing else.
        None => VhostMetadata::of_new(&name),
        Some(description) => VhostMetadata {
            description,
            tags: read_texts(table.get("tags")),
            default_queue_type: text(table.get("default_queue_type")),
            is_traced: table.get("tracing") == Some(&FieldValue::Bool(true)),
            is_protected: table.get("protected_from_deletion") == Some(&FieldValue::Bool(true)),
        },
    };
    Ok(SavedVhost { name, metadata })
}

pub(in crate::broker) fn put_user(user: &User) -> Change {
    let mut table = FieldTable::new()
        .with("hash", FieldValue::Bytes(user.password.as_bytes().into()))
        .with("hashing", user.password.hashing().name())
        .with("tags", texts(&user.tags));
    if let Some(most) = user.limits.connections_max {
        table = table.with("max-connections", counted(most));
    }
    if let Some(most) = user.limits.channels_max {
        table = table.with("max-channels", counted(most));
    }
    let value = written(|to| {
        to.u8(USER_VERSION);
        table.encode(to);
    });
    Change::Put(Table::Users, Row { key: name_key(&user.name), value })
}

/// Removes a user. Its permissions are rows of their own.
pub(in crate::broker) fn remove_user(name: &ShortStr) -> Change {
    Change::Remove(Table::Users, name_key(name))
}

fn read_user(row: &Row) -> Result<SavedUser, RowProblem> {
    let name = read_name(&row.key)?;
    if row.value.first() != Some(&USER_VERSION) {
        return read_value(&row.value, |from| read_old_user(name, from));
    }
    let mut from = Reader::new(&row.value[1..]);
    let table = FieldTable::decode(&mut from)?;
    from.finish()?;
    let named = text(table.get("hashing")).unwrap_or_default();
    let hashing = Hashing::from_name(&named).ok_or(RowProblem::Hashing(named))?;
    let bytes = match table.get("hash") {
        Some(FieldValue::Bytes(bytes)) => bytes.as_bytes().to_vec(),
        _ => Vec::new(),
    };
    let limits = UserLimits {
        connections_max: number(table.get("max-connections")),
        channels_max: number(table.get("max-channels")),
    };
    let password = PasswordHash::from_bytes(hashing, bytes);
    let user = User { name, tags: read_texts(table.get("tags")), password, limits };
    Ok(SavedUser { user, is_old: false })
}

fn read_old_user(name: ShortStr, from: &mut Reader<'_>) -> Result<SavedUser, RowProblem> {
    let hash = from.long_bytes()?;
    if hash.len() != OLD_HASH_BYTES {
        return Err(RowProblem::Hash(hash.len()));
    }
    let mut tags = Vec::new();
    while !from.is_empty() {
        tags.push(LongStr::read(from)?.to_text());
    }
    let password = PasswordHash::from_bytes(Hashing::Sha256, hash.to_vec());
    let user = User { name, tags, password, limits: UserLimits::default() };
    Ok(SavedUser { user, is_old: true })
}

/// The key of a user's permission for an exchange.
fn topic_key(vhost: &ShortStr, user: &ShortStr, exchange: &ShortStr) -> Vec<u8> {
    written(|to| {
        to.short(vhost);
        to.short(user);
        to.short(exchange);
    })
}

pub(in crate::broker) fn put_permission(
    vhost: &ShortStr,
    user: &ShortStr,
    permission: &Permission,
) -> Change {
    let value = value(|to| {
        for pattern in [&permission.configure, &permission.write, &permission.read] {
            to.long(pattern.as_str().as_bytes());
        }
    });
    Change::Put(Table::Permissions, Row { key: key_in(vhost, user), value })
}

pub(in crate::broker) fn remove_permission(vhost: &ShortStr, user: &ShortStr) -> Change {
    Change::Remove(Table::Permissions, key_in(vhost, user))
}

fn read_permission(row: &Row) -> Result<Granted<Permission>, RowProblem> {
    let InVhost { vhost, row: user } = read_name_in(&row.key)?;
    let permission = read_value(&row.value, |from| {
        let [configure, write, read] = [text_of(from)?, text_of(from)?, text_of(from)?];
        Ok(Permission::new(&configure, &write, &read)?)
    })?;
    Ok(Granted { vhost, user, permission })
}

pub(in crate::broker) fn put_topic(
    vhost: &ShortStr,
    user: &ShortStr,
    topic: &TopicPermission,
) -> Change {
    let value = value(|to| {
        to.long(topic.write.as_str().as_bytes());
        to.long(topic.read.as_str().as_bytes());
    });
    Change::Put(
        Table::TopicPermissions,
        Row { key: topic_key(vhost, user, &topic.exchange), value },
    )
}

/// Removes the permission for an exchange, or all of the user's in that vhost.
pub(in crate::broker) fn remove_topics(
    vhost: &ShortStr,
    user: &ShortStr,
    exchange: Option<&ShortStr>,
) -> Change {
    match exchange {
        Some(exchange) => Change::Remove(Table::TopicPermissions, topic_key(vhost, user, exchange)),
        None => Change::RemoveAll(Table::TopicPermissions, key_in(vhost, user)),
    }
}

fn read_topic_permission(row: &Row) -> Result<Granted<TopicPermission>, RowProblem> {
    let mut key = Reader::new(&row.key);
    let (vhost, user) = (ShortStr::read(&mut key)?, ShortStr::read(&mut key)?);
    let exchange = ShortStr::read(&mut key)?;
    key.finish()?;
    let permission = read_value(&row.value, |from| {
        let [write, read] = [text_of(from)?, text_of(from)?];
        Ok(TopicPermission::new(exchange, &write, &read)?)
    })?;
    Ok(Granted { vhost, user, permission })
}

fn text_of(from: &mut Reader<'_>) -> Result<String, RowProblem> {
    Ok(LongStr::read(from)?.to_text())
}

/// The key of a parameter; a global one's has no vhost.
fn parameter_key(name: &ParameterName) -> Vec<u8> {
    written(|to| write_name(name, to))
}

fn write_name(name: &ParameterName, to: &mut Writer<'_>) {
    to.short(&name.vhost);
    to.short(&name.component);
    to.short(&name.name);
}

pub(in crate::broker) fn put_parameter(parameter: &Parameter) -> Change {
    let value = value(|to| {
        let holder = FieldTable::new().with("value", parameter.value.clone());
        holder.encode(to);
    });
    Change::Put(Table::Parameters, Row { key: parameter_key(&parameter.name), value })
}

pub(in crate::broker) fn remove_parameter(name: &ParameterName) -> Change {
    Change::Remove(Table::Parameters, parameter_key(name))
}

fn read_parameter(row: &Row) -> Result<Parameter, RowProblem> {
    let mut key = Reader::new(&row.key);
    let vhost = ShortStr::read(&mut key)?;
    let (component, name) = (ShortStr::read(&mut key)?, ShortStr::read(&mut key)?);
    key.finish()?;
    let mut holder = read_value(&row.value, |from| Ok(FieldTable::decode(from)?))?;
    let value = holder.remove("value").unwrap_or(FieldValue::Void);
    Ok(Parameter { name: ParameterName { vhost, component, name }, value })
}
