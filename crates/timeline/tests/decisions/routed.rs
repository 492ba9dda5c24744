//! To whom a conversation goes: what rules decide, and that it stands in the log.

use contact::{ClientId, ConversationId, Deed, MergeId, Outcome, Priority, PromiseKind};
use serde_json::json;
use timeline::Conversation;

use crate::floor::{Floor, policy, second};
use crate::memory::Memory;
use crate::told::{self, address, number};

/// Who calls and is valued goes to those who know contracts; the rest to the desk, mails behind.
fn rules() -> serde_json::Value {
    json!({
        "segments": { "vip": 30 },
        "values": { "great": { "at_least": 1000, "points": 15 }, "greater": { "at_least": 5000, "points": 20 } },
        "point_s": 60,
        "rules": {
            "broken": { "order": 1, "when": "event.subject > 5", "queue": "nowhere" },
            "vip-calls": {
                "order": 2, "when": "event.channel == 'phone' && client.segment == 'vip'",
                "queue": "key-accounts", "skills": ["contracts"], "priority": 60,
                "promises": { "callback": { "within_s": 300 } },
            },
            "mails": { "order": 3, "when": "event.channel == 'email'", "queue": "letters", "priority": 20 },
        },
    })
}

fn routes(floor: &Floor) -> usize {
    floor.decisions().iter().filter(|(_, deed)| matches!(deed, Deed::Route { .. })).count()
}

#[test]
fn a_rule_sends_a_new_conversation_its_way_and_the_decision_stands_in_the_log() {
    let mut floor = Floor::new(policy(rules(), json!({}), json!({})));
    floor.introduce(0, &number(1), "vip", None);
    let call = floor.missed(10, 1);
    let version = floor.memory.policy.rules.version().to_owned();

    let row = floor.conversation(call).clone();
    assert_eq!((row.queue.as_str(), row.priority), ("key-accounts", 90));
    let routing = row.routing.clone().unwrap();
    assert_eq!((routing.rule.as_deref(), &routing.version), (Some("vip-calls"), &version));
    assert_eq!(routing.skills.into_iter().collect::<Vec<_>>(), ["contracts"]);
    assert_eq!(row.rank, Some(second(10 - 90 * 60).as_microsecond()), "ninety points of a minute each");
    assert_eq!(row.due_at, Some(second(310)));

    let (by, deed) = floor.decisions().pop().unwrap();
    assert_eq!(by, format!("rules/{version}"));
    let Deed::Route { conversation, decision, deadlines } = deed else { panic!("{deed:?}") };
    assert_eq!((conversation, Some(decision)), (call, row.routing));
    assert_eq!((deadlines.len(), deadlines[0].due_at), (1, Some(second(310))));
    let logged = floor.memory.log.last().unwrap();
    assert!(logged.payload.contains("frontdesk.decision.v1"), "{}", logged.payload);
    floor.replays();
}

#[test]
fn segment_and_worth_raise_the_priority_and_it_is_said_why() {
    let mut floor = Floor::new(policy(rules(), json!({}), json!({})));
    floor.introduce(0, &address(1), "vip", Some(6000));
    floor.introduce(0, &address(2), "usual", Some(1000));
    let [one, two, three] = [1, 2, 3].map(|nth| floor.mail(10, nth));
    let priority = |id| floor.conversation(id).priority;
    assert_eq!((priority(one), priority(two), priority(three)), (20 + 30 + 20, 20 + 15, 20));
    let reasons = floor.conversation(one).routing.clone().unwrap().reasons.join("; ");
    for reason in ["rule `mails` matched", "segment `vip` moves the priority by +30", "value `greater`"] {
        assert!(reasons.contains(reason), "{reasons}");
    }
    let rank = |id| floor.conversation(id).rank.unwrap();
    assert!(rank(one) < rank(two) && rank(two) < rank(three), "who is worth more comes first");
    floor.replays();
}

#[test]
fn a_rule_that_gives_no_answer_is_named_and_the_next_one_is_asked() {
    let mut floor = Floor::new(policy(rules(), json!({}), json!({})));
    let call = floor.missed(0, 1);
    let routing = floor.conversation(call).routing.clone().unwrap();
    assert_eq!(routing.rule, None, "who calls and is nobody in particular goes the usual way");
    let failed: Vec<_> = routing.failed.iter().map(|failed| failed.rule.as_str()).collect();
    assert_eq!(failed, ["broken"], "no call has a subject");
    assert!(!routing.failed[0].reason.is_empty());
    floor.replays();
}

#[test]
fn where_nothing_is_configured_nothing_is_decided() {
    let mut floor = Floor::new(Memory::default().policy);
    let conversations = [floor.missed(0, 1), floor.mail(1, 2), floor.line(2, 3)];
    assert_eq!(floor.decisions(), []);
    for id in conversations {
        let row = floor.conversation(id);
        assert_eq!((row.queue.as_str(), row.priority), ("default", i32::from(Priority::USUAL.get())));
        assert_eq!((&row.routing, row.clocks.len(), row.due_at), (&None, 0, None));
        assert!(row.rank.is_some(), "it waits all the same");
    }
    floor.replays();
}

#[test]
fn a_conversation_is_routed_once_and_keeps_its_way_though_the_rules_change() {
    let mut floor = Floor::new(policy(rules(), json!({}), json!({})));
    let first = floor.mail(0, 1);
    let queue = |floor: &Floor, id| floor.conversation(id).queue.clone();
    assert_eq!((queue(&floor, first), routes(&floor)), ("letters".to_owned(), 1));

    let mut changed = rules();
    changed["rules"]["mails"]["queue"] = json!("post");
    floor.memory.policy = policy(changed, json!({}), json!({}));
    let answers = ["mail1@example.com".to_owned()];
    let again = told::mail(floor.next(), address(1), &answers);
    floor.hears(5, 5, again);
    let second = floor.mail(6, 2);
    assert_eq!(queue(&floor, first), "letters", "an answer is about the same matter");
    assert_eq!((queue(&floor, second), routes(&floor)), ("post".to_owned(), 2));
    floor.replays();
}

/// One who is nobody in particular and one who is valued, and what makes them one.
fn two_callers() -> (Floor, [ClientId; 2], Deed) {
    let mut floor = Floor::new(policy(rules(), json!({}), json!({})));
    floor.hire(0, "kay", &["key-accounts"], &["contracts"], 1);
    floor.introduce(1, &number(1), "usual", None);
    floor.introduce(2, &number(2), "vip", None);
    let clients = [1, 2].map(|nth| floor.memory.rows.holders[&number(nth).identifier().unwrap()].0);
    let [survivor, absorbed] = clients;
    (floor, clients, Deed::Merge { survivor, absorbed, reason: "her voice".to_owned() })
}

fn undo(floor: &mut Floor, at: i64, merge: MergeId) {
    floor.does(at, "boss", Deed::Unmerge { merge, reason: "they are two".to_owned() }).unwrap();
}

/// The one conversation of this client.
fn of(floor: &Floor, client: ClientId) -> Conversation {
    let rows = floor.memory.rows.conversations.values();
    let rows: Vec<_> = rows.filter(|row| row.client == Some(client) && row.continued_in.is_none()).collect();
    let [row] = rows[..] else { panic!("{rows:?}") };
    row.clone()
}

/// How often its way was decided.
fn ways(floor: &Floor, id: ConversationId) -> usize {
    let decided = floor.decisions();
    let of = |deed: &Deed| matches!(deed, Deed::Route { conversation, .. } if *conversation == id);
    decided.iter().filter(|(_, deed)| of(deed)).count()
}

#[test]
fn what_is_a_conversation_of_its_own_when_two_are_apart_again_goes_the_way_the_rules_say() {
    let (mut floor, [one, other], joined) = two_callers();
    let merge = floor.does(10, "boss", joined.clone()).unwrap().merge;
    let first = floor.missed(20, 1);
    assert_eq!(floor.missed(30, 2), first, "one client, one matter");
    let before = routes(&floor);
    undo(&mut floor, 50, merge);
    let row = of(&floor, other);
    assert_eq!((of(&floor, one).id, row.id == first), (first, false));
    assert_eq!((ways(&floor, row.id), routes(&floor)), (1, before + 1), "the other keeps its way");
    let routing = row.routing.clone().unwrap();
    assert_eq!((routing.rule.as_deref(), row.queue.as_str()), (Some("vip-calls"), "key-accounts"));
    assert_eq!(row.due_at, Some(second(330)), "promised from the call on");
    floor.replays();
    floor.turns(60);
    assert_eq!(floor.offer_to("kay").unwrap().conversation, row.id);

    // Joined and undone once more it has its way, and nobody asks again.
    let merge = floor.does(70, "boss", joined).unwrap().merge;
    undo(&mut floor, 80, merge);
    let again = of(&floor, other);
    assert_eq!((again.id, again.routing, ways(&floor, row.id)), (row.id, Some(routing), 1));
    floor.replays();
}

#[test]
fn of_what_was_over_when_two_are_apart_again_no_rule_is_asked() {
    let (mut floor, [_, other], joined) = two_callers();
    let merge = floor.does(10, "boss", joined).unwrap().merge;
    let first = floor.missed(20, 1);
    let talk = told::call(floor.next(), "talk", Some(number(2)), Some(Outcome::Answered));
    assert_eq!(floor.begins(30, talk), first);
    undo(&mut floor, 50, merge);
    let row = of(&floor, other);
    assert_eq!((row.is_open(), ways(&floor, row.id), &row.routing), (false, 0, &None));
    floor.replays();
}

#[test]
fn rules_ask_the_calendar_about_the_moment_of_the_contact() {
    let night = json!({
        "otherwise": { "queue": "day" },
        "rules": { "night": { "when": "!time.open", "queue": "night", "promises": { "first_response": { "within_s": 3600, "calendar": "office" } } } },
    });
    // Noon of the tests is two in the afternoon of a Saturday in Kyiv.
    let office = json!({ "office": { "zone": "Europe/Kyiv", "week": { "sat": ["09:00-15:00"], "mon": ["10:00-18:00"] } } });
    let mut floor = Floor::new(policy(night, office, json!({})));
    let (open, closed) = (floor.mail(0, 1), floor.mail(2 * 3_600, 2));
    assert_eq!(floor.conversation(open).queue, "day");
    assert_eq!(floor.conversation(closed).queue, "night");
    let monday = "2026-11-23T11:00:00+02:00".parse().unwrap();
    assert_eq!(floor.clock(closed, PromiseKind::FirstResponse).due_at(), Some(monday));
    floor.replays();
}
