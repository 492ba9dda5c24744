//! When a client wants to be reached, by the clock where they are.

use contact::ContactHours;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Who wrote so lately is there, whatever their hours say.
pub(crate) const THERE: SignedDuration = SignedDuration::from_hours(1);

/// What is wrong with hours: which field of them, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHours {
    pub field: &'static str,
    pub sentence: String,
}

/// Whether hours mean something.
pub fn check(hours: &ContactHours) -> Result<(), BadHours> {
    let read = Hours::read(hours)?;
    if read.from == read.to {
        let sentence = "it is the same minute as `from`; leave the hours out to be reached at any time";
        return Err(BadHours { field: "to", sentence: sentence.to_owned() });
    }
    Ok(())
}

/// The first moment from `at` on that lies within the hours. Hours that mean nothing are all hours: rather an
/// answer at night than none.
///
/// Which moment that is depends on the time zone database of the process. A replay by another one may find
/// another moment for a zone whose rules changed meanwhile; by then the answer has long gone, and nothing
/// else is decided by it.
pub fn opening(hours: &ContactHours, at: Timestamp) -> Timestamp {
    let Ok(hours) = Hours::read(hours) else { return at };
    let today = at.to_zoned(hours.zone.clone()).date();
    // What began yesterday may go over midnight, and a change of the clock may swallow a day's hours.
    let days = (-1..=2).filter_map(|days| today.checked_add(days.days()).ok());
    days.filter_map(|day| hours.of(day))
        .find(|(from, to)| from < to && at < *to)
        .map_or(at, |(from, _)| from.max(at))
}

struct Hours {
    zone: TimeZone,
    from: Time,
    to: Time,
}

impl Hours {
    fn read(hours: &ContactHours) -> Result<Hours, BadHours> {
        let zone = TimeZone::get(&hours.zone).map_err(|_| BadHours {
            field: "zone",
            sentence: format!("`{}` is no time zone of the IANA database, as `Europe/Kyiv` is", hours.zone),
        })?;
        Ok(Hours { zone, from: minute("from", &hours.from)?, to: minute("to", &hours.to)? })
    }

    /// Those that begin on this day.
    fn of(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let last = if self.from < self.to { day } else { day.tomorrow().ok()? };
        let moment = |day: Date, time: Time| {
            day.to_datetime(time).to_zoned(self.zone.clone()).ok().map(|zoned| zoned.timestamp())
        };
        Some((moment(day, self.from)?, moment(last, self.to)?))
    }
}

fn minute(field: &'static str, text: &str) -> Result<Time, BadHours> {
    let read = Some(text).filter(|text| text.len() == 5).and_then(|text| Time::strptime("%H:%M", text).ok());
    read.ok_or_else(|| BadHours { field, sentence: format!("`{text}` is no time of day; it reads `09:00`") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: &str, to: &str) -> ContactHours {
        ContactHours { zone: "Europe/Kyiv".to_owned(), from: from.to_owned(), to: to.to_owned() }
    }

    fn opens(from: &str, to: &str, at: &str) -> String {
        opening(&hours(from, to), at.parse().expect("a time")).to_string()
    }

    #[test]
    fn outside_the_hours_it_is_their_next_beginning_there() {
        for (at, opened) in [
            ("2026-11-23T07:00:00Z", "2026-11-23T07:00:00Z"),
            ("2026-11-23T15:59:59Z", "2026-11-23T15:59:59Z"),
            ("2026-11-23T16:00:00Z", "2026-11-24T07:00:00Z"),
            ("2026-11-23T23:30:00Z", "2026-11-24T07:00:00Z"),
            ("2026-11-24T02:00:00Z", "2026-11-24T07:00:00Z"),
            // In summer the clock there is an hour further.
            ("2026-07-01T02:00:00Z", "2026-07-01T06:00:00Z"),
        ] {
            assert_eq!(opens("09:00", "18:00", at), opened, "{at}");
        }
    }

    #[test]
    fn hours_may_go_over_midnight_and_over_a_change_of_the_clock() {
        for (at, opened) in [
            ("2026-11-23T21:00:00Z", "2026-11-23T21:00:00Z"),
            ("2026-11-24T03:59:00Z", "2026-11-24T03:59:00Z"),
            ("2026-11-24T04:00:00Z", "2026-11-24T18:00:00Z"),
        ] {
            assert_eq!(opens("20:00", "06:00", at), opened, "{at}");
        }
        // On 29 March there is no half past three.
        assert_eq!(opens("03:30", "04:00", "2026-03-29T00:10:00Z"), "2026-03-30T00:30:00Z");
    }

    #[test]
    fn hours_that_mean_nothing_are_named_and_hold_nothing_back() {
        let bad = [
            (ContactHours { zone: "Mars/Base".to_owned(), ..hours("09:00", "18:00") }, "zone"),
            (hours("9:00", "18:00"), "from"),
            (hours("09:00", "24:00"), "to"),
            (hours("09:00", "18:00:00"), "to"),
            (hours("0900x", "18:00"), "from"),
        ];
        let night: Timestamp = "2026-11-24T02:00:00Z".parse().expect("a time");
        for (hours, field) in bad {
            assert_eq!(check(&hours).expect_err("bad").field, field, "{hours:?}");
            assert_eq!(opening(&hours, night), night, "{hours:?}");
        }
        assert_eq!(check(&hours("09:00", "09:00")).expect_err("bad").field, "to");
        assert_eq!(check(&hours("20:00", "06:00")), Ok(()));
    }
}
