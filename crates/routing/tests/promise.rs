//! One promise: its start, its pauses, its deadlines, and facts that come in any order.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use routing::calendar::{Calendar, Calendars};
use routing::hours::CalendarConfig;
use routing::promise::{End, Fact, Kind, MOST_FACTS, Measure, Notice, Promise, State, Target};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Minutes after a Monday noon.
fn minute(minutes: i64) -> Timestamp {
    at("2025-03-03T12:00:00Z") + SignedDuration::from_mins(minutes)
}

fn calendars() -> Calendars {
    let hours = |week: &[(&str, &str)]| {
        let week = week.iter().map(|(day, shift)| ((*day).to_owned(), vec![(*shift).to_owned()])).collect();
        let config =
            CalendarConfig { zone: "UTC".into(), week, closed: BTreeSet::new(), special: BTreeMap::new() };
        Calendar::new(&config).unwrap()
    };
    Calendars::new([
        ("office".to_owned(), hours(&[("mon-fri", "09:00-17:00")])),
        ("never".to_owned(), hours(&[])),
    ])
}

fn target(minutes: u32, calendar: Option<&str>) -> Fact {
    Fact::Promised(Target { within_s: minutes * 60, calendar: calendar.map(str::to_owned), warn_percent: 80 })
}

fn promise(facts: &[(Timestamp, Fact)]) -> Promise {
    let mut promise = Promise::new(Kind::FirstResponse);
    for (at, fact) in facts {
        promise.fold(*at, fact.clone());
    }
    promise
}

fn measure(facts: &[(Timestamp, Fact)]) -> Measure {
    promise(facts).measure(&calendars()).unwrap()
}

#[test]
fn it_starts_when_the_client_acted_and_not_when_it_was_promised() {
    let measure =
        measure(&[(minute(30), target(60, None)), (minute(20), Fact::Acted), (minute(0), Fact::Acted)]);
    assert_eq!(measure.began_at, minute(0));
    assert_eq!(measure.warn_at, Some(minute(48)));
    assert_eq!(measure.due_at, Some(minute(60)));
}

#[test]
fn it_says_nothing_before_it_began_or_was_promised() {
    assert_eq!(promise(&[(minute(0), Fact::Acted)]).measure(&calendars()), None);
    assert_eq!(promise(&[(minute(0), target(60, None))]).measure(&calendars()), None);
}

#[test]
fn it_goes_through_its_states_at_their_second() {
    let measure = measure(&[(minute(0), Fact::Acted), (minute(0), target(60, None))]);
    let before = |at: Timestamp| at - SignedDuration::from_nanos(1);
    assert_eq!(measure.state(before(minute(48))), State::Running);
    assert_eq!(measure.state(minute(48)), State::Warned);
    assert_eq!(measure.state(before(minute(60))), State::Warned);
    assert_eq!(measure.state(minute(60)), State::Breached);
}

#[test]
fn an_answer_ends_it_in_time_or_late() {
    let answered = |after: i64| {
        let facts =
            [(minute(0), Fact::Acted), (minute(0), target(60, None)), (minute(after), Fact::Answered)];
        measure(&facts)
    };
    assert_eq!(answered(59).state(minute(500)), State::Kept);
    assert_eq!(answered(59).state(minute(50)), State::Warned, "before the answer there was none");
    assert_eq!(answered(60).state(minute(500)), State::Late);
    let mut stray = promise(&[(minute(0), Fact::Acted), (minute(0), target(60, None))]);
    stray.fold(minute(-5), Fact::Answered);
    assert_eq!(
        stray.measure(&calendars()).unwrap().ended,
        None,
        "an answer to something before it is none to it"
    );
}

#[test]
fn an_answer_that_never_arrived_ends_nothing() {
    let mut facts =
        vec![(minute(0), Fact::Acted), (minute(0), target(60, None)), (minute(9), Fact::Answered)];
    facts.push((minute(9), Fact::Lost));
    assert_eq!((measure(&facts).ended, measure(&facts).state(minute(60))), (None, State::Breached));
    facts.reverse();
    assert_eq!(measure(&facts).ended, None, "whichever is heard of first");
    facts.push((minute(20), Fact::Answered));
    assert_eq!(measure(&facts).ended, Some((minute(20), End::Answered)));
}

#[test]
fn a_promise_nobody_is_owed_any_more_is_neither_kept_nor_breached() {
    let facts = [(minute(0), Fact::Acted), (minute(0), target(60, None)), (minute(10), Fact::Withdrawn)];
    let withdrawn = measure(&facts);
    assert_eq!(withdrawn.ended, Some((minute(10), End::Withdrawn)));
    assert_eq!(withdrawn.state(minute(90)), State::Withdrawn);
    assert_eq!(withdrawn.next_deadline(&BTreeSet::new()), None);
}

#[test]
fn a_pause_moves_the_deadline_by_exactly_its_length() {
    let mut facts = vec![(minute(0), Fact::Acted), (minute(0), target(60, None)), (minute(50), Fact::Paused)];
    let paused = measure(&facts);
    assert_eq!(paused.warn_at, Some(minute(48)), "it was due before the pause");
    assert_eq!(paused.due_at, None);
    assert_eq!(paused.state(minute(600)), State::Warned);
    facts.push((minute(90), Fact::Resumed));
    assert_eq!(measure(&facts).due_at, Some(minute(100)));
    // A client who says something ends the pause as well, and a pause within a pause is none.
    facts.extend([(minute(95), Fact::Paused), (minute(96), Fact::Paused), (minute(98), Fact::Acted)]);
    assert_eq!(measure(&facts).due_at, Some(minute(103)));
    let early = [(minute(0), Fact::Acted), (minute(0), target(60, None)), (minute(5), Fact::Paused)];
    assert_eq!(measure(&early).state(minute(6)), State::Paused);
}

#[test]
fn only_open_hours_count_and_a_pause_over_night_costs_what_was_open() {
    // Monday 16:00 to 16:30, then Tuesday 10:00 on: paused for half an hour of Monday and one of Tuesday.
    let facts = [
        (at("2025-03-03T16:00:00Z"), Fact::Acted),
        (at("2025-03-03T16:00:00Z"), target(60, Some("office"))),
        (at("2025-03-03T16:30:00Z"), Fact::Paused),
        (at("2025-03-04T10:00:00Z"), Fact::Resumed),
    ];
    assert_eq!(measure(&facts).due_at, Some(at("2025-03-04T10:30:00Z")));
    let spent = promise(&facts).spent(&calendars(), at("2025-03-04T10:20:00Z")).unwrap();
    assert_eq!(spent.business, SignedDuration::from_mins(50));
    assert_eq!(spent.wall, SignedDuration::from_mins(18 * 60 + 20));
}

#[test]
fn another_policy_keeps_the_start_and_the_pauses() {
    let facts = [
        (minute(0), Fact::Acted),
        (minute(0), target(60, None)),
        (minute(10), Fact::Paused),
        (minute(20), Fact::Resumed),
        (minute(25), target(15, None)),
    ];
    assert_eq!(measure(&facts).due_at, Some(minute(25)));
}

#[test]
fn hours_that_never_come_make_no_deadline_and_unknown_ones_are_all_hours() {
    let never = measure(&[(minute(0), Fact::Acted), (minute(0), target(60, Some("never")))]);
    assert_eq!((never.warn_at, never.due_at), (None, None));
    assert_eq!(never.state(minute(100_000)), State::Running);
    let gone = measure(&[(minute(0), Fact::Acted), (minute(0), target(60, Some("gone")))]);
    assert_eq!(gone.due_at, Some(minute(60)));
}

#[test]
fn each_notice_comes_once_with_its_true_moment_however_late_we_look() {
    let measure = measure(&[(minute(0), Fact::Acted), (minute(0), target(60, None))]);
    let mut told = BTreeSet::new();
    assert_eq!(measure.next_deadline(&told), Some(minute(48)));
    assert_eq!(measure.notices(&told, minute(47)), []);
    assert_eq!(measure.notices(&told, minute(48)), [(Notice::Warned, minute(48))]);
    let late = measure.notices(&told, minute(5_000));
    assert_eq!(late, [(Notice::Warned, minute(48)), (Notice::Breached, minute(60))]);
    told.insert(Notice::Warned);
    assert_eq!(measure.next_deadline(&told), Some(minute(60)));
    told.insert(Notice::Breached);
    assert_eq!(measure.notices(&told, minute(5_000)), []);
    assert_eq!(measure.next_deadline(&told), None);
}

#[test]
fn a_promise_broken_before_its_answer_is_told_as_broken() {
    let facts = [(minute(0), Fact::Acted), (minute(0), target(60, None)), (minute(70), Fact::Answered)];
    let told = BTreeSet::from([Notice::Warned]);
    assert_eq!(measure(&facts).notices(&told, minute(80)), [(Notice::Breached, minute(60))]);
}

#[test]
fn a_flood_of_facts_is_bounded_and_loses_no_answer() {
    let mut promise = promise(&[(minute(0), Fact::Acted), (minute(0), target(60, None))]);
    for line in 0..2_000 {
        promise.fold(minute(line), Fact::Acted);
    }
    promise.fold(minute(2_100), Fact::Paused);
    promise.fold(minute(5_000), Fact::Answered);
    let measure = promise.measure(&calendars()).unwrap();
    assert_eq!(measure.ended, Some((minute(5_000), End::Answered)));
    assert_eq!(measure.paused_since, None, "a pause whose end may have been dropped is none");
    let kept = serde_json::to_value(&promise).unwrap();
    assert_eq!(kept["resumed"].as_array().unwrap().len(), MOST_FACTS);
    assert_eq!(serde_json::from_value::<Promise>(kept).unwrap(), promise);
}

fn any_fact() -> impl Strategy<Value = (Timestamp, Fact)> {
    let fact = prop_oneof![
        Just(Fact::Acted),
        Just(Fact::Answered),
        Just(Fact::Paused),
        Just(Fact::Resumed),
        Just(Fact::Withdrawn),
        (1u32..300).prop_map(|minutes| target(minutes, Some("office"))),
        (1u32..300).prop_map(|minutes| target(minutes, None)),
    ];
    // Few moments, so that many facts share one.
    ((0i64..60).prop_map(|step| minute(step * 37)), fact)
}

proptest! {
    #[test]
    fn order_and_repetition_of_facts_do_not_matter(
        facts in prop::collection::vec(any_fact(), 0..24),
        shuffled in any::<prop::sample::Index>(),
    ) {
        let once = promise(&facts);
        let mut turned: Vec<_> = facts.iter().rev().cloned().collect();
        if !turned.is_empty() {
            let cut = shuffled.index(turned.len());
            turned.rotate_left(cut);
        }
        prop_assert_eq!(&promise(&turned), &once);
        let other = [facts.as_slice(), &turned].concat();
        prop_assert_eq!(promise(&other), once);
    }

    #[test]
    fn looking_in_between_changes_nothing_and_a_breach_is_what_was_spent(
        facts in prop::collection::vec(any_fact(), 0..24),
        look in 0i64..4_000,
    ) {
        let promise = promise(&facts);
        let book = calendars();
        let Some(measure) = promise.measure(&book) else { return Ok(()) };
        let state = measure.state(minute(look));
        prop_assert_eq!(promise.measure(&book).unwrap().state(minute(look)), state);
        if let (Some(warn), Some(due)) = (measure.warn_at, measure.due_at) {
            prop_assert!(measure.began_at <= warn && warn <= due);
        }
        // At its deadline, a promise that has not ended by then has spent exactly what was promised.
        if let Some(due) = measure.due_at.filter(|due| measure.ended.is_none_or(|(end, _)| *due <= end)) {
            let latest = facts.iter().filter_map(|(at, fact)| match fact {
                Fact::Promised(target) => Some((*at, target.clone())),
                _ => None,
            }).max().unwrap().1;
            let spent = promise.spent(&book, due).unwrap().business;
            prop_assert_eq!(spent, SignedDuration::from_secs(i64::from(latest.within_s)));
        }
    }
}
