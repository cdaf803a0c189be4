//! Features that RabbitMQ 4.3 has deprecated. They work here by default, and are refused as there with `--compat 4.3`.
//!
//! RabbitMQ: `rabbit_deprecated_features`, those that 4.3 denies by default. A prefetch of the channel is not among
//! them here: it is no error there, but taken for one of each consumer (`basic.qos`).

use super::compat::{Compat, Feature};
use crate::wire::constants::FRAME_MIN_SIZE;
use crate::wire::{Fault, ReplyCode};

/// Smallest `frame_max` that RabbitMQ has taken since 4.1, in bytes.
const FRAME_MIN_SIZE_STRICT: u32 = 8192;

/// Smallest `frame_max` a client may ask for, in bytes; the specification's unless the strictness of 4.3 is wanted, so
/// that older clients still connect.
pub fn frame_min_size(compat: Compat) -> u32 {
    if compat.is_strict() { FRAME_MIN_SIZE_STRICT } else { FRAME_MIN_SIZE }
}

/// Refuses a feature that is not permitted.
///
/// # Errors
///
/// `INTERNAL_ERROR` with RabbitMQ's warning, as much of it as fits.
pub(super) fn check(feature: Feature, compat: Compat) -> Result<(), Fault> {
    if compat.permits(feature) { Ok(()) } else { Err(denied(feature.name())) }
}

fn denied(feature: &str) -> Fault {
    let text = format!(
        "Feature `{feature}` is deprecated.\nBy default, this feature is not permitted anymore.\nThe feature will be \
         removed from a future major RabbitMQ version, regardless of the configuration; actual version to be \
         determined.\nTo continue using this feature when it is not permitted by default, set the following \
         parameter in your configuration:\n    \"deprecated_features.permit.{feature} = true\""
    );
    Fault::new(ReplyCode::InternalError, text)
}
