//! `POST /backup`: a copy of the data directory. RabbitMQ has no such call.

use std::error::Error;
use std::path::Path;

use serde_json::json;

use crate::management::change_request::{ChangeOutcome, ChangeRequest};
use crate::management::refusal::Refusal;

/// `POST /backup` with `{"directory": "/path"}`: copies into an empty directory of the broker's machine.
pub(in crate::management) fn back_up(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let body = request.body()?;
    let directory = body.text("directory")?;
    let path = Path::new(directory);
    if !path.is_absolute() {
        let reason = format!("'{directory}' is not an absolute path");
        return Err(Refusal::bad_request(reason));
    }
    let made = request.view.broker.back_up(path).map_err(|error| {
        let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Refusal::bad_request(format!("{error}{source}"))
    })?;
    let waiting: u64 = made.checked.waiting.iter().map(|(_, count)| count).sum();
    Ok(ChangeOutcome::Told(json!({
        "directory": directory,
        "files": made.copied.files,
        "bytes": made.copied.bytes,
        "waiting_messages": waiting,
        "is_sound": made.checked.is_sound(),
    })))
}
