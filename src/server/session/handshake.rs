//! A connection that is not open yet: its steps, and the limits that both sides agree on (4.2.2).

use crate::broker::compat::Compat;
use crate::broker::deprecated::frame_min_size;
use crate::broker::node_limits::NodeLimits;
use crate::broker::registry::NegotiatedParameters;
use crate::broker::time::Millis;
use crate::wire::method::connection;
use crate::wire::{Fault, ReplyCode};

/// A connection that is not open yet.
#[derive(Debug)]
pub(super) struct Handshake {
    /// `Millis::MAX` if there is none.
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
    pub(super) fn new(now: Millis, limits: &NodeLimits) -> Self {
        let deadline = now.saturating_add(limits.handshake_ms.unwrap_or(Millis::MAX));
        Self { deadline, step: HandshakeStep::Header }
    }

    pub(super) fn awaits_header(&self) -> bool {
        matches!(self.step, HandshakeStep::Header)
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        (self.deadline != Millis::MAX).then_some(self.deadline)
    }

    /// The largest frame; `limits` are the node's.
    pub(super) fn frame_max(&self, limits: &NodeLimits) -> u32 {
        match &self.step {
            HandshakeStep::Header | HandshakeStep::StartOk | HandshakeStep::TuneOk(_) => {
                limits.handshake_frame_bytes_max
            }
            HandshakeStep::Open(agreed) => agreed.frame_max,
        }
    }
}

/// Agrees on limits; a client may only lower ours (RabbitMQ: `rabbit_reader:validate_negotiated_integer_value`).
pub(super) fn agree_on(
    mut agreed: NegotiatedParameters,
    tune_ok: &connection::TuneOk,
    offered: &NodeLimits,
    compat: Compat,
) -> Result<NegotiatedParameters, Fault> {
    check_limit("frame_max", tune_ok.frame_max, frame_min_size(compat), offered.frame_bytes_max)?;
    let most = u32::from(offered.channels_per_connection_max);
    check_limit("channel_max", u32::from(tune_ok.channel_max), 1, most)?;
    agreed.frame_max = tune_ok.frame_max;
    // Neither side has a limit then.
    agreed.channel_max = if tune_ok.channel_max == 0 { u16::MAX } else { tune_ok.channel_max };
    agreed.heartbeat_s = tune_ok.heartbeat;
    Ok(agreed)
}

/// Checks that a client lowers a limit or takes it as it is; a limit of 0 is none.
fn check_limit(name: &str, asked: u32, least: u32, most: u32) -> Result<(), Fault> {
    if most == 0 && (asked == 0 || asked >= least) {
        return Ok(());
    }
    let refuse = |why: String| Err(Fault::new(ReplyCode::NotAllowed, why));
    if most > 0 && (asked == 0 || asked > most) {
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
