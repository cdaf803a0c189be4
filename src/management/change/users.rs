//! Users: put, deleted, many deleted at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::broker::auth::{Hashing, PasswordHash, User, UserLimits};
use crate::management::body::Body;
use crate::management::change_request::{ChangeOutcome, ChangeRequest, gone};
use crate::management::json::name_of;
use crate::management::refusal::Refusal;
use crate::wire::ShortStr;

/// `PUT /users/:user`.
pub(in crate::management) fn put(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let user = read(request.name("user")?, &request.body()?)?;
    Ok(request.view.broker.put_user(user)?.into())
}

/// Reads a user; its limits are read with [`read_limits`].
pub(in crate::management) fn read(name: ShortStr, body: &Body) -> Result<User, Refusal> {
    let tags = body.tags()?.ok_or_else(|| Refusal::bad_request("tags_not_present"))?;
    let password = match (body.optional_text("password")?, body.optional_text("password_hash")?) {
        (Some(_), Some(_)) => {
            return Err(Refusal::bad_request("both_password_and_password_hash_are_provided"));
        }
        (Some(password), None) => PasswordHash::fresh(password),
        (None, Some(encoded)) => hash(encoded, body.optional_text("hashing_algorithm")?)?,
        (None, None) => PasswordHash::default(),
    };
    Ok(User { name, tags, password, limits: read_limits(body)? })
}

fn hash(encoded: &str, hashing: Option<&str>) -> Result<PasswordHash, Refusal> {
    let bytes = STANDARD.decode(encoded);
    let bytes = bytes.map_err(|_| Refusal::BadReason(json!(["not_base64", encoded])))?;
    let hashing = match hashing {
        None => Hashing::default(),
        Some(name) => Hashing::from_name(name).ok_or_else(|| {
            Refusal::bad_request(format!("hashing algorithm '{name}' is not supported"))
        })?,
    };
    Ok(PasswordHash::from_bytes(hashing, bytes))
}

/// Reads the limits of a user as definitions have them.
fn read_limits(body: &Body) -> Result<UserLimits, Refusal> {
    let mut limits = UserLimits::default();
    let given = match body.get("limits") {
        Some(Value::Object(given)) => given,
        // RabbitMQ prints none so.
        Some(Value::Array(none)) if none.is_empty() => return Ok(limits),
        Some(_) => return Err(Refusal::bad_request("limits should be an object")),
        None => return Ok(limits),
    };
    for (name, value) in given {
        *super::limits::of_user_named(&mut limits, name, value)? =
            super::limits::most(name, value)?;
    }
    Ok(limits)
}

/// `DELETE /users/:user`.
pub(in crate::management) fn delete(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    gone(request.view.broker.delete_user(&request.name("user")?)?)
}

/// `POST /users/bulk-delete`.
pub(in crate::management) fn delete_many(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let body = request.body()?;
    body.require(&["users"])?;
    let Some(Value::Array(users)) = body.get("users") else {
        return Err(Refusal::bad_request("users should be a list"));
    };
    for user in users {
        let name = user.as_str().ok_or_else(|| Refusal::bad_request("users should be a list"))?;
        let was_there = request.view.broker.delete_user(&name_of(name)?)?;
        // RabbitMQ 4 leaves out those that are not there.
        if !was_there && request.view.broker.compat().is_3_10() {
            return Err(Refusal::BadReason(json!(["no_such_user", name])));
        }
    }
    Ok(ChangeOutcome::Quietly)
}
