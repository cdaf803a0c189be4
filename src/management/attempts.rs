//! Logins that succeeded and failed, the hashes of passwords, and the reset of counts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::change_request::{ChangeOutcome, ChangeRequest};
use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::auth::PasswordHash;
use crate::broker::stats::LoginCounters;

/// `GET /auth/attempts/:node`.
pub(super) fn list(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    view.check_node(names)?;
    let logins = &view.broker.logins;
    let row = |(protocol, counters): (&str, &LoginCounters)| {
        let (succeeded, failed) = (counters.succeeded.get(), counters.failed.get());
        json!({
            "protocol": protocol,
            "auth_attempts": succeeded + failed,
            "auth_attempts_failed": failed,
            "auth_attempts_succeeded": succeeded,
        })
    };
    Ok([("http", &logins.http), ("amqp091", &logins.amqp)].map(row).into())
}

/// `GET /auth/attempts/:node/source`: none are counted by their sources, as in RabbitMQ unless its configuration says so.
pub(super) fn by_source(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    view.check_node(names).map(|()| Vec::new())
}

/// `DELETE /auth/attempts/:node` and `.../source`: counts from zero again, for Prometheus too, as in RabbitMQ.
pub(super) fn reset(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.view.check_node(&request.names)?;
    let logins = &request.view.broker.logins;
    for counters in [&logins.http, &logins.amqp] {
        counters.succeeded.set(0);
        counters.failed.set(0);
    }
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /reset` and `/reset/:node`: forgets the samples of all numbers. The numbers themselves are the broker's own, and
/// stay.
pub(super) fn reset_samples(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    if request.names.0.contains_key("node") {
        request.view.check_node(&request.names)?;
    }
    request.view.rates.forget_past();
    Ok(ChangeOutcome::Quietly)
}

/// `GET /auth/hash_password/:password`.
pub(super) fn hash_password(_: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let hash = PasswordHash::fresh(names.get("password")?);
    Ok(json!({"ok": STANDARD.encode(hash.as_bytes())}))
}
