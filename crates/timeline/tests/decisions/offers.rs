//! Who is asked, what comes of it, and that it does not matter which process asks.

use contact::{Channel, ConversationId, Deed, OfferEnd, Presence};
use serde_json::{Value, json};
use timeline::act::{ActError, Refusal};
use timeline::{Agent, ReservationState, Status};

use crate::floor::{Floor, policy, second};
use crate::told::{self, number};

use ReservationState::{Accepted, Declined, Pending, Rescinded, TimedOut};

/// Chats of the desk; mails ask for Ukrainian; calls are the key accounts'.
pub(crate) fn floor() -> Floor {
    let rules = json!({ "rules": {
        "mails": { "when": "event.channel == 'email'", "skills": ["uk"] },
        "calls": { "when": "event.channel == 'phone'", "queue": "key-accounts" },
    } });
    let terms: Value = json!({ "offer_s": { "chat": 20, "email": 60, "phone": 30 }, "rest_s": 100, "hold_s": 10, "grace_s": 60, "missed_offers": 2 });
    Floor::new(policy(rules, json!({}), terms))
}

fn asked(floor: &Floor) -> Vec<(String, ReservationState)> {
    floor.asked()
}

fn was(names: &[(&str, ReservationState)]) -> Vec<(String, ReservationState)> {
    names.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect()
}

fn refusal(error: ActError) -> Refusal {
    match error {
        ActError::Refused(refusal) => refusal,
        ActError::Store(error) => panic!("{error}"),
    }
}

fn assignee(floor: &Floor, id: ConversationId) -> Option<&str> {
    floor.conversation(id).assignee.as_deref()
}

#[test]
fn what_is_too_much_for_one_turn_is_offered_in_the_next() {
    let mut floor = floor();
    let chats: Vec<ConversationId> = (0..300).map(|visitor| floor.line(0, visitor)).collect();
    for number in 0..260 {
        floor.hire(1, &format!("agent-{number}"), &["default"], &[], 2);
    }
    let first = floor.turn(2);
    assert!(first.more && floor.offers().len() == 256, "{first:?}");
    let second = floor.turn(2);
    assert!(!second.more && floor.offers().len() == 260, "{second:?}");
    let asked = |id: &&ConversationId| floor.offers().iter().any(|offer| offer.conversation == **id);
    assert_eq!(chats.iter().filter(asked).count(), 260, "each once");
}

#[test]
fn a_contact_is_offered_to_one_who_is_here_serves_its_queue_and_has_its_skills_and_room() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &["uk"], 1);
    floor.connect(1, "anna", crate::floor::HERE, false);
    floor.hire(2, "ben", &["default"], &["uk"], 1);
    floor.appear(3, "ben", Presence::Away);
    floor.hire(4, "cleo", &["key-accounts"], &["uk"], 1);
    floor.hire(5, "dora", &["default"], &[], 1);
    floor.engage(6, "emil", &["default"], &["uk"], &[(Channel::Chat, 3)]);
    floor.connect(6, "emil", crate::floor::HERE, true);
    floor.appear(6, "emil", Presence::Available);
    let mail = floor.mail(10, 1);
    floor.turn(11);
    assert_eq!(asked(&floor), [], "gone, away, of another queue, without the skill, without room for mails");
    floor.hire(12, "faye", &["default"], &["uk"], 1);
    floor.turn(12);
    let offer = floor.offer_to("faye").unwrap();
    assert_eq!((offer.conversation, offer.offered_at, offer.until), (mail, second(12), second(72)));
    let second_mail = floor.mail(13, 2);
    floor.turn(13);
    assert_eq!(floor.offers().len(), 1, "one at once is what they can take");
    floor.accept(20, "faye").unwrap();
    floor.turn(20);
    assert_eq!((assignee(&floor, mail), floor.offers().len()), (Some("faye"), 0));
    assert_eq!(floor.conversation(mail).rank, None);
    floor.does(30, "faye", Deed::Resolve { conversation: mail }).unwrap();
    floor.turn(30);
    assert_eq!(floor.offer_to("faye").unwrap().conversation, second_mail);
    floor.replays();
}

#[test]
fn of_several_the_one_who_knows_the_client_is_asked_else_the_one_who_had_nothing_for_longest() {
    let mut floor = floor();
    for (at, name) in [(0, "anna"), (1, "ben"), (2, "cleo")] {
        floor.hire(at, name, &["default"], &[], 1);
    }
    let first = floor.line(10, 1);
    floor.turn(10);
    assert_eq!(asked(&floor), was(&[("anna", Pending)]), "the first who was here");
    // Cleo answers before Anna does, and knows the client from now on.
    floor.answers(12, "cleo", first);
    floor.turn(12);
    assert_eq!(asked(&floor), was(&[("anna", Rescinded)]));
    floor.does(20, "cleo", Deed::Resolve { conversation: first }).unwrap();
    floor.line(30, 1);
    floor.turn(30);
    assert_eq!(floor.offers()[0].agent, "cleo", "though Anna and Ben had nothing for longer");
    floor.accept(31, "cleo").unwrap();

    // Who knows the client and is busy is waited for, and not for long.
    floor
        .does(
            32,
            "cleo",
            Deed::Resolve { conversation: floor.offers().first().map_or(first, |row| row.conversation) },
        )
        .unwrap_err();
    let taken = floor.memory.open()[0].id;
    floor.does(33, "cleo", Deed::Resolve { conversation: taken }).unwrap();
    let other = floor.line(34, 2);
    floor.does(34, "cleo", Deed::Claim { conversation: other }).unwrap();
    let back = floor.line(40, 1);
    assert_eq!(floor.turn(40).next, Some(second(50)));
    assert_eq!(floor.offers(), []);
    floor.turn(49);
    assert_eq!(floor.offers(), []);
    floor.turn(50);
    let offer = floor.offers().remove(0);
    assert_eq!((offer.conversation, offer.agent.as_str()), (back, "anna"), "of the others the next");
    floor.replays();
}

#[test]
fn who_declines_is_followed_by_the_next_and_asked_again_after_a_rest() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &[], 1);
    floor.hire(1, "ben", &["default"], &[], 1);
    floor.line(10, 1);
    floor.turn(10);
    floor.decline(12, "anna", 112).unwrap();
    floor.turn(12);
    assert_eq!(asked(&floor), was(&[("anna", Declined), ("ben", Pending)]));
    floor.decline(14, "ben", 114).unwrap();
    assert_eq!(floor.turn(14).next, Some(second(112)));
    assert_eq!(floor.offers(), [], "both rest");
    floor.turn(112);
    assert_eq!(floor.offers()[0].agent, "anna");
    floor.replays();
}

#[test]
fn an_offer_ends_at_its_second_and_who_is_silent_twice_is_away() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &["uk"], 5);
    floor.hire(1, "ben", &["default"], &[], 5);
    let one = floor.line(10, 1);
    assert_eq!(floor.turn(10).next, Some(second(30)));
    floor.turn(29);
    assert_eq!(asked(&floor), was(&[("anna", Pending)]));
    assert!(matches!(refusal(floor.accept(30, "anna").unwrap_err()), Refusal::TooLate(_)), "too late");
    floor.turn(31);
    assert_eq!(asked(&floor), was(&[("anna", TimedOut), ("ben", Pending)]));
    assert_eq!((floor.agent("anna").missed, floor.agent("anna").presence), (1, Presence::Available));
    floor.accept(32, "ben").unwrap();
    assert_eq!(assignee(&floor, one), Some("ben"));
    floor.appear(33, "ben", Presence::Away);

    let [two, three] = [floor.line(40, 2), floor.mail(41, 3)];
    floor.turn(41);
    assert_eq!(floor.offers().len(), 2);
    floor.turn(61);
    let anna = floor.agent("anna");
    assert_eq!((anna.presence, anna.missed >= 2), (Presence::Away, true), "silent once more");
    assert_eq!(floor.offers(), [], "and is asked nothing more");
    for id in [two, three] {
        assert_eq!((assignee(&floor, id), floor.conversation(id).rank.is_some()), (None, true));
    }
    floor.appear(200, "anna", Presence::Available);
    floor.turn(200);
    assert_eq!((floor.offers().len(), floor.agent("anna").missed), (2, 0), "who comes back is asked again");
    floor.replays();
}

#[test]
fn whoever_is_faster_has_it_and_the_one_who_was_asked_is_told_who() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &[], 1);
    floor.hire(1, "ben", &["default"], &[], 1);
    let [one, two] = [floor.line(10, 1), floor.line(11, 2)];
    floor.turn(11);
    let [first, other] = ["anna", "ben"].map(|name| floor.offer_to(name).unwrap());
    assert_eq!((first.conversation, other.conversation), (one, two));
    floor.does(12, "cleo", Deed::Claim { conversation: one }).unwrap();
    let row = &floor.memory.rows.reservations[&first.id];
    assert_eq!((row.state, row.ended_at), (Rescinded, Some(second(12))), "at once, and not at the next look");
    let late = floor.does(13, "anna", Deed::Accept { reservation: first.id, conversation: one }).unwrap_err();
    let Refusal::Conflict { owner, .. } = refusal(late) else { panic!() };
    assert_eq!(owner.as_deref(), Some("cleo"));
    // Nobody accepts what another one is offered.
    let stolen =
        floor.does(13, "anna", Deed::Accept { reservation: other.id, conversation: two }).unwrap_err();
    assert!(matches!(refusal(stolen), Refusal::Missing(_)));
    floor.does(14, "cleo", Deed::Resolve { conversation: two }).unwrap();
    assert_eq!(floor.memory.rows.reservations[&other.id].state, Rescinded);
    floor.accept_again(15, "ben", other.id, two);
    floor.turn(16);
    assert_eq!(floor.offers(), []);
    floor.replays();
}

impl Floor {
    /// What was resolved is offered to nobody.
    fn accept_again(
        &mut self,
        at: i64,
        agent: &str,
        reservation: contact::ReservationId,
        conversation: ConversationId,
    ) {
        let late = self.does(at, agent, Deed::Accept { reservation, conversation }).unwrap_err();
        assert!(matches!(refusal(late), Refusal::TooLate(_)));
    }
}

#[test]
fn who_says_twice_that_they_take_it_takes_it_once() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &[], 1);
    let one = floor.line(10, 1);
    floor.turn(10);
    let offer = floor.offer_to("anna").unwrap();
    let accept = Deed::Accept { reservation: offer.id, conversation: one };
    floor.does(11, "anna", accept.clone()).unwrap();
    floor.does(50, "anna", accept).unwrap();
    assert_eq!((assignee(&floor, one), asked(&floor)), (Some("anna"), was(&[("anna", Accepted)])));
    floor.replays();
}

#[test]
fn who_leaves_is_asked_nothing_more_at_once_and_what_they_had_returns_after_the_grace() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &[], 2);
    let mine = floor.line(10, 1);
    floor.turn(10);
    floor.accept(11, "anna").unwrap();
    let offered = floor.line(20, 2);
    floor.turn(20);
    floor.hire(21, "ben", &["default"], &[], 1);
    floor.connect(22, "anna", crate::floor::HERE, false);
    let turned = floor.turn(22);
    assert_eq!(
        floor.offers().iter().map(|row| (row.agent.as_str(), row.conversation)).collect::<Vec<_>>(),
        [("ben", offered)]
    );
    assert_eq!(asked(&floor)[1], ("anna".to_owned(), Rescinded));
    assert_eq!(turned.next, Some(second(42)), "the offer to Ben ends first");
    floor.accept(23, "ben").unwrap();
    floor.turn(81);
    assert_eq!(assignee(&floor, mine), Some("anna"), "they may come back");
    floor.turn(82);
    assert_eq!((assignee(&floor, mine), floor.conversation(mine).rank.is_some()), (None, true));
    assert_eq!(assignee(&floor, offered), Some("ben"));
    let returned = floor.decisions().iter().filter(|(_, deed)| matches!(deed, Deed::Return { .. })).count();
    assert_eq!(returned, 1);
    floor.replays();
}

#[test]
fn who_comes_back_within_the_grace_keeps_what_they_had() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &[], 2);
    let mine = floor.line(10, 1);
    floor.turn(10);
    floor.accept(11, "anna").unwrap();
    floor.connect(20, "anna", crate::floor::HERE, false);
    floor.turn(20);
    floor.connect(70, "anna", crate::floor::HERE, true);
    floor.turn(200);
    assert_eq!(assignee(&floor, mine), Some("anna"));
    assert_eq!(floor.agent("anna").gone_since, None);
    floor.replays();
}

#[test]
fn agents_are_gone_with_the_process_that_holds_their_consoles() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &[], 2);
    floor.hire(0, "ben", &["default"], &[], 2);
    floor.lease("other", 100);
    floor.connect(1, "anna", "other", true);
    floor.connect(1, "anna", crate::floor::HERE, false);
    floor.connect(2, "ben", "other", true);
    let mine = floor.line(10, 1);
    floor.turn(10);
    floor.accept(11, "anna").unwrap();
    assert_eq!(floor.turn(12).next, Some(second(100)), "when the other process would be silent for too long");
    floor.turn(99);
    assert!(floor.agent("anna").is_connected());
    floor.turn(100);
    let anna = floor.agent("anna");
    assert_eq!((anna.is_connected(), anna.gone_since), (false, Some(second(100))));
    assert!(floor.agent("ben").is_connected(), "who has another console open is here");
    assert!(!floor.memory.processes.contains_key("other"));
    floor.turn(160);
    assert_eq!((assignee(&floor, mine), floor.offers()[0].agent.as_str()), (None, "ben"));
    floor.replays();
}

#[test]
fn what_a_supervisor_gives_to_somebody_who_is_away_waits_for_them() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &[], 2);
    floor.connect(5, "anna", crate::floor::HERE, false);
    floor.turn(5);
    let given = floor.line(10, 1);
    floor
        .does(20, "boss", Deed::Assign { conversation: given, from: None, to: Some("anna".to_owned()) })
        .unwrap();
    floor.turn(20);
    floor.turn(10_000);
    assert_eq!(assignee(&floor, given), Some("anna"));
    // Once they were here and left, it is like everything else of theirs.
    floor.connect(10_001, "anna", crate::floor::HERE, true);
    floor.connect(10_010, "anna", crate::floor::HERE, false);
    floor.turn(10_070);
    assert_eq!(assignee(&floor, given), None);
    floor.replays();
}

#[test]
fn what_rests_or_went_on_elsewhere_is_offered_to_nobody() {
    let mut floor = floor();
    floor.hire(0, "anna", &["key-accounts", "default"], &[], 5);
    floor.hire(1, "ben", &["key-accounts", "default"], &[], 5);
    let [one, two] = [floor.missed(10, 1), floor.missed(11, 2)];
    floor.turn(12);
    assert_eq!(floor.offers().len(), 2);
    let [survivor, absorbed] = [one, two].map(|id| floor.conversation(id).client.unwrap());
    floor.does(13, "boss", Deed::Merge { survivor, absorbed, reason: "sisters".to_owned() }).unwrap();
    assert_eq!(floor.offers().iter().map(|row| row.conversation).collect::<Vec<_>>(), [one]);
    let chat = floor.line(14, 1);
    floor.turn(14);
    assert_eq!(floor.offers().len(), 2);
    floor.does(15, "boss", Deed::Snooze { conversation: chat, until: second(500) }).unwrap();
    assert_eq!(floor.offers().len(), 1);
    assert_eq!(floor.conversation(chat).status, Status::Snoozed);
    floor.turn(16);
    assert_eq!(floor.offers().len(), 1);
    floor.replays();
}

#[test]
fn of_telephone_calls_only_what_we_owe_is_offered() {
    let mut floor = floor();
    floor.hire(0, "anna", &["key-accounts"], &[], 5);
    let ringing = told::call(floor.next(), "CA1", Some(number(1)), None);
    let call = floor.begins(10, ringing);
    floor.turn(10);
    assert_eq!(floor.offers(), [], "a telephone rings by itself");
    let over = told::call(floor.next(), "CA1", Some(number(1)), Some(contact::Outcome::Missed));
    floor.hears(30, 30, over);
    floor.turn(30);
    assert_eq!(floor.offers()[0].conversation, call);
    floor.accept(31, "anna").unwrap();
    floor.talk(40, 50, number(1));
    assert_eq!(floor.conversation(call).status, Status::Resolved);
    floor.turn(60);
    assert_eq!(floor.offers(), []);
    floor.replays();
}

#[test]
fn a_ringing_call_whose_agent_is_gone_is_nobodys_and_offered_to_nobody() {
    let mut floor = floor();
    floor.hire(0, "anna", &["key-accounts"], &[], 5);
    floor.hire(0, "ben", &["key-accounts"], &[], 5);
    let ringing = told::call(floor.next(), "CA1", Some(number(1)), None);
    let call = floor.begins(10, ringing);
    floor
        .does(11, "boss", Deed::Assign { conversation: call, from: None, to: Some("anna".to_owned()) })
        .unwrap();
    floor.connect(12, "anna", crate::floor::HERE, false);
    floor.turn(12);
    floor.turn(72);
    assert_eq!((assignee(&floor, call), asked(&floor)), (None, Vec::new()));
    floor.replays();
}

#[test]
fn an_offer_is_an_event_with_a_name_of_its_own_and_told_to_whoever_follows() {
    let mut floor = floor();
    floor.hire(0, "anna", &["default"], &[], 1);
    let chat = floor.line(10, 1);
    let before = floor.memory.feed.len();
    floor.turn(10);
    let (by, deed) = floor.decisions().pop().unwrap();
    assert_eq!(
        (by.as_str(), deed),
        ("offers/1", Deed::Offer { conversation: chat, agent: "anna".to_owned(), until: second(30) })
    );
    let told: Vec<_> = floor.memory.feed[before..].iter().map(|item| (item.kind, item.id)).collect();
    assert_eq!(told, [(timeline::FeedKind::Reservation, floor.offers()[0].id.uuid())]);
    floor.turn(30);
    let ends: Vec<_> = floor
        .decisions()
        .into_iter()
        .filter_map(|(_, deed)| match deed {
            Deed::EndOffer { how, rests_until, .. } => Some((how, rests_until)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(OfferEnd::TimedOut, Some(second(130)))]);
    assert!(floor.memory.feed.iter().any(|item| item.id == Agent::id("anna")));
}
