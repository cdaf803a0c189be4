//! An error as it is told to a peer: a reply code, a text and what it closes.
//!
//! The code's name decides the level (1.1 of the spec, "soft" and "hard" errors), except that whatever goes
//! wrong on channel 0 is the connection's.

use super::codec::DecodeError;
use super::erlang;
use super::shortstr::ShortStr;

/// The part that an error closes: the channel or the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultLevel {
    Channel,
    Connection,
}

macro_rules! reply_codes {
    ($($variant:ident = $code:literal $name:literal $level:ident)*) => {
        /// A reply code of the specification, with RabbitMQ's spelling of its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ReplyCode {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl ReplyCode {
            pub fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The name in front of a reply text.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub fn level(self) -> FaultLevel {
                match self { $(Self::$variant => FaultLevel::$level,)* }
            }

            /// The code with this number, when there is one.
            pub fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

reply_codes! {
    ContentTooLarge = 311 "CONTENT_TOO_LARGE" Channel
    NoRoute = 312 "NO_ROUTE" Channel
    NoConsumers = 313 "NO_CONSUMERS" Channel
    ConnectionForced = 320 "CONNECTION_FORCED" Connection
    InvalidPath = 402 "INVALID_PATH" Connection
    AccessRefused = 403 "ACCESS_REFUSED" Channel
    NotFound = 404 "NOT_FOUND" Channel
    ResourceLocked = 405 "RESOURCE_LOCKED" Channel
    PreconditionFailed = 406 "PRECONDITION_FAILED" Channel
    FrameError = 501 "FRAME_ERROR" Connection
    SyntaxError = 502 "SYNTAX_ERROR" Connection
    CommandInvalid = 503 "COMMAND_INVALID" Connection
    ChannelError = 504 "CHANNEL_ERROR" Connection
    UnexpectedFrame = 505 "UNEXPECTED_FRAME" Connection
    ResourceError = 506 "RESOURCE_ERROR" Connection
    NotAllowed = 530 "NOT_ALLOWED" Connection
    NotImplemented = 540 "NOT_IMPLEMENTED" Connection
    InternalError = 541 "INTERNAL_ERROR" Connection
}

/// An error on its way to the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} - {text}", .code.name())]
pub struct Fault {
    pub code: ReplyCode,
    /// The explanation, without the code's name in front.
    pub text: String,
    /// Class and method that failed; zeros when none did.
    pub class_id: u16,
    pub method_id: u16,
}

impl Fault {
    pub fn new(code: ReplyCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), class_id: 0, method_id: 0 }
    }

    /// Names the method that failed.
    #[must_use]
    pub fn in_method(mut self, class_id: u16, method_id: u16) -> Self {
        self.class_id = class_id;
        self.method_id = method_id;
        self
    }

    /// Tells of arguments of a method that do not decode, as RabbitMQ does.
    ///
    /// RabbitMQ: `rabbit_misc:frame_error` prints all octets as numbers and names the method;
    /// `rabbit_binary_parser:assert_utf8` does not know which method it is reading.
    pub fn undecodable(
        error: DecodeError,
        class_id: u16,
        method_id: u16,
        arguments: &[u8],
    ) -> Self {
        let fault = match error {
            DecodeError::UnknownMethod { class, method } => Self::new(
                ReplyCode::NotImplemented,
                format!("there is no method {method} in class {class}"),
            ),
            DecodeError::BadUtf8 => {
                return Self::new(ReplyCode::FrameError, "Malformed UTF-8 in shortstr");
            }
            DecodeError::TooDeep { .. } => Self::new(ReplyCode::SyntaxError, error.to_string()),
            DecodeError::Truncated
            | DecodeError::UnknownFieldType { .. }
            | DecodeError::LeftOver { .. } => Self::new(
                ReplyCode::FrameError,
                format!("cannot decode {}", erlang::octets(arguments)),
            ),
        };
        fault.in_method(class_id, method_id)
    }

    pub fn level(&self) -> FaultLevel {
        self.code.level()
    }

    /// The reply text: `NAME - explanation`, or the name alone; one that does not fit ends in dots.
    ///
    /// RabbitMQ: `rabbit_binary_generator` keeps 252 bytes and adds three dots; we cut at a character.
    pub fn reply_text(&self) -> ShortStr {
        match self.text.as_str() {
            "" => ShortStr::truncated(self.code.name()),
            _ => ShortStr::truncated(&self.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reply_text_ends_in_dots() {
        let text = |len: usize| Fault::new(ReplyCode::NotFound, "x".repeat(len)).reply_text();
        let name_len = "NOT_FOUND - ".len();
        assert_eq!(text(255 - name_len), format!("NOT_FOUND - {}", "x".repeat(243)).as_str());
        assert_eq!(text(300), format!("NOT_FOUND - {}...", "x".repeat(252 - name_len)).as_str());
    }

    #[test]
    fn undecodable_arguments_are_told_in_rabbitmqs_words() {
        let told = |error, arguments: &[u8]| {
            let fault = Fault::undecodable(error, 20, 10, arguments);
            (fault.to_string(), fault.class_id, fault.method_id)
        };
        assert_eq!(
            told(DecodeError::Truncated, b"abc"),
            ("FRAME_ERROR - cannot decode <<97,98,99>>".to_owned(), 20, 10)
        );
        assert_eq!(
            told(DecodeError::BadUtf8, &[1, 255]),
            ("FRAME_ERROR - Malformed UTF-8 in shortstr".to_owned(), 0, 0)
        );
    }
}
