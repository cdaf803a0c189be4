//! AMQP 0-9-1 bytes to values and back.
//!
//! Pure functions: no I/O, no async, nothing of the broker. Everything a peer can announce has a limit here
//! (frame size, table depth, string length), and nothing read from the wire sizes an allocation before the
//! bytes themselves have come.
//!
//! Reading order: [`frame`] (where a frame begins and ends), [`method`] (the classes and methods as a table),
//! [`content`] and [`properties`] (a message's header), [`field`] (tables), [`raw`] (both without decoding them),
//! [`headers`] (their order), [`fault`] (how errors are told).

pub mod codec;
pub mod constants;
pub mod content;
pub mod erlang;
pub mod fault;
pub mod field;
pub mod frame;
pub mod headers;
pub mod method;
pub mod properties;
pub mod raw;
pub mod shortstr;
pub mod url;

pub use codec::{DecodeError, Reader, Writer};
pub use fault::{Fault, ReplyCode};
pub use field::{FieldTable, FieldValue};
pub use method::Method;
pub use properties::Properties;
pub use shortstr::{LongStr, ShortStr};
