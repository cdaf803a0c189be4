//! Users and their permissions, as RabbitMQ's management API shows them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::auth::{MONITORING, user_row};
use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::auth::{Permission, TopicPermission, User, UserLimits};
use crate::wire::ShortStr;

/// `GET /whoami`.
pub(super) fn whoami(view: &View<'_>) -> Value {
    user_row(view.user)
}

/// `GET /users`.
pub(super) fn list(view: &View<'_>) -> Vec<Value> {
    view.broker.users.list().iter().map(row).collect()
}

/// `GET /users/:user`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    Ok(row(&find(view, names)?))
}

/// `GET /users/without-permissions`.
pub(super) fn without_permissions(view: &View<'_>) -> Vec<Value> {
    let granted = view.broker.permissions.list();
    let has_some = |user: &User| granted.iter().any(|(_, name, _)| *name == user.name);
    view.broker.users.list().iter().filter(|user| !has_some(user)).map(row).collect()
}

/// The vhost and the user that a list of permissions is limited to.
struct PermissionFilter<'a> {
    vhost: Option<&'a str>,
    user: Option<&'a str>,
}

impl<'a> PermissionFilter<'a> {
    /// Those of the vhost and the user in the path, both of which must be there.
    fn new(view: &View<'_>, names: &'a Names) -> Result<Self, Refusal> {
        let (vhost, user) = (names.0.get("vhost"), names.0.get("user"));
        if let Some(vhost) = vhost {
            view.broker.vhost(vhost).map_err(|_| Refusal::NotFound)?;
        }
        if user.is_some() {
            find(view, names)?;
        }
        Ok(Self { vhost: vhost.map(String::as_str), user: user.map(String::as_str) })
    }

    fn is(&self, vhost: &ShortStr, user: &ShortStr) -> bool {
        self.vhost.is_none_or(|wanted| *vhost == wanted)
            && self.user.is_none_or(|wanted| *user == wanted)
    }
}

/// `GET /permissions`, `/vhosts/:vhost/permissions` and `/users/:user/permissions`.
pub(super) fn permissions(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let wanted = PermissionFilter::new(view, names)?;
    let all = view.broker.permissions.list().into_iter();
    let its = all.filter(|(vhost, user, _)| wanted.is(vhost, user));
    let row = |(vhost, user, permission): (ShortStr, ShortStr, Arc<Permission>)| {
        json!({
            "user": user.as_str(),
            "vhost": vhost.as_str(),
            "configure": permission.configure.as_str(),
            "write": permission.write.as_str(),
            "read": permission.read.as_str(),
        })
    };
    Ok(its.map(row).collect())
}

/// `GET /permissions/:vhost/:user`.
pub(super) fn permission_of(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    permissions(view, names)?.into_iter().next().ok_or(Refusal::NotFound)
}

/// `GET /topic-permissions`, `/vhosts/:vhost/topic-permissions` and `/users/:user/topic-permissions`.
pub(super) fn topic_permissions(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let wanted = PermissionFilter::new(view, names)?;
    let exchange = names.0.get("exchange");
    let all = view.broker.permissions.list_topics().into_iter();
    let its = all.filter(|(vhost, user, topic)| {
        wanted.is(vhost, user) && exchange.is_none_or(|name| topic.exchange == name.as_str())
    });
    let row = |(vhost, user, topic): (ShortStr, ShortStr, Arc<TopicPermission>)| {
        json!({
            "user": user.as_str(),
            "vhost": vhost.as_str(),
            "exchange": topic.exchange.as_str(),
            "write": topic.write.as_str(),
            "read": topic.read.as_str(),
        })
    };
    Ok(its.map(row).collect())
}

/// `GET /topic-permissions/:vhost/:user` and `.../:exchange`: none is not found.
pub(super) fn topic_permissions_of(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let rows = topic_permissions(view, names)?;
    if rows.is_empty() { Err(Refusal::NotFound) } else { Ok(rows) }
}

/// `GET /user-limits` and `/user-limits/:user`.
pub(super) fn limits(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let users = match names.0.get("user") {
        Some(user) => {
            view.check_own(user, MONITORING)?;
            vec![find(view, names)?]
        }
        None => view.broker.users.list(),
    };
    let limited = users.iter().filter(|user| user.limits != UserLimits::default());
    let row = |user: &User| json!({"user": user.name.as_str(), "value": limits_of(user)});
    Ok(limited.map(row).collect())
}

fn limits_of(user: &User) -> Value {
    let UserLimits { connections_max, channels_max } = user.limits;
    let limits = [("max-connections", connections_max), ("max-channels", channels_max)];
    let set = limits.into_iter().filter_map(|(name, most)| Some((name.to_owned(), most?.into())));
    Value::Object(set.collect())
}

fn find(view: &View<'_>, names: &Names) -> Result<User, Refusal> {
    let name = names.get("user")?;
    view.broker.users.get(name).ok_or(Refusal::NotFound)
}

fn row(user: &User) -> Value {
    json!({
        "name": user.name.as_str(),
        "password_hash": STANDARD.encode(user.password.as_bytes()),
        "hashing_algorithm": user.password.hashing().name(),
        "tags": user.tags,
        "limits": limits_of(user),
    })
}
