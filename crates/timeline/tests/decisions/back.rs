//! What comes back to us: answers that never arrived, what is nobody's after all, chats nobody is in any more.

use contact::{
    Basis, CallChange, CallState, Content, ConversationId, Deed, EntryId, Event, Outcome, PromiseKind,
    ReplyChange, ReplyFate,
};
use routing::promise::{End, State};
use serde_json::json;
use timeline::Status;

use crate::floor::{Floor, HERE, promising, second};
use crate::offers;
use crate::told::{self, number, tried};

const FIRST: PromiseKind = PromiseKind::FirstResponse;
const CALLBACK: PromiseKind = PromiseKind::Callback;

fn promised() -> Floor {
    Floor::new(promising(json!({
        "first_response": { "within_s": 600 },
        "next_response": { "within_s": 300 },
        "callback": { "within_s": 300 },
    })))
}

/// Our answers, the first first.
fn answers(floor: &Floor) -> Vec<EntryId> {
    let mut ids: Vec<_> = floor.memory.rows.replies.keys().copied().collect();
    ids.sort_unstable();
    ids
}

/// So the try of this number at our answer ended.
fn ends(floor: &mut Floor, at: i64, reply: EntryId, attempt: u32, fate: ReplyFate) {
    let source = floor.memory.rows.replies[&reply].source.clone();
    let number = floor.next();
    let fact = tried(number, reply, source, fate);
    let told = Content::Reply(ReplyChange { reply, attempt, fate, detail: None, message_id: None });
    let fact = timeline::Arrival { event: Event { content: told, ..fact.event }, ..fact };
    floor.hears(at, at, fact);
}

#[test]
fn who_was_sent_an_answer_that_never_arrived_waits_still() {
    let mut floor = promised();
    floor.hire(0, "mia", &["default"], &[], 5);
    let mail = floor.mail(0, 1);
    floor.answers(10, "mia", mail);
    let row = floor.conversation(mail);
    assert_eq!((row.status, row.waiting_since, row.due_at), (Status::Pending, None, None));
    let [reply] = answers(&floor)[..] else { panic!("one answer") };
    ends(&mut floor, 60, reply, 1, ReplyFate::Failed);

    let row = floor.conversation(mail);
    assert_eq!((row.status, row.assignee.as_deref(), row.occupies()), (Status::Open, Some("mia"), true));
    assert_eq!((row.waiting_since, row.answered_at), (Some(second(0)), None));
    assert_eq!((row.due_at, floor.clock(mail, FIRST).state(second(61))), (Some(second(600)), State::Running));
    floor.turn(600);
    assert_eq!((floor.notices(), floor.clock(mail, FIRST).state(second(600))), (2, State::Breached));
    floor.answers(700, "mia", mail);
    assert_eq!(floor.clock(mail, FIRST).ended(), Some((second(700), End::Answered)));
    assert_eq!(floor.conversation(mail).status, Status::Pending);
    // The same is told once more.
    ends(&mut floor, 800, reply, 1, ReplyFate::Failed);
    assert_eq!(floor.conversation(mail).status, Status::Pending);
    floor.replays();
}

#[test]
fn an_answer_is_lost_when_nothing_more_is_tried_and_not_before() {
    let tries = [
        (10, ReplyFate::Deferred, "the ladder ran out"),
        (2, ReplyFate::Uncertain, "the second doubt is the last"),
    ];
    for (most, fate, why) in tries {
        let mut floor = promised();
        let mail = floor.mail(0, 1);
        floor.answers(10, "mia", mail);
        let [reply] = answers(&floor)[..] else { panic!("one answer") };
        for attempt in 1..=most {
            assert_eq!(floor.conversation(mail).status, Status::Pending, "{why}");
            ends(&mut floor, 10 + i64::from(attempt), reply, attempt, fate);
        }
        assert_eq!(floor.conversation(mail).status, Status::Open, "{why}");
        floor.replays();
    }
}

#[test]
fn of_two_answers_the_one_that_arrived_answers() {
    let mut floor = promised();
    let mail = floor.mail(0, 1);
    floor.answers(10, "mia", mail);
    floor.answers(20, "mia", mail);
    let replies = answers(&floor);
    ends(&mut floor, 30, replies[0], 1, ReplyFate::Failed);
    let row = floor.conversation(mail);
    assert_eq!((row.status, row.waiting_since, row.answered_at), (Status::Open, None, Some(second(20))));
    assert_eq!(floor.clock(mail, FIRST).ended(), Some((second(20), End::Answered)));
    ends(&mut floor, 40, replies[1], 1, ReplyFate::Failed);
    let row = floor.conversation(mail);
    assert_eq!((row.waiting_since, row.answered_at), (Some(second(0)), None));
    assert_eq!(floor.clock(mail, FIRST).ended(), None);
    floor.replays();
}

/// Resolved with the answer as the last word, and with something that came after it.
#[test]
fn what_was_resolved_by_an_answer_that_never_arrived_is_open_again() {
    for (writes_again, status) in [(false, Status::Open), (true, Status::Resolved)] {
        let mut floor = promised();
        floor.hire(0, "mia", &["default"], &[], 5);
        let letter = told::mail_under("one@example.com", floor.next(), told::address(1), &[]);
        let mail = floor.begins(0, letter);
        floor.answers(10, "mia", mail);
        let [reply] = answers(&floor)[..] else { panic!("one answer") };
        if writes_again {
            let next = told::mail(floor.next(), told::address(1), &["one@example.com".to_owned()]);
            floor.hears(20, 20, next);
        }
        floor.does(30, "mia", Deed::Resolve { conversation: mail }).unwrap();
        assert_eq!(floor.conversation(mail).status, Status::Resolved);
        ends(&mut floor, 60, reply, 1, ReplyFate::Failed);

        let row = floor.conversation(mail);
        assert_eq!((row.status, row.resolved_at.is_none()), (status, status == Status::Open));
        assert_eq!(row.waiting_since, (status == Status::Open).then(|| second(0)));
        floor.replays();
        // Taken once more, because they were somebody else's for a while.
        let stood = row.status;
        let survivor = row.client.unwrap();
        let other = floor.mail(61, 2);
        let absorbed = floor.conversation(other).client.unwrap();
        let merge = Deed::Merge { survivor, absorbed, reason: String::new() };
        let merge = floor.does(62, "mia", merge).unwrap().merge;
        floor.does(63, "mia", Deed::Unmerge { merge, reason: String::new() }).unwrap();
        assert_eq!(floor.conversation(mail).status, stood);
        // An agent who knows of it resolves it for good.
        if stood == Status::Open {
            floor.does(70, "mia", Deed::Resolve { conversation: mail }).unwrap();
        }
        ends(&mut floor, 80, reply, 1, ReplyFate::Failed);
        assert_eq!(floor.conversation(mail).status, Status::Resolved);
        floor.replays();
    }
}

#[test]
fn a_call_we_owe_is_not_made_good_by_an_answer_that_never_arrived() {
    let mut floor = promised();
    let mail = floor.mail(0, 1);
    floor.does(5, "mia", Deed::OweCall { conversation: mail, note: None }).unwrap();
    floor.answers(10, "mia", mail);
    assert_eq!(floor.clock(mail, CALLBACK).state(second(11)), State::Kept);
    let [reply] = answers(&floor)[..] else { panic!("one answer") };
    ends(&mut floor, 60, reply, 1, ReplyFate::Failed);
    assert_eq!(floor.clock(mail, CALLBACK).state(second(61)), State::Running);
    floor.replays();
}

fn returns(floor: &Floor) -> usize {
    floor.decisions().iter().filter(|(_, deed)| matches!(deed, Deed::Return { .. })).count()
}

#[test]
fn what_somebody_answered_who_is_no_agent_waits_for_one_when_the_client_writes_again() {
    let mut floor = offers::floor();
    floor.hire(0, "anna", &["default", "key-accounts"], &["uk"], 5);
    let chat = floor.line(10, 1);
    let letter = told::mail_under("one@example.com", floor.next(), told::address(2), &[]);
    let mail = floor.begins(10, letter);
    for id in [chat, mail] {
        floor.answers(12, "bot", id);
    }
    floor.turn(13);
    assert_eq!((floor.offers(), returns(&floor)), (Vec::new(), 0), "both are answered");
    floor.line(20, 1);
    let answer = told::mail(floor.next(), told::address(2), &["one@example.com".to_owned()]);
    floor.hears(21, 21, answer);
    for id in [chat, mail] {
        let row = floor.conversation(id);
        assert_eq!(
            (row.status, row.assignee.as_deref(), row.handed_at >= second(20)),
            (Status::Open, None, true)
        );
    }
    let (by, _) = floor.decisions().pop().unwrap();
    assert_eq!((by.as_str(), returns(&floor)), ("presence/1", 2));
    floor.turn(22);
    assert_eq!(floor.offers().len(), 2);
    floor.replays();
}

#[test]
fn what_was_given_to_somebody_who_had_gone_waits_for_others_when_the_client_writes_again() {
    let mut floor = offers::floor();
    floor.hire(0, "anna", &["default"], &[], 5);
    let chat = floor.line(2, 1);
    floor.does(3, "anna", Deed::Claim { conversation: chat }).unwrap();
    floor.connect(5, "anna", HERE, false);
    floor.answers(6, "boss", chat);
    floor.line(7, 1);
    assert_eq!(floor.conversation(chat).assignee.as_deref(), Some("anna"), "she may come back");
    let other = floor.line(20, 2);
    floor
        .does(21, "boss", Deed::Assign { conversation: other, from: None, to: Some("anna".to_owned()) })
        .unwrap();
    floor.answers(22, "boss", other);
    assert_eq!(floor.conversation(other).assignee.as_deref(), Some("anna"));
    floor.line(30, 2);
    assert_eq!((floor.conversation(other).assignee.as_deref(), returns(&floor)), (None, 1));
    floor.replays();
}

#[test]
fn who_never_said_that_they_are_here_keeps_what_they_took_while_their_console_is_open() {
    let mut floor = offers::floor();
    floor.connect(0, "dora", HERE, true);
    let chat = floor.line(10, 1);
    floor.does(11, "dora", Deed::Claim { conversation: chat }).unwrap();
    floor.answers(12, "dora", chat);
    floor.line(20, 1);
    assert_eq!((floor.conversation(chat).assignee.as_deref(), returns(&floor)), (Some("dora"), 0));
    floor.answers(21, "dora", chat);
    floor.connect(22, "dora", HERE, false);
    floor.line(30, 1);
    assert_eq!((floor.conversation(chat).assignee.as_deref(), returns(&floor)), (None, 1));
    floor.replays();
}

#[test]
fn a_chat_whose_client_does_not_come_back_is_over_and_takes_nobodys_room() {
    let mut floor = offers::floor();
    floor.hire(0, "anna", &["default"], &[], 1);
    let chat = floor.line(10, 1);
    floor.turn(10);
    floor.accept(11, "anna").unwrap();
    floor.answers(20, "anna", chat);
    let next = floor.line(30, 2);
    assert_eq!(floor.turn(30).next, Some(second(20 + 1_800)));
    assert_eq!(floor.offers(), [], "the client may be there");
    // They are.
    floor.line(1_000, 1);
    floor.answers(1_010, "anna", chat);
    floor.turn(1_820);
    assert_eq!(floor.conversation(chat).status, Status::Pending);
    floor.turn(1_010 + 1_800);
    let row = floor.conversation(chat);
    assert_eq!((row.status, row.wake_at), (Status::Resolved, None));
    let resolved = Deed::Resolve { conversation: chat };
    assert!(floor.decisions().contains(&("clock/1".to_owned(), resolved)));
    assert_eq!(floor.offer_to("anna").unwrap().conversation, next);
    assert!(floor.line(3_000, 1) != chat, "who comes back later begins anew");
    floor.replays();
}

/// A call in which somebody of ours is on the line from then on.
fn picked_up(floor: &mut Floor, at: i64, nth: usize) -> ConversationId {
    let mut fact = told::call(floor.next(), &format!("line{nth}"), Some(number(nth)), None);
    let state = Some(CallState::Answered);
    let change =
        CallChange { state, outcome: Some(Outcome::Answered), basis: Basis::Person, ..CallChange::default() };
    fact.event.content = Content::Call(change);
    floor.begins(at, fact)
}

#[test]
fn a_call_that_is_done_leaves_nothing_open_unless_the_client_is_on_the_line() {
    let mut floor = promised();
    floor.hire(0, "mia", &["default"], &[], 5);
    let call = floor.missed(0, 1);
    floor.does(5, "mia", Deed::Claim { conversation: call }).unwrap();
    floor.does(60, "mia", Deed::CallDone { conversation: call }).unwrap();
    let row = floor.conversation(call);
    assert_eq!((row.status, row.occupies()), (Status::Resolved, false));
    assert_eq!(floor.clock(call, CALLBACK).state(second(61)), State::Kept);
    assert!(row.callback.as_ref().is_some_and(|callback| !callback.given_up));

    let busy = floor.missed(100, 2);
    picked_up(&mut floor, 110, 2);
    floor.does(120, "mia", Deed::CallDone { conversation: busy }).unwrap();
    assert_eq!(floor.conversation(busy).status, Status::Open, "they talk");

    let let_be = floor.missed(200, 3);
    floor.does(210, "mia", Deed::Resolve { conversation: let_be }).unwrap();
    assert!(floor.conversation(let_be).callback.as_ref().is_some_and(|callback| callback.given_up));
    // Whoever was reached in writing was not given up.
    let mail = floor.mail(300, 4);
    floor.does(301, "mia", Deed::OweCall { conversation: mail, note: None }).unwrap();
    floor.answers(302, "mia", mail);
    floor.does(310, "mia", Deed::Resolve { conversation: mail }).unwrap();
    assert!(floor.conversation(mail).callback.as_ref().is_some_and(|callback| !callback.given_up));
    floor.replays();
}

#[test]
fn who_knows_the_client_is_waited_for_from_when_a_call_is_missed() {
    let mut floor = offers::floor();
    for name in ["anna", "ben"] {
        floor.hire(0, name, &["default", "key-accounts"], &[], 1);
    }
    // Anna wrote to this client last, and is busy with another's call.
    let proved = told::line(floor.next(), 1, vec![number(1)]);
    let chat = floor.begins(1, proved);
    floor.answers(2, "anna", chat);
    floor.does(3, "anna", Deed::Resolve { conversation: chat }).unwrap();
    let other = floor.missed(4, 2);
    floor.does(5, "anna", Deed::Claim { conversation: other }).unwrap();
    let ringing = told::call(floor.next(), "CA1", Some(number(1)), None);
    let call = floor.begins(100, ringing);
    floor.turn(100);
    let missed = told::call(floor.next(), "CA1", Some(number(1)), Some(Outcome::Missed));
    floor.hears(121, 121, missed);
    assert_eq!((floor.turn(121).next, floor.offers()), (Some(second(131)), Vec::new()));
    floor.turn(131);
    assert_eq!(floor.offer_to("ben").unwrap().conversation, call);

    // The same when it has rested.
    floor.decline(132, "ben", 132).unwrap();
    floor.does(133, "boss", Deed::Snooze { conversation: call, until: second(500) }).unwrap();
    floor.turn(500);
    assert_eq!((floor.conversation(call).handed_at, floor.offers()), (second(500), Vec::new()));
    floor.turn(510);
    assert_eq!(floor.offer_to("ben").unwrap().conversation, call);
    floor.replays();
}

#[test]
fn a_promise_that_runs_goes_on_when_its_conversation_joins_one_whose_promise_has_ended() {
    let mut floor = promised();
    let talks = picked_up(&mut floor, 8, 1);
    assert_eq!(floor.clock(talks, FIRST).ended().map(|(_, end)| end), Some(End::Answered));
    let waits = floor.missed(10, 2);
    let [survivor, absorbed] = [talks, waits].map(|id| floor.conversation(id).client.unwrap());
    floor.does(20, "mia", Deed::Merge { survivor, absorbed, reason: "her voice".to_owned() }).unwrap();
    assert_eq!(floor.conversation(waits).continued_in, Some(talks));
    let clock = floor.clock(talks, FIRST);
    assert_eq!((clock.ended(), clock.due_at(), clock.past().kept), (None, Some(second(610)), 1));
    floor.replays();
}

#[test]
fn a_promise_that_rested_runs_on_when_its_conversation_joins_one_that_does_not_rest() {
    let mut floor = promised();
    let ringing = told::call(floor.next(), "CA1", Some(number(1)), None);
    let rings = floor.begins(0, ringing);
    let rests = floor.missed(10, 2);
    floor.does(60, "mia", Deed::Snooze { conversation: rests, until: second(9_000) }).unwrap();
    assert_eq!(floor.clock(rests, CALLBACK).due_at(), None);
    let [survivor, absorbed] = [rings, rests].map(|id| floor.conversation(id).client.unwrap());
    floor.does(160, "mia", Deed::Merge { survivor, absorbed, reason: "her voice".to_owned() }).unwrap();
    assert_eq!(floor.conversation(rings).status, Status::Open);
    assert_eq!(floor.clock(rings, CALLBACK).due_at(), Some(second(410)), "a hundred seconds were rest");
    floor.replays();
}
