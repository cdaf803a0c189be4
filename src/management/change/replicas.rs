//! Replicas of quorum queues and streams: the one node has them all.

use crate::management::change_request::{ChangeOutcome, ChangeRequest};
use crate::management::refusal::Refusal;

/// `POST /queues/quorum/:vhost/:queue/replicas/add`: the node has a replica already.
pub(in crate::management) fn add(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    check_member(request)?;
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /queues/quorum/:vhost/:queue/replicas/delete`: the last replica stays.
pub(in crate::management) fn delete(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    check_member(request)?;
    Err(Refusal::Unavailable { reason: "last_node" })
}

/// Checks that the queue of the path is there, and that the body names our node.
fn check_member(request: &ChangeRequest<'_>) -> Result<(), Refusal> {
    let (vhost, _) = request.inside()?;
    if vhost.find_queue(&request.name("queue")?).is_none() {
        return Err(Refusal::NotFound);
    }
    if request.body()?.text("node")? != request.view.node() {
        return Err(Refusal::bad_request("Node is not a cluster member"));
    }
    Ok(())
}

/// `POST /queues/quorum/replicas/on/:node/grow`: every queue has a replica there already.
pub(in crate::management) fn grow(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.view.check_node(&request.names)?;
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /queues/quorum/replicas/on/:node/shrink`: the last replica of every queue stays.
pub(in crate::management) fn shrink(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.view.check_node(&request.names)?;
    Ok(ChangeOutcome::Accepted)
}
