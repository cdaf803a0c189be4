//! The end and the reset of the node, for which RabbitMQ's API has no calls.

use crate::management::change_request::{ChangeOutcome, ChangeRequest};
use crate::management::refusal::Refusal;

/// RabbitMQ's words for a command that needs a node whose clients are gone.
const NOT_STOPPED: &str = "this command requires the 'rabbit' app to be stopped on the target node. Stop it with 'rabbitmqctl stop_app'.";

/// `POST /nodes/:node/stop`: what `rabbitmqctl stop` does. The answer comes first.
pub(in crate::management) fn stop(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.view.check_node(&request.names)?;
    if request.view.server.process.stop.ask() {
        Ok(ChangeOutcome::Accepted)
    } else {
        Err(Refusal::Unavailable { reason: "it ends with the command that runs it" })
    }
}

/// `POST /nodes/:node/reset`: what `rabbitmqctl reset` does, on a node in maintenance.
pub(in crate::management) fn reset(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.view.check_node(&request.names)?;
    let server = request.view.server;
    if !server.maintenance.is_on() {
        return Err(Refusal::Protected { reason: NOT_STOPPED.to_owned() });
    }
    tracing::warn!(user = %request.view.user.name, "this node is reset: everything in it is deleted");
    server.process.reset.reset().map_err(Refusal::bad_request)?;
    Ok(ChangeOutcome::Quietly)
}
