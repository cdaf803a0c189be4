//! A hash that is the same in every run and release: SipHash-1-3 with a key of
//! zeros (Aumasson and Bernstein, 2012).
//!
//! Exchanges that choose one of several queues use it, so that a routing key keeps its queue from one release to the
//! next. The name of the queue that holds the messages of a delayed exchange is made with it, so that a restart finds
//! that queue. It is written out because the hashers of the standard library promise no stable result; earlier releases
//! used those, and this gives the same hashes.

/// The state of a hash of the bytes so far.
#[derive(Clone, Debug)]
pub(super) struct StableHash {
    state: [u64; 4],
    /// The bytes that are no whole word yet, the first one lowest.
    tail: u64,
    len: u64,
}

impl StableHash {
    pub(super) fn new() -> Self {
        // The beginning of SipHash: "somepseudorandomlygeneratedbytes".
        let state = [
            0x736f_6d65_7073_6575,
            0x646f_7261_6e64_6f6d,
            0x6c79_6765_6e65_7261,
            0x7465_6462_7974_6573,
        ];
        Self { state, tail: 0, len: 0 }
    }

    /// The hash of a text.
    pub(super) fn of_text(text: &str) -> u64 {
        Self::new().text(text).finish()
    }

    /// Adds bytes as they are.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            let at = self.len % 8;
            self.tail |= u64::from(*byte) << (8 * at);
            self.len = self.len.wrapping_add(1);
            if at == 7 {
                let word = std::mem::take(&mut self.tail);
                self.absorb(word);
            }
        }
        self
    }

    pub(super) fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// Adds a text with an end, so that no two texts are taken for two others.
    pub(super) fn text(self, text: &str) -> Self {
        // A byte that no UTF-8 has.
        self.bytes(text.as_bytes()).bytes(&[0xff])
    }

    /// Adds bytes with their number in front.
    pub(super) fn counted(self, bytes: &[u8]) -> Self {
        self.number(bytes.len() as u64).bytes(bytes)
    }

    pub(super) fn finish(mut self) -> u64 {
        let last = self.len << 56 | self.tail;
        self.absorb(last);
        self.state[2] ^= 0xff;
        (0..3).for_each(|_| self.mix());
        self.state.iter().fold(0, |sum, part| sum ^ part)
    }

    fn absorb(&mut self, word: u64) {
        self.state[3] ^= word;
        self.mix();
        self.state[0] ^= word;
    }

    /// `SipRound`
    fn mix(&mut self) {
        let [a, b, c, d] = &mut self.state;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes that directories and clients of earlier releases depend on. A release with other ones moves keys to
    /// other queues.
    #[test]
    fn a_hash_is_what_it_was_in_every_release() {
        #[rustfmt::skip]
        let texts = [
            ("",                                         0x3040_6ea5_23c5_3def),
            ("a",                                        0x719b_50b9_a4f0_e9f3),
            ("orders",                                   0xbd84_5d22_65b7_3990),
            ("key.1",                                    0x7647_8b09_6fb4_da84),
            ("a longer routing key, of more than a word", 0x1a3f_7e47_3ebd_1fb7),
        ];
        for (text, hash) in texts {
            assert_eq!(StableHash::of_text(text), hash, "{text:?}");
        }
        let orders = StableHash::new().counted(b"orders").finish();
        assert_eq!(orders, 0x6e67_7966_1620_56df);
        let destination = StableHash::new().number(1).text("orders").finish();
        assert_eq!(destination, 0x3e96_b9d9_0738_afdd);
        assert_eq!(StableHash::new().number(1).number(7).finish(), 0x957b_376e_fb4a_b749);
        assert_eq!(StableHash::new().number(0).finish(), 0xbd60_acb6_58c7_9e45);
    }
}
