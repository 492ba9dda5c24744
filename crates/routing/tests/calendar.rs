//! Business time against vectors computed elsewhere, and against its own laws.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use routing::calendar::{Calendar, MOST_DAYS};
use routing::hours::CalendarConfig;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    schedules: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    due: Vec<Due>,
    elapsed: Vec<Elapsed>,
}

#[derive(Deserialize)]
struct Due {
    zone: String,
    schedule: String,
    holidays: BTreeSet<String>,
    start: Timestamp,
    minutes: i64,
    due_utc: Timestamp,
    why: String,
}

#[derive(Deserialize)]
struct Elapsed {
    zone: String,
    schedule: String,
    holidays: BTreeSet<String>,
    from: Timestamp,
    to: Timestamp,
    business_minutes: f64,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../fixtures/business-hours.json")).unwrap()
}

fn calendar(zone: &str, week: BTreeMap<String, Vec<String>>, closed: BTreeSet<String>) -> Calendar {
    let config = CalendarConfig { zone: zone.into(), week, closed, special: BTreeMap::new() };
    Calendar::new(&config).unwrap()
}

fn week(days: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let owned = |shifts: &[&str]| shifts.iter().map(|shift| (*shift).to_owned()).collect();
    days.iter().map(|(day, shifts)| ((*day).to_owned(), owned(shifts))).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn every_due_vector_is_met() {
    let vectors = vectors();
    assert!(vectors.due.len() >= 12);
    for case in vectors.due {
        let calendar = calendar(&case.zone, vectors.schedules[&case.schedule].clone(), case.holidays);
        let due = calendar.add(case.start, SignedDuration::from_mins(case.minutes));
        assert_eq!(due, Some(case.due_utc), "{}", case.why);
    }
}

#[test]
fn every_elapsed_vector_is_met() {
    let vectors = vectors();
    assert!(vectors.elapsed.len() >= 6);
    for case in vectors.elapsed {
        let calendar = calendar(&case.zone, vectors.schedules[&case.schedule].clone(), case.holidays);
        let minutes = calendar.between(case.from, case.to).as_secs_f64() / 60.0;
        assert_eq!(minutes, case.business_minutes, "{} to {}", case.from, case.to);
    }
}

#[test]
fn a_calendar_that_never_opens_says_so() {
    let never = calendar("Europe/Kyiv", BTreeMap::new(), BTreeSet::new());
    assert_eq!(never.add(at("2025-03-03T08:00:00Z"), SignedDuration::ZERO), None);
    assert_eq!(never.between(Timestamp::MIN, Timestamp::MAX), SignedDuration::ZERO);
    assert!(!never.is_open(at("2025-03-03T08:00:00Z")));
}

#[test]
fn a_calendar_that_opens_too_little_is_given_up_after_a_bound() {
    let minute_a_week = calendar("Europe/Kyiv", week(&[("mon", &["09:00-09:01"])]), BTreeSet::new());
    let from = at("2025-03-03T07:00:00Z");
    assert_eq!(minute_a_week.add(from, SignedDuration::from_mins(3)), Some(at("2025-03-17T07:01:00Z")));
    assert_eq!(minute_a_week.add(from, SignedDuration::from_hours(1_000)), None);
    let counted = minute_a_week.between(from, Timestamp::MAX);
    assert_eq!(counted.as_mins(), i64::try_from(MOST_DAYS.div_ceil(7)).unwrap());
}

#[test]
fn a_night_shift_lasts_as_long_as_the_night_did() {
    let night = calendar("Europe/Kyiv", week(&[("mon-sun", &["22:00-06:00"])]), BTreeSet::new());
    let hours = |from: &str, to: &str| night.between(at(from), at(to)).as_hours();
    assert_eq!(hours("2025-03-28T18:00:00Z", "2025-03-29T08:00:00Z"), 8);
    assert_eq!(hours("2025-03-29T18:00:00Z", "2025-03-30T08:00:00Z"), 7, "the clock was put forward");
    assert_eq!(hours("2025-10-25T18:00:00Z", "2025-10-26T08:00:00Z"), 9, "the clock was put back");
    // Midnight is no break: a second before it and a second after belong to one stretch.
    assert!(night.is_open(at("2025-03-28T21:59:59Z")) && night.is_open(at("2025-03-28T22:00:00Z")));
}

#[test]
fn shifts_that_begin_or_end_in_a_gap_or_a_fold_follow_the_rule() {
    let odd = calendar("Europe/Kyiv", week(&[("sun", &["03:30-05:00"])]), BTreeSet::new());
    // 03:00 became 04:00: half past three is half past four.
    assert_eq!(odd.add(at("2025-03-29T20:00:00Z"), SignedDuration::ZERO), Some(at("2025-03-30T01:30:00Z")));
    // 04:00 became 03:00: the first of two half past threes opens, the one five o'clock closes.
    let (from, to) = (at("2025-10-25T20:00:00Z"), at("2025-10-26T20:00:00Z"));
    assert_eq!(odd.between(from, to), SignedDuration::from_mins(150));
    let ends = calendar("Europe/Kyiv", week(&[("sun", &["01:00-03:30"])]), BTreeSet::new());
    assert_eq!(ends.between(from, to), SignedDuration::from_mins(210), "the second of them closes");
}

#[test]
fn a_date_that_a_zone_skipped_has_no_hours() {
    // Samoa had no 30 December 2011. It was a Friday.
    let fridays =
        calendar("Pacific/Apia", week(&[("fri", &["00:00-24:00", "09:00-18:00"])]), BTreeSet::new());
    let (from, to) = (at("2011-12-29T00:00:00Z"), at("2012-01-03T00:00:00Z"));
    assert_eq!(fridays.between(from, to), SignedDuration::ZERO);
}

#[test]
fn overlapping_shifts_count_once() {
    let both =
        calendar("UTC", week(&[("mon", &["09:00-12:00", "11:00-14:00", "10:00-11:00"])]), BTreeSet::new());
    assert_eq!(
        both.between(at("2025-03-03T00:00:00Z"), at("2025-03-04T00:00:00Z")),
        SignedDuration::from_hours(5)
    );
}

#[test]
fn a_holiday_closes_its_own_part_of_a_night() {
    let nights = week(&[("mon-sun", &["22:00-06:00"])]);
    let night = calendar("UTC", nights, BTreeSet::from(["2025-12-25".to_owned()]));
    let (from, to) = (at("2025-12-24T12:00:00Z"), at("2025-12-26T12:00:00Z"));
    assert_eq!(night.between(from, to), SignedDuration::from_hours(2 + 6));
}

fn any_calendar() -> impl Strategy<Value = Calendar> {
    let zone = prop::sample::select(vec![
        "Europe/Kyiv",
        "Europe/London",
        "America/Havana",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Asia/Beirut",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "UTC",
    ]);
    let clock = || (0u16..24, prop::sample::select(vec![0u16, 1, 15, 30, 45]));
    let shift = (clock(), clock())
        .prop_filter("a moment is no shift", |(from, to)| from != to)
        .prop_map(|(from, to)| format!("{:02}:{:02}-{:02}:{:02}", from.0, from.1, to.0, to.1));
    let day =
        prop::sample::select(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun", "mon-fri", "sat-mon"]);
    let week =
        prop::collection::btree_map(day.prop_map(str::to_owned), prop::collection::vec(shift, 1..3), 1..4);
    let closed = prop::collection::btree_set(
        (1u8..13, 1u8..29).prop_map(|(m, d)| format!("2025-{m:02}-{d:02}")),
        0..9,
    );
    (zone, week, closed).prop_map(|(zone, week, closed)| calendar(zone, week, closed))
}

/// Seconds of 2025, which every zone above has its changes in.
fn any_moment() -> impl Strategy<Value = Timestamp> {
    (0i64..365 * 86_400).prop_map(|second| Timestamp::from_second(1_735_689_600 + second).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_added_has_passed(calendar in any_calendar(), from in any_moment(), seconds in 0i64..1_000_000) {
        let business = SignedDuration::from_secs(seconds);
        if let Some(due) = calendar.add(from, business) {
            prop_assert!(due >= from);
            prop_assert_eq!(calendar.between(from, due), business);
        }
    }

    #[test]
    fn what_has_passed_can_be_added(calendar in any_calendar(), a in any_moment(), b in any_moment()) {
        let (from, to) = (a.min(b), a.max(b));
        let passed = calendar.between(from, to);
        let again = calendar.add(from, passed);
        if calendar.is_open(to) && passed > SignedDuration::ZERO {
            // At an opening, the same time was used up at the closing before it.
            prop_assert!(again.is_some_and(|again| again <= to && calendar.between(again, to).is_zero()));
        }
        prop_assert!(passed <= to.duration_since(from));
    }

    #[test]
    fn later_is_never_earlier(calendar in any_calendar(), a in any_moment(), b in any_moment(), seconds in 0i64..200_000) {
        let (from, to) = (a.min(b), a.max(b));
        let business = SignedDuration::from_secs(seconds);
        let (first, second) = (calendar.add(from, business), calendar.add(to, business));
        if let (Some(first), Some(second)) = (first, second) {
            prop_assert!(first <= second);
        }
        let more = calendar.add(from, business + SignedDuration::from_secs(1));
        if let (Some(first), Some(more)) = (first, more) {
            prop_assert!(first < more);
        }
    }

    #[test]
    fn time_is_the_sum_of_its_parts(calendar in any_calendar(), mut moments in prop::array::uniform3(any_moment())) {
        moments.sort();
        let [a, b, c] = moments;
        prop_assert_eq!(calendar.between(a, b) + calendar.between(b, c), calendar.between(a, c));
    }
}
