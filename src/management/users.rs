//! Users and what they may do.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::auth::User;
use crate::broker::vhost::Vhost;

/// `GET /whoami`.
pub(super) fn whoami(view: &View<'_>) -> Value {
    json!({"name": view.user.name.as_str(), "tags": view.user.tags})
}

/// `GET /users`.
pub(super) fn list(view: &View<'_>) -> Vec<Value> {
    view.broker.users.list().iter().map(row).collect()
}

/// `GET /users/:user`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    Ok(row(&find(view, names)?))
}

/// `GET /permissions`, `/vhosts/:vhost/permissions` and `/users/:user/permissions`.
///
/// Every user may do everything in every vhost: permissions are not kept yet.
pub(super) fn permissions(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let users = match names.0.get("user") {
        Some(_) => vec![find(view, names)?],
        None => view.broker.users.list(),
    };
    let vhosts = view.vhosts(names)?;
    let pairs = users.iter().flat_map(|user| vhosts.iter().map(move |vhost| (user, vhost)));
    let row = |(user, vhost): (&User, &Arc<Vhost>)| permission(user, vhost);
    Ok(pairs.map(row).collect())
}

/// `GET /permissions/:vhost/:user`.
pub(super) fn permission_of(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    permissions(view, names)?.into_iter().next().ok_or(Refusal::NotFound)
}

/// `GET /user-limits/:user`: nobody has any yet.
pub(super) fn limits(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    find(view, names).map(|_| Vec::new())
}

fn find(view: &View<'_>, names: &Names) -> Result<User, Refusal> {
    let name = names.get("user")?;
    let found = view.broker.users.list().into_iter().find(|user| user.name == name);
    found.ok_or(Refusal::NotFound)
}

fn permission(user: &User, vhost: &Vhost) -> Value {
    json!({
        "user": user.name.as_str(),
        "vhost": vhost.name().as_str(),
        "configure": ".*",
        "write": ".*",
        "read": ".*",
    })
}

fn row(user: &User) -> Value {
    json!({
        "name": user.name.as_str(),
        "password_hash": STANDARD.encode(user.password.as_bytes()),
        "hashing_algorithm": user.password.hashing().name(),
        "tags": user.tags,
        "limits": {},
    })
}
