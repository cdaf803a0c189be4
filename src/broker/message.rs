//! A published message: one allocation, shared by every queue it went to.
//!
//! The bytes stay as the publisher sent them: exchange and routing key, then properties, then body. A delivery
//! copies them into its frames without parsing anything. What the broker must know (persistent, time to live)
//! is read once, when the message is made.

use std::fmt;

use triomphe::ThinArc;

use crate::broker::arguments::parse_expiration;
use crate::store::{DEAD_BIT, NewRecord, QueueId, Record};
use crate::wire::Reader;
use crate::wire::properties::Encoded;

/// From this many bytes on a message keeps the buffer it was assembled in instead of a copy.
const KEEP_BUFFER_BYTES: usize = 16 << 10;

/// The lengths and properties that the broker needs to know of a message's bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// Bytes of exchange and routing key: two encoded short strings at the start.
    pub names_len: usize,
    /// Bytes of the property flags and list behind them; the rest is body.
    pub properties_len: usize,
    /// `delivery_mode` 2.
    pub is_persistent: bool,
    /// The `expiration` property, in milliseconds.
    pub time_to_live_ms: Option<u64>,
    /// The `priority` property; 0 when there is none.
    pub priority: u8,
    pub past: MessageHistory,
}

/// The history of a message in the broker, as far as it must know it later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageHistory {
    /// It has dead-lettered it, so that its `x-death` header is not a client's.
    pub has_died: bool,
    /// It was given a routing key on its way: the further ones that its headers tell lead nowhere any more.
    pub has_new_key: bool,
    /// The number of times a client rejected it or was lost with it in the queues where it died; at most
    /// [`MessageHistory::FAILURES_MAX`].
    pub failures: u8,
}

impl MessageHistory {
    /// The largest number that six bits of a note hold.
    pub const FAILURES_MAX: u8 = 63;

    /// Returns the history after so many more failures.
    #[must_use]
    pub fn with_failures(self, more: u16) -> Self {
        let sum = u16::from(self.failures).saturating_add(more);
        let failures = u8::try_from(sum).unwrap_or(u8::MAX).min(Self::FAILURES_MAX);
        Self { failures, ..self }
    }

    /// Reads the store's note of a message; old ones use the lowest bit alone.
    fn of_note(note: u8) -> Self {
        Self { has_died: note & 1 != 0, has_new_key: note & 2 != 0, failures: note >> 2 }
    }

    fn note(self) -> u8 {
        u8::from(self.has_died) | u8::from(self.has_new_key) << 1 | self.failures << 2
    }
}

/// The flag of `priority` among those of the properties, in their higher byte (4.2.6.1).
const PRIORITY_FLAG: u8 = 0x08;

struct MessageHead {
    layout: Layout,
    /// The bytes of a large message; those of a small one follow the head.
    large: Option<Box<[u8]>>,
}

/// A message; cloning it copies a pointer.
#[derive(Clone)]
pub struct Message(ThinArc<MessageHead, u8>);

impl Message {
    /// Makes a message of the bytes in `assembled` and leaves that buffer empty.
    ///
    /// Cost: one allocation and one copy for a small message; a large one takes the buffer itself.
    #[inline]
    pub fn new(layout: Layout, assembled: &mut Vec<u8>) -> Self {
        debug_assert!(layout.names_len + layout.properties_len <= assembled.len());
        if assembled.len() < KEEP_BUFFER_BYTES {
            let made =
                ThinArc::from_header_and_slice(MessageHead { layout, large: None }, assembled);
            assembled.clear();
            return Self(made);
        }
        let large = Some(std::mem::take(assembled).into_boxed_slice());
        Self(ThinArc::from_header_and_slice(MessageHead { layout, large }, &[]))
    }

    /// Makes a message from a record of the store.
    ///
    /// Cost: one allocation and one copy, a second one for a large message.
    pub fn from_record(record: &Record<'_>) -> Self {
        let &Record { time_to_live_ms, note, names_len, properties_len, bytes } = record;
        let properties = &bytes[names_len..names_len + properties_len];
        // They were whole when the message was published.
        let found = Encoded::scan(properties).unwrap_or_default();
        let said = || parse_expiration(&String::from_utf8_lossy(found.expiration?)).ok();
        let is_dead = time_to_live_ms.is_some_and(|noted| noted & DEAD_BIT != 0);
        let layout = Layout {
            names_len,
            properties_len,
            is_persistent: found.delivery_mode == Some(2),
            time_to_live_ms: if is_dead { said() } else { time_to_live_ms },
            priority: found.priority.unwrap_or_default(),
            past: MessageHistory::of_note(note),
        };
        if bytes.len() < KEEP_BUFFER_BYTES {
            return Self(ThinArc::from_header_and_slice(
                MessageHead { layout, large: None },
                bytes,
            ));
        }
        Self::new(layout, &mut bytes.to_vec())
    }

    /// The message as the store takes it, for these queues.
    pub fn to_record<'a>(&'a self, queues: &'a [QueueId], published_at: u64) -> NewRecord<'a> {
        let &Layout { names_len, properties_len, time_to_live_ms, past, .. } = self.layout();
        NewRecord {
            queues,
            published_at,
            time_to_live_ms,
            priority: self.said_priority(),
            note: past.note(),
            names_len,
            properties_len,
            bytes: self.bytes(),
        }
    }

    #[inline]
    fn layout(&self) -> &Layout {
        &self.0.header.header.layout
    }

    /// Exchange and routing key as two encoded short strings.
    pub fn names(&self) -> &[u8] {
        &self.bytes()[..self.layout().names_len]
    }

    /// Property flags and list, encoded.
    pub fn properties(&self) -> &[u8] {
        let start = self.layout().names_len;
        &self.bytes()[start..start + self.layout().properties_len]
    }

    #[inline]
    pub fn body(&self) -> &[u8] {
        &self.bytes()[self.layout().names_len + self.layout().properties_len..]
    }

    #[inline]
    pub fn is_persistent(&self) -> bool {
        self.layout().is_persistent
    }

    /// The message's own time to live, in milliseconds from when a queue takes it.
    pub fn time_to_live_ms(&self) -> Option<u64> {
        self.layout().time_to_live_ms
    }

    /// The `priority` property; 0 when there is none.
    #[inline]
    pub fn priority(&self) -> u8 {
        self.layout().priority
    }

    /// The `priority` property, if it is there.
    pub fn said_priority(&self) -> Option<u8> {
        let priority = self.priority();
        // Its flag stands in the first byte of the encoded properties.
        let is_said = self.properties().first().is_some_and(|flags| flags & PRIORITY_FLAG != 0);
        (priority > 0 || is_said).then_some(priority)
    }

    /// Returns the message's history in the broker.
    #[inline]
    pub fn past(&self) -> MessageHistory {
        self.layout().past
    }

    /// Names, properties and body, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        match &self.0.header.header.large {
            Some(bytes) => bytes,
            None => &self.0.slice,
        }
    }

    /// Bytes the message takes in memory, its bookkeeping not counted.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Exchange and routing key as texts.
    pub fn exchange_and_key(&self) -> (&str, &str) {
        let mut from = Reader::new(self.names());
        let exchange = from.short_text().unwrap_or_default();
        let routing_key = from.short_text().unwrap_or_default();
        (exchange, routing_key)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exchange, key) = self.exchange_and_key();
        write!(f, "Message({exchange:?}, {key:?}, {} bytes)", self.body().len())
    }
}
