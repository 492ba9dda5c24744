//! How much one visitor, and one address, may do. Everything is counted in bounded tables.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// How many keys one rate remembers. Beyond it, with everybody active, newcomers wait.
const KEYS: usize = 100_000;

/// What a widget's table says of it, see [`crate::Config`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) visitor: NonZeroU32,
    pub(crate) address: NonZeroU32,
    pub(crate) visitor_hellos: NonZeroU32,
    pub(crate) address_hellos: NonZeroU32,
    pub(crate) visitor_sockets: u32,
    pub(crate) address_sockets: u32,
    pub(crate) sockets: u32,
}

/// Where somebody is: an IPv4 address, or the /64 that one subscriber has of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place(IpAddr);

impl Place {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 => v4,
        })
    }
}

/// The rates of one widget.
pub(crate) struct Rates {
    pub(crate) visitor: Rate<String>,
    pub(crate) address: Rate<Place>,
    pub(crate) visitor_hellos: Rate<String>,
    pub(crate) address_hellos: Rate<Place>,
}

impl Rates {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            visitor: Rate::new(bounds.visitor),
            address: Rate::new(bounds.address),
            visitor_hellos: Rate::new(bounds.visitor_hellos),
            address_hellos: Rate::new(bounds.address_hellos),
        }
    }

    /// Forgets who was quiet for long enough to be a newcomer.
    pub(crate) fn forget(&self) {
        self.visitor.limiter.retain_recent();
        self.address.limiter.retain_recent();
        self.visitor_hellos.limiter.retain_recent();
        self.address_hellos.limiter.retain_recent();
    }
}

/// So many a minute of each key; all of them may come at once.
pub(crate) struct Rate<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, DefaultClock>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    pub(crate) fn new(per_minute: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::hashmap(Quota::per_minute(per_minute)), clock: DefaultClock::default() }
    }

    /// Counts one more of `key`; or how long it has to wait.
    pub(crate) fn take(&self, key: &K) -> Result<(), Duration> {
        if self.limiter.len() >= KEYS {
            self.limiter.retain_recent();
            if self.limiter.len() >= KEYS {
                return Err(Duration::from_secs(60));
            }
        }
        self.limiter.check_key(key).map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

/// Seats of which each key has so many, and all together so many.
pub(crate) struct Seats<K: Hash + Eq + Clone> {
    each: u32,
    all: u32,
    taken: Mutex<(u32, HashMap<K, u32>)>,
}

/// One seat, given back when dropped.
pub(crate) struct Seat<K: Hash + Eq + Clone> {
    seats: Arc<Seats<K>>,
    key: K,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// This one has too many.
    Each,
    /// All are taken.
    All,
}

impl<K: Hash + Eq + Clone> Seats<K> {
    pub(crate) fn new(each: u32, all: u32) -> Arc<Self> {
        Arc::new(Self { each, all, taken: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>, key: K) -> Result<Seat<K>, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_key) = &mut *taken;
        if *all >= self.all {
            return Err(Full::All);
        }
        if by_key.get(&key).is_some_and(|count| *count >= self.each) {
            return Err(Full::Each);
        }
        *all += 1;
        *by_key.entry(key.clone()).or_default() += 1;
        Ok(Seat { seats: self.clone(), key })
    }
}

impl<K: Hash + Eq + Clone> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_key) = &mut *taken;
        *all -= 1;
        if let Some(count) = by_key.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                by_key.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_each_ones_own() {
        let rate = Rate::new(NonZeroU32::new(2).unwrap());
        assert!(rate.take(&"a").is_ok() && rate.take(&"a").is_ok());
        let wait = rate.take(&"a").unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(30), "{wait:?}");
        assert!(rate.take(&"b").is_ok());
    }

    #[test]
    fn a_seat_is_free_again_when_it_is_left() {
        let seats = Seats::new(2, 3);
        let first = seats.take("a").unwrap();
        let _second = seats.take("a").unwrap();
        assert_eq!(seats.take("a").err(), Some(Full::Each));
        let _third = seats.take("b").unwrap();
        assert_eq!(seats.take("c").err(), Some(Full::All));
        drop(first);
        assert!(seats.take("a").is_ok());
        assert_eq!(seats.taken.lock().unwrap().1.len(), 2, "who has no seat is not remembered");
    }

    #[test]
    fn a_place_is_a_subscriber() {
        let place = |text: &str| Place::of(text.parse().unwrap());
        assert_eq!(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff::9"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
    }
}
