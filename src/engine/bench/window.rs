//! Publishes that wait for their confirms: when each was sent.

use std::collections::VecDeque;

use crate::client::Error;

/// The largest distance between the first and the last unconfirmed publish, in windows: a broker that never answers one
/// must not make us keep all behind it.
const SPAN_MAX: usize = 8;

/// The stamp of one that was answered out of turn.
const ANSWERED: u64 = u64::MAX;

/// The unconfirmed publishes of a channel.
#[derive(Debug)]
pub(super) struct Window {
    /// Stamps from the first unconfirmed publish on
    stamps: VecDeque<u64>,
    /// The delivery tag of the first of them
    first_tag: u64,
    unanswered: usize,
    max: usize,
}

impl Window {
    /// For at most `max` unconfirmed publishes.
    pub(super) fn new(max: u32) -> Self {
        let max = max as usize;
        Self { stamps: VecDeque::with_capacity(max), first_tag: 1, unanswered: 0, max }
    }

    /// Returns the number of messages that may be sent now.
    pub(super) fn room(&self) -> usize {
        let span = SPAN_MAX.saturating_mul(self.max).saturating_sub(self.stamps.len());
        (self.max - self.unanswered).min(span)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unanswered == 0
    }

    /// The next publish goes out.
    #[inline]
    pub(super) fn push(&mut self, stamp_ns: u64) {
        self.stamps.push_back(stamp_ns);
        self.unanswered += 1;
    }

    /// Takes an answer; `each` is given the stamp of every publish it is for.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when nothing with such a tag was published.
    pub(super) fn answer(
        &mut self,
        tag: u64,
        multiple: bool,
        mut each: impl FnMut(u64),
    ) -> Result<(), Error> {
        // Tag 0 with `multiple` is all so far (1.8.3.13).
        let last = self.first_tag + self.stamps.len() as u64 - 1;
        let tag = if tag == 0 && multiple { last } else { tag };
        if tag > last || tag == 0 {
            return Err(Error::protocol(format!("a confirm of publish {tag}; {last} were sent")));
        }
        if multiple {
            while self.first_tag <= tag {
                self.pop(&mut each);
            }
        } else if tag >= self.first_tag {
            let at = usize::try_from(tag - self.first_tag).unwrap_or(usize::MAX);
            let stamp = std::mem::replace(&mut self.stamps[at], ANSWERED);
            if stamp != ANSWERED {
                self.unanswered -= 1;
                each(stamp);
            }
        }
        while self.stamps.front() == Some(&ANSWERED) {
            self.pop(&mut each);
        }
        Ok(())
    }

    #[inline]
    fn pop(&mut self, each: &mut impl FnMut(u64)) {
        let Some(stamp) = self.stamps.pop_front() else { return };
        self.first_tag += 1;
        if stamp != ANSWERED {
            self.unanswered -= 1;
            each(stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_publish_is_answered_once_in_any_order() {
        let mut window = Window::new(10);
        (1..=10).for_each(|stamp| window.push(stamp * 100));
        assert_eq!((window.room(), window.is_empty()), (0, false));
        let mut seen = Vec::new();
        window.answer(3, false, |stamp| seen.push(stamp)).unwrap();
        window.answer(5, true, |stamp| seen.push(stamp)).unwrap();
        window.answer(5, true, |stamp| seen.push(stamp)).unwrap();
        window.answer(2, false, |stamp| seen.push(stamp)).unwrap();
        assert_eq!(seen, [300, 100, 200, 400, 500]);
        assert_eq!(window.room(), 5);
        window.answer(0, true, |_| ()).unwrap();
        assert!(window.is_empty());
        window.answer(11, false, |_| ()).unwrap_err();
        window.answer(0, false, |_| ()).unwrap_err();
    }

    #[test]
    fn one_that_is_never_answered_bounds_the_others() {
        let mut window = Window::new(4);
        window.push(1);
        let mut tag = 1;
        while window.room() > 0 {
            window.push(2);
            tag += 1;
            window.answer(tag, false, |_| ()).unwrap();
        }
        assert_eq!(tag, 4 * SPAN_MAX as u64);
        window.answer(1, false, |_| ()).unwrap();
        assert_eq!(window.room(), 4);
    }
}
