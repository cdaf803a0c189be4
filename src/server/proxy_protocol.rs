//! The PROXY protocol, versions 1 and 2: the first bytes of a connection, by which a proxy says where its client is from.
//!
//! Source: "The PROXY protocol, versions 1 & 2" of its authors. What a header says further (its TLVs) is passed over.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Every header begins so.
const V1_BEGIN: &[u8; 6] = b"PROXY ";
const V2_BEGIN: &[u8; 6] = b"\r\n\r\n\0\r";
/// The rest of the signature of version 2.
const V2_SIGNATURE_REST: &[u8; 6] = b"\nQUIT\n";
/// Longest header of version 1, its line end included.
const V1_BYTES_MAX: usize = 107;
/// Longest header of version 2 behind its length: addresses and room for what else it may say.
const V2_BYTES_MAX: usize = 4096;

/// The two ends of a connection as the proxy has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProxiedEnds {
    pub(super) client: SocketAddr,
    pub(super) broker: SocketAddr,
}

/// Reads a header, and nothing behind it; `None` if the proxy speaks for itself.
///
/// # Errors
///
/// When what comes is no header.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<ProxiedEnds>> {
    let mut begin = [0; 6];
    stream.read_exact(&mut begin).await?;
    match &begin {
        V1_BEGIN => read_v1(stream).await,
        V2_BEGIN => read_v2(stream).await,
        _ => Err(wrong("the connection does not begin with a header of the PROXY protocol")),
    }
}

async fn read_v1(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<ProxiedEnds>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        if line.len() + V1_BEGIN.len() >= V1_BYTES_MAX {
            return Err(wrong("the header of the PROXY protocol is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    let text = std::str::from_utf8(&line).map_err(|_| wrong(BAD))?.trim_end();
    let mut words = text.split(' ');
    if words.next() == Some("UNKNOWN") {
        return Ok(None);
    }
    let (Some(client), Some(broker), Some(client_port), Some(broker_port), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(wrong(BAD));
    };
    let end = |ip: &str, port: &str| {
        let ip: IpAddr = ip.parse().map_err(|_| wrong(BAD))?;
        let port: u16 = port.parse().map_err(|_| wrong(BAD))?;
        Ok::<_, io::Error>(SocketAddr::new(ip, port))
    };
    Ok(Some(ProxiedEnds { client: end(client, client_port)?, broker: end(broker, broker_port)? }))
}

async fn read_v2(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<ProxiedEnds>> {
    let mut rest = [0; 10];
    stream.read_exact(&mut rest).await?;
    let [.., version, family, high, low] = rest;
    if rest[..6] != V2_SIGNATURE_REST[..] || version >> 4 != 2 {
        return Err(wrong(BAD));
    }
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > V2_BYTES_MAX {
        return Err(wrong("the header of the PROXY protocol is too long"));
    }
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    match (version & 0xf, family) {
        // TCP over IPv4 and IPv6.
        (1, 0x11) => Ok(Some(ends_of::<4, Ipv4Addr>(&bytes).ok_or_else(|| wrong(BAD))?)),
        (1, 0x21) => Ok(Some(ends_of::<16, Ipv6Addr>(&bytes).ok_or_else(|| wrong(BAD))?)),
        // LOCAL: the proxy asks for itself; of another family nothing is known here.
        (0 | 1, _) => Ok(None),
        _ => Err(wrong(BAD)),
    }
}

/// Two addresses and two ports.
fn ends_of<const N: usize, Ip: From<[u8; N]> + Into<IpAddr>>(bytes: &[u8]) -> Option<ProxiedEnds> {
    let (client, rest) = bytes.split_first_chunk::<N>()?;
    let (broker, rest) = rest.split_first_chunk::<N>()?;
    let (client_port, rest) = rest.split_first_chunk::<2>()?;
    let (broker_port, _) = rest.split_first_chunk::<2>()?;
    let end =
        |ip: [u8; N], port: [u8; 2]| SocketAddr::new(Ip::from(ip).into(), u16::from_be_bytes(port));
    Some(ProxiedEnds { client: end(*client, *client_port), broker: end(*broker, *broker_port) })
}

const BAD: &str = "the header of the PROXY protocol is not valid";

fn wrong(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    type ReadEnds = Result<Option<ProxiedEnds>, io::ErrorKind>;

    fn read_all(bytes: &[u8]) -> (ReadEnds, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut rest = bytes;
        let read = runtime.block_on(read(&mut rest)).map_err(|error| error.kind());
        (read, rest.len())
    }

    #[test]
    fn headers_of_both_versions_say_where_a_client_is_from() {
        let ends = |client: &str, broker: &str| {
            let (client, broker) = (client.parse().unwrap(), broker.parse().unwrap());
            Ok(Some(ProxiedEnds { client, broker }))
        };
        let v4 = ends("10.1.2.3:4000", "10.0.0.1:5672");
        let v6 = ends("[2001:db8::1]:4000", "[::1]:5672");
        let signature = b"\r\n\r\n\0\r\nQUIT\n";
        let v2 = |rest: &[u8]| [&signature[..], rest].concat();
        let with_tlv = [
            &[0x21, 0x11, 0, 15, 10, 1, 2, 3, 10, 0, 0, 1, 0x0f, 0xa0, 0x16, 0x28][..],
            b"\x04\0\0",
        ]
        .concat();
        let ipv6 = {
            let ip: Ipv6Addr = "2001:db8::1".parse().unwrap();
            let addresses = [&ip.octets()[..], &Ipv6Addr::LOCALHOST.octets()].concat();
            [&[0x21, 0x21, 0, 36][..], &addresses, &[0x0f, 0xa0, 0x16, 0x28]].concat()
        };
        let bad = Err(io::ErrorKind::InvalidData);
        let cut = Err(io::ErrorKind::UnexpectedEof);
        let long = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
        #[rustfmt::skip]
        let cases: Vec<(Vec<u8>, ReadEnds)> = vec![
            (b"PROXY TCP4 10.1.2.3 10.0.0.1 4000 5672\r\n".to_vec(),  v4),
            (b"PROXY TCP6 2001:db8::1 ::1 4000 5672\r\n".to_vec(),    v6),
            (b"PROXY UNKNOWN whatever\r\n".to_vec(),                  Ok(None)),
            (b"PROXY UNKNOWN\r\n".to_vec(),                           Ok(None)),
            (b"PROXY TCP4 10.1.2.3 10.0.0.1 4000\r\n".to_vec(),       bad),
            (b"PROXY TCP4 here there 1 2\r\n".to_vec(),               bad),
            (long,                                                    bad),
            (b"PROXY TCP4 10.1".to_vec(),                             cut),
            (b"AMQP\0\0\x09\x01".to_vec(),                            bad),
            (v2(&with_tlv),                                           v4),
            (v2(&ipv6),                                               v6),
            (v2(&[0x20, 0, 0, 0]),                                    Ok(None)), // LOCAL
            (v2(&[0x21, 0x31, 0, 0]),                                 Ok(None)), // a Unix socket
            (v2(&[0x21, 0x11, 0, 2, 1, 2]),                           bad),
            (v2(&[0x31, 0x11, 0, 0]),                                 bad),
            (v2(&[0x21, 0x11, 0xff, 0xff]),                           bad),
            (v2(&[0x21, 0x11, 0, 12, 1]),                             cut),
        ];
        for (bytes, expected) in cases {
            let followed = [&bytes[..], b"AMQP"].concat();
            let (found, left) = match &expected {
                Err(io::ErrorKind::UnexpectedEof) => read_all(&bytes),
                _ => read_all(&followed),
            };
            assert_eq!(found, expected, "{bytes:?}");
            if found.is_ok() {
                assert_eq!(left, 4, "what is behind the header is left: {bytes:?}");
            }
        }
    }
}
