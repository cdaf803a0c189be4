//! The lessons, one file each, in the order of the classic tutorial.

mod confirms;
mod direct;
mod durability;
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
    &durability::LESSON,
    &fanout::LESSON,
    &direct::LESSON,
    &topic::LESSON,
    &rpc::LESSON,
    &confirms::LESSON,
];
