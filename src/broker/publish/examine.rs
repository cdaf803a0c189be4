//! The properties of a message that a client publishes: checked, and brought into the form in which they are delivered.

use std::ops::Range;

use crate::broker::arguments::parse_expiration;
use crate::broker::auth::Users;
use crate::broker::compat::ChosenCompat;
use crate::broker::exchange::{copies, may_have_copies, without_blind_copies};
use crate::broker::message::{Layout, MessageHistory};
use crate::broker::replies::REPLY_TO;
use crate::wire::constants::CLASS_BASIC;
use crate::wire::headers::is_in_order;
use crate::wire::properties::{Encoded, with_headers_in_order};
use crate::wire::raw::check_table;
use crate::wire::{Fault, ReplyCode, ShortStr, Writer};

/// The tag of users who may publish in the name of others.
const IMPERSONATOR: &str = "impersonator";

/// The client that publishes, as far as properties are checked against it.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    pub user: &'a str,
    pub users: &'a Users,
    pub compat: &'a ChosenCompat,
    /// It consumes from [`REPLY_TO`], which it needs to ask for direct replies.
    pub has_reply_consumer: bool,
}

/// The properties that the broker itself must know.
#[derive(Clone, Copy, Debug, Default)]
pub struct PropertiesSeen {
    pub is_persistent: bool,
    pub time_to_live_ms: Option<u64>,
    pub priority: u8,
}

impl PropertiesSeen {
    /// The layout of a message with these properties.
    #[inline]
    pub fn layout(self, names_len: usize, properties_len: usize) -> Layout {
        let Self { is_persistent, time_to_live_ms, priority } = self;
        let past = MessageHistory::default();
        Layout { names_len, properties_len, is_persistent, time_to_live_ms, priority, past }
    }
}

/// The properties of a publish, checked.
#[derive(Debug)]
pub struct Examined {
    pub seen: PropertiesSeen,
    asks_direct_reply: bool,
    /// Further routing keys, if there may be some.
    copies: Option<Vec<ShortStr>>,
    /// They stand as RabbitMQ 4 delivers them.
    is_normal: bool,
}

fn precondition(text: String) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// Checks encoded properties, in the order of the release: RabbitMQ 3.10 looks at the user first, 4 last.
///
/// # Errors
///
/// `FRAME_ERROR` or `SYNTAX_ERROR` for properties that cannot be decoded; `PRECONDITION_FAILED` for a user that is not
/// the sender, an expiration that is no number, `CC` or `BCC` that are no arrays, and a direct reply without a
/// consumer.
#[inline]
pub fn examine(properties: &[u8], sender: &Sender<'_>) -> Result<Examined, Fault> {
    let undecodable = |error| Fault::undecodable(error, CLASS_BASIC, 0, properties);
    let found = Encoded::scan(properties).map_err(undecodable)?;
    if let Some(headers) = found.headers {
        // All that handles the message later relies on it.
        check_table(headers).map_err(undecodable)?;
    }
    // Asked only if it matters: a plain publish pays for nothing else.
    let is_3_10 = || sender.compat.get().is_3_10();
    let asks_direct_reply = found.reply_to == Some(REPLY_TO.as_bytes());
    if asks_direct_reply && !sender.has_reply_consumer {
        return Err(precondition("fast reply consumer does not exist".to_owned()));
    }
    if found.user_id.is_some() && is_3_10() {
        check_user(&found, sender)?;
    }
    let mut is_normal = true;
    let time_to_live_ms = match found.expiration {
        None => None,
        Some(text) => {
            is_normal = is_3_10() || is_normal_number(text);
            Some(parse_expiration(&String::from_utf8_lossy(text))?)
        }
    };
    let seen = PropertiesSeen {
        is_persistent: found.delivery_mode == Some(2),
        time_to_live_ms,
        priority: found.priority.unwrap_or_default(),
    };
    let mut copies = None;
    if let Some(headers) = found.headers {
        is_normal &= is_3_10() || is_in_order(&headers[4..]);
        if may_have_copies(headers) {
            copies = Some(copies_of(&found)?);
        }
    }
    if found.user_id.is_some() && !is_3_10() {
        check_user(&found, sender)?;
    }
    Ok(Examined { seen, asks_direct_reply, copies, is_normal })
}

/// Refuses a publish in the name of another user.
#[inline]
fn check_user(found: &Encoded<'_>, sender: &Sender<'_>) -> Result<(), Fault> {
    match found.user_id {
        Some(claimed) if claimed != sender.user.as_bytes() => check_impersonator(claimed, sender),
        Some(_) | None => Ok(()),
    }
}

#[cold]
fn check_impersonator(claimed: &[u8], sender: &Sender<'_>) -> Result<(), Fault> {
    let Sender { user, users, .. } = sender;
    if users.has_tag(user, IMPERSONATOR) {
        return Ok(());
    }
    let claimed = String::from_utf8_lossy(claimed);
    Err(precondition(format!(
        "user_id property set to '{claimed}' but authenticated user was '{user}'"
    )))
}

/// The further routing keys of a message whose headers seem to name some.
#[cold]
fn copies_of(found: &Encoded<'_>) -> Result<Vec<ShortStr>, Fault> {
    copies(&found.headers())
}

/// Answers whether a number stands as one is printed: without a sign, and without zeros in front.
fn is_normal_number(text: &[u8]) -> bool {
    matches!(text, [b'0'] | [b'1'..=b'9', ..])
}

/// The encoded properties within the bytes of a message that is being made.
#[derive(Debug)]
pub struct PropertiesMut<'a> {
    pub bytes: &'a mut Vec<u8>,
    /// The offset of their first byte.
    pub start: usize,
    pub len: &'a mut usize,
}

impl PropertiesMut<'_> {
    fn get(&self) -> &[u8] {
        &self.bytes[self.start..self.start + *self.len]
    }

    /// Puts other bytes in the place of some of them.
    fn splice(&mut self, old: Range<usize>, new: &[u8]) {
        *self.len = *self.len - old.len() + new.len();
        self.bytes.splice(self.start + old.start..self.start + old.end, new.iter().copied());
    }

    /// Puts a short string in the place of one of which `text` is the text.
    fn replace_short(&mut self, text: Range<usize>, new: &ShortStr) {
        let mut encoded = Vec::with_capacity(new.len() + 1);
        Writer::new(&mut encoded).short(new);
        // The length of a short string stands in the byte before it.
        self.splice(text.start - 1..text.end, &encoded);
    }
}

/// Returns the range of a part within some bytes.
fn range_in(bytes: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
    start..start + part.len()
}

impl Examined {
    /// The routing keys beside the message's own.
    #[inline]
    pub fn copies(&self) -> &[ShortStr] {
        self.copies.as_deref().unwrap_or_default()
    }

    /// Answers whether the properties are to be [rewritten](Self::rewrite).
    #[inline]
    pub fn is_rewritten(&self) -> bool {
        self.asks_direct_reply || self.copies.is_some() || !self.is_normal
    }

    /// Brings the properties into the form in which they are delivered: with `reply_name` in place of [`REPLY_TO`],
    /// without `BCC`, and as RabbitMQ 4 writes them (headers in the order of their names, the expiration as a plain
    /// number).
    pub fn rewrite(&self, properties: &mut PropertiesMut<'_>, reply_name: Option<&ShortStr>) {
        if self.asks_direct_reply
            && let Some(name) = reply_name
            && let Some(asked) = Encoded::scan(properties.get()).ok().and_then(|all| all.reply_to)
        {
            properties.replace_short(range_in(properties.get(), asked), name);
        }
        if self.copies.is_some()
            && let Some(left) = without_blind_copies(properties.get())
        {
            properties.splice(0..*properties.len, &left);
        }
        if !self.is_normal {
            normalise(properties);
        }
    }
}

#[cold]
fn normalise(properties: &mut PropertiesMut<'_>) {
    let Ok(found) = Encoded::scan(properties.get()) else { return };
    if let Some(sorted) = with_headers_in_order(properties.get(), &found) {
        properties.splice(0..*properties.len, &sorted);
    }
    let expiration = Encoded::scan(properties.get()).ok().and_then(|found| found.expiration);
    let Some(text) = expiration else { return };
    let Ok(ms) = parse_expiration(&String::from_utf8_lossy(text)) else { return };
    let text = range_in(properties.get(), text);
    properties.replace_short(text, &ShortStr::truncated(&ms.to_string()));
}
