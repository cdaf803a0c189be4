//! A check that the state of a session is sound, at each return from it in debug builds.
//!
//! Every test, simulation and fuzz run makes it. Numbers that mirror others are compared at each return; the channels
//! and consumers are walked at each return of a small session, and at every 64th return of a large one.

use std::cell::Cell;

use super::channel::{Channel, Mode};
use super::state::{Phase, Running, Session};

/// Channels, consumers and deliveries of a session that is walked at each return.
const SMALL: usize = 64;
/// Returns from large sessions for each walk.
const RETURNS_PER_WALK: u32 = 64;

thread_local! {
    /// Returns from large sessions on this thread.
    static RETURNS: Cell<u32> = const { Cell::new(0) };
}

impl Session {
    /// Panics unless the state is as it must be between two calls.
    pub(super) fn assert_sound(&self) {
        let Phase::Running(running) = &self.phase else { return };
        running.round.assert_over();
        running.waits.assert_sound();
        let is_blocked = running.waits.is_blocked();
        assert_eq!(self.cx.connection.is_blocked.get(), is_blocked, "listings show the alarm");
        if running.is_small()
            || RETURNS.replace(RETURNS.get().wrapping_add(1)).is_multiple_of(RETURNS_PER_WALK)
        {
            running.assert_channels_sound();
        }
    }
}

impl Running {
    fn is_small(&self) -> bool {
        let parts = self.channels.len() + self.consumers.slots();
        parts <= SMALL
            && self.channels.values().map(|channel| channel.unacked.len()).sum::<usize>() <= SMALL
    }

    fn assert_channels_sound(&self) {
        for (number, channel) in &self.channels {
            assert_eq!(channel.number, *number);
            channel.assert_sound();
            if let Mode::Confirm(confirms) = &channel.mode {
                // One whose last batch was synced while others were published stays on the list until the next look.
                let is_confirming = self.waits.confirming().contains(number);
                assert!(is_confirming || confirms.unanswered() == 0, "{confirms:?}");
                let awaited = confirms.awaits();
                assert!(awaited.is_none() || self.waits.awaits() <= awaited, "{confirms:?}");
            }
        }
        for number in self.waits.confirming() {
            let mode = self.channels.get(number).map(|channel| &channel.mode);
            assert!(matches!(mode, Some(Mode::Confirm(_))), "channel {number} confirms: {mode:?}");
        }
        self.consumers.assert_sound();
        let consumers: usize = self.channels.values().map(|channel| channel.consumers.len()).sum();
        assert_eq!(self.consumers.iter().count(), consumers, "each consumer has its channel");
        for (slot, source) in self.consumers.iter() {
            let channel = self.channels.get(&source.channel);
            let found = channel.and_then(|channel| channel.consumers.get(&source.tag));
            assert_eq!(found, Some(&slot), "consumer {} of channel {}", source.tag, source.channel);
        }
    }
}

impl Channel {
    fn assert_sound(&self) {
        assert!(!self.has_round_work, "channel {} is on no list", self.number);
        self.unacked.assert_sound(self.last_tag);
        let has_void = self.unacked.iter().any(|(_, delivery)| delivery.origin.is_void);
        assert!(self.has_void || !has_void, "channel {} knows of void tags", self.number);
        if self.awaits_close_ok {
            let is_left = matches!(self.mode, Mode::Plain)
                && self.consumers.is_empty()
                && self.unacked.len() == 0
                && self.reply.is_none();
            assert!(is_left, "a channel that was closed has nothing left: {self:?}");
            return;
        }
        let info = &self.info;
        let (unconfirmed, uncommitted) = match &self.mode {
            Mode::Plain => (0, (0, 0)),
            Mode::Confirm(confirms) => {
                confirms.assert_sound();
                (confirms.unanswered(), (0, 0))
            }
            Mode::Transaction(transaction) => (0, (transaction.publishes(), transaction.settled())),
        };
        let shown = [
            ("unacked", info.unacked.get(), self.unacked.len() as u64),
            ("consumers", info.consumers.get(), self.consumers.len() as u64),
            ("prefetch", u64::from(info.prefetch.get()), u64::from(self.prefetch)),
            ("unconfirmed", info.unconfirmed.get(), unconfirmed),
            ("uncommitted", info.uncommitted.get(), uncommitted.0),
            ("uncommitted_acks", info.uncommitted_acks.get(), uncommitted.1),
        ];
        for (name, shown, is) in shown {
            assert_eq!(shown, is, "{name} of channel {}", self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::broker::Broker;
    use crate::broker::auth::Origin;
    use crate::broker::mailbox::ConsumerSlot;
    use crate::broker::registry::Peer;
    use crate::wire::constants::PROTOCOL_HEADER;
    use crate::wire::frame;
    use crate::wire::method::{basic, channel, confirm, connection, queue};
    use crate::wire::shortstr::literal;
    use crate::wire::{FieldTable, Method};

    /// A session with a confirming channel 1 that consumes from a queue.
    fn session() -> Session {
        let broker = Arc::new(Broker::new("mq@test".into()));
        let connection = broker.connect(Peer {
            name: "peer -> broker".into(),
            host: "broker".into(),
            port: 5672,
            peer_host: "peer".into(),
            peer_port: 1,
            is_tls: false,
            certificate: None,
            connected_at: SystemTime::UNIX_EPOCH,
        });
        let mut session = Session::new(broker, connection, Origin::Local, 0);
        let start_ok = connection::StartOk {
            client_properties: FieldTable::new(),
            mechanism: literal("PLAIN"),
            response: "\0guest\0guest".into(),
            locale: literal("en_US"),
        };
        let tune_ok = connection::TuneOk { channel_max: 10, frame_max: 131_072, heartbeat: 0 };
        let open = connection::Open { virtual_host: literal("/"), ..Default::default() };
        let consume = basic::Consume { queue: literal("q"), ..Default::default() };
        let methods: [(u16, Method); 7] = [
            (0, start_ok.into()),
            (0, tune_ok.into()),
            (0, open.into()),
            (1, channel::Open::default().into()),
            (1, confirm::Select::default().into()),
            (1, queue::Declare { queue: literal("q"), ..Default::default() }.into()),
            (1, consume.into()),
        ];
        let mut bytes = PROTOCOL_HEADER.to_vec();
        for (number, method) in methods {
            frame::write_method(&mut bytes, number, &method);
        }
        session.on_bytes(&bytes, 0, &mut Vec::new());
        session
    }

    #[test]
    fn a_planted_fault_is_found_at_the_return() {
        type Plant = fn(&mut Running);
        fn channel(running: &mut Running) -> &mut Channel {
            running.channels.get_mut(&1).expect("it is open")
        }
        let cases: [(&str, bool, Plant); 8] = [
            ("no fault", true, |_| {}),
            ("a channel whose confirms are not sent", false, |r| r.round.confirming.push(1)),
            ("a held connection that nothing holds", false, |r| r.waits.plant_hold()),
            ("an alarm that listings do not show", false, |r| r.waits.set_blocked(true)),
            ("an unacknowledged delivery too many in listings", false, |r| {
                channel(r).info.unacked.set(1);
            }),
            ("a consumer without its channel", false, |r| channel(r).consumers.clear()),
            ("a channel without its consumer", false, |r| r.consumers.release(ConsumerSlot(0))),
            ("a channel on no list", false, |r| channel(r).has_round_work = true),
        ];
        for (fault, is_sound, plant) in cases {
            let mut session = session();
            let Phase::Running(running) = &mut session.phase else { panic!("it is not open") };
            plant(running);
            let checked = catch_unwind(AssertUnwindSafe(|| session.on_mailbox(0, &mut Vec::new())));
            assert_eq!(checked.is_ok(), is_sound, "{fault}");
        }
    }
}
