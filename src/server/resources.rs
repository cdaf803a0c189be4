//! Memory and disk space that the machine has left for the broker, checked every 0.1 to 2 s for the alarms.
//!
//! RabbitMQ: `vm_memory_monitor` and `rabbit_disk_monitor`. As there, checks are more frequent near a limit. Memory is
//! read from Linux's `/proc`; a value that cannot be read counts as no shortage. Start at [`watch`].

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::broker::Broker;
use crate::broker::alarm::Shortage;
use crate::broker::node_limits::NodeLimits;

/// The speed at which memory or a disk may fill: the bytes left divided by this are the time until the next check.
const FILLED_BYTES_PER_S: u64 = 1 << 30;
/// Time between two checks of a limit that is near or passed.
const CHECK_SOONEST: Duration = Duration::from_millis(100);
/// Time between two checks of a limit that is far away.
const CHECK_LATEST: Duration = Duration::from_secs(2);
/// Bytes of a page, the unit of `/proc/self/statm`. Other machines may have larger pages, all of them multiples of
/// this; then the count is too low.
const PAGE_BYTES: u64 = 4096;

/// Bytes of memory that this process has.
pub fn resident_bytes() -> Option<u64> {
    bytes_of_pages(1)
}

/// Bytes of the program itself, as far as this process has used them or not.
pub fn program_bytes() -> Option<u64> {
    bytes_of_pages(3)
}

/// The bytes of one column of `/proc/self/statm`.
fn bytes_of_pages(column: usize) -> Option<u64> {
    let counts = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = counts.split_whitespace().nth(column)?.parse().ok()?;
    // The numbers of the system are multiplied with saturation: they may be anything.
    Some(pages.saturating_mul(PAGE_BYTES))
}

/// Bytes of memory above which publishers pause: those of the machine if there is no limit, 0 if they are not known.
pub fn memory_limit(broker: &Broker) -> u64 {
    broker.limits.get().memory_bytes_max.or_else(machine_bytes).unwrap_or(0)
}

/// Bytes of memory that relative limits are a part of: those that the limits name, or the machine's.
pub fn total_bytes(limits: &NodeLimits) -> Option<u64> {
    limits.total_memory_bytes.or_else(machine_bytes)
}

/// Bytes of memory that this process may have: the machine's, or what its control group is given.
pub fn machine_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let line = machine.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    let bytes = kib.saturating_mul(1024);
    let of_group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    Some(of_group.map_or(bytes, |limit: u64| limit.min(bytes)))
}

/// Bytes that are free on the disk of a directory.
pub fn disk_free_bytes(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Checks memory and disk space now, before any client comes; then raises and ends the alarms for them until the server
/// stops.
pub(super) fn watch(
    shared: Arc<Shared>,
    directory: Option<PathBuf>,
) -> impl Future<Output = ()> + Send {
    let mut gauge = Gauge::default();
    let mut left = look(&shared.broker, directory.as_deref(), &mut gauge);
    async move {
        let mut stop = shared.stop.subscribe();
        loop {
            tokio::select! {
                // Cancel-safe: a dropped sleep has done nothing.
                () = tokio::time::sleep(pause(left)) => {}
                _ = stop.wait_for(|is_stopping| *is_stopping) => return,
            }
            shared.slots.look(&shared.broker);
            left = look(&shared.broker, directory.as_deref(), &mut gauge);
            shared.broker.drops().tell(shared.clock.now());
        }
    }
}

/// Checks memory and disk space now, because a limit has changed. What was freed counts as used until the next check.
pub fn look_now(broker: &Broker, directory: Option<&Path>) {
    look(broker, directory, &mut Gauge::default());
}

/// Checks both limits; answers the distance to the nearer one in bytes.
pub(super) fn look(broker: &Broker, directory: Option<&Path>, gauge: &mut Gauge) -> u64 {
    let mut left = u64::MAX;
    // A limit that is passed is 0 bytes away.
    let limits = broker.limits.get();
    if let (Some(max), Some(resident)) = (limits.memory_bytes_max, resident_bytes()) {
        let used = gauge.used(resident, broker.waiting_bytes());
        report(broker, Shortage::Memory, used > max);
        left = left.min(max.saturating_sub(used));
    }
    if !limits.is_disk_watched {
        report(broker, Shortage::DiskSpace, false);
    } else if let Some(free) = directory.and_then(disk_free_bytes) {
        let min = limits.disk_free_bytes_min;
        report(broker, Shortage::DiskSpace, free < min);
        left = left.min(free.saturating_sub(min));
    }
    left
}

fn report(broker: &Broker, shortage: Shortage, is_short: bool) {
    if is_short {
        broker.raise_alarm(shortage);
    } else {
        broker.end_alarm(shortage);
    }
}

fn pause(left: u64) -> Duration {
    Duration::from_millis(left / (FILLED_BYTES_PER_S / 1000)).clamp(CHECK_SOONEST, CHECK_LATEST)
}

/// Estimates the memory in use, of all that the process has.
///
/// An allocator does not give everything back to the system that is freed, and uses it again for the next messages. By
/// the process' size alone an alarm would last though all queues are empty. The process is taken as full when it is
/// larger than ever before; from then on, what fewer bytes wait in queues is taken as free.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    full: Option<MemoryPeak>,
}

/// A moment at which the process had as much memory as never before.
#[derive(Clone, Copy, Debug)]
struct MemoryPeak {
    resident_bytes: u64,
    waiting_bytes: u64,
}

impl Gauge {
    /// The bytes in use of a process of `resident_bytes`, with messages of `waiting_bytes` in its queues.
    fn used(&mut self, resident_bytes: u64, waiting_bytes: u64) -> u64 {
        match self.full {
            Some(full) if resident_bytes <= full.resident_bytes => {
                // No bytes are free if more wait now than then.
                let freed = full.waiting_bytes.saturating_sub(waiting_bytes);
                resident_bytes.min(full.resident_bytes.saturating_sub(freed))
            }
            Some(_) | None => {
                self.full = Some(MemoryPeak { resident_bytes, waiting_bytes });
                resident_bytes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_freed_is_not_in_use() {
        let mut gauge = Gauge::default();
        #[rustfmt::skip]
        let cases = [
            // resident  waiting  used
            (10,         0,       10),
            (110,        100,     110),
            (110,        20,      30),  // freed, and not given back
            (110,        90,      100), // used again
            (60,         20,      30),  // half of it given back
            (25,         20,      25),
            (120,        20,      120), // larger than ever: something else takes it
            (120,        0,       100),
        ];
        for (resident, waiting, used) in cases {
            assert_eq!(gauge.used(resident, waiting), used, "{resident} with {waiting}");
        }
    }

    #[test]
    fn the_nearer_a_limit_the_sooner_it_is_looked_at() {
        assert_eq!(pause(0), CHECK_SOONEST);
        assert_eq!(pause(1 << 30).as_millis(), 1000);
        assert_eq!(pause(u64::MAX), CHECK_LATEST);
    }

    #[test]
    fn each_shortage_has_its_own_alarm() {
        let here = Path::new(".");
        let of = |memory_bytes_max, disk_free_bytes_min| {
            let broker = Broker::new("mq@test".into());
            let usual = NodeLimits::default();
            broker.limits.set(NodeLimits { memory_bytes_max, disk_free_bytes_min, ..usual });
            broker
        };
        #[rustfmt::skip]
        let cases = [
            (Some(1),        u64::MAX, (true, true)),
            (Some(1),        0,        (true, false)),
            (Some(u64::MAX), u64::MAX, (false, true)),
            (None,           0,        (false, false)),
        ];
        for (memory, disk, expected) in cases {
            let broker = of(memory, disk);
            look(&broker, Some(here), &mut Gauge::default());
            let alarm = &broker.alarm;
            let found = (alarm.is_short_of_memory(), alarm.is_short_of_disk());
            assert_eq!(found, expected, "{memory:?}, {disk}");
            assert_eq!(alarm.is_on(), expected.0 || expected.1);
        }
        assert!(machine_bytes() > resident_bytes(), "both can be read");
    }

    #[test]
    fn an_alarm_ends_when_there_is_enough_again() {
        let broker = Broker::new("mq@test".into());
        let with_memory =
            |memory_bytes_max| NodeLimits { memory_bytes_max, ..NodeLimits::default() };
        broker.limits.set(with_memory(Some(1)));
        look(&broker, None, &mut Gauge::default());
        assert!(broker.alarm.is_on());
        broker.limits.set(with_memory(Some(u64::MAX)));
        look(&broker, None, &mut Gauge::default());
        assert!(!broker.alarm.is_on());
    }
}
