//! The program `mq`.

fn main() {}
