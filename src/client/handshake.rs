//! From the first byte to `connection.open-ok` (2.2.4): login, limits and vhost.

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::{Error, Refusal};
use super::options::Options;
use crate::wire::constants::{
    CHANNEL_MAX_DEFAULT, FRAME_HEARTBEAT, FRAME_MAX_DEFAULT, FRAME_METHOD, FRAME_MIN_SIZE,
    PROTOCOL_HEADER,
};
use crate::wire::fault::FaultLevel;
use crate::wire::method::connection;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, Method, Reader, ShortStr, frame};

/// The limits that both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tuned {
    /// Bytes of the largest frame, framing included; 0 is no limit
    pub(super) frame_max: u32,
    /// Highest channel number
    pub(super) channel_max: u16,
    /// Seconds; 0 is no heartbeats
    pub(super) heartbeat_s: u16,
}

/// The result of the handshake.
#[derive(Debug)]
pub(super) struct HandshakeResult {
    pub(super) server_properties: FieldTable,
    pub(super) tuned: Tuned,
    /// Bytes read and not used yet
    pub(super) inbound: BytesMut,
}

/// Opens a connection on a fresh stream. The caller bounds the time it takes.
pub(super) async fn shake<S>(stream: &mut S, options: &Options) -> Result<HandshakeResult, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut peer = HandshakeStream { stream, inbound: BytesMut::new() };
    let start = peer.greet().await?;
    let tuned = log_in(&mut peer, &start, options).await?;
    Ok(HandshakeResult { server_properties: start.server_properties, tuned, inbound: peer.inbound })
}

/// Asks a broker what it says of itself, which it says to those whom it does not let in, too.
///
/// It is logged in and said goodbye to all the same, because a stream that just ends is worth a warning to a broker.
pub(super) async fn introduced<S>(stream: &mut S, options: &Options) -> Result<FieldTable, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut peer = HandshakeStream { stream, inbound: BytesMut::new() };
    let start = peer.greet().await?;
    if log_in(&mut peer, &start, options).await.is_ok() {
        let close = connection::Close {
            reply_code: 200,
            reply_text: literal("goodbye"),
            ..Default::default()
        };
        peer.send(&[close.into()]).await?;
        while !matches!(peer.method().await?, Method::ConnectionCloseOk(_)) {}
    }
    Ok(start.server_properties)
}

/// From `connection.start` to `connection.open-ok`.
async fn log_in<S>(
    peer: &mut HandshakeStream<'_, S>,
    start: &connection::Start,
    options: &Options,
) -> Result<Tuned, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let offered = start.mechanisms.to_text();
    let (mechanism, response) = options.login.by(&offered);
    if !offered.split(' ').any(|offer| offer == mechanism) {
        let text = format!("ACCESS_REFUSED - it offers no login by {mechanism}, only by {offered}");
        let refusal = Refusal { level: FaultLevel::Connection, code: 403, text, method: (0, 0) };
        return Err(Error::Refused(refusal.into()));
    }
    let start_ok = connection::StartOk {
        client_properties: client_properties(&options.name),
        mechanism: literal(mechanism),
        response,
        locale: literal("en_US"),
    };
    peer.send(&[start_ok.into()]).await?;
    let Method::ConnectionTune(tune) = peer.method().await? else {
        return Err(Error::protocol("connection.start-ok was not answered by connection.tune"));
    };
    let tuned = agree(&tune, options)?;
    let tune_ok = connection::TuneOk {
        channel_max: tuned.channel_max,
        frame_max: tuned.frame_max,
        heartbeat: tuned.heartbeat_s,
    };
    let open = connection::Open { virtual_host: options.vhost.clone(), ..Default::default() };
    peer.send(&[tune_ok.into(), open.into()]).await?;
    let Method::ConnectionOpenOk(_) = peer.method().await? else {
        return Err(Error::protocol("connection.open was not answered by connection.open-ok"));
    };
    Ok(tuned)
}

fn client_properties(name: &ShortStr) -> FieldTable {
    let capabilities = FieldTable::new()
        .with("publisher_confirms", true)
        .with("exchange_exchange_bindings", true)
        .with("basic.nack", true)
        .with("consumer_cancel_notify", true)
        .with("connection.blocked", true)
        .with("authentication_failure_close", true);
    FieldTable::new()
        .with("product", "mq")
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("platform", "Rust")
        .with("connection_name", name.as_str())
        .with("capabilities", capabilities)
}

/// Takes the smaller of what is offered and wanted, where zero is "no limit".
///
/// RabbitMQ takes a client's heartbeat as it is, so one that was asked for is not lowered.
fn agree(offered: &connection::Tune, wanted: &Options) -> Result<Tuned, Error> {
    let frame_max = match (offered.frame_max, wanted.frame_max.unwrap_or(FRAME_MAX_DEFAULT)) {
        (0, wanted) => wanted,
        (offered, 0) => offered,
        (offered, wanted) => offered.min(wanted),
    };
    if frame_max != 0 && frame_max < FRAME_MIN_SIZE {
        return Err(Error::protocol(format!(
            "frames of {frame_max} bytes, below {FRAME_MIN_SIZE}"
        )));
    }
    let channel_max = match (offered.channel_max, wanted.channel_max.unwrap_or(CHANNEL_MAX_DEFAULT))
    {
        (0, 0) => u16::MAX,
        (0, max) | (max, 0) => max,
        (offered, wanted) => offered.min(wanted),
    };
    let heartbeat_s = wanted.heartbeat_s.unwrap_or(offered.heartbeat);
    Ok(Tuned { frame_max, channel_max, heartbeat_s })
}

/// The other side while only channel 0 is spoken.
struct HandshakeStream<'a, S> {
    stream: &'a mut S,
    inbound: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> HandshakeStream<'_, S> {
    /// Says which protocol is meant, and hears who answers.
    async fn greet(&mut self) -> Result<connection::Start, Error> {
        self.write(&PROTOCOL_HEADER).await?;
        match self.method().await? {
            Method::ConnectionStart(start) => Ok(start),
            _ => Err(Error::protocol("the first method is not connection.start")),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.stream.write_all(bytes).await;
        written.map_err(|error| Error::lost(&error))?;
        self.stream.flush().await.map_err(|error| Error::lost(&error))
    }

    async fn send(&mut self, methods: &[Method]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for method in methods {
            frame::write_method(&mut bytes, 0, method);
        }
        self.write(&bytes).await
    }

    /// Reads the next method; a `connection.close` is answered and becomes the error.
    async fn method(&mut self) -> Result<Method, Error> {
        loop {
            if let Some(method) = take_method(&mut self.inbound)? {
                let Method::ConnectionClose(close) = method else { return Ok(method) };
                // The refusal is what matters, whether or not our goodbye still gets out.
                let _ = self.send(&[connection::CloseOk {}.into()]).await;
                return Err(refused(&close));
            }
            match self.stream.read_buf(&mut self.inbound).await {
                Ok(0) => {
                    return Err(Error::Lost { why: "the broker closed the connection".into() });
                }
                Ok(_) => {}
                Err(error) => return Err(Error::lost(&error)),
            }
        }
    }
}

fn take_method(inbound: &mut BytesMut) -> Result<Option<Method>, Error> {
    loop {
        check_dialect(inbound)?;
        let found = frame::parse(inbound, FRAME_MAX_DEFAULT);
        let Some(frame) = found.map_err(|fault| Error::protocol(fault.to_string()))? else {
            return Ok(None);
        };
        let len = frame.encoded_len();
        let method = match frame.kind {
            FRAME_METHOD if frame.channel == 0 => Some(decode_method(frame.payload)?),
            FRAME_HEARTBEAT => None,
            kind => {
                return Err(Error::protocol(format!("a frame of type {kind} in the handshake")));
            }
        };
        inbound.advance(len);
        if method.is_some() {
            return Ok(method);
        }
    }
}

/// Says what answered instead when it is no broker for us.
fn check_dialect(inbound: &[u8]) -> Result<(), Error> {
    if inbound.starts_with(b"AMQP") {
        let [.., major, minor, revision] = inbound else { return Ok(()) };
        let why = format!("it speaks AMQP {major}-{minor}-{revision} and not 0-9-1");
        let hint = "give the port of a broker that speaks AMQP 0-9-1 (usually 5672)".into();
        return Err(Error::Foreign { why, hint });
    }
    if inbound.starts_with(b"HTTP/") {
        let why = "a web server answers at this port".into();
        let hint = "give the broker's AMQP port (usually 5672); the management API's address belongs to --http-url".into();
        return Err(Error::Foreign { why, hint });
    }
    // An alert of TLS: its type, and the version's first byte (RFC 8446, 5.1).
    if inbound.starts_with(&[21, 3]) {
        let why = "the broker speaks TLS at this port".into();
        let hint =
            "write amqps:// instead of amqp://, or give the port without TLS (usually 5672)".into();
        return Err(Error::Foreign { why, hint });
    }
    Ok(())
}

/// Reads the payload of a method frame.
pub(super) fn decode_method(payload: &[u8]) -> Result<Method, Error> {
    let told = |error| Error::protocol(format!("a method that does not decode: {error}"));
    let mut from = Reader::new(payload);
    let class = from.u16().map_err(told)?;
    let method = from.u16().map_err(told)?;
    Method::decode(class, method, from.rest()).map_err(told)
}

/// A `connection.close` as an error.
pub(super) fn refused(close: &connection::Close) -> Error {
    let refusal = Refusal {
        level: FaultLevel::Connection,
        code: close.reply_code,
        text: close.reply_text.to_string(),
        method: (close.class_id, close.method_id),
    };
    Error::Refused(refusal.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_agreed_on_downwards() {
        #[rustfmt::skip]
        let cases = [
            // offered channel_max, frame_max, heartbeat; wanted the same; agreed
            ((2047, 131_072, 60), (None, None, None),               (2047, 131_072, 60)),
            ((0, 0, 0),           (None, None, None),               (2047, 131_072, 0)),
            ((10, 8192, 60),      (Some(20), Some(131_072), Some(5)), (10, 8192, 5)),
            ((0, 0, 60),          (Some(0), Some(0), Some(0)),      (65535, 0, 0)),
        ];
        for (offered, wanted, agreed) in cases {
            let tune = connection::Tune {
                channel_max: offered.0,
                frame_max: offered.1,
                heartbeat: offered.2,
            };
            let options = Options {
                channel_max: wanted.0,
                frame_max: wanted.1,
                heartbeat_s: wanted.2,
                ..Options::default()
            };
            let tuned = agree(&tune, &options).unwrap();
            let got = (tuned.channel_max, tuned.frame_max, tuned.heartbeat_s);
            assert_eq!(got, agreed, "{offered:?} {wanted:?}");
        }
    }
}
