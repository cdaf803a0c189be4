//! Logins that succeeded and failed, the hashes of passwords, and the reset of counts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::change_request::{ChangeOutcome, ChangeRequest};
use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::auth::PasswordHash;
use crate::broker::login_sources::{LoginSource, SourceLogins};
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

/// `GET /auth/attempts/:node/source`: none are counted by their sources unless somebody has asked for it, as in RabbitMQ.
pub(super) fn by_source(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    view.check_node(names)?;
    let row = |(source, logins): (LoginSource, SourceLogins)| {
        let SourceLogins { succeeded, failed } = logins;
        json!({
            "remote_address": source.address,
            "username": source.user,
            "protocol": source.protocol,
            "auth_attempts": succeeded + failed,
            "auth_attempts_failed": failed,
            "auth_attempts_succeeded": succeeded,
        })
    };
    Ok(view.broker.logins.sources.list().into_iter().map(row).collect())
}

/// `PUT /nodes/:node/auth-attempt-source-tracking`: what `rabbitmq-diagnostics enable_auth_attempt_source_tracking` does.
pub(super) fn track_sources(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.view.check_node(&request.names)?;
    request.view.broker.logins.sources.track(true);
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /nodes/:node/auth-attempt-source-tracking`: what `disable_auth_attempt_source_tracking` does.
pub(super) fn ignore_sources(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.view.check_node(&request.names)?;
    request.view.broker.logins.sources.track(false);
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /auth/attempts/:node` and `.../source`: counts from zero again, for Prometheus too, as in RabbitMQ.
pub(super) fn reset(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.view.check_node(&request.names)?;
    let logins = &request.view.broker.logins;
    for counters in [&logins.http, &logins.amqp] {
        counters.succeeded.set(0);
        counters.failed.set(0);
    }
    logins.sources.reset();
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
