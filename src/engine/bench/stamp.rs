//! The head of a message's body, by which the bench knows the message, and the pattern behind it.
//!
//! ```text
//! 0          8           12       16         24       32
//! | stamp ns | publisher | queue  | sequence | check  | a pattern that is the publisher's own
//! ```
//!
//! All numbers are little-endian. The stamp alone is written where nothing is verified, as far as the body has room.

/// Bytes of the stamp.
pub(super) const STAMP_BYTES: usize = 8;
/// Bytes in front of the pattern.
pub(super) const HEAD_BYTES: usize = 32;
/// The pattern repeats after so many bytes, a prime number: no frame or page size hides a shift.
const PERIOD: usize = 251;
/// The queue of a message that goes to every queue.
pub(super) const EVERY_QUEUE: u32 = u32::MAX;

/// The identity of a message of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageIdentity {
    pub(super) publisher: u32,
    /// The place of the queue it was sent to, or [`EVERY_QUEUE`]
    pub(super) queue: u32,
    /// From 0 on, of this publisher to this queue
    pub(super) sequence: u64,
}

impl MessageIdentity {
    /// A number that another message, or a head of which a part is another's, hardly has.
    fn check(self, stamp_ns: u64) -> u64 {
        let ends = u64::from(self.publisher) << 32 | u64::from(self.queue);
        let mut mixed = 0x9E37_79B9_7F4A_7C15_u64;
        for word in [stamp_ns, ends, self.sequence] {
            mixed = (mixed ^ word).wrapping_mul(0xFF51_AFD7_ED55_8CCD).rotate_left(29);
        }
        mixed
    }
}

/// Writes the stamp, when there is room for it.
#[inline]
pub(super) fn write_stamp(body: &mut [u8], stamp_ns: u64) {
    if let Some(place) = body.first_chunk_mut::<STAMP_BYTES>() {
        *place = stamp_ns.to_le_bytes();
    }
}

/// The stamp, when there is one.
#[inline]
pub(super) fn read_stamp(body: &[u8]) -> Option<u64> {
    body.first_chunk::<STAMP_BYTES>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Writes the head; a body that is verified has room for it.
#[inline]
pub(super) fn write_head(body: &mut [u8], stamp_ns: u64, identity: MessageIdentity) {
    let Some(head) = body.first_chunk_mut::<HEAD_BYTES>() else { return };
    head[..8].copy_from_slice(&stamp_ns.to_le_bytes());
    head[8..12].copy_from_slice(&identity.publisher.to_le_bytes());
    head[12..16].copy_from_slice(&identity.queue.to_le_bytes());
    head[16..24].copy_from_slice(&identity.sequence.to_le_bytes());
    head[24..].copy_from_slice(&identity.check(stamp_ns).to_le_bytes());
}

/// Reads the identity of a message; `None` if it is not as it was sent.
pub(super) fn read_head(body: &[u8]) -> Option<MessageIdentity> {
    let head = body.first_chunk::<HEAD_BYTES>()?;
    let [four, next] = [8, 12].map(|at| head[at..].first_chunk::<4>());
    let [sequence, check] = [16, 24].map(|at| head[at..].first_chunk::<8>());
    let identity = MessageIdentity {
        publisher: u32::from_le_bytes(*four?),
        queue: u32::from_le_bytes(*next?),
        sequence: u64::from_le_bytes(*sequence?),
    };
    let is_whole = u64::from_le_bytes(*check?) == identity.check(read_stamp(body)?);
    is_whole.then_some(identity)
}

/// Bodies as they are sent.
#[derive(Debug)]
pub(super) struct BodyPattern {
    bytes: Vec<u8>,
    len: usize,
}

impl BodyPattern {
    /// Of bodies of `len` bytes.
    pub(super) fn new(len: usize) -> Self {
        let byte = |at: usize| u8::try_from(at % PERIOD).unwrap_or_default();
        Self { bytes: (0..len + PERIOD).map(byte).collect(), len }
    }

    /// The body of a publisher, its head still to be written.
    pub(super) fn body(&self, publisher: u32) -> &[u8] {
        let shift = publisher as usize % PERIOD;
        &self.bytes[shift..shift + self.len]
    }

    /// True if a body is as its publisher sent it; the head is not compared.
    pub(super) fn is_whole(&self, body: &[u8], publisher: u32) -> bool {
        let sent = self.body(publisher);
        body.len() == sent.len() && body.get(HEAD_BYTES..) == sent.get(HEAD_BYTES..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: MessageIdentity = MessageIdentity { publisher: 3, queue: 7, sequence: 1 << 40 };

    #[test]
    fn what_is_written_is_read_and_what_is_changed_is_seen() {
        let pattern = BodyPattern::new(300);
        let mut body = pattern.body(3).to_vec();
        write_head(&mut body, 99, IDENTITY);
        assert_eq!((read_stamp(&body), read_head(&body)), (Some(99), Some(IDENTITY)));
        assert!(pattern.is_whole(&body, 3) && !pattern.is_whole(&body, 4));
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            let is_seen = read_head(&changed).is_none() || !pattern.is_whole(&changed, 3);
            assert!(is_seen, "byte {at}");
        }
        assert!(!pattern.is_whole(&body[..299], 3));
        assert_eq!(read_head(&body[..31]), None);
    }

    #[test]
    fn a_body_without_room_has_no_stamp() {
        let mut body = [0; 7];
        write_stamp(&mut body, u64::MAX);
        assert_eq!((body, read_stamp(&body)), ([0; 7], None));
    }
}
