//! What clients do until the broker is gone under them: publish, consume, transact.
//!
//! Start at [`all`].

use std::collections::{BTreeSet, VecDeque};

use mq::wire::Method;
use mq::wire::method::{basic, tx};

use super::journal::{Journal, Told, Transacted, body, number_of, target_of};
use super::{DIRECT_QUEUES, FANOUT, FANOUT_QUEUES, Random, Round, TX_FROM, TX_TO};
use crate::support::peer::Peer;
use crate::support::queues::{Came, persistent, write_publish};

/// Something to do in one round.
pub(super) type Work = Box<dyn FnOnce(&Round) -> Told + Send>;

/// Messages a publisher has under way; 64 KiB ones included, few enough for any buffer.
const WINDOW: usize = 100;
/// Deliveries a consumer keeps unacknowledged.
const HELD: usize = 20;

/// The work of a round.
pub(super) fn all(journal: &Journal, random: &mut Random) -> Vec<Work> {
    let mut work: Vec<Work> = Vec::new();
    for target in DIRECT_QUEUES.iter().chain(&[FANOUT]) {
        let next = journal.next(target);
        work.push(Box::new(move |round| publish(round, target, next)));
    }
    for queue in [DIRECT_QUEUES[1], DIRECT_QUEUES[2], FANOUT_QUEUES[0]] {
        let random = random.split();
        work.push(Box::new(move |round| consume(round, queue, random)));
    }
    let (next, moved) = (journal.next(TX_FROM), journal.moved());
    let random = random.split();
    work.push(Box::new(move |round| transact(round, next, &moved, random)));
    work
}

/// Publishes and counts confirms.
fn publish(round: &Round, target: &'static str, mut next: u64) -> Told {
    let mut peer = Peer::on_channel_one(round.address).confirming();
    round.begin.wait();
    let address = if target == FANOUT { (FANOUT, "") } else { ("", target) };
    let mut confirmed = BTreeSet::new();
    // Delivery tags and the messages they are of.
    let mut unconfirmed = VecDeque::new();
    let mut tags = 1..;
    loop {
        let mut bytes = Vec::new();
        while unconfirmed.len() < WINDOW {
            write_publish(&mut bytes, address, &persistent(), &body(target, next));
            unconfirmed.push_back((tags.next().unwrap(), next));
            next += 1;
        }
        peer.send_until_refused(&bytes);
        let Some(frame) = peer.next_frame() else {
            return Told::Published { target, confirmed, next };
        };
        let Method::BasicAck(ack) = frame.method() else { panic!("{frame:?}") };
        let before = confirmed.len();
        unconfirmed.retain(|&(tag, id): &(u64, u64)| {
            let is_meant = tag == ack.delivery_tag || (ack.multiple && tag < ack.delivery_tag);
            if is_meant {
                confirmed.insert(id);
            }
            !is_meant
        });
        round.trigger.count(confirmed.len() - before);
    }
}

/// The next delivery, or `None` when the broker is gone.
fn next_delivery(peer: &mut Peer) -> Option<Came> {
    let frame = peer.next_frame()?;
    let Method::BasicDeliver(deliver) = frame.method() else { panic!("{frame:?}") };
    peer.content_of(&deliver)
}

/// Sends a method; the broker may be gone.
fn tell(peer: &mut Peer, method: impl Into<Method>) {
    let mut bytes = Vec::new();
    mq::wire::frame::write_method(&mut bytes, 1, &method.into());
    peer.send_until_refused(&bytes);
}

/// Acknowledges in no order, and keeps some back.
fn consume(round: &Round, queue: &'static str, mut random: Random) -> Told {
    let mut peer = Peer::on_channel_one(round.address);
    peer.consume(queue, 50, false);
    round.begin.wait();
    let (mut held, mut acked, mut last) = (Vec::new(), BTreeSet::new(), None);
    while let Some(came) = next_delivery(&mut peer) {
        let number = number_of(target_of(queue), &came.body);
        assert!(last < Some(number), "{number} of '{queue}' comes after {last:?}");
        last = Some(number);
        held.push((came.delivery_tag, number));
        if held.len() > HELD {
            let (delivery_tag, number) = held.swap_remove(random.below(HELD));
            acked.insert(number);
            tell(&mut peer, basic::Ack { delivery_tag, multiple: false });
            round.trigger.count(1);
        }
    }
    Told::Consumed { queue, acked }
}

/// Publishes new messages and moves those that came, some in each transaction; rolls one in five back.
fn transact(round: &Round, next: u64, moved_before: &BTreeSet<u64>, mut random: Random) -> Told {
    let mut peer = Peer::on_channel_one(round.address);
    assert!(matches!(peer.call(tx::Select::default()), Method::TxSelectOk(_)));
    peer.consume(TX_FROM, 50, false);
    round.begin.wait();
    let mut told = Transacted { next, ..Transacted::default() };
    let (mut held, mut last) = (VecDeque::new(), None);
    loop {
        let new: BTreeSet<u64> = (told.next..).take(1 + random.below(10)).collect();
        told.next += new.len() as u64;
        let moving: Vec<(u64, u64)> =
            if held.len() > HELD { held.drain(..HELD).collect() } else { Vec::new() };
        let mut bytes = Vec::new();
        for &number in &new {
            write_publish(&mut bytes, ("", TX_FROM), &persistent(), &body(TX_FROM, number));
        }
        for &(delivery_tag, number) in &moving {
            write_publish(&mut bytes, ("", TX_TO), &persistent(), &body(TX_FROM, number));
            let ack = basic::Ack { delivery_tag, multiple: false };
            mq::wire::frame::write_method(&mut bytes, 1, &ack.into());
        }
        peer.send_until_refused(&bytes);
        let is_commit = random.below(5) > 0;
        if is_commit {
            told.perhaps_published.extend(&new);
            told.perhaps_moved.extend(moving.iter().map(|(_, number)| number));
            tell(&mut peer, tx::Commit {});
        } else {
            told.rolled_back.extend(&new);
            tell(&mut peer, tx::Rollback {});
        }
        let is_answered = loop {
            let Some(frame) = peer.next_frame() else { break false };
            match frame.method() {
                Method::TxCommitOk(_) | Method::TxRollbackOk(_) => break true,
                Method::BasicDeliver(deliver) => {
                    let Some(came) = peer.content_of(&deliver) else { break false };
                    let number = number_of(TX_FROM, &came.body);
                    assert!(!moved_before.contains(&number), "{number} was moved, and is back");
                    assert!(last < Some(number), "{number} comes after {last:?}");
                    last = Some(number);
                    held.push_back((came.delivery_tag, number));
                }
                answer => panic!("{answer:?}"),
            }
        };
        if !is_answered {
            return Told::Transacted(told);
        }
        if is_commit {
            round.trigger.count(new.len() + moving.len());
            told.published.extend(new);
            told.moved.extend(moving.into_iter().map(|(_, number)| number));
        } else {
            // What was acknowledged is as unacknowledged as before.
            moving.into_iter().rev().for_each(|one| held.push_front(one));
        }
    }
}
