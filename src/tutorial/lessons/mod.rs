//! The lessons, one file each, in the order of the classic tutorial.

mod confirms;
mod direct;
mod fanout;
mod hello;
mod rpc;
mod topic;
mod work;

use super::act::Lesson;

/// Every lesson that can be given.
pub(super) const ALL: &[&Lesson] = &[
    &hello::LESSON,
    &work::LESSON,
    &fanout::LESSON,
    &direct::LESSON,
    &topic::LESSON,
    &rpc::LESSON,
    &confirms::LESSON,
];

/// The number and name of the lesson that needs a broker with a disk.
pub(super) const DURABILITY: (u8, &str) = (3, "durability");
