//! The past values of one object's numbers: every 5 seconds for ten minutes, every minute for a day, every hour for 30
//! days.
//!
//! Only changes are kept, each as the differences to the change before it: 3 bytes and about 2 for each number that
//! changed. An object of 9 numbers takes about 900 bytes and 10 for each time at which it changed: 25 kB if 4 of them have
//! changed all the time for 30 days, 70 kB if all have. One that never changes has no history ([`Histories`](super::histories::Histories)).

use std::collections::VecDeque;

/// The seconds from one value to the next, and those for which a value is kept.
struct Resolution {
    step_s: u64,
    kept_s: u64,
}

const RESOLUTIONS: [Resolution; 3] = [
    Resolution { step_s: 5, kept_s: 600 },
    Resolution { step_s: 60, kept_s: 86_400 },
    Resolution { step_s: 3600, kept_s: 30 * 86_400 },
];

/// The times in seconds for which values are kept, as `GET /overview` tells them.
pub(super) const KEPT_S: [u64; RESOLUTIONS.len()] =
    [RESOLUTIONS[0].kept_s, RESOLUTIONS[1].kept_s, RESOLUTIONS[2].kept_s];

/// The finest resolution that reaches so far back, else the coarsest.
fn level(age_s: u64) -> usize {
    let reaches = |resolution: &Resolution| age_s <= resolution.kept_s;
    RESOLUTIONS.iter().position(reaches).unwrap_or(RESOLUTIONS.len() - 1)
}

/// Answers whether a time has no value yet but the present one, in a history that is read back to `oldest_s`.
pub(super) fn is_open(time_s: u64, oldest_s: u64, now_s: u64) -> bool {
    let step_s = RESOLUTIONS[level(now_s.saturating_sub(oldest_s))].step_s;
    time_s / step_s == now_s / step_s
}

/// The past of one object's numbers.
#[derive(Debug)]
pub(super) struct NumberHistory {
    newest: Box<[u64]>,
    changed_at_s: u64,
    courses: [Course; RESOLUTIONS.len()],
}

/// The past at one resolution. Time is cut into slots of one step; a slot has the last values in it.
#[derive(Debug)]
struct Course {
    /// The slot of the newest values, which may still change.
    open: u64,
    /// The values before the first change that is kept, and the slot that it is counted from.
    base: Box<[u64]>,
    base_slot: u64,
    /// The changes: slots since the one before, a bit for each number that changed, the differences.
    changes: VecDeque<u8>,
    /// The values of the last change, and its slot.
    last: Box<[u64]>,
    last_slot: u64,
}

impl NumberHistory {
    /// Begins a history: the values were `before` until now.
    pub(super) fn new(before: &[u64], now_s: u64) -> Self {
        let courses = RESOLUTIONS.map(|resolution| {
            let slot = now_s / resolution.step_s;
            Course {
                open: slot,
                base: before.into(),
                base_slot: slot,
                changes: VecDeque::new(),
                last: before.into(),
                last_slot: slot,
            }
        });
        Self { newest: before.into(), changed_at_s: now_s, courses }
    }

    pub(super) fn newest(&self) -> &[u64] {
        &self.newest
    }

    pub(super) fn changed_at_s(&self) -> u64 {
        self.changed_at_s
    }

    /// Notes that the values have changed.
    pub(super) fn note(&mut self, values: &[u64], now_s: u64) {
        for (course, resolution) in self.courses.iter_mut().zip(RESOLUTIONS) {
            let slot = now_s / resolution.step_s;
            if slot > course.open {
                course.close(&self.newest);
                course.open = slot;
                course.forget_before(slot.saturating_sub(resolution.kept_s / resolution.step_s));
            }
        }
        self.newest = values.into();
        self.changed_at_s = now_s;
    }

    /// The values at these times, given from the newest to the oldest; of times that are forgotten the oldest that are
    /// known.
    pub(super) fn at(&self, times_s: &[u64], now_s: u64) -> Vec<Box<[u64]>> {
        let Some(oldest) = times_s.last() else { return Vec::new() };
        let level = level(now_s.saturating_sub(*oldest));
        let (course, step_s) = (&self.courses[level], RESOLUTIONS[level].step_s);
        let all = course.decode();
        let at = |time: &u64| {
            let slot = time / step_s;
            if slot >= course.open {
                return self.newest.clone();
            }
            let later = all.partition_point(|(changed, _)| *changed <= slot);
            all.get(later.wrapping_sub(1))
                .map_or_else(|| course.base.clone(), |(_, values)| values.clone())
        };
        times_s.iter().map(at).collect()
    }

    /// Bytes of memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let of_course =
            |course: &Course| course.changes.capacity() + 2 * size_of_val(&*course.base);
        let courses: usize = self.courses.iter().map(of_course).sum();
        size_of::<Self>() + size_of_val(&*self.newest) + courses
    }
}

impl Course {
    /// Keeps the values of the open slot, if they differ from those before.
    fn close(&mut self, values: &[u64]) {
        let mut changed = 0;
        for (at, (before, now)) in self.last.iter().zip(values).enumerate() {
            changed |= u64::from(before != now) << at;
        }
        if changed == 0 {
            return;
        }
        push(&mut self.changes, self.open - self.last_slot);
        push(&mut self.changes, changed);
        for (before, now) in self.last.iter_mut().zip(values) {
            if before != now {
                push(&mut self.changes, zigzag(now.wrapping_sub(*before)));
                *before = *now;
            }
        }
        self.last_slot = self.open;
    }

    /// Forgets the changes of slots before this one, but for the last of them.
    fn forget_before(&mut self, slot: u64) {
        loop {
            let mut reader = self.changes.iter().copied();
            let Some(gap) = pull(&mut reader) else { return };
            if self.base_slot + gap >= slot {
                return;
            }
            let left = apply(&mut reader, &mut self.base);
            self.base_slot += gap;
            let read = self.changes.len() - left;
            self.changes.drain(..read);
        }
    }

    /// Every change: its slot, and the values from it on.
    fn decode(&self) -> Vec<(u64, Box<[u64]>)> {
        let (mut slot, mut values) = (self.base_slot, self.base.clone());
        let mut all = Vec::new();
        let mut reader = self.changes.iter().copied();
        while let Some(gap) = pull(&mut reader) {
            slot += gap;
            apply(&mut reader, &mut values);
            all.push((slot, values.clone()));
        }
        all
    }
}

/// Reads the differences of one change into the values before it; answers the bytes left.
fn apply(reader: &mut impl ExactSizeIterator<Item = u8>, values: &mut [u64]) -> usize {
    let changed = pull(reader).unwrap_or(0);
    for (at, value) in values.iter_mut().enumerate() {
        if changed >> at & 1 == 1 {
            *value = value.wrapping_add(unzigzag(pull(reader).unwrap_or(0)));
        }
    }
    reader.len()
}

/// Writes a number, 7 bits a byte, the lowest first.
fn push(into: &mut VecDeque<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push_back((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    into.push_back((number & 0x7f) as u8);
}

fn pull(reader: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = reader.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

/// Puts small differences of both signs into few bits.
fn zigzag(difference: u64) -> u64 {
    let sign = (difference.cast_signed() >> 63).cast_unsigned();
    (difference << 1) ^ sign
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_of_both_signs_come_back() {
        for difference in [0, 1, u64::MAX, 300, 300_u64.wrapping_neg(), u64::MAX / 2, 1 << 63] {
            assert_eq!(unzigzag(zigzag(difference)), difference);
            let mut bytes = VecDeque::new();
            push(&mut bytes, zigzag(difference));
            assert_eq!(pull(&mut bytes.into_iter()), Some(zigzag(difference)));
        }
        assert!(zigzag(1_u64.wrapping_neg()) < 3);
    }

    #[test]
    fn the_past_is_told_at_each_resolution() {
        // One message every 5 seconds for two days, then nothing for a minute.
        const END: u64 = 2 * 86_400;
        let mut history = NumberHistory::new(&[0, 7], 0);
        for now in (5..=END).step_by(5) {
            history.note(&[now / 5, 7], now);
        }
        let now = END + 60;
        let at = |times: &[u64]| {
            history.at(times, now).iter().map(|values| values[0]).collect::<Vec<_>>()
        };
        assert_eq!(
            at(&[END + 60, END + 5, END, END - 5, END - 100]),
            [34560, 34560, 34560, 34559, 34540]
        );
        // A minute has the last value in it.
        assert_eq!(
            at(&[END, END - 3600, END - 80_000]),
            [34560, (END - 3545) / 5, (END - 79_985) / 5]
        );
        // So has an hour.
        assert_eq!(at(&[END - 100_800])[0], (END - 100_800 + 3595) / 5);
        assert_eq!(history.at(&[now], now)[0][1], 7);
        assert!(history.bytes() < 16_000, "{}", history.bytes());
    }

    #[test]
    fn values_before_the_first_change_are_those_of_the_beginning() {
        let mut history = NumberHistory::new(&[3], 1000);
        history.note(&[5], 1000);
        history.note(&[1], 1010);
        let values = history.at(&[1010, 1005, 1000, 995], 1010);
        assert_eq!(values.iter().map(|values| values[0]).collect::<Vec<_>>(), [1, 5, 5, 3]);
    }

    #[test]
    fn a_history_does_not_grow_for_ever() {
        let mut history = NumberHistory::new(&[0; 9], 0);
        let mut values = [0; 9];
        for now in (0..90 * 86_400).step_by(60) {
            for value in &mut values {
                *value += 1000;
            }
            history.note(&values, now);
        }
        assert!(history.bytes() < 70_000, "{}", history.bytes());
    }
}
