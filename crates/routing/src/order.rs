//! The waiting list: value first, and nobody waits for ever.
//!
//! Waiting raises priority, by one point in every so many seconds and for everybody at the same pace:
//!
//! ```text
//! effective(now) = priority + (now - since) / point
//! ```
//!
//! All lines rise together, so two that wait never change places: the order now is the order later. The
//! moment therefore cancels out, and what is left is a sort key that can be stored and indexed: the moment at
//! which a conversation of priority nought would have had to come to stand there,
//!
//! ```text
//! place = since - priority * point
//! ```
//!
//! A point of priority is a head start of so many seconds, and that is the whole bound: whoever came later
//! than the greatest head start after you is behind you, whoever they are. A different pace for each priority
//! would make lines cross and keys go stale, and gain nothing a greater head start does not give.

use contact::ConversationId;
pub use contact::work::{Priority, TOP_PRIORITY};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How fast waiting raises priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ageing {
    /// The seconds that are worth a point. With none, only the time of arrival counts.
    pub point_s: u32,
}

impl Default for Ageing {
    fn default() -> Ageing {
        Ageing { point_s: contact::work::USUAL_POINT_S }
    }
}

impl Ageing {
    /// The head start of the most urgent over the least: nobody is passed by who came later than that.
    pub fn greatest_head_start(self) -> SignedDuration {
        self.head_start(Priority::clamped(i32::from(TOP_PRIORITY)))
    }

    /// Where a conversation stands whose client has waited `since` then.
    pub fn place(self, conversation: ConversationId, priority: Priority, since: Timestamp) -> Place {
        // The sort key may lie before the first moment of the calendar, so it is a number.
        let key = since.as_microsecond().saturating_sub(micros(self.head_start(priority)));
        Place { key, since, conversation }
    }

    /// Its priority at a moment, in thousandths of a point; for people to see, the order does not need it.
    pub fn effective_milli(self, priority: Priority, since: Timestamp, now: Timestamp) -> i64 {
        let own = i64::from(priority.get()) * 1_000;
        let waited = micros(now.duration_since(since).max(SignedDuration::ZERO));
        own.saturating_add(waited.checked_div(i64::from(self.point_s) * 1_000).unwrap_or(0))
    }

    fn head_start(self, priority: Priority) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.point_s) * i64::from(priority.get()))
    }
}

fn micros(time: SignedDuration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A place in the waiting list; the smallest is first. Equal keys go by arrival, and then by id, so that every
/// process sees one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Microseconds since the epoch, less the head start.
    pub key: i64,
    pub since: Timestamp,
    pub conversation: ConversationId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u64) -> ConversationId {
        let key = contact::EventKey { source: "chat/site".parse().unwrap(), id: number.to_string() };
        ConversationId::derived(&key, Timestamp::UNIX_EPOCH)
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn value_goes_first_and_then_who_came_first() {
        let ageing = Ageing::default();
        let place =
            |number, priority, since| ageing.place(id(number), Priority::clamped(priority), second(since));
        assert!(place(1, 90, 600) < place(2, 50, 0), "forty points are twenty minutes");
        assert!(place(1, 50, 0) < place(2, 50, 1));
        assert!(place(1, 90, 1_201) > place(2, 50, 0), "but no more than that");
    }

    #[test]
    fn priority_stays_within_its_bounds() {
        assert_eq!(Priority::clamped(-7).get(), 0);
        assert_eq!(Priority::clamped(1_000_000).get(), TOP_PRIORITY);
        assert_eq!(Priority::clamped(50), Priority::USUAL);
    }

    #[test]
    fn without_ageing_only_arrival_counts() {
        let none = Ageing { point_s: 0 };
        assert!(
            none.place(id(1), Priority::clamped(0), second(0))
                < none.place(id(2), Priority::clamped(100), second(1))
        );
        assert_eq!(none.effective_milli(Priority::USUAL, second(0), second(999)), 50_000);
    }

    proptest! {
        #[test]
        fn the_key_orders_as_effective_priority_does_at_every_moment(
            point_s in 1u32..600, a in (0i32..=100, 0i64..10_000), b in (0i32..=100, 0i64..10_000), later in 0i64..100_000,
        ) {
            let ageing = Ageing { point_s };
            let (pa, pb) = (Priority::clamped(a.0), Priority::clamped(b.0));
            let (first, second_) = (ageing.place(id(1), pa, second(a.1)), ageing.place(id(2), pb, second(b.1)));
            let now = second(10_000 + later);
            // Exactly, in microseconds of waiting: effective_milli rounds.
            let weight = |p: Priority, since: i64| i64::from(p.get()) * i64::from(point_s) + (10_000 + later - since);
            let (wa, wb) = (weight(pa, a.1), weight(pb, b.1));
            prop_assert_eq!(wa > wb, first.key < second_.key);
            prop_assert_eq!(wa == wb, first.key == second_.key);
            if first.key < second_.key {
                prop_assert!(ageing.effective_milli(pa, second(a.1), now) >= ageing.effective_milli(pb, second(b.1), now));
            }
        }

        #[test]
        fn nobody_is_passed_by_who_came_a_head_start_later(
            point_s in 0u32..600, mine in 0i32..=100, theirs in 0i32..=100, gap in 1i64..1_000,
        ) {
            let ageing = Ageing { point_s };
            let late = ageing.greatest_head_start().as_secs() + gap;
            let me = ageing.place(id(1), Priority::clamped(mine), second(0));
            prop_assert!(me < ageing.place(id(2), Priority::clamped(theirs), second(late)));
        }
    }
}
