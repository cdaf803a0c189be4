//! Limits of vhosts and of users.

use serde_json::{Value, json};

use crate::broker::auth::UserLimits;
use crate::broker::policies::term;
use crate::management::change_request::{ChangeOutcome, ChangeRequest};
use crate::management::json;
use crate::management::refusal::Refusal;
use crate::wire::FieldTable;

/// `PUT /vhost-limits/:vhost/:name`.
pub(in crate::management) fn of_vhost(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let vhost = request.vhost()?;
    let body = request.body()?;
    body.require(&["value"])?;
    let value = json::value(body.get("value").unwrap_or(&Value::Null))?;
    let mut limits = request.view.broker.vhost_limits(vhost.name()).unwrap_or_default();
    limits.insert(request.name("name")?, value);
    request.view.broker.limit_vhost(vhost.name(), limits)?;
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /vhost-limits/:vhost/:name`.
pub(in crate::management) fn clear_of_vhost(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let vhost = request.vhost()?;
    request.view.broker.clear_vhost_limit(vhost.name(), request.names.get("name")?)?;
    Ok(ChangeOutcome::Quietly)
}

/// `PUT /user-limits/:user/:name`.
pub(in crate::management) fn of_user(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let body = request.body()?;
    body.require(&["value"])?;
    let value = body.get("value").unwrap_or(&Value::Null);
    let (user, name) = (request.names.get("user")?, request.names.get("name")?);
    let most = most(name, value)?;
    of_user_named(&mut UserLimits::default(), name, value)?;
    let is_there = request.view.broker.limit_user(user, |limits| {
        if let Ok(limit) = of_user_named(limits, name, value) {
            *limit = most;
        }
    })?;
    if is_there {
        Ok(ChangeOutcome::Quietly)
    } else {
        Err(Refusal::BadReason(json!(["no_such_user", user])))
    }
}

/// `DELETE /user-limits/:user/:name`.
pub(in crate::management) fn clear_of_user(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let (user, name) = (request.names.get("user")?, request.names.get("name")?);
    let is_there = request.view.broker.limit_user(user, |limits| {
        // Without a limit of that name there is nothing to clear.
        if let Ok(limit) = of_user_named(limits, name, &Value::Null) {
            *limit = None;
        }
    })?;
    if is_there { Ok(ChangeOutcome::Quietly) } else { Err(Refusal::NotFound) }
}

/// The limit of that name.
pub(super) fn of_user_named<'a>(
    limits: &'a mut UserLimits,
    name: &str,
    value: &Value,
) -> Result<&'a mut Option<u64>, Refusal> {
    match name {
        "max-connections" => Ok(&mut limits.connections_max),
        "max-channels" => Ok(&mut limits.channels_max),
        _ => {
            let given = FieldTable::from_entries(vec![(json::name_of(name)?, json::value(value)?)]);
            let given = crate::broker::policies::pairs(&given);
            Err(Refusal::bad_request(format!("Unrecognised terms {given} in user-limits")))
        }
    }
}

/// A limit; a negative one is none.
pub(super) fn most(name: &str, value: &Value) -> Result<Option<u64>, Refusal> {
    let number = value.as_i64().ok_or_else(|| {
        let told = json::value(value).map(|value| term(&value)).unwrap_or_default();
        Refusal::bad_request(format!("{name} should be a number, actually was {told}"))
    })?;
    Ok(u64::try_from(number).ok())
}
