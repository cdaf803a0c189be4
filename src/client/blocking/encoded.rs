//! Publishes that are encoded once and sent many times, with a few bytes of each changed.
//!
//! Small ones stand one behind the other in a ring, so that one write takes many. Large ones would need much memory
//! for many routes: of them the body is there once, and what stands in front of it is put there for each route.

use std::ops::Range;

use super::CHANNEL;
use crate::wire::constants::{FRAME_METHOD, FRAME_OVERHEAD, FRAME_PREFIX};
use crate::wire::method::basic;
use crate::wire::{Properties, ShortStr, frame};

/// Bytes that are written at once: below what a socket's buffer takes, and enough that the system call costs nothing.
const WRITE_BYTES: usize = 64 << 10;

/// The address of a message, exchange and routing key, and its properties.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    pub exchange: ShortStr,
    pub routing_key: ShortStr,
    pub properties: Properties,
}

/// Encoded publishes, each to the next of some envelopes in turn.
#[derive(Debug)]
pub struct EncodedPublishes {
    bytes: Vec<u8>,
    shape: EncodedShape,
    envelopes: usize,
    /// The next publish
    position: usize,
}

#[derive(Debug)]
enum EncodedShape {
    /// The ends of all publishes, and the places of their bodies, as far as the first frame has them.
    Ring { ends: Vec<PublishEnd>, batch: usize },
    /// The bytes in front of the body, for each envelope; the body begins at `gap`, its first byte at `body`.
    Single { fronts: Vec<Vec<u8>>, gap: usize, body: Range<usize> },
}

#[derive(Debug)]
struct PublishEnd {
    end: usize,
    body: Range<usize>,
}

impl EncodedPublishes {
    /// Encodes publishes of `body` to each of the envelopes, of which there is one at least.
    pub fn new(envelopes: &[Envelope], body: &[u8], frame_max: u32) -> Self {
        assert!(!envelopes.is_empty(), "a publish goes somewhere");
        let mut bytes = Vec::new();
        let shape = if body.len() > WRITE_BYTES {
            single(&mut bytes, envelopes, body, frame_max)
        } else {
            ring(&mut bytes, envelopes, body, frame_max)
        };
        Self { bytes, shape, envelopes: envelopes.len(), position: 0 }
    }

    /// Returns the number of publishes that one write takes.
    pub fn batch(&self) -> usize {
        match &self.shape {
            EncodedShape::Ring { batch, .. } => *batch,
            EncodedShape::Single { .. } => 1,
        }
    }

    /// The bytes of up to `most` publishes, and how many they are; `patch` is given the place of each one's envelope
    /// and its body, as far as the first frame has it.
    ///
    /// Cost: what `patch` costs for each publish; nothing is copied unless the body is large.
    #[inline]
    pub fn take(&mut self, most: usize, mut patch: impl FnMut(usize, &mut [u8])) -> (&[u8], usize) {
        let first = self.position;
        match &self.shape {
            EncodedShape::Ring { ends, batch } => {
                let last = ends.len().min(first + most.min(*batch));
                for (at, mark) in ends[first..last].iter().enumerate() {
                    patch((first + at) % self.envelopes, &mut self.bytes[mark.body.clone()]);
                }
                let begin = if first == 0 { 0 } else { ends[first - 1].end };
                let end = ends[last - 1].end;
                self.position = if last == ends.len() { 0 } else { last };
                (&self.bytes[begin..end], last - first)
            }
            EncodedShape::Single { fronts, gap, body } => {
                let front = &fronts[first];
                let begin = gap - front.len();
                self.bytes[begin..*gap].copy_from_slice(front);
                patch(first, &mut self.bytes[body.clone()]);
                self.position = if first + 1 == fronts.len() { 0 } else { first + 1 };
                (&self.bytes[begin..], 1)
            }
        }
    }
}

/// Appends what stands in front of a body, and the body's frames; answers where the body begins.
fn encode(bytes: &mut Vec<u8>, envelope: &Envelope, body: &[u8], frame_max: u32) -> Range<usize> {
    let publish = basic::Publish {
        exchange: envelope.exchange.clone(),
        routing_key: envelope.routing_key.clone(),
        ..basic::Publish::default()
    };
    frame::write_with(bytes, FRAME_METHOD, CHANNEL, |to| publish.write(to));
    let header_at = bytes.len();
    frame::write_content(bytes, CHANNEL, &envelope.properties.to_bytes(), body, frame_max);
    let header = frame::parse(&bytes[header_at..], 0).ok().flatten();
    let header_len = header.map_or(0, |header| header.encoded_len());
    if body.is_empty() {
        return bytes.len()..bytes.len();
    }
    let body_at = header_at + header_len + FRAME_PREFIX;
    let most = if frame_max == 0 { usize::MAX } else { frame_max as usize - FRAME_OVERHEAD };
    body_at..body_at + body.len().min(most)
}

fn ring(bytes: &mut Vec<u8>, envelopes: &[Envelope], body: &[u8], frame_max: u32) -> EncodedShape {
    let mut ends = Vec::new();
    loop {
        let before = bytes.len();
        for envelope in envelopes {
            let body = encode(bytes, envelope, body, frame_max);
            ends.push(PublishEnd { end: bytes.len(), body });
        }
        if bytes.len() + (bytes.len() - before) > WRITE_BYTES {
            break;
        }
    }
    // Writes of one size go round the ring: a small rest at its end would cost as much as a whole one.
    let writes = bytes.len().div_ceil(WRITE_BYTES);
    let batch = ends.len().div_ceil(writes);
    EncodedShape::Ring { ends, batch }
}

fn single(
    bytes: &mut Vec<u8>,
    envelopes: &[Envelope],
    body: &[u8],
    frame_max: u32,
) -> EncodedShape {
    let mut whole = Vec::new();
    let mut fronts = Vec::new();
    let mut body_len = 0;
    for envelope in envelopes {
        whole.clear();
        let range = encode(&mut whole, envelope, body, frame_max);
        fronts.push(whole[..range.start - FRAME_PREFIX].to_vec());
        body_len = range.len();
    }
    let last = fronts.last().map_or(0, Vec::len);
    let gap = fronts.iter().map(Vec::len).max().unwrap_or(0);
    bytes.resize(gap, 0);
    bytes.extend_from_slice(&whole[last..]);
    EncodedShape::Single { fronts, gap, body: gap + FRAME_PREFIX..gap + FRAME_PREFIX + body_len }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::content::ContentHeader;
    use crate::wire::shortstr::literal;
    use crate::wire::{Method, Reader};

    fn envelopes(keys: &[&'static str]) -> Vec<Envelope> {
        let envelope = |key| Envelope { routing_key: literal(key), ..Envelope::default() };
        keys.iter().map(|key| envelope(*key)).collect()
    }

    /// The routing key and the body of each publish in `bytes`.
    fn read(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let (mut found, mut left) = (Vec::new(), 0);
        while let Some(frame) = frame::parse(bytes, 0).unwrap() {
            bytes = &bytes[frame.encoded_len()..];
            match frame.kind {
                1 => {
                    let mut from = Reader::new(frame.payload);
                    let (class, method) = (from.u16().unwrap(), from.u16().unwrap());
                    let Ok(Method::BasicPublish(publish)) =
                        Method::decode(class, method, from.rest())
                    else {
                        panic!("{class} {method}")
                    };
                    assert_eq!(left, 0);
                    found.push((publish.routing_key.to_string(), Vec::new()));
                }
                2 => left = ContentHeader::decode(frame.payload).unwrap().body_size,
                _ => {
                    left -= frame.payload.len() as u64;
                    found.last_mut().unwrap().1.extend_from_slice(frame.payload);
                }
            }
        }
        assert_eq!((bytes.len(), left), (0, 0));
        found
    }

    #[test]
    fn publishes_go_round_the_envelopes_and_are_patched() {
        // Many in a ring, one with a body in several frames, one with none.
        for (len, frame_max) in [(9, 4096), (5000, 4096), (100_000, 131_072), (300_000, 4096)] {
            let mut encoded =
                EncodedPublishes::new(&envelopes(&["a", "bb", "ccc"]), &vec![7; len], frame_max);
            let mut next = 0_u8;
            let mut seen = Vec::new();
            while seen.len() < 200 {
                let (bytes, count) = encoded.take(5, |_, body| {
                    body[0] = next;
                    next = next.wrapping_add(1);
                });
                let publishes = read(bytes);
                assert_eq!(publishes.len(), count, "{len}");
                seen.extend(publishes);
            }
            for (at, (key, body)) in seen.iter().enumerate() {
                assert_eq!(key, ["a", "bb", "ccc"][at % 3], "{len} {at}");
                assert_eq!(body.len(), len);
                assert_eq!(usize::from(body[0]), at % 256, "{len}");
                assert!(body[1..].iter().all(|byte| *byte == 7), "{len}");
            }
        }
    }

    #[test]
    fn a_write_takes_many_small_publishes_and_one_large() {
        let batch = |len| EncodedPublishes::new(&envelopes(&["a"]), &vec![0; len], 131_072).batch();
        assert!(batch(0) > 500 && batch(100) > 300, "{} {}", batch(0), batch(100));
        assert_eq!((batch(40_000), batch(1 << 20)), (1, 1));
        // No write is much smaller than the others.
        for envelopes in [&envelopes(&["a"]), &envelopes(&["a"; 1000])] {
            let mut encoded = EncodedPublishes::new(envelopes, &[0; 1024], 131_072);
            let counts: Vec<usize> =
                (0..100).map(|_| encoded.take(usize::MAX, |_, _| ()).1).collect();
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(*least > 50 && most - least < 10, "{least} {most}");
        }
        let mut empty = EncodedPublishes::new(&envelopes(&["a"]), &[], 4096);
        let (bytes, count) = empty.take(3, |_, body| assert!(body.is_empty()));
        assert_eq!((read(bytes).len(), count), (3, 3));
    }
}
