//! Permissions: granted and taken away.

use serde_json::json;

use crate::broker::auth::{BadPattern, Pattern, Permission, TopicPermission};
use crate::management::body::Body;
use crate::management::change_request::{ChangeOutcome, ChangeRequest, gone};
use crate::management::refusal::Refusal;
use crate::wire::{Fault, ReplyCode, ShortStr};

/// `PUT /permissions/:vhost/:user`.
pub(in crate::management) fn put(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let permission = read(&request.body()?)?;
    let (vhost, user) = (request.name("vhost")?, request.name("user")?);
    Ok(request
        .view
        .broker
        .grant(&vhost, &user, permission)
        .map_err(|fault| refused(&fault))?
        .into())
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
pub(in crate::management) fn put_topic(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let topic = read_topic(&request.body()?)?;
    let (vhost, user) = (request.name("vhost")?, request.name("user")?);
    if !request.view.broker.compat().is_3_10() {
        check_exchange(request, &topic.exchange)?;
    }
    let put = request.view.broker.grant_topic(&vhost, &user, topic);
    Ok(put.map_err(|fault| refused(&fault))?.into())
}

/// Refuses an exchange that is not there (RabbitMQ 4).
fn check_exchange(request: &ChangeRequest<'_>, name: &ShortStr) -> Result<(), Refusal> {
    let vhost = request.view.broker.vhost(request.names.vhost()?);
    let is_there = vhost.is_ok_and(|vhost| vhost.find_exchange(name).is_some());
    // A vhost that is not there is told by the broker.
    if is_there || request.vhost().is_err() {
        return Ok(());
    }
    Err(Refusal::BadReason(json!(["no_such_exchange", name.as_str()])))
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
pub(in crate::management) fn delete(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    gone(request.view.broker.revoke(&request.name("vhost")?, &request.name("user")?)?)
}

/// `DELETE /topic-permissions/:vhost/:user` and `.../:exchange`.
pub(in crate::management) fn delete_topics(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let exchange = match request.names.0.get("exchange") {
        Some(_) => Some(request.name("exchange")?),
        None => None,
    };
    let (vhost, user) = (request.name("vhost")?, request.name("user")?);
    gone(request.view.broker.revoke_topics(&vhost, &user, exchange.as_ref())?)
}
