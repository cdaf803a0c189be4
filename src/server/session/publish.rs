//! A publish that has come in whole: checked, published, numbered for its confirm.
//!
//! One call stack from here into the mailboxes of the consumers, on the publisher's task. `broker::publish` does what
//! is the same for all publishers; here is what a channel adds: modes, confirms, returns and its counters.

use super::assembly::Content;
use super::channel::{Channel, Mode};
use super::confirms::ConfirmWait;
use super::outgoing::write_return;
use super::round::RoundPublished;
use super::state::{Context, Running};
use super::transaction::{Uncommitted, Unroutable};
use crate::broker::message::Message;
use crate::broker::publish::{
    self, Examined, PropertiesSeen, Publish, Published, Publisher, Refusals,
};
use crate::broker::time::Millis;
use crate::moment;
use crate::wire::{Fault, ReplyCode};

impl Running {
    /// Publishes the content that has come in on a channel.
    #[inline]
    pub(super) fn on_publish(
        &mut self,
        cx: &Context,
        number: u16,
        mut content: Content,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        moment::reach("session.publish");
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        if content.publish.is_immediate {
            return Err(Fault::new(ReplyCode::NotImplemented, "immediate=true"));
        }
        let sender = cx.broker.sender(&self.user, channel.reply.is_some());
        let properties = channel.assembly.properties(&content);
        let examined = match publish::examine(properties, &sender) {
            Ok(examined) => examined,
            Err(fault) => return Err(channel.refuse(&mut self.publisher, &content, fault)),
        };
        if examined.is_rewritten() {
            channel.rewrite(&examined, &mut content);
        }
        let unroutable =
            if content.publish.is_mandatory { Unroutable::Return } else { Unroutable::Drop };
        channel.info.counters.publish.add_alone(1);
        self.round.published = self.round.published.max(RoundPublished::Something);
        let message = channel.assembly.message(&content, examined.seen);
        let refusals = match channel.mode {
            Mode::Plain => Refusals::Logged,
            Mode::Confirm(_) | Mode::Transaction(_) => Refusals::Reported,
        };
        let copies = examined.copies();
        let publish = Publish { message: &message, copies, channel: number, refusals, now };
        if let Mode::Transaction(transaction) = &mut channel.mode {
            let staged = self.publisher.stage(&publish)?;
            transaction.stage(Uncommitted { staged, unroutable });
            return Ok(());
        }
        let published = self.publisher.publish(&publish)?;
        if published == Published::Nowhere {
            channel.on_unroutable(unroutable, &message, self.frame_max, out);
        }
        let due = ConfirmWait::of(published);
        if due != ConfirmWait::Now {
            self.round.published = RoundPublished::ToKeep;
        }
        if let Mode::Confirm(confirms) = &mut channel.mode {
            confirms.add(due);
            if self.round.confirming.last() != Some(&number) {
                self.round.confirming.push(number);
            }
        }
        Ok(())
    }
}

impl Channel {
    /// The fault of a publish whose properties are refused.
    #[cold]
    fn refuse(&mut self, publisher: &mut Publisher, content: &Content, fault: Fault) -> Fault {
        let message = self.assembly.message(content, PropertiesSeen::default());
        publisher.refuse(&message, fault)
    }

    /// Brings the properties into the form in which they are delivered.
    fn rewrite(&mut self, examined: &Examined, content: &mut Content) {
        let reply_name = self.reply.as_ref().map(|reply| &reply.name);
        examined.rewrite(&mut self.assembly.properties_mut(content), reply_name);
    }

    /// Counts a message that no queue takes, and returns it if it is mandatory.
    pub(super) fn on_unroutable(
        &self,
        unroutable: Unroutable,
        message: &Message,
        frame_max: u32,
        out: &mut Vec<u8>,
    ) {
        match unroutable {
            Unroutable::Drop => self.info.counters.drop_unroutable.add(1),
            Unroutable::Return => {
                self.info.counters.return_unroutable.add(1);
                write_return(out, self.number, message, frame_max);
            }
        }
    }
}
