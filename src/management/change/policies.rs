//! Policies and operator policies.

use serde_json::Value;

use crate::broker::admin::PolicyName;
use crate::broker::compat::Compat;
use crate::broker::policies::Author;
use crate::management::body::Body;
use crate::management::change_request::{ChangeOutcome, ChangeRequest, gone};
use crate::management::json;
use crate::management::refusal::Refusal;
use crate::wire::{Fault, FieldTable, ReplyCode, ShortStr};

/// `PUT /policies/:vhost/:name`.
pub(in crate::management) fn put(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    put_by(Author::User, request)
}

/// `PUT /operator-policies/:vhost/:name`.
pub(in crate::management) fn put_operators(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    put_by(Author::Operator, request)
}

fn put_by(author: Author, request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let name = named(author, request)?;
    let value = read(&request.body()?)?;
    let put = request.view.broker.put_policy(&name, value, request.view.uptime_ms);
    let compat = request.view.broker.compat();
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
pub(in crate::management) fn delete(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    delete_by(Author::User, request)
}

/// `DELETE /operator-policies/:vhost/:name`.
pub(in crate::management) fn delete_operators(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    delete_by(Author::Operator, request)
}

fn delete_by(author: Author, request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let name = named(author, request)?;
    gone(request.view.broker.delete_policy(&name, request.view.uptime_ms)?)
}

/// The policy in the path; its vhost is one the user may be in, unless he is an administrator.
fn named(author: Author, request: &ChangeRequest<'_>) -> Result<PolicyName, Refusal> {
    let vhost = request.vhost()?;
    request.view.check_visible(&vhost)?;
    Ok(PolicyName { author, vhost: vhost.name().clone(), name: request.name("name")? })
}
