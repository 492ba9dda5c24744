//! Business time: hours in which a promise's clock runs.
//!
//! A calendar is local (hours of weekdays and dates in one time zone); time is not. Each local day is therefore
//! turned into intervals of real time first, and all arithmetic is done on those: eight business hours are eight
//! hours that passed, and a Sunday of 23 or 25 hours has 23 or 25.
//!
//! Where a clock is put forward, a time that never was means the one that much later; where it is put back, a
//! shift starts at the first of two equal times and ends at the second.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use crate::hours::{BadHours, CalendarConfig, DAY_MINUTES, Hours, weekday_name};

/// The days one question looks at, ten years: no calendar is walked for ever, and nobody promises more.
pub const MOST_DAYS: usize = 3_660;

/// Business hours of one place.
#[derive(Clone, Debug)]
pub struct Calendar {
    hours: Hours,
}

impl Calendar {
    pub fn new(config: &CalendarConfig) -> Result<Calendar, BadHours> {
        Ok(Calendar { hours: Hours::parse(config)? })
    }

    /// The moment by which `business` of open time has passed since `from`. A start out of hours begins at the
    /// next opening, so no time at all ends there. Less than no time counts as none.
    ///
    /// `None`: the calendar does not open that long within [`MOST_DAYS`]. There is no such moment.
    pub fn add(&self, from: Timestamp, business: SignedDuration) -> Option<Timestamp> {
        let mut left = business.max(SignedDuration::ZERO);
        for (opens, closes) in self.open_from(from) {
            let open = closes.duration_since(opens);
            // Time that is used up at closing is used up then, and not at the next opening.
            if left <= open {
                return opens.checked_add(left).ok();
            }
            left = left.checked_sub(open)?;
        }
        None
    }

    /// The open time from `from` to `to`; none if `to` is not later. At most the first [`MOST_DAYS`] are
    /// counted.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        self.open_from(from)
            .take_while(|(opens, _)| *opens < to)
            .map(|(opens, closes)| closes.min(to).duration_since(opens))
            .fold(SignedDuration::ZERO, SignedDuration::saturating_add)
    }

    /// Whether somebody is here. The moment of closing is closed.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.add(at, SignedDuration::ZERO) == Some(at)
    }

    /// What a rule may ask about a moment.
    pub fn moment(&self, at: Timestamp) -> Moment {
        let local = self.hours.zone.to_datetime(at);
        Moment {
            open: self.is_open(at),
            weekday: weekday_name(local.weekday()),
            hour: local.hour(),
            minute: local.minute(),
        }
    }

    /// Open intervals that end after `from`, cut to begin no earlier, in order and apart.
    fn open_from(&self, from: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        // A calendar that never opens need not be walked to know it.
        let days = if self.hours.is_empty() { 0 } else { MOST_DAYS };
        self.hours
            .zone
            .to_datetime(from)
            .date()
            .series(jiff::Span::new().days(1))
            .take(days)
            .flat_map(|date| self.intervals(date))
            .filter(move |(_, closes)| *closes > from)
            .map(move |(opens, closes)| (opens.max(from), closes))
    }

    /// A local day in real time: disjoint, in order, none empty, all within the day.
    fn intervals(&self, date: Date) -> Vec<(Timestamp, Timestamp)> {
        let parts = self.hours.of(date);
        let mut open: Vec<(Timestamp, Timestamp)> = Vec::with_capacity(parts.len());
        if parts.is_empty() {
            return open;
        }
        let Some((begins, ends)) = self.bounds(date) else {
            return open;
        };
        for (from, to) in parts {
            let (Some(opens), Some(closes)) = (self.first(date, *from), self.last(date, *to, ends)) else {
                continue;
            };
            // A date that a zone skipped has times that belong to the next: a day keeps to itself.
            let (opens, closes) = (opens.max(begins), closes.min(ends));
            if opens >= closes {
                continue;
            }
            match open.last_mut() {
                Some(before) if opens <= before.1 => before.1 = before.1.max(closes),
                _ => open.push((opens, closes)),
            }
        }
        open
    }

    /// From the first moment of a local day to that of the next.
    fn bounds(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        Some((self.first(date, 0)?, self.first(date.tomorrow().ok()?, 0)?))
    }

    fn first(&self, date: Date, minute: u16) -> Option<Timestamp> {
        self.hours.zone.to_ambiguous_timestamp(local(date, minute)?).compatible().ok()
    }

    fn last(&self, date: Date, minute: u16, ends: Timestamp) -> Option<Timestamp> {
        if minute == DAY_MINUTES {
            return Some(ends);
        }
        self.hours.zone.to_ambiguous_timestamp(local(date, minute)?).later().ok()
    }
}

fn local(date: Date, minute: u16) -> Option<DateTime> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    Some(DateTime::from_parts(date, Time::new(hour, minute, 0, 0).ok()?))
}

/// A moment in the eyes of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub open: bool,
    /// `mon` to `sun`, by the calendar's zone.
    pub weekday: &'static str,
    /// 0 to 23.
    pub hour: i8,
    pub minute: i8,
}

/// The calendars of an installation, by name.
#[derive(Clone, Debug, Default)]
pub struct Calendars(BTreeMap<String, Calendar>);

impl Calendars {
    pub fn new(calendars: impl IntoIterator<Item = (String, Calendar)>) -> Calendars {
        Calendars(calendars.into_iter().collect())
    }

    pub fn get(&self, name: &str) -> Option<&Calendar> {
        self.0.get(name)
    }
}
