//! Opening hours as an operator writes them: `"09:00-13:00"`, `mon-thu`, `2026-12-25`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// The minutes of a day, and so the greatest end of a shift.
pub(crate) const DAY_MINUTES: u16 = 24 * 60;

/// A business calendar in configuration.
///
/// ```toml
/// [calendars.office]
/// zone = "Europe/Kyiv"
/// week = { mon-thu = ["09:00-18:00"], fri = ["09:00-13:00", "14:00-18:00"] }
/// closed = ["2026-12-25"]
/// special = { "2026-12-24" = ["09:00-12:00"] }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarConfig {
    /// An IANA time zone: `Europe/Kyiv`.
    pub zone: String,
    /// Shifts of each weekday (`mon`) or run of weekdays (`mon-fri`). A weekday that is not named is closed.
    /// `24:00` may end a shift. One that ends at or before its start goes over midnight, and is two parts: what
    /// is after midnight belongs to the next weekday, and is closed with it.
    #[serde(default)]
    pub week: BTreeMap<String, Vec<String>>,
    /// Local dates on which nobody is here.
    #[serde(default)]
    pub closed: BTreeSet<String>,
    /// Local dates with hours of their own, instead of their weekday's. No shift of theirs goes over midnight.
    #[serde(default)]
    pub special: BTreeMap<String, Vec<String>>,
}

/// What is wrong with configured hours, with the words at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHours {
    #[error("`{0}` is no time zone of the IANA database, as `Europe/Kyiv` is")]
    Zone(String),
    #[error("`{0}` is no weekday or run of weekdays; it reads `mon` or `mon-fri`")]
    Weekdays(String),
    #[error("`{0}` is no shift; it reads `09:00-18:00`, from 00:00 to 24:00")]
    Shift(String),
    #[error("`{0}` is no date; it reads `2026-12-25`")]
    Date(String),
    #[error("the shift `{shift}` of {date} goes over midnight; give the second part to the next date")]
    OverMidnight { date: String, shift: String },
    #[error("{0} is closed and has hours of its own; it can be one of them")]
    Twice(String),
}

/// From and to, in minutes of a local day; `from < to <= DAY_MINUTES`.
pub(crate) type Part = (u16, u16);

/// The hours, understood.
#[derive(Clone, Debug)]
pub(crate) struct Hours {
    pub(crate) zone: TimeZone,
    /// By Monday-based weekday, in order of their start.
    week: [Vec<Part>; 7],
    /// Dates that differ; closed ones have no part.
    dates: BTreeMap<Date, Vec<Part>>,
}

impl Hours {
    pub(crate) fn parse(config: &CalendarConfig) -> Result<Hours, BadHours> {
        let zone = TimeZone::get(&config.zone).map_err(|_| BadHours::Zone(config.zone.clone()))?;
        let mut week: [Vec<Part>; 7] = Default::default();
        for (days, shifts) in &config.week {
            for day in weekdays(days)? {
                for shift in shifts {
                    let (from, to) = parse_shift(shift)?;
                    if from < to {
                        add(&mut week, day, (from, to));
                    } else {
                        add(&mut week, day, (from, DAY_MINUTES));
                        if to > 0 {
                            add(&mut week, day.next(), (0, to));
                        }
                    }
                }
            }
        }
        week.iter_mut().for_each(|parts| parts.sort_unstable());
        Ok(Hours { zone, week, dates: dates(config)? })
    }

    /// The parts of a date, by their start; they may overlap.
    pub(crate) fn of(&self, date: Date) -> &[Part] {
        match self.dates.get(&date) {
            Some(parts) => parts,
            None => week_index(date.weekday()).and_then(|at| self.week.get(at)).map_or(&[], Vec::as_slice),
        }
    }

    /// No date whatever has a part.
    pub(crate) fn is_empty(&self) -> bool {
        self.week.iter().chain(self.dates.values()).all(Vec::is_empty)
    }
}

fn dates(config: &CalendarConfig) -> Result<BTreeMap<Date, Vec<Part>>, BadHours> {
    let mut dates = BTreeMap::new();
    for text in &config.closed {
        dates.insert(parse_date(text)?, Vec::new());
    }
    for (text, shifts) in &config.special {
        let mut parts = shifts
            .iter()
            .map(|shift| {
                let (from, to) = parse_shift(shift)?;
                let over = || BadHours::OverMidnight { date: text.clone(), shift: shift.clone() };
                if from < to { Ok((from, to)) } else { Err(over()) }
            })
            .collect::<Result<Vec<_>, _>>()?;
        parts.sort_unstable();
        if dates.insert(parse_date(text)?, parts).is_some() {
            return Err(BadHours::Twice(text.clone()));
        }
    }
    Ok(dates)
}

fn add(week: &mut [Vec<Part>; 7], day: Weekday, part: Part) {
    if let Some(parts) = week_index(day).and_then(|at| week.get_mut(at)) {
        parts.push(part);
    }
}

fn week_index(day: Weekday) -> Option<usize> {
    usize::try_from(day.to_monday_zero_offset()).ok()
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// How rules and calendars spell a weekday: `mon`.
pub(crate) fn weekday_name(day: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(_, known)| *known == day).map_or("", |(name, _)| name)
}

/// The days of `mon`, `mon-fri` or, over the end of a week, `sat-mon`.
fn weekdays(text: &str) -> Result<Vec<Weekday>, BadHours> {
    let bad = || BadHours::Weekdays(text.to_owned());
    let named = |name: &str| WEEKDAYS.iter().find(|(known, _)| *known == name).map(|(_, day)| *day);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (mut day, last) = (named(first).ok_or_else(bad)?, named(last).ok_or_else(bad)?);
    let mut days = vec![day];
    while day != last {
        day = day.next();
        days.push(day);
    }
    Ok(days)
}

fn parse_shift(text: &str) -> Result<Part, BadHours> {
    let minutes = |clock: &str| {
        let (hour, minute) = clock.split_once(':')?;
        let two = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            if digits { part.parse::<u16>().ok() } else { None }
        };
        let (hour, minute) = (two(hour)?, two(minute)?);
        let all = hour * 60 + minute;
        (minute < 60 && all <= DAY_MINUTES).then_some(all)
    };
    text.split_once('-')
        .and_then(|(from, to)| Some((minutes(from.trim())?, minutes(to.trim())?)))
        // A day has no shift that starts at its end, and one from a moment to itself says nothing.
        .filter(|(from, to)| *from < DAY_MINUTES && from != to)
        .ok_or_else(|| BadHours::Shift(text.to_owned()))
}

fn parse_date(text: &str) -> Result<Date, BadHours> {
    text.parse().map_err(|_| BadHours::Date(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(week: &[(&str, &[&str])]) -> CalendarConfig {
        let owned = |shifts: &[&str]| shifts.iter().map(|shift| (*shift).to_owned()).collect();
        CalendarConfig {
            zone: "Europe/Kyiv".into(),
            week: week.iter().map(|(days, shifts)| ((*days).to_owned(), owned(shifts))).collect(),
            closed: BTreeSet::new(),
            special: BTreeMap::new(),
        }
    }

    #[test]
    fn a_run_of_weekdays_may_go_over_the_end_of_the_week() {
        assert_eq!(weekdays("sat-mon").unwrap(), [Weekday::Saturday, Weekday::Sunday, Weekday::Monday]);
        assert_eq!(weekdays("wed").unwrap(), [Weekday::Wednesday]);
        assert_eq!(weekdays("mon-sun").unwrap().len(), 7);
    }

    #[test]
    fn a_shift_over_midnight_is_two_parts() {
        let hours = Hours::parse(&config(&[("sun", &["22:00-06:00"])])).unwrap();
        assert_eq!(hours.of("2025-03-09".parse().unwrap()), [(1320, 1440)]);
        assert_eq!(hours.of("2025-03-10".parse().unwrap()), [(0, 360)], "the Monday after");
    }

    #[test]
    fn what_is_no_hour_is_refused_with_its_words() {
        for bad in
            ["9:00-18:00", "09:00", "09:00-24:01", "24:00-25:00", "09:60-10:00", "+9:00-10:00", "10:00-10:00"]
        {
            let error = Hours::parse(&config(&[("mon", &[bad])])).unwrap_err();
            assert_eq!(error, BadHours::Shift(bad.into()), "{bad}");
        }
        for bad in ["", "monday", "mon-", "mon-fri-sat", "MON"] {
            let error = Hours::parse(&config(&[(bad, &["09:00-18:00"])])).unwrap_err();
            assert_eq!(error, BadHours::Weekdays(bad.into()), "{bad}");
        }
        let mut nowhere = config(&[]);
        nowhere.zone = "Europe/Nowhere".into();
        assert_eq!(Hours::parse(&nowhere).unwrap_err(), BadHours::Zone("Europe/Nowhere".into()));
    }

    #[test]
    fn a_date_is_closed_or_special_and_never_both() {
        let mut both = config(&[("mon", &["09:00-18:00"])]);
        both.closed.insert("2025-03-10".into());
        assert!(Hours::parse(&both).unwrap().of("2025-03-10".parse().unwrap()).is_empty());
        both.special.insert("2025-03-10".into(), vec!["10:00-12:00".into()]);
        assert_eq!(Hours::parse(&both).unwrap_err(), BadHours::Twice("2025-03-10".into()));
        both.closed.clear();
        assert_eq!(Hours::parse(&both).unwrap().of("2025-03-10".parse().unwrap()), [(600, 720)]);
        both.special.insert("2025-03-11".into(), vec!["22:00-06:00".into()]);
        assert!(matches!(Hours::parse(&both).unwrap_err(), BadHours::OverMidnight { .. }));
        both.special = BTreeMap::from([("25.12.2026".into(), Vec::new())]);
        assert_eq!(Hours::parse(&both).unwrap_err(), BadHours::Date("25.12.2026".into()));
    }
}
