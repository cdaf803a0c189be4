//! From the protocol header to `connection.open-ok` (4.2.2, class `connection`).
//!
//! A peer has limited time for all of it (RabbitMQ: `handshake_timeout`). A client is told of a failed login only if it
//! has the capability `authentication_failure_close`; others wait three seconds and find the stream closed, as with
//! RabbitMQ, so that passwords cannot be tried fast.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::consumers::Consumers;
use super::handshake::{HandshakeStep, agree_on};
use super::login::{Claim, mechanisms};
use super::overdue::NextCheck;
use super::payload::decode_method;
use super::round::Round;
use super::state::{CLOSING_MS, Context, Phase, Running, SILENT_MS, Session};
use super::waits::Waits;
use crate::broker::admin::Admitted;
use crate::broker::auth::Origin as LoginOrigin;
use crate::broker::login_sources::LoginSource;
use crate::broker::registry::{Connection, NegotiatedParameters};
use crate::broker::time::Millis;
use crate::wire::constants::{FRAME_HEARTBEAT, FRAME_METHOD, PROTOCOL_HEADER};
use crate::wire::frame::{self, Frame};
use crate::wire::method::connection;
use crate::wire::shortstr::literal;
use crate::wire::{Fault, FieldTable, FieldValue, Method, ReplyCode, ShortStr};

/// Older protocol headers that RabbitMQ takes for 0-9-1: those of 0-8 and 0-9.
const OLDER_HEADERS: [[u8; 8]; 2] = [*b"AMQP\x01\x01\x08\x00", *b"AMQP\x01\x01\x00\x09"];

impl Session {
    /// Reads the protocol header; answers how many bytes it took, or `None` when more are needed.
    ///
    /// Another protocol gets ours in eight bytes, then the end of the stream.
    pub(super) fn on_header(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let header = bytes.first_chunk::<8>()?;
        if *header != PROTOCOL_HEADER && !OLDER_HEADERS.contains(header) {
            out.extend_from_slice(&PROTOCOL_HEADER);
            self.ends_because(refused_header(*header));
            self.phase = Phase::Closed;
            return Some(bytes.len());
        }
        let Context { broker, connection, .. } = &self.cx;
        let greeting = match self.cx.login_origin {
            LoginOrigin::Owner => &broker.greetings[2],
            LoginOrigin::Local | LoginOrigin::Remote => {
                &broker.greetings[usize::from(connection.peer.is_tls)]
            }
        };
        out.extend_from_slice(greeting.get_or_init(|| start_frame(&self.cx)));
        if let Phase::Handshake(handshake) = &mut self.phase {
            handshake.step = HandshakeStep::StartOk;
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
        let step = std::mem::replace(&mut handshake.step, HandshakeStep::StartOk);
        let next = match (step, method) {
            (HandshakeStep::StartOk, Method::ConnectionStartOk(start_ok)) => {
                self.on_start_ok(start_ok, now, out)
            }
            (HandshakeStep::TuneOk(agreed), Method::ConnectionTuneOk(tune_ok)) => {
                let offered = self.cx.broker.limits.get();
                agree_on(agreed, &tune_ok, &offered, self.cx.broker.compat())
                    .map(HandshakeStep::Open)
            }
            (HandshakeStep::Open(agreed), Method::ConnectionOpen(open)) => {
                return self.on_open(&agreed, &open, now, out);
            }
            (_, Method::ConnectionClose(_)) => {
                frame::write_method(out, 0, &connection::CloseOk {}.into());
                self.ends_because("closed by the client in its handshake");
                self.phase = Phase::Silent { until: now + CLOSING_MS };
                return Ok(());
            }
            (step, other) => {
                let state = match step {
                    HandshakeStep::Header | HandshakeStep::StartOk => "starting",
                    HandshakeStep::TuneOk(_) => "tuning",
                    HandshakeStep::Open(_) => "opening",
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
    ) -> Result<HandshakeStep, Fault> {
        let mechanism = start_ok.mechanism;
        let claim = Claim::read(&self.cx, &mechanism, start_ok.response.as_bytes())?;
        let logins = &self.cx.broker.logins.amqp;
        let sources = &self.cx.broker.logins.sources;
        let address = &self.cx.connection.peer.peer_host;
        let source = |user: &str| {
            let (address, user) = (address.to_string(), user.to_owned());
            LoginSource { address, user, protocol: "amqp091" }
        };
        let Some(user) = claim.log_in(&self.cx) else {
            logins.failed.add(1);
            let (name, reason) = claim.why_refused(&self.cx);
            sources.count(|| source(&name), false);
            let connection = &*self.cx.connection.peer.name;
            tracing::warn!(connection, user = ?name, %mechanism, reason, "login refused");
            self.ends_because("login refused");
            if !has_capability(&start_ok.client_properties, "authentication_failure_close") {
                self.phase = Phase::Silent { until: now + SILENT_MS };
                return Ok(HandshakeStep::StartOk);
            }
            let text = format!(
                "Login was refused using authentication mechanism {mechanism}. \
                 For details see the broker logfile."
            );
            return Err(Fault::new(ReplyCode::AccessRefused, text));
        };
        logins.succeeded.add(1);
        sources.count(|| source(&user.name), true);
        let limits = self.cx.broker.limits.get();
        let tune = connection::Tune {
            channel_max: limits.channels_per_connection_max,
            frame_max: limits.frame_bytes_max,
            heartbeat: limits.heartbeat_s,
        };
        frame::write_method(out, 0, &tune.into());
        let client_properties = start_ok.client_properties;
        let user = user.name;
        Ok(HandshakeStep::TuneOk(NegotiatedParameters {
            user,
            mechanism,
            client_properties,
            ..NegotiatedParameters::default()
        }))
    }

    fn on_open(
        &mut self,
        agreed: &NegotiatedParameters,
        open: &connection::Open,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Context { broker, connection, .. } = &self.cx;
        let admitted = broker.admit(connection, &open.virtual_host, agreed.clone());
        let Admitted { vhost, rights } = admitted
            .map_err(|fault| fault.in_method(connection::CLASS_ID, connection::Open::METHOD_ID))?;
        let publisher = broker.publisher(
            Arc::clone(&vhost),
            Arc::clone(&rights),
            agreed.user.clone(),
            Arc::clone(&connection.peer.name),
        );
        log_opened(connection, agreed);
        self.cx.heartbeat.agree(agreed.heartbeat_s);
        let limits = self.cx.broker.limits.get();
        let timeout_ms = limits.consumer_timeout_ms;
        self.phase = Phase::Running(Box::new(Running {
            user: agreed.user.clone(),
            publisher,
            rights,
            vhost,
            frame_max: agreed.frame_max,
            channel_max: agreed.channel_max,
            message_bytes_max: limits.message_bytes_max,
            wants_cancel_notify: has_capability(
                &agreed.client_properties,
                "consumer_cancel_notify",
            ),
            wants_blocked: has_capability(&agreed.client_properties, "connection.blocked"),
            channels: FxHashMap::default(),
            consumers: Consumers::default(),
            exclusive: None,
            round: Round::default(),
            waits: Waits::default(),
            next_check: timeout_ms.map(|timeout_ms| NextCheck::new(timeout_ms, now)),
        }));
        frame::write_method(out, 0, &connection::OpenOk { known_hosts: ShortStr::empty() }.into());
        Ok(())
    }
}

/// Logs the user and the client of an open connection. Properties of the client are quoted: they may hold any bytes.
fn log_opened(connection: &Connection, agreed: &NegotiatedParameters) {
    let said = |name: &str| agreed.client_properties.get(name).and_then(FieldValue::as_str);
    let client = [said("product"), said("version")].into_iter().flatten().collect::<Vec<_>>();
    let vhost = connection.agreed().map(|agreed| agreed.vhost.to_string()).unwrap_or_default();
    tracing::info!(
        connection = &*connection.peer.name,
        user = %agreed.user,
        vhost = ?vhost,
        client = ?client.join(" "),
        name = ?said("connection_name").unwrap_or_default(),
        heartbeat_s = agreed.heartbeat_s,
        "connection authenticated"
    );
}

/// The reason to refuse a client, by its first eight bytes.
fn refused_header(header: [u8; 8]) -> String {
    // A TLS record of a handshake: its type, and the version's first byte (RFC 8446, 5.1).
    if header.starts_with(&[22, 3]) {
        return "the client speaks TLS, and this address takes AMQP without TLS: let it connect to an address of \
                --tls-listen, or use amqp:// instead of amqps://"
            .to_owned();
    }
    if let [b'A', b'M', b'Q', b'P', _, major, minor, revision] = header {
        return format!(
            "the client speaks AMQP {major}-{minor}-{revision}, and this broker AMQP 0-9-1 only"
        );
    }
    if ["GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "OPTIONS "].iter().any(|verb| {
        let verb = verb.as_bytes();
        header.starts_with(&verb[..verb.len().min(header.len())])
    }) {
        return "the client speaks HTTP, and this address takes AMQP: the management API has its own (--http)"
            .to_owned();
    }
    format!("the client does not speak AMQP: its first bytes are '{}'", header.escape_ascii())
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
        mechanisms: mechanisms(cx).into(),
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
    let mut mq = FieldTable::new().with("instance", cx.broker.instance.as_str());
    if let Some(address) = cx.broker.management.get() {
        mq = mq.with("management", address.to_string().as_str());
    }
    FieldTable::new()
        .with("capabilities", capabilities)
        .with("cluster_name", cx.broker.cluster_name().as_str())
        .with("copyright", "Apache-2.0")
        .with("information", "mq, a RabbitMQ-compatible broker")
        .with("mq", mq)
        .with("platform", cx.broker.compat().platform())
        .with("product", "RabbitMQ")
        .with("version", cx.broker.compat().version())
}
