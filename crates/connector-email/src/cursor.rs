//! How far a mailbox was read. Pure.
//!
//! A mail is named by its mailbox's UIDVALIDITY and its UID, which only grows (RFC 9051 2.3.1.1). When
//! UIDVALIDITY changes, every UID kept is void: the mailbox is read again by date, and the key of the
//! event decides what was there before.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::From;
use crate::session::Selected;

/// A mailbox that was made anew is read from this long before the last mail kept: what was delivered
/// beside us, or restored with its dates, is found, and years are not read again.
const MARGIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a reader writes as its mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// UIDVALIDITY: of which mailbox these are UIDs.
    pub(crate) validity: u32,
    /// Every mail below was kept.
    pub(crate) next: u32,
    /// Every mail below was also marked, or moved, where that is configured.
    pub(crate) marked: u32,
    /// The UIDNEXT of the first start: what is below was there before us. `None` after the mailbox was
    /// made anew; then the date tells.
    pub(crate) first: Option<u32>,
    /// Mails of before the first start are read when they arrived on this day or later; all, when `None`.
    pub(crate) since: Option<Date>,
    /// When we first started.
    pub(crate) began: Timestamp,
    /// When the latest mail that was kept arrived.
    pub(crate) latest: Timestamp,
}

/// Where a mail goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Live,
    /// It was there before us: no clock starts.
    Import,
}

impl Position {
    /// The first start. `next` is the mailbox's UIDNEXT.
    pub(crate) fn begin(validity: u32, next: u32, from: From, now: Timestamp) -> Self {
        let (read_from, since) = match from {
            From::Now => (next, None),
            From::All => (1, None),
            From::Date(day) => (1, Some(day)),
        };
        Self {
            validity,
            next: read_from,
            marked: read_from,
            first: Some(next),
            since,
            began: now,
            latest: now,
        }
    }

    /// Where to go on in a mailbox as it is selected now.
    ///
    /// Who wants nothing of before the first start gets the day of it again, and its mails go to the
    /// import: a day too many is harmless, a mail too few is not.
    pub(crate) fn seen(self, selected: Selected, from: From) -> Self {
        if selected.validity == self.validity {
            return self;
        }
        let before = self.latest.checked_sub(MARGIN).unwrap_or(self.latest);
        let day = match from {
            From::Now => before.max(self.began),
            From::All | From::Date(_) => before,
        };
        let day = day.to_zoned(TimeZone::UTC).date();
        // The server's calendar may be a day behind ours.
        let day = day.yesterday().unwrap_or(day);
        let since = match from {
            From::Date(wanted) => day.max(wanted),
            From::Now | From::All => day,
        };
        Self { validity: selected.validity, next: 1, marked: 1, first: None, since: Some(since), ..self }
    }

    /// Whether this mail was there before us.
    pub(crate) fn lane(&self, uid: u32, arrived_at: Option<Timestamp>) -> Lane {
        let before_us = match self.first {
            Some(first) => uid < first,
            None => arrived_at.is_some_and(|at| at < self.began),
        };
        if before_us { Lane::Import } else { Lane::Live }
    }

    /// Every mail up to and with this one is kept; the latest of them arrived then. A date of the future
    /// is none: by it a mailbox made anew would be read from a day that is still to come.
    pub(crate) fn kept(&mut self, uid: u32, arrived_at: Option<Timestamp>, now: Timestamp) {
        self.next = self.next.max(uid.saturating_add(1));
        self.latest = self.latest.max(arrived_at.unwrap_or(self.latest).min(now));
    }

    /// The two parts of a search from `first` to `last` (`None`: the end): with the day, and without.
    pub(crate) fn parts(&self, first: u32, last: Option<u32>) -> Vec<(u32, Option<u32>, Option<Date>)> {
        let Some(day) = self.since else { return vec![(first, last, None)] };
        let Some(ours) = self.first else { return vec![(first, last, Some(day))] };
        let end = last.unwrap_or(u32::MAX);
        let mut parts = Vec::new();
        if first < ours {
            parts.push((first, Some(end.min(ours - 1)), Some(day)));
        }
        if end >= ours {
            parts.push((first.max(ours), last, None));
        }
        parts
    }

    /// As it is kept.
    pub(crate) fn written(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// As it was kept.
    pub(crate) fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        at("2026-03-10T12:00:00Z")
    }

    fn anew(validity: u32) -> Selected {
        Selected { validity, next: Some(3) }
    }

    #[test]
    fn what_was_there_before_us_is_imported_and_the_rest_is_live() {
        let all = Position::begin(7, 101, From::All, now());
        assert_eq!((all.next, all.lane(100, None), all.lane(101, None)), (1, Lane::Import, Lane::Live));
        let from_now = Position::begin(7, 101, From::Now, now());
        assert_eq!(from_now.next, 101);
        let before = Some(at("2026-03-10T11:59:59Z"));
        let again = all.seen(anew(8), From::All);
        assert_eq!((again.lane(1, before), again.lane(2, Some(now()))), (Lane::Import, Lane::Live));
        assert_eq!(again.lane(1, None), Lane::Live, "in doubt somebody waits for an answer");
    }

    #[test]
    fn the_same_mailbox_goes_on_and_another_is_read_by_date() {
        let mut position = Position::begin(7, 101, From::All, now());
        position.kept(150, Some(at("2026-04-20T10:00:00Z")), at("2026-04-20T10:00:01Z"));
        assert_eq!(position.clone().seen(anew(7), From::All), position);
        let again = position.clone().seen(anew(8), From::All);
        assert_eq!((again.validity, again.next, again.first), (8, 1, None));
        assert_eq!(again.since, Some("2026-04-12".parse().unwrap()));
        let once_more = again.seen(anew(9), From::All);
        assert_eq!(once_more.since, Some("2026-04-12".parse().unwrap()));

        let fresh = Position::begin(7, 101, From::Now, now()).seen(anew(8), From::Now);
        assert_eq!(fresh.since, Some("2026-03-09".parse().unwrap()), "not before the first start");
        let wanted = From::Date("2026-04-15".parse().unwrap());
        assert_eq!(position.seen(anew(8), wanted).since, Some("2026-04-15".parse().unwrap()));
    }

    #[test]
    fn a_date_of_the_future_hides_no_mail() {
        let mut position = Position::begin(7, 1, From::Now, now());
        position.kept(1, Some(at("2099-01-01T00:00:00Z")), now());
        assert_eq!(position.latest, now());
        position.kept(1, Some(at("1999-01-01T00:00:00Z")), now());
        assert_eq!((position.latest, position.next), (now(), 2));
    }

    #[test]
    fn a_day_bounds_only_what_was_there_before_us() {
        let day: Date = "2026-01-31".parse().unwrap();
        let position = Position::begin(7, 101, From::Date(day), now());
        assert_eq!(position.parts(1, None), [(1, Some(100), Some(day)), (101, None, None)]);
        assert_eq!(position.parts(101, None), [(101, None, None)]);
        assert_eq!(position.parts(50, Some(60)), [(50, Some(60), Some(day))]);
        assert_eq!(Position::begin(7, 101, From::All, now()).parts(1, None), [(1, None, None)]);
        let again = position.seen(anew(8), From::Date(day));
        assert_eq!(again.parts(1, None).len(), 1);
        assert!(again.parts(200, None)[0].2.is_some());
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mut position = Position::begin(7, 101, From::Date("2026-01-31".parse().unwrap()), now());
        position.kept(101, None, now());
        assert_eq!(Position::read(&position.written().unwrap()).unwrap(), position);
        assert!(Position::read("{}").is_err());
    }
}
