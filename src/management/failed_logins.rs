//! Failed logins of each address in the last minute: after some of them its logins are not looked at for the rest of it.
//!
//! RabbitMQ has no such limit. Memory: at most [`ADDRESSES_MAX`] addresses, 40 bytes each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::lock::Mutex;

/// The time in which failed logins are counted.
const WINDOW: Duration = Duration::from_mins(1);
/// Addresses that are remembered; if more have failed, those of the oldest minute are forgotten.
const ADDRESSES_MAX: usize = 10_000;
/// The bits of an IPv6 address that say whose network it is.
const NETWORK: u128 = !0 << 64;

/// The failed logins of all addresses.
#[derive(Debug, Default)]
pub(super) struct FailedLogins {
    all: Mutex<HashMap<IpAddr, Failures>>,
}

/// The failures of one address since a time.
#[derive(Clone, Copy, Debug)]
struct Failures {
    since: Duration,
    count: u32,
}

impl FailedLogins {
    /// Returns the time that an address has to wait, if it has failed too often.
    pub(super) fn wait(&self, from: IpAddr, max: u32, now: Duration) -> Option<Duration> {
        let failures = *self.all.lock().get(&network(from))?;
        let left = (failures.since + WINDOW).checked_sub(now).filter(|left| !left.is_zero())?;
        (max > 0 && failures.count >= max).then_some(left)
    }

    /// Counts a failure.
    pub(super) fn add(&self, from: IpAddr, now: Duration) {
        let mut all = self.all.lock();
        if all.len() >= ADDRESSES_MAX {
            all.retain(|_, failures| failures.since + WINDOW > now);
            if let Some(oldest) = all.values().map(|failures| failures.since).min()
                && all.len() >= ADDRESSES_MAX
            {
                all.retain(|_, failures| failures.since > oldest);
            }
        }
        let failures = all.entry(network(from)).or_insert(Failures { since: now, count: 0 });
        if failures.since + WINDOW <= now {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count = failures.count.saturating_add(1);
    }
}

/// The network of an address: one client may have all addresses of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_has_failed_too_often_waits_until_its_minute_is_over() {
        let failed = FailedLogins::default();
        let at = Duration::from_secs;
        let [one, near, other]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse().unwrap());
        failed.add(one, at(10));
        assert_eq!(failed.wait(one, 2, at(11)), None);
        failed.add(near, at(20));
        assert_eq!(failed.wait(one, 2, at(30)), Some(at(40)));
        assert_eq!(failed.wait(other, 2, at(30)), None);
        assert_eq!(failed.wait(one, 0, at(30)), None);
        assert_eq!(failed.wait(one, 2, at(70)), None);
        failed.add(one, at(70));
        assert_eq!(failed.wait(one, 2, at(71)), None);
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let failed = FailedLogins::default();
        for number in 0..30_000_u32 {
            failed.add(IpAddr::from(number.to_be_bytes()), Duration::from_millis(number.into()));
        }
        assert!(failed.all.lock().len() <= ADDRESSES_MAX);
    }
}
