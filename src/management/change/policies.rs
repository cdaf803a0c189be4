//! Policies and operator policies.

use serde_json::Value;

use crate::broker::admin::PolicyName;
use crate::broker::compat::Compat;
use crate::broker::policies::Author;
use crate::management::asked::{Asked, Done, gone};
use crate::management::body::Body;
use crate::management::json;
use crate::management::refusal::Refusal;
use crate::wire::{Fault, FieldTable, ReplyCode, ShortStr};

/// `PUT /policies/:vhost/:name`.
pub(in crate::management) fn put(asked: &Asked<'_>) -> Result<Done, Refusal> {
    put_by(Author::User, asked)
}

/// `PUT /operator-policies/:vhost/:name`.
pub(in crate::management) fn put_operators(asked: &Asked<'_>) -> Result<Done, Refusal> {
    put_by(Author::Operator, asked)
}

fn put_by(author: Author, asked: &Asked<'_>) -> Result<Done, Refusal> {
    let name = named(author, asked)?;
    let value = read(&asked.body()?)?;
    let put = asked.view.broker.put_policy(&name, value, asked.view.uptime_ms);
    let compat = asked.view.broker.compat();
    Ok(put.map_err(|fault| refused(author, fault, compat))?.into())
}

/// Reads the value of a policy's parameter.
pub(in crate::management) fn read(body: &Body) -> Result<FieldTable, Refusal> {
    body.require(&["pattern", "definition"])?;
    let mut value = FieldTable::new();
    for name in ["pattern", "definition", "priority", "apply-to"] {
        let read = match body.get(name) {
            None => continue,
            Some(Value::Object(object)) => json::sorted(object)?.into(),
            Some(other) => json::value(other)?,
        };
        value.insert(ShortStr::truncated(name), read);
    }
    Ok(value)
}

/// RabbitMQ 3.10 escapes what it says of users' policies for HTML, and not what it says of operators'.
pub(in crate::management) fn refused(author: Author, fault: Fault, compat: Compat) -> Refusal {
    match (author, fault.code) {
        (Author::User, ReplyCode::PreconditionFailed) if compat.is_3_10() => {
            Refusal::bad_request(fault.text.replace('<', "&lt;").replace('>', "&gt;"))
        }
        (Author::User | Author::Operator, _) => fault.into(),
    }
}

/// `DELETE /policies/:vhost/:name`.
pub(in crate::management) fn delete(asked: &Asked<'_>) -> Result<Done, Refusal> {
    delete_by(Author::User, asked)
}

/// `DELETE /operator-policies/:vhost/:name`.
pub(in crate::management) fn delete_operators(asked: &Asked<'_>) -> Result<Done, Refusal> {
    delete_by(Author::Operator, asked)
}

fn delete_by(author: Author, asked: &Asked<'_>) -> Result<Done, Refusal> {
    let name = named(author, asked)?;
    gone(asked.view.broker.delete_policy(&name, asked.view.uptime_ms)?)
}

/// The policy in the path; its vhost is one the user may be in, unless he is an administrator.
fn named(author: Author, asked: &Asked<'_>) -> Result<PolicyName, Refusal> {
    let vhost = asked.vhost()?;
    asked.view.check_visible(&vhost)?;
    Ok(PolicyName { author, vhost: vhost.name().clone(), name: asked.name("name")? })
}
