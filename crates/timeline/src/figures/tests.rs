//! A made morning with known numbers.

use super::*;

fn at(minute: i64) -> Timestamp {
    let nine: Timestamp = "2026-11-23T09:00:00Z".parse().expect("a time");
    nine + SignedDuration::from_mins(minute)
}

/// Opened then; answered, taken and resolved so many minutes later.
fn told(
    queue: &str,
    opened: i64,
    answered: Option<i64>,
    resolved: Option<i64>,
    promise: Option<(State, i64)>,
) -> ConversationFacts {
    let after = |minutes: Option<i64>| minutes.map(|minutes| at(opened + minutes));
    let promise = promise.map(|(state, due)| PromiseFacts {
        kind: PromiseKind::FirstResponse,
        state,
        began_at: Some(at(opened)),
        due_at: Some(at(opened + due)),
        ended_at: after(answered.or(resolved)),
        past: Past::default(),
    });
    ConversationFacts {
        place: Place { queue: Some(queue.to_owned()), channel: Some(Channel::Email), ..Place::default() },
        opened_at: at(opened),
        waiting_since: answered.is_none().then(|| at(opened)),
        assigned_at: after(answered),
        answered_at: after(answered),
        resolved_at: after(resolved),
        promises: promise.into_iter().collect(),
    }
}

fn morning() -> Vec<ConversationFacts> {
    vec![
        told("sales", 0, Some(5), None, Some((State::Kept, 10))),
        told("sales", 1, Some(20), None, Some((State::Late, 10))),
        told("support", 2, None, None, Some((State::Breached, 10))),
        told("support", 3, None, Some(4), Some((State::Withdrawn, 10))),
        told("support", 4, None, Some(40), Some((State::Withdrawn, 10))),
        told("support", 61, None, None, Some((State::Warned, 10))),
        told("support", 62, Some(1), None, None),
    ]
}

#[test]
fn a_percentile_is_a_time_that_somebody_waited() {
    assert_eq!(spread(Vec::new()), None);
    let one = Spread { p50_s: 7, p90_s: 7, p95_s: 7, max_s: 7 };
    assert_eq!(spread(vec![7]), Some(one));
    let twenty = spread((1..=20).rev().collect()).expect("some");
    assert_eq!((twenty.p50_s, twenty.p90_s, twenty.p95_s, twenty.max_s), (10, 18, 19, 20));
    let three = spread(vec![30, 10, 20]).expect("some");
    assert_eq!((three.p50_s, three.p90_s), (20, 30));
}

#[test]
fn the_service_level_leaves_out_who_left_in_time_and_who_still_has_time() {
    let whole = &service_level(&morning(), None, None, at(65))[&None];
    let counted = |sl: &ServiceLevel| (sl.offered, sl.within, sl.late, sl.waiting, sl.abandoned);
    assert_eq!(counted(whole), (6, 1, 3, 1, 1), "who was promised nothing was not offered");
    assert_eq!(whole.level(), Some(0.25));
    let by_queue = service_level(&morning(), Some(By::Queue), None, at(65));
    let of = |queue: &str| &by_queue[&Some(queue.to_owned())];
    assert_eq!((of("sales").level(), of("support").level()), (Some(0.5), Some(0.0)));
    // Five minutes for everybody, and twenty seconds later nobody is left who has time.
    let all = &service_level(&morning(), None, Some(SignedDuration::from_mins(5)), at(65))[&None];
    assert_eq!(counted(all), (7, 2, 3, 1, 1));
    let later = &service_level(&morning(), None, Some(SignedDuration::from_mins(5)), at(67))[&None];
    assert_eq!(counted(later), (7, 2, 4, 0, 1));
}

#[test]
fn a_share_of_nothing_is_nothing() {
    let none = service_level(&[], None, None, at(0));
    assert_eq!((none[&None].offered, none[&None].level()), (0, None));
    assert_eq!(promises(&[], None)[&None][&PromiseKind::Callback].kept_share(), None);
    assert_eq!(response(&[], None)[&None], Response::default());
    assert!(response(&[], Some(By::Queue)).is_empty());
}

#[test]
fn waiting_is_counted_from_when_the_client_acted() {
    let rows: Vec<_> = morning().into_iter().filter(|row| row.answered_at.is_none()).collect();
    let whole = waiting(&rows, None);
    assert_eq!(whole[&None], Waiting { count: 4, oldest_since: Some(at(2)) });
    let by_hour = waiting(&rows, Some(By::Hour));
    let keys: Vec<_> = by_hour.keys().flatten().map(String::as_str).collect();
    assert_eq!(keys, ["2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z"]);
}

#[test]
fn answers_and_waits_are_spread_by_whatever_tells_them_apart() {
    let told = response(&morning(), Some(By::Queue));
    let sales = &told[&Some("sales".to_owned())];
    let spread = Spread { p50_s: 300, p90_s: 1200, p95_s: 1200, max_s: 1200 };
    assert_eq!((sales.count, sales.first_response, sales.wait), (2, Some(spread), Some(spread)));
    assert_eq!(response(&morning(), None)[&None].count, 3);
    assert_eq!(response(&morning(), Some(By::Channel))[&Some("email".to_owned())].count, 3);
    assert_eq!(response(&morning(), Some(By::Agent)).keys().collect::<Vec<_>>(), [&None]);
}

#[test]
fn calls_and_what_is_owed_for_them_are_counted_apart() {
    let call = |minute, outcome| CallFacts { place: Place::default(), occurred_at: at(minute), outcome };
    let owed = |minute, state| CallbackFacts { place: Place::default(), since: at(minute), state };
    let rows = [
        call(0, Some(Outcome::Answered)),
        call(1, Some(Outcome::Missed)),
        call(2, Some(Outcome::Voicemail)),
        call(3, None),
    ];
    let callbacks =
        [owed(1, Owed::Done), owed(2, Owed::Still), owed(3, Owed::GivenUp), owed(70, Owed::Still)];
    let told = calls(&rows, &callbacks, None);
    let counted =
        Calls { inbound: 4, answered: 1, missed: 2, called_back: 1, callback_open: 2, callback_given_up: 1 };
    assert_eq!(told[&None], counted);
    let hours = calls(&rows, &[owed(70, Owed::Still)], Some(By::Hour));
    let later = Calls { callback_open: 1, ..Calls::default() };
    assert_eq!(hours[&Some("2026-11-23T10:00:00Z".to_owned())], later);
}

#[test]
fn a_promise_is_kept_late_open_or_withdrawn() {
    let told = promises(&morning(), None);
    let first = &told[&None][&PromiseKind::FirstResponse];
    let counted = (first.kept, first.late, first.breached_open, first.running, first.withdrawn);
    assert_eq!(counted, (1, 1, 1, 1, 2));
    assert_eq!(first.kept_share(), Some(1.0 / 3.0));
    assert_eq!(told[&None][&PromiseKind::NextResponse], Promises::default());
}

#[test]
fn of_several_promises_one_after_another_each_is_counted() {
    let mut rows = morning();
    rows[0].promises[0].past = Past { kept: 4, late: 2, withdrawn: 1 };
    let first = &promises(&rows, None)[&None][&PromiseKind::FirstResponse];
    assert_eq!((first.kept, first.late, first.withdrawn), (1 + 4, 1 + 2, 2 + 1));
}
