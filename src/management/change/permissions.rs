//! Permissions: granted and taken away.

use serde_json::json;

use crate::broker::auth::{BadPattern, Pattern, Permission, TopicPermission};
use crate::management::asked::{Asked, Done, gone};
use crate::management::body::Body;
use crate::management::refusal::Refusal;
use crate::wire::{Fault, ReplyCode};

/// `PUT /permissions/:vhost/:user`.
pub(in crate::management) fn put(asked: &Asked<'_>) -> Result<Done, Refusal> {
    let permission = read(&asked.body()?)?;
    let (vhost, user) = (asked.name("vhost")?, asked.name("user")?);
    Ok(asked.view.broker.grant(&vhost, &user, permission).map_err(|fault| refused(&fault))?.into())
}

/// Reads a permission.
pub(in crate::management) fn read(body: &Body) -> Result<Permission, Refusal> {
    let names = ["configure", "write", "read"];
    body.require(&names)?;
    for name in names {
        check_pattern(body.text(name)?)?;
    }
    let [configure, write, read] = names.map(|name| body.text(name).unwrap_or_default());
    Permission::new(configure, write, read).map_err(|bad| invalid(configure, &bad))
}

/// `PUT /topic-permissions/:vhost/:user`.
pub(in crate::management) fn put_topic(asked: &Asked<'_>) -> Result<Done, Refusal> {
    let topic = read_topic(&asked.body()?)?;
    let (vhost, user) = (asked.name("vhost")?, asked.name("user")?);
    let put = asked.view.broker.grant_topic(&vhost, &user, topic);
    Ok(put.map_err(|fault| refused(&fault))?.into())
}

/// Reads a topic permission.
pub(in crate::management) fn read_topic(body: &Body) -> Result<TopicPermission, Refusal> {
    body.require(&["exchange", "write", "read"])?;
    let (write, read) = (body.text("write")?, body.text("read")?);
    for pattern in [write, read] {
        check_pattern(pattern)?;
    }
    TopicPermission::new(body.name("exchange")?, write, read).map_err(|bad| invalid(write, &bad))
}

fn check_pattern(text: &str) -> Result<(), Refusal> {
    Pattern::of_permission(text).map(drop).map_err(|bad| invalid(text, &bad))
}

fn invalid(pattern: &str, bad: &BadPattern) -> Refusal {
    Refusal::BadReason(json!(["invalid_regexp", pattern, bad.to_string()]))
}

fn refused(fault: &Fault) -> Refusal {
    match fault.code {
        ReplyCode::NotFound => Refusal::bad_request("vhost_or_user_not_found"),
        _ => Refusal::from(fault.clone()),
    }
}

/// `DELETE /permissions/:vhost/:user`.
pub(in crate::management) fn delete(asked: &Asked<'_>) -> Result<Done, Refusal> {
    gone(asked.view.broker.revoke(&asked.name("vhost")?, &asked.name("user")?)?)
}

/// `DELETE /topic-permissions/:vhost/:user` and `.../:exchange`.
pub(in crate::management) fn delete_topics(asked: &Asked<'_>) -> Result<Done, Refusal> {
    let exchange = match asked.names.0.get("exchange") {
        Some(_) => Some(asked.name("exchange")?),
        None => None,
    };
    let (vhost, user) = (asked.name("vhost")?, asked.name("user")?);
    gone(asked.view.broker.revoke_topics(&vhost, &user, exchange.as_ref())?)
}
