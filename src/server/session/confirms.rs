//! The confirms of a channel: the publishes that wait for the disk, and the acks and nacks that are due.
//!
//! Confirms leave in the order of the publishes, as few frames as that allows. A publish that nothing on disk is
//! needed for costs one addition here; spans are made only for those that wait for a batch or were refused.
//! Nothing is acknowledged whose batch is not [`Outcome::Synced`].

use std::collections::VecDeque;

use crate::broker::publish::Published;
use crate::store::{Batch, Outcome};
use crate::wire::Writer;
use crate::wire::constants::FRAME_METHOD;
use crate::wire::frame;
use crate::wire::method::basic;

/// The event that a publish waits for before it is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConfirmWait {
    /// None: its queues have it, and need not keep it beyond this process.
    Now,
    /// The sync of this batch.
    Synced(Batch),
    /// None: it was refused, and is answered with a nack.
    Refused,
}

impl ConfirmWait {
    /// The event for a publish with this outcome.
    #[inline]
    pub(super) fn of(published: Published) -> Self {
        match published {
            Published::Nowhere | Published::InMemory => Self::Now,
            Published::OnDisk(batch) => Self::Synced(batch),
            Published::Refused | Published::NotKept => Self::Refused,
        }
    }
}

/// Consecutive publishes that wait for the same event.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// The number of the last one.
    up_to: u64,
    due: ConfirmWait,
}

/// The publishes of a channel in confirm mode.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// The number of the last publish.
    published: u64,
    /// The number of the last one that was answered.
    answered: u64,
    /// Those in between, in order; what follows the last span is due now.
    spans: VecDeque<Span>,
}

/// Numbers of publishes that were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) acked: u64,
    pub(super) nacked: u64,
}

impl Confirms {
    /// Numbers the next publish.
    ///
    /// One that is due now and stands between two of one batch is confirmed with them: its confirm has to wait for the
    /// first of them in any case, and so two kinds of messages in turn cost no span each.
    #[inline]
    pub(super) fn add(&mut self, due: ConfirmWait) {
        if due != ConfirmWait::Now {
            self.add_span(due);
        }
        self.published += 1;
    }

    fn add_span(&mut self, due: ConfirmWait) {
        let up_to = self.published + 1;
        match (self.spans.back_mut(), due) {
            (Some(last), ConfirmWait::Synced(_)) if last.due == due => last.up_to = up_to,
            (Some(last), _) if last.due == due && last.up_to == self.published => {
                last.up_to = up_to;
            }
            (last, _) => {
                let covered = last.map_or(self.answered, |last| last.up_to);
                if covered < self.published {
                    self.spans.push_back(Span { up_to: self.published, due: ConfirmWait::Now });
                }
                self.spans.push_back(Span { up_to, due });
            }
        }
    }

    /// Number of publishes that are not answered yet.
    pub(super) fn unanswered(&self) -> u64 {
        self.published - self.answered
    }

    /// Panics unless the spans ascend between the last publish that was answered and the last one.
    #[cfg(debug_assertions)]
    pub(super) fn assert_sound(&self) {
        assert!(self.answered <= self.published, "{self:?}");
        assert!(self.spans.front().is_none_or(|first| first.up_to > self.answered), "{self:?}");
        assert!(self.spans.iter().is_sorted_by(|one, next| one.up_to < next.up_to), "{self:?}");
        assert!(self.spans.back().is_none_or(|last| last.up_to <= self.published), "{self:?}");
    }

    /// The batch that the next confirm waits for, as far as is known.
    pub(super) fn awaits(&self) -> Option<Batch> {
        match self.spans.front()?.due {
            ConfirmWait::Synced(batch) => Some(batch),
            ConfirmWait::Now | ConfirmWait::Refused => None,
        }
    }

    /// Appends every confirm that is due, `multiple` where one covers more; `outcome` knows the batches.
    pub(super) fn write(
        &mut self,
        channel: u16,
        outcome: impl Fn(Batch) -> Outcome,
        out: &mut Vec<u8>,
    ) -> Answered {
        let mut answered = Answered::default();
        let mut run: Option<ConfirmKind> = None;
        let mut up_to = self.answered;
        while up_to < self.published {
            let end = self.spans.front().map_or(self.published, |span| span.up_to);
            let due = self.spans.front().map_or(ConfirmWait::Now, |span| span.due);
            let verdict = match due {
                ConfirmWait::Now => ConfirmKind::Ack,
                ConfirmWait::Refused => ConfirmKind::Nack,
                ConfirmWait::Synced(batch) => match outcome(batch) {
                    Outcome::Waiting => break,
                    Outcome::Synced => ConfirmKind::Ack,
                    Outcome::Failed => ConfirmKind::Nack,
                },
            };
            if run.is_some_and(|run| run != verdict) {
                self.write_run(channel, run.take(), up_to, &mut answered, out);
            }
            run = Some(verdict);
            up_to = end;
            self.spans.pop_front();
        }
        self.write_run(channel, run, up_to, &mut answered, out);
        answered
    }

    /// Answers the publishes up to this one alike.
    fn write_run(
        &mut self,
        channel: u16,
        verdict: Option<ConfirmKind>,
        up_to: u64,
        answered: &mut Answered,
        out: &mut Vec<u8>,
    ) {
        let count = up_to - self.answered;
        let multiple = count > 1;
        let write: &dyn Fn(&mut Writer<'_>) = match verdict {
            None => return,
            Some(ConfirmKind::Ack) => {
                answered.acked += count;
                &|to| basic::Ack { delivery_tag: up_to, multiple }.write(to)
            }
            Some(ConfirmKind::Nack) => {
                answered.nacked += count;
                // Always for all up to it, also for one (RabbitMQ: `rabbit_channel:send_nacks`).
                &|to| {
                    basic::Nack { delivery_tag: up_to, multiple: true, requeue: false }.write(to);
                }
            }
        };
        frame::write_with(out, FRAME_METHOD, channel, |to| write(to));
        self.answered = up_to;
    }
}

/// The answer to a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConfirmKind {
    Ack,
    Nack,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Method;

    type Case<'a> = (&'a [ConfirmWait], u64, Option<Batch>, &'a [&'a str]);

    const A: Batch = Batch(1);
    const B: Batch = Batch(2);

    /// The confirms of these publishes when batches up to `synced` are on disk and those of `failed` are lost.
    fn confirms(
        dues: &[ConfirmWait],
        synced: u64,
        failed: Option<Batch>,
    ) -> (Confirms, Vec<String>) {
        let mut confirms = Confirms::default();
        for due in dues {
            confirms.add(*due);
        }
        let said = answer(&mut confirms, synced, failed);
        (confirms, said)
    }

    fn answer(confirms: &mut Confirms, synced: u64, failed: Option<Batch>) -> Vec<String> {
        let outcome = |batch: Batch| match batch {
            _ if failed == Some(batch) => Outcome::Failed,
            Batch(number) if number <= synced => Outcome::Synced,
            Batch(_) => Outcome::Waiting,
        };
        let mut out = Vec::new();
        confirms.write(1, outcome, &mut out);
        let mut said = Vec::new();
        let mut rest = &out[..];
        while let Some(found) = frame::parse(rest, 0).unwrap() {
            rest = &rest[found.encoded_len()..];
            let method = u16::from_be_bytes([found.payload[2], found.payload[3]]);
            said.push(match Method::decode(60, method, &found.payload[4..]).unwrap() {
                Method::BasicAck(ack) if ack.multiple => format!("ack ..{}", ack.delivery_tag),
                Method::BasicAck(ack) => format!("ack {}", ack.delivery_tag),
                Method::BasicNack(nack) if nack.multiple => format!("nack ..{}", nack.delivery_tag),
                Method::BasicNack(nack) => format!("nack {}", nack.delivery_tag),
                other => panic!("{other:?}"),
            });
        }
        said
    }

    #[test]
    fn confirms_leave_in_order_and_only_when_their_batch_is_synced() {
        const NOW: ConfirmWait = ConfirmWait::Now;
        const NO: ConfirmWait = ConfirmWait::Refused;
        let (a, b) = (ConfirmWait::Synced(A), ConfirmWait::Synced(B));
        #[rustfmt::skip]
        let cases: &[Case<'_>] = &[
            // publishes             synced failed   said
            (&[],                    0, None,    &[]),
            (&[NOW],                 0, None,    &["ack 1"]),
            (&[NOW, NOW, NOW],       0, None,    &["ack ..3"]),
            (&[a, a],                0, None,    &[]),
            (&[a, a],                1, None,    &["ack ..2"]),
            (&[NOW, a, NOW],         0, None,    &["ack 1"]), // the third waits for the second: tags leave in order
            (&[NOW, a, NOW],         1, None,    &["ack ..3"]),
            (&[a, b],                1, None,    &["ack 1"]),
            (&[a, b],                2, None,    &["ack ..2"]),
            (&[a, b, b],             1, Some(B), &["ack 1", "nack ..3"]),
            (&[NO],                  0, None,    &["nack ..1"]),
            (&[NO, NO, NOW],         0, None,    &["nack ..2", "ack 3"]),
            (&[NOW, NO, NOW, NO],    0, None,    &["ack 1", "nack ..2", "ack 3", "nack ..4"]),
            (&[a, NO, NOW],          0, None,    &[]),
            (&[a, NO, NOW],          1, None,    &["ack 1", "nack ..2", "ack 3"]),
            (&[a, NO, a, NOW],       0, Some(A), &["nack ..3", "ack 4"]),
            (&[a, NOW, a],           0, Some(A), &["nack ..3"]), // the one in between is confirmed with them
        ];
        for (dues, synced, failed, expected) in cases {
            let (rest, said) = confirms(dues, *synced, *failed);
            assert_eq!(said, *expected, "{dues:?}, synced up to {synced}, failed {failed:?}");
            let waits = dues.len() as u64 - rest.answered;
            assert_eq!(rest.unanswered(), waits, "{dues:?}");
        }
    }

    #[test]
    fn what_was_left_waiting_leaves_with_what_came_later() {
        let (mut rest, said) =
            confirms(&[ConfirmWait::Now, ConfirmWait::Synced(A), ConfirmWait::Now], 0, None);
        assert_eq!((said, rest.awaits()), (vec!["ack 1".to_owned()], Some(A)));
        rest.add(ConfirmWait::Synced(B));
        rest.add(ConfirmWait::Now);
        assert_eq!(answer(&mut rest, 1, None), ["ack ..3"]);
        assert_eq!(rest.awaits(), Some(B));
        assert_eq!(answer(&mut rest, 2, None), ["ack ..5"]);
        assert_eq!((rest.awaits(), rest.unanswered()), (None, 0));
    }

    #[test]
    fn two_kinds_of_messages_in_turn_take_one_span() {
        let mut confirms = Confirms::default();
        for _ in 0..1000 {
            confirms.add(ConfirmWait::Synced(A));
            confirms.add(ConfirmWait::Now);
        }
        assert_eq!(confirms.spans.len(), 1);
        assert_eq!(answer(&mut confirms, 1, None), ["ack ..2000"]);
    }
}
