//! A connection that is not open yet: its steps, and the limits that both sides agree on (4.2.2).

use crate::broker::compat::Compat;
use crate::broker::deprecated::frame_min_size;
use crate::broker::registry::NegotiatedParameters;
use crate::broker::time::Millis;
use crate::wire::constants::{CHANNEL_MAX_DEFAULT, FRAME_MAX_DEFAULT, FRAME_MIN_SIZE};
use crate::wire::method::connection;
use crate::wire::{Fault, ReplyCode};

/// Milliseconds that a handshake may take (RabbitMQ: `handshake_timeout`).
const HANDSHAKE_MS: Millis = 10_000;
/// Largest frame before one is agreed on: the specification's minimum, as in RabbitMQ 3; room for a fat table
/// of client properties all the same.
const HANDSHAKE_FRAME_MAX: u32 = 2 * FRAME_MIN_SIZE;

/// A connection that is not open yet.
#[derive(Debug)]
pub(super) struct Handshake {
    deadline: Millis,
    pub(super) step: HandshakeStep,
}

/// The message that the client sends next.
///
/// ```text
/// Header --protocol header--> StartOk --start-ok--> TuneOk --tune-ok--> Open --open--> (Phase::Running)
/// ```
///
/// Each step has what was agreed on before it.
#[derive(Debug)]
pub(super) enum HandshakeStep {
    Header,
    StartOk,
    TuneOk(NegotiatedParameters),
    Open(NegotiatedParameters),
}

impl Handshake {
    pub(super) fn new(now: Millis) -> Self {
        Self { deadline: now + HANDSHAKE_MS, step: HandshakeStep::Header }
    }

    pub(super) fn awaits_header(&self) -> bool {
        matches!(self.step, HandshakeStep::Header)
    }

    pub(super) fn deadline(&self) -> Millis {
        self.deadline
    }

    pub(super) fn frame_max(&self) -> u32 {
        match &self.step {
            HandshakeStep::Header | HandshakeStep::StartOk | HandshakeStep::TuneOk(_) => {
                HANDSHAKE_FRAME_MAX
            }
            HandshakeStep::Open(agreed) => agreed.frame_max,
        }
    }
}

/// Agrees on limits; a client may only lower ours (RabbitMQ: `rabbit_reader:validate_negotiated_integer_value`).
pub(super) fn agree_on(
    mut agreed: NegotiatedParameters,
    tune_ok: &connection::TuneOk,
    compat: Compat,
) -> Result<NegotiatedParameters, Fault> {
    check_limit("frame_max", tune_ok.frame_max, frame_min_size(compat), FRAME_MAX_DEFAULT)?;
    check_limit("channel_max", u32::from(tune_ok.channel_max), 1, u32::from(CHANNEL_MAX_DEFAULT))?;
    agreed.frame_max = tune_ok.frame_max;
    agreed.channel_max = tune_ok.channel_max;
    agreed.heartbeat_s = tune_ok.heartbeat;
    Ok(agreed)
}

fn check_limit(name: &str, asked: u32, least: u32, most: u32) -> Result<(), Fault> {
    let refuse = |why: String| Err(Fault::new(ReplyCode::NotAllowed, why));
    if asked == 0 || asked > most {
        let no_limit = if asked == 0 { " (no limit)" } else { "" };
        return refuse(format!(
            "negotiated {name} = {asked}{no_limit} is higher than the maximum allowed value ({most})"
        ));
    }
    if asked < least {
        return refuse(format!(
            "negotiated {name} = {asked} is lower than the minimum allowed value ({least})"
        ));
    }
    Ok(())
}
