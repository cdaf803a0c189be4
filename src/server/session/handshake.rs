//! From the protocol header to `connection.open-ok` (4.2.2, class `connection`).
//!
//! A peer has ten seconds for all of it (RabbitMQ: `handshake_timeout`). A login that fails is told only to
//! clients that can take it (`authentication_failure_close`); others wait three seconds and find the stream
//! closed, as with RabbitMQ, so that passwords cannot be tried fast.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::deliver::Sources;
use super::disk::Disk;
use super::patience::Looks;
use super::routes::Routes;
use super::{Context, Phase, Running, Session, decode_method};
use crate::broker::admin::Admitted;
use crate::broker::compat::Compat;
use crate::broker::deprecated::frame_min_size;
use crate::broker::queue::Millis;
use crate::broker::registry::Agreed;
use crate::broker::trace::Tracer;
use crate::wire::codec::Reader;
use crate::wire::constants::{
    CHANNEL_MAX_DEFAULT, FRAME_HEARTBEAT, FRAME_MAX_DEFAULT, FRAME_METHOD, FRAME_MIN_SIZE,
    PROTOCOL_HEADER,
};
use crate::wire::frame::{self, Frame};
use crate::wire::method::connection;
use crate::wire::shortstr::literal;
use crate::wire::{Fault, FieldTable, FieldValue, Method, ReplyCode, ShortStr, erlang};

/// How long a handshake may take.
const HANDSHAKE_MS: Millis = 10_000;
/// How long a refused peer waits for the end of its stream.
const SILENT_MS: Millis = 3_000;
/// Largest frame before one is agreed on: the specification's minimum, as in RabbitMQ 3; room for a fat table
/// of client properties all the same.
const HANDSHAKE_FRAME_MAX: u32 = 2 * FRAME_MIN_SIZE;

/// Older protocol headers that RabbitMQ takes for 0-9-1: those of 0-8 and 0-9.
const OLDER_HEADERS: [[u8; 8]; 2] = [*b"AMQP\x01\x01\x08\x00", *b"AMQP\x01\x01\x00\x09"];

/// A connection that is not open yet.
#[derive(Debug)]
pub(super) struct Handshake {
    deadline: Millis,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Header,
    StartOk,
    TuneOk(Agreed),
    Open(Agreed),
}

impl Handshake {
    pub(super) fn new(now: Millis) -> Self {
        Self { deadline: now + HANDSHAKE_MS, step: Step::Header }
    }

    pub(super) fn awaits_header(&self) -> bool {
        matches!(self.step, Step::Header)
    }

    pub(super) fn deadline(&self) -> Millis {
        self.deadline
    }

    pub(super) fn frame_max(&self) -> u32 {
        match &self.step {
            Step::Header | Step::StartOk | Step::TuneOk(_) => HANDSHAKE_FRAME_MAX,
            Step::Open(agreed) => agreed.frame_max,
        }
    }
}

impl Session {
    /// Reads the protocol header; answers how many bytes it took, or `None` when more are needed.
    ///
    /// Another protocol gets ours in eight bytes, then the end of the stream.
    pub(super) fn on_header(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let header = bytes.first_chunk::<8>()?;
        if *header != PROTOCOL_HEADER && !OLDER_HEADERS.contains(header) {
            out.extend_from_slice(&PROTOCOL_HEADER);
            self.phase = Phase::Closed;
            return Some(bytes.len());
        }
        out.extend_from_slice(self.cx.broker.greeting.get_or_init(|| start_frame(&self.cx)));
        if let Phase::Handshake(handshake) = &mut self.phase {
            handshake.step = Step::StartOk;
        }
        Some(header.len())
    }

    pub(super) fn on_handshake_frame(
        &mut self,
        frame: Frame<'_>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match (frame.kind, frame.channel) {
            (FRAME_HEARTBEAT, 0) if frame.payload.is_empty() => return Ok(()),
            (FRAME_METHOD, 0) => {}
            (FRAME_METHOD, _) => {
                let text = "a channel was used before connection.open";
                return Err(Fault::new(ReplyCode::ChannelError, text));
            }
            _ => return Err(frame::broken(frame.kind, frame.payload, "unknown_frame")),
        }
        let method = decode_method(frame.payload)?;
        let (class_id, method_id) = method.ids();
        let Phase::Handshake(handshake) = &mut self.phase else { return Ok(()) };
        let step = std::mem::replace(&mut handshake.step, Step::StartOk);
        let next = match (step, method) {
            (Step::StartOk, Method::ConnectionStartOk(start_ok)) => {
                self.on_start_ok(start_ok, now, out)
            }
            (Step::TuneOk(agreed), Method::ConnectionTuneOk(tune_ok)) => {
                on_tune_ok(agreed, &tune_ok, self.cx.broker.compat()).map(Step::Open)
            }
            (Step::Open(agreed), Method::ConnectionOpen(open)) => {
                return self.on_open(&agreed, &open, now, out);
            }
            (_, Method::ConnectionClose(_)) => {
                frame::write_method(out, 0, &connection::CloseOk {}.into());
                self.phase = Phase::Closed;
                return Ok(());
            }
            (step, other) => {
                let state = match step {
                    Step::Header | Step::StartOk => "starting",
                    Step::TuneOk(_) => "tuning",
                    Step::Open(_) => "opening",
                };
                tracing::debug!(method = other.name(), state, "unexpected method");
                let text = format!("unexpected method in connection state {state}");
                Err(Fault::new(ReplyCode::ChannelError, text))
            }
        };
        let next = next.map_err(|fault| match fault.code {
            ReplyCode::AccessRefused => fault,
            _ => fault.in_method(class_id, method_id),
        })?;
        if let Phase::Handshake(handshake) = &mut self.phase {
            handshake.step = next;
        }
        Ok(())
    }

    fn on_start_ok(
        &mut self,
        start_ok: connection::StartOk,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<Step, Fault> {
        let mechanism = start_ok.mechanism;
        let compat = self.cx.broker.compat();
        let login = credentials(&mechanism, start_ok.response.as_bytes(), compat)?;
        let user = self.cx.broker.users.log_in(&login.user, &login.password, self.cx.login_origin);
        let Some(user) = user else {
            let name = String::from_utf8_lossy(&login.user);
            tracing::warn!(user = %name, connection = %self.cx.connection.peer.name, "login refused");
            if !has_capability(&start_ok.client_properties, "authentication_failure_close") {
                self.phase = Phase::Silent { until: now + SILENT_MS };
                return Ok(Step::StartOk);
            }
            let text = format!(
                "Login was refused using authentication mechanism {mechanism}. \
                 For details see the broker logfile."
            );
            return Err(Fault::new(ReplyCode::AccessRefused, text));
        };
        let tune = connection::Tune {
            channel_max: CHANNEL_MAX_DEFAULT,
            frame_max: FRAME_MAX_DEFAULT,
            heartbeat: self.cx.broker.limits.heartbeat_s,
        };
        frame::write_method(out, 0, &tune.into());
        let client_properties = start_ok.client_properties;
        let user = user.name;
        Ok(Step::TuneOk(Agreed { user, mechanism, client_properties, ..Agreed::default() }))
    }

    fn on_open(
        &mut self,
        agreed: &Agreed,
        open: &connection::Open,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Context { broker, connection, .. } = &self.cx;
        let admitted = broker.admit(connection, &open.virtual_host, agreed.clone());
        let Admitted { vhost, rights } = admitted
            .map_err(|fault| fault.in_method(connection::CLASS_ID, connection::Open::METHOD_ID))?;
        let tracer = Tracer {
            node: broker.node.clone(),
            vhost: Arc::clone(&vhost),
            connection: Arc::clone(&connection.peer.name),
            user: agreed.user.clone(),
        };
        self.cx.heartbeat.agree(agreed.heartbeat_s);
        let timeout_ms = self.cx.broker.limits.consumer_timeout_ms;
        self.phase = Phase::Running(Box::new(Running {
            user: agreed.user.clone(),
            routes: Routes::new(Arc::clone(&vhost), Arc::clone(&rights)),
            rights,
            vhost,
            tracer: Arc::new(tracer),
            frame_max: agreed.frame_max,
            channel_max: agreed.channel_max,
            message_bytes_max: self.cx.broker.limits.message_bytes_max,
            wants_cancel_notify: has_capability(
                &agreed.client_properties,
                "consumer_cancel_notify",
            ),
            wants_blocked: has_capability(&agreed.client_properties, "connection.blocked"),
            channels: FxHashMap::default(),
            sources: Sources::default(),
            exclusive: HashMap::new(),
            confirming: Vec::new(),
            gathered: Vec::new(),
            disk: Disk::default(),
            looks: timeout_ms.map(|timeout_ms| Looks::new(timeout_ms, now)),
        }));
        frame::write_method(out, 0, &connection::OpenOk { known_hosts: ShortStr::empty() }.into());
        Ok(())
    }
}

/// Agrees on limits; a client may only lower ours (RabbitMQ: `rabbit_reader:validate_negotiated_integer_value`).
fn on_tune_ok(
    mut agreed: Agreed,
    tune_ok: &connection::TuneOk,
    compat: Compat,
) -> Result<Agreed, Fault> {
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

/// Name and password a client sent.
struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

/// The SASL mechanisms a client may choose from.
fn mechanisms(compat: Compat) -> &'static str {
    if compat.is_3_10() { "PLAIN AMQPLAIN" } else { "PLAIN AMQPLAIN ANONYMOUS" }
}

/// Reads the SASL response of a mechanism.
fn credentials(mechanism: &str, response: &[u8], compat: Compat) -> Result<Credentials, Fault> {
    let read = match mechanism {
        "PLAIN" => plain(response),
        "AMQPLAIN" => amqplain(response),
        "ANONYMOUS" if !compat.is_3_10() => Some(anonymous()),
        other => {
            let text = format!("unknown/invalid authentication mechanism '{other}'");
            return Err(Fault::new(ReplyCode::CommandInvalid, text));
        }
    };
    read.ok_or_else(|| {
        let text = format!("response {} invalid", erlang::binary(response));
        Fault::new(ReplyCode::SyntaxError, text)
    })
}

/// `[authorization identity] NUL user NUL password` (RFC 4616).
fn plain(response: &[u8]) -> Option<Credentials> {
    let mut parts = response.splitn(3, |&byte| byte == 0);
    let (_identity, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Credentials { user: user.to_vec(), password: password.to_vec() })
}

/// Whoever does not say who it is is `guest`, as long as that user has its first password and is let in from there
/// (RabbitMQ 4: `anonymous_login_user`).
fn anonymous() -> Credentials {
    Credentials { user: b"guest".to_vec(), password: b"guest".to_vec() }
}

/// A field table of `LOGIN` and `PASSWORD`, without its length (RabbitMQ: `rabbit_auth_mechanism_amqplain`).
fn amqplain(response: &[u8]) -> Option<Credentials> {
    let len = u32::try_from(response.len()).ok()?;
    let framed = [&len.to_be_bytes()[..], response].concat();
    let table = FieldTable::decode(&mut Reader::new(&framed)).ok()?;
    let bytes = |name: &str| match table.get(name) {
        Some(FieldValue::LongStr(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    };
    Some(Credentials { user: bytes("LOGIN")?, password: bytes("PASSWORD")? })
}

fn has_capability(client_properties: &FieldTable, name: &str) -> bool {
    let Some(FieldValue::Table(capabilities)) = client_properties.get("capabilities") else {
        return false;
    };
    matches!(capabilities.get(name), Some(FieldValue::Bool(true)))
}

/// The first frame of every connection.
fn start_frame(cx: &Context) -> Box<[u8]> {
    let start = connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties: server_properties(cx),
        mechanisms: mechanisms(cx.broker.compat()).into(),
        locales: "en_US".into(),
    };
    let mut bytes = Vec::new();
    frame::write_method(&mut bytes, 0, &start.into());
    bytes.into()
}

fn server_properties(cx: &Context) -> FieldTable {
    let capabilities = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ];
    let capabilities: FieldTable =
        capabilities.into_iter().map(|name| (literal(name), FieldValue::Bool(true))).collect();
    FieldTable::new()
        .with("capabilities", capabilities)
        .with("cluster_name", cx.broker.node.as_str())
        .with("copyright", "Apache-2.0")
        .with("information", "mq, a RabbitMQ-compatible broker")
        .with("platform", "Rust")
        .with("product", "RabbitMQ")
        .with("version", cx.broker.compat().version())
}
