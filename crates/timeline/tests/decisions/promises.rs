//! What was promised: when it is kept, when it warns and breaks, and that it is told once.

use contact::{
    Basis, CallChange, CallState, Channel, Content, Deed, Direction, Notice, Outcome, PromiseKind,
};
use routing::promise::{End, State};
use serde_json::json;
use timeline::Status;
use timeline::clock::Past;
use timeline::turn::Roster;

use crate::floor::{Floor, policy, promising, second, seconds};
use crate::told::{self, address, number, timed};

const FIRST: PromiseKind = PromiseKind::FirstResponse;
const NEXT: PromiseKind = PromiseKind::NextResponse;
const CALLBACK: PromiseKind = PromiseKind::Callback;

/// Ten minutes, a warning after eight; a callback in five, a warning after four.
fn floor() -> Floor {
    Floor::new(promising(json!({
        "first_response": { "within_s": 600 },
        "next_response": { "within_s": 300 },
        "callback": { "within_s": 300 },
    })))
}

fn state(floor: &Floor, id: contact::ConversationId, kind: PromiseKind, at: i64) -> State {
    floor.clock(id, kind).state(second(at))
}

#[test]
fn a_first_response_is_promised_from_the_contact_on_and_kept_by_an_answer() {
    let mut floor = floor();
    let mail = floor.mail(0, 1);
    let clock = floor.clock(mail, FIRST);
    assert_eq!(
        (clock.began_at(), clock.warn_at(), clock.due_at()),
        (Some(second(0)), Some(second(480)), Some(second(600)))
    );
    let row = floor.conversation(mail);
    assert_eq!(
        (row.due_at, row.wake_at, row.waiting_since),
        (Some(second(600)), Some(second(480)), Some(second(0)))
    );
    floor.answers(599, "mia", mail);
    assert_eq!(state(&floor, mail, FIRST, 10_000), State::Kept);
    let row = floor.conversation(mail);
    assert_eq!((row.due_at, row.waiting_since, row.answered_at), (None, None, Some(second(599))));
    // The warning's moment came before the answer, so it is told still, with that moment.
    floor.turn(10_000);
    assert_eq!(floor.clock(mail, FIRST).told().iter().collect::<Vec<_>>(), [(&Notice::Warned, &second(480))]);
    floor.turn(20_000);
    assert_eq!((floor.notices(), floor.conversation(mail).wake_at), (1, None));
    floor.replays();
}

#[test]
fn an_answer_before_the_warning_leaves_nothing_to_tell() {
    let mut floor = floor();
    let mail = floor.mail(0, 1);
    floor.answers(479, "mia", mail);
    assert_eq!(floor.turn(100_000).decisions, 0);
    assert_eq!(floor.notices(), 0);
}

#[test]
fn a_talk_answers_what_the_client_waited_for_on_another_channel() {
    let mut floor = floor();
    floor.introduce(0, &address(1), "usual", None);
    let mail = floor.mail(10, 1);
    let client = floor.conversation(mail).client.unwrap();
    let caller = floor.missed(20, 1);
    let absorbed = floor.conversation(caller).client.unwrap();
    let merge = Deed::Merge { survivor: client, absorbed, reason: "her voice".to_owned() };
    floor.does(30, "mia", merge).unwrap();
    floor.talk(100, 160, number(1));
    for id in [mail, caller] {
        assert_eq!(state(&floor, id, FIRST, 10_000), State::Kept);
        assert_eq!(floor.conversation(id).waiting_since, None);
    }
    assert_eq!(state(&floor, caller, CALLBACK, 10_000), State::Kept);
    assert_eq!(floor.conversation(mail).status, Status::Open, "the mail is answered, and not resolved");
    assert_eq!(floor.turn(10_000).decisions, 0);
    floor.replays();
}

#[test]
fn who_is_answered_waits_no_more_however_long_the_talk_is() {
    let mut floor = Floor::new(promising(json!({ "first_response": { "within_s": 20 } })));
    let call = |floor: &mut Floor, at, state, outcome| {
        let mut fact = told::call(floor.next(), "CA1", Some(number(1)), None);
        let Content::Call(change) = &mut fact.event.content else { panic!() };
        *change = CallChange { state: Some(state), outcome, basis: Basis::Person, ..CallChange::default() };
        let slot = fact.event.contact.digest();
        floor.hears(at, at, fact);
        floor.memory.rows.contacts[&slot].conversation.unwrap()
    };
    let id = call(&mut floor, 0, CallState::Ringing, None);
    call(&mut floor, 8, CallState::Answered, None);
    assert_eq!(state(&floor, id, FIRST, 8), State::Kept);
    assert_eq!(floor.turn(600).decisions, 0, "nothing is broken while they talk");
    call(&mut floor, 900, CallState::Ended, Some(Outcome::Answered));
    assert_eq!(floor.clock(id, FIRST).ended(), Some((second(8), End::Answered)));
    assert_eq!((floor.turn(9_000).decisions, floor.conversation(id).status), (0, Status::Resolved));
    floor.replays();
}

#[test]
fn a_promise_breaks_at_its_second_though_it_is_looked_at_late_and_once() {
    let mut floor = floor();
    let mail = floor.mail(0, 1);
    assert_eq!(floor.turn(0).next, Some(second(480)));
    assert_eq!(floor.turn(480).next, Some(second(600)));
    assert_eq!((floor.notices(), state(&floor, mail, FIRST, 480)), (1, State::Warned));
    // An hour later by a process that was not there before.
    let mut fresh = Roster::default();
    floor.turn_of(&mut fresh, 4_200);
    floor.turn(4_201);
    floor.turn_of(&mut Roster::default(), 4_300);
    assert_eq!(floor.notices(), 2, "each once, whoever looks");
    let told: Vec<_> = floor.clock(mail, FIRST).told().iter().map(|(notice, at)| (*notice, *at)).collect();
    assert_eq!(told, [(Notice::Warned, second(480)), (Notice::Breached, second(600))]);
    assert_eq!(state(&floor, mail, FIRST, 4_300), State::Breached);
    let told_of = floor.memory.log.iter().filter(|arrival| arrival.payload.contains("breached"));
    let moments: Vec<_> = told_of.map(|arrival| (arrival.event.occurred_at, arrival.recorded_at)).collect();
    assert_eq!(moments, [(second(600), second(4_200))], "it broke then, and we saw it later");
    floor.replays();
}

#[test]
fn both_are_told_when_the_first_look_is_too_late_for_either() {
    let mut floor = floor();
    let mail = floor.mail(0, 1);
    floor.turn(4_000);
    let told: Vec<_> = floor.clock(mail, FIRST).told().values().copied().collect();
    assert_eq!((told, floor.notices()), (vec![second(480), second(600)], 2));
    floor.turn(5_000);
    assert_eq!(floor.notices(), 2);
    floor.replays();
}

#[test]
fn an_answer_that_came_too_late_is_late_and_one_heard_of_late_takes_no_breach_back() {
    let mut floor = floor();
    let [late, in_time] = [1, 2].map(|nth| floor.missed(0, nth));
    floor.turn(700);
    assert_eq!(floor.notices(), 8, "two promises each, warned and broken");
    // The one was talked to too late. The other was talked to in time, and we hear of it an hour later.
    floor.talk(800, 860, number(1));
    let fact = floor.outbound(number(2), CallState::Ended, Outcome::Answered, 30);
    floor.hears(100, 3_700, fact);
    assert_eq!(state(&floor, late, FIRST, 5_000), State::Late);
    assert_eq!(state(&floor, late, CALLBACK, 5_000), State::Late);
    assert_eq!(state(&floor, in_time, FIRST, 5_000), State::Kept, "in truth it was kept");
    let told = floor.clock(in_time, FIRST).told().get(&Notice::Breached);
    assert_eq!(told, Some(&second(600)), "and what was told stays told");
    floor.turn(6_000);
    assert_eq!(floor.notices(), 8);
    floor.replays();
}

#[test]
fn a_breach_is_told_though_the_answer_was_recorded_before_anybody_looked() {
    let mut floor = floor();
    let mail = floor.mail(0, 1);
    floor.answers(700, "mia", mail);
    floor.turn(900);
    assert_eq!((floor.notices(), state(&floor, mail, FIRST, 900)), (2, State::Late));
    floor.turn(901);
    assert_eq!(floor.notices(), 2);
    floor.replays();
}

#[test]
fn what_a_client_says_after_an_answer_is_owed_an_answer_of_its_own() {
    let mut floor = floor();
    let chat = floor.line(0, 1);
    floor.answers(30, "mia", chat);
    assert_eq!(state(&floor, chat, FIRST, 30), State::Kept);
    for at in [100, 110, 200] {
        floor.line(at, 1);
    }
    let clock = floor.clock(chat, NEXT);
    assert_eq!(
        (clock.began_at(), clock.due_at()),
        (Some(second(100)), Some(second(400))),
        "of the oldest that waits"
    );
    assert_eq!(floor.conversation(chat).waiting_since, Some(second(100)));
    floor.answers(250, "mia", chat);
    assert_eq!(state(&floor, chat, NEXT, 251), State::Kept);
    floor.line(1_000, 1);
    assert_eq!(floor.clock(chat, NEXT).due_at(), Some(second(1_300)), "and the next is the next");
    floor.turn(2_000);
    assert_eq!(state(&floor, chat, NEXT, 2_000), State::Breached);
    floor.answers(2_001, "mia", chat);
    floor.line(2_100, 1);
    assert_eq!(floor.clock(chat, NEXT).past(), Past { kept: 1, late: 1, withdrawn: 0 }, "each is counted");
    floor.replays();
}

#[test]
fn five_missed_calls_are_one_clock_from_the_first_and_a_talk_keeps_it() {
    let mut floor = floor();
    let call = floor.missed(0, 1);
    for at in [40, 80, 120, 160] {
        assert_eq!(floor.missed(at, 1), call);
    }
    let clock = floor.clock(call, CALLBACK);
    assert_eq!((clock.began_at(), clock.due_at()), (Some(second(0)), Some(second(300))));
    floor.talk(200, 260, number(1));
    assert_eq!(state(&floor, call, CALLBACK, 9_000), State::Kept);
    assert_eq!((floor.conversation(call).status, floor.turn(9_000).decisions), (Status::Resolved, 0));
    // Another day, another callback.
    let again = floor.missed(10_000, 1);
    assert_eq!(floor.clock(again, CALLBACK).due_at(), Some(second(10_300)));
    floor.replays();
}

#[test]
fn a_call_thought_missed_that_was_answered_is_owed_nothing() {
    let mut floor = floor();
    let callers = [None, Some(number(2))];
    let told = |floor: &mut Floor, at, nth: usize, outcome, basis| {
        let mut fact = told::call(floor.next(), &format!("CA{nth}"), callers[nth].clone(), Some(outcome));
        let Content::Call(change) = &mut fact.event.content else { panic!() };
        change.basis = basis;
        floor.begins(at, fact)
    };
    let [withheld, named] = [0, 1].map(|nth| told(&mut floor, 0, nth, Outcome::Missed, Basis::Line));
    for id in [withheld, named] {
        assert_eq!(floor.conversation(id).due_at, Some(second(300)));
    }
    for nth in [0, 1] {
        told(&mut floor, 90, nth, Outcome::Answered, Basis::Person);
    }
    assert_eq!(floor.conversation(withheld).callback, None);
    assert_eq!(state(&floor, withheld, CALLBACK, 9_000), State::Withdrawn);
    assert_eq!(state(&floor, named, CALLBACK, 9_000), State::Kept);
    for id in [withheld, named] {
        assert_eq!((floor.conversation(id).due_at, floor.conversation(id).status), (None, Status::Resolved));
    }
    assert_eq!(floor.turn(9_000).decisions, 0);
    floor.replays();
}

#[test]
fn a_call_we_owe_is_promised_and_kept_when_it_is_done() {
    let mut floor = floor();
    let mail = floor.mail(0, 1);
    floor.answers(10, "mia", mail);
    floor.does(100, "mia", Deed::OweCall { conversation: mail, note: None }).unwrap();
    assert_eq!(floor.conversation(mail).due_at, Some(second(400)));
    floor.does(399, "mia", Deed::CallDone { conversation: mail }).unwrap();
    assert_eq!((state(&floor, mail, CALLBACK, 9_000), floor.conversation(mail).due_at), (State::Kept, None));
    floor.replays();
}

#[test]
fn rest_stops_the_clock_exactly_and_it_runs_on_from_the_moment_the_rest_is_over() {
    let mut floor = floor();
    let mail = floor.mail(0, 1);
    let until = second(1_000);
    floor.does(100, "mia", Deed::Snooze { conversation: mail, until }).unwrap();
    let row = floor.conversation(mail);
    assert_eq!((row.status, row.due_at, row.wake_at, row.rank), (Status::Snoozed, None, Some(until), None));
    assert_eq!(state(&floor, mail, FIRST, 900), State::Paused);
    assert_eq!(floor.turn(999).decisions, 0);
    // Looked at two minutes late: what was left is counted from when the rest was over.
    floor.turn(1_120);
    let row = floor.conversation(mail);
    assert_eq!((row.status, row.due_at, row.snoozed_until), (Status::Open, Some(second(1_500)), None));
    assert!(row.rank.is_some(), "it waits for an agent again");
    floor.turn(1_499);
    assert_eq!(state(&floor, mail, FIRST, 1_499), State::Warned);
    floor.turn(1_500);
    assert_eq!(state(&floor, mail, FIRST, 1_500), State::Breached);
    floor.replays();
}

#[test]
fn whatever_ends_a_rest_lets_every_clock_run_again() {
    let mut floor = floor();
    let snooze = |floor: &mut Floor, conversation| {
        floor.does(60, "mia", Deed::Snooze { conversation, until: second(9_000) }).unwrap();
        assert_eq!(floor.conversation(conversation).due_at, None);
    };
    let call = floor.missed(0, 1);
    snooze(&mut floor, call);
    floor.missed(160, 1);
    let due = |floor: &Floor, id, kind| floor.clock(id, kind).due_at();
    assert_eq!(due(&floor, call, CALLBACK), Some(second(400)), "they called again");
    let chat = floor.line(0, 1);
    snooze(&mut floor, chat);
    floor.line(260, 1);
    assert_eq!(due(&floor, chat, FIRST), Some(second(800)), "they wrote");
    let mail = floor.mail(0, 1);
    snooze(&mut floor, mail);
    floor.does(360, "mia", Deed::Reopen { conversation: mail }).unwrap();
    assert_eq!(due(&floor, mail, FIRST), Some(second(900)), "we took it up again");
    floor.replays();
}

#[test]
fn what_is_resolved_is_owed_nothing() {
    let mut floor = floor();
    let ids = [floor.mail(0, 1), floor.missed(0, 1), floor.line(0, 1)];
    for id in ids {
        floor.does(60, "mia", Deed::Resolve { conversation: id }).unwrap();
        let row = floor.conversation(id);
        assert_eq!((row.due_at, row.wake_at, row.rank, row.waiting_since), (None, None, None, None));
        assert_eq!(state(&floor, id, FIRST, 9_000), State::Withdrawn);
    }
    assert_eq!(floor.turn(9_000).decisions, 0);
    floor.replays();
}

#[test]
fn deadlines_count_the_hours_of_their_calendar_and_its_split_shifts() {
    // Saturday noon in London; a shift until one and one from two to four, and then Monday's.
    let office = json!({ "office": { "zone": "Europe/London", "week": {
        "sat": ["09:00-13:00", "14:00-16:00"], "mon": ["09:00-17:00"],
    } } });
    let promises = json!({ "otherwise": { "promises": {
        "first_response": { "within_s": 7_200, "calendar": "office", "warn_percent": 50 },
    } } });
    let mut floor = Floor::new(policy(promises, office, json!({})));
    let hour = 3_600;
    let [noon, lunch, evening] =
        [(0, 1), (hour + 60, 2), (3 * hour + hour / 2, 3)].map(|(at, nth)| floor.mail(at, nth));
    let due = |floor: &Floor, id| {
        let clock = floor.clock(id, FIRST);
        (clock.warn_at().unwrap(), clock.due_at().unwrap())
    };
    assert_eq!(due(&floor, noon), (second(hour), second(3 * hour)), "an hour before lunch and one after");
    assert_eq!(due(&floor, lunch), (second(3 * hour), second(4 * hour)));
    let monday = second(2 * 24 * hour - 3 * hour);
    assert_eq!(due(&floor, evening), (monday + seconds(1_800), monday + seconds(5_400)));
    // Rest counts no business time, and is rest by the clock on the wall.
    floor.does(600, "mia", Deed::Snooze { conversation: noon, until: second(2 * hour) }).unwrap();
    floor.turn(2 * hour);
    assert_eq!(due(&floor, noon).1, second(4 * hour - 600), "ten minutes of two hours were used");
    floor.replays();
}

#[test]
fn a_fact_of_before_that_comes_late_moves_the_clock_and_takes_no_breach_back() {
    let mut floor = floor();
    let chat = floor.line(500, 1);
    let line = told::line(floor.next(), 1, Vec::new());
    floor.hears(400, 520, line);
    assert_eq!(floor.clock(chat, FIRST).due_at(), Some(second(1_000)), "they waited since the earlier line");
    floor.turn(1_000);
    let line = told::line(floor.next(), 1, Vec::new());
    floor.hears(390, 1_100, line);
    assert_eq!(state(&floor, chat, FIRST, 1_100), State::Breached);
    floor.turn(1_200);
    assert_eq!(floor.clock(chat, FIRST).told()[&Notice::Breached], second(1_000));
    assert_eq!(floor.notices(), 2);
    floor.replays();
}

#[test]
fn conversations_that_become_one_keep_the_clocks_of_both() {
    let mut floor = floor();
    let [one, two] = [floor.missed(0, 1), floor.missed(60, 2)];
    let [survivor, absorbed] = [two, one].map(|id| floor.conversation(id).client.unwrap());
    floor.does(90, "mia", Deed::Merge { survivor, absorbed, reason: "sisters".to_owned() }).unwrap();
    let row = floor.conversation(two);
    assert_eq!((row.continued_in, row.due_at, row.clocks.len()), (Some(one), None, 0));
    let row = floor.conversation(one);
    assert_eq!((row.due_at, row.clocks.len(), row.waiting_since), (Some(second(300)), 2, Some(second(0))));
    floor.turn(300);
    assert_eq!(state(&floor, one, CALLBACK, 300), State::Breached);
    floor.talk(310, 320, number(2));
    assert_eq!(
        (state(&floor, one, CALLBACK, 400), state(&floor, one, FIRST, 400)),
        (State::Late, State::Kept)
    );
    floor.replays();

    // Taken apart they are two again, each with its own.
    let merge = *floor.memory.rows.merges.keys().next().unwrap();
    floor.does(500, "mia", Deed::Unmerge { merge, reason: "no".to_owned() }).unwrap();
    assert_eq!(floor.clock(two, CALLBACK).due_at(), Some(second(360)));
    assert_eq!(state(&floor, one, CALLBACK, 500), State::Breached, "the talk was with the other");
    floor.replays();
}

#[test]
fn what_was_told_of_the_one_is_not_told_again_when_it_goes_on_in_the_other() {
    let mut floor = floor();
    let rings = told::call(floor.next(), "CA7", Some(number(1)), None);
    let (older, younger) = (floor.begins(0, rings), floor.missed(60, 2));
    floor.turn(1_000);
    assert_eq!(floor.notices(), 6, "both broke the first promise, and the younger its callback too");
    let [survivor, absorbed] = [older, younger].map(|id| floor.conversation(id).client.unwrap());
    floor.does(1_010, "mia", Deed::Merge { survivor, absorbed, reason: "sisters".to_owned() }).unwrap();
    assert_eq!(floor.clock(older, CALLBACK).told().get(&Notice::Breached), Some(&second(360)));
    floor.turn(2_000);
    assert_eq!(floor.notices(), 6);
    floor.replays();
}

#[test]
fn a_call_of_which_only_the_end_is_heard_was_answered_at_once() {
    let mut floor = floor();
    let fact = told::call(floor.next(), "CA9", Some(number(1)), Some(Outcome::Answered));
    assert_eq!(fact.event.direction, Direction::Inbound);
    assert_eq!(fact.event.key.source.channel(), Channel::Phone);
    let fact = timed(fact, second(50), second(50));
    let slot = fact.event.contact.digest();
    floor.hears(50, 50, fact);
    let id = floor.memory.rows.contacts[&slot].conversation.unwrap();
    assert_eq!(state(&floor, id, FIRST, 60), State::Kept);
    assert_eq!(floor.turn(9_000).decisions, 0);
    floor.replays();
}
