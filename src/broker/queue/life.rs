//! The life of a queue, up to its deletion.

/// The life of a queue.
///
/// ```text
///              begin_deletion               delete
///    Living ------------------> BeingDeleted ------> Deleted
///      ^                             |
///      '------ cancel_deletion ------'
/// ```
///
/// No consumer can subscribe to a queue that is being deleted, and a declare waits. A queue that is deleted keeps
/// nothing: a message that is published to it or comes back is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Life {
    #[default]
    Living,
    /// It is being taken out of the definitions, and is then deleted unless the disk refuses.
    BeingDeleted,
    Deleted,
}
