//! Who knows a client: whoever wrote to them or talked with them last.

use std::collections::{BTreeMap, BTreeSet};

use contact::{
    Basis, CallChange, CallState, Channel, Content, ConversationId, Deed, Direction, Identifier,
    IdentifierKind, Introduction, Outcome, Party, Profile,
};
use proptest::prelude::*;
use serde_json::json;
use timeline::turn::{Roster, turn_in};
use timeline::{Arrival, Talks};

use crate::floor::{Floor, policy, second};
use crate::memory::{Memory, at_once};
use crate::told::{self, number};
use crate::turn::Turn;

/// Mia sits at 101, Bo at 102, Cleo at no telephone; Cleo had nothing for longest, then Mia.
fn floor() -> Floor {
    let mut floor = Floor::new(policy(json!({}), json!({}), json!({ "hold_s": 0 })));
    for (nth, (name, extensions)) in
        [("cleo", &[][..]), ("mia", &["101"]), ("bo", &["102"])].into_iter().enumerate()
    {
        floor.hire(nth as i64, name, &["default"], &[], 9);
        sits_at(&mut floor, nth as i64, name, extensions);
    }
    floor
}

fn sits_at(floor: &mut Floor, at: i64, name: &str, extensions: &[&str]) {
    let profile = Profile {
        queues: ["default".to_owned()].into(),
        capacity: Channel::ALL.map(|channel| (channel, 9)).into(),
        extensions: extensions.iter().map(|&extension| extension.to_owned()).collect(),
        ..Profile::default()
    };
    floor.does(at, name, Deed::Engage { agent: name.to_owned(), profile: Some(profile) }).unwrap();
}

/// Somebody picks up at that telephone of ours, and they talk for a minute.
fn talks(floor: &mut Floor, at: i64, client: Party, extension: &str, direction: Direction) {
    let call = floor.next();
    for fact in call_at(call, at, &client, extension, direction) {
        let heard = fact.event.occurred_at.duration_since(second(0)).as_secs();
        floor.hears(heard, heard, fact);
    }
}

fn call_at(call: i64, at: i64, client: &Party, extension: &str, direction: Direction) -> Vec<Arrival> {
    let leg = |state, outcome| CallChange {
        state,
        outcome,
        basis: Basis::Person,
        extension: Some(extension.to_owned()),
        ..CallChange::default()
    };
    let line = |state, outcome| CallChange { state: Some(state), outcome, ..CallChange::default() };
    let answered = Some(Outcome::Answered);
    [
        (0, line(CallState::Ringing, None)),
        (0, leg(Some(CallState::Ringing), None)),
        (5, leg(Some(CallState::Answered), answered)),
        (65, leg(None, answered)),
        (65, line(CallState::Ended, answered)),
    ]
    .into_iter()
    .enumerate()
    .map(|(nth, (later, change))| {
        let mut fact = told::call(0, &format!("talk{call}"), Some(client.clone()), None);
        fact.event.key.id = format!("talk{call}:{nth}");
        fact.event.content = Content::Call(change);
        if direction == Direction::Outbound {
            (fact.event.direction, fact.event.from) = (direction, None);
            fact.event.to = vec![client.clone()];
        }
        told::timed(fact, second(at + later), second(at + later))
    })
    .collect()
}

/// Who is asked first about something new of this caller.
fn asked(floor: &mut Floor, at: i64, caller: usize) -> String {
    let owed = floor.missed(at, caller);
    floor.turns(at);
    let offer = floor.offers().into_iter().find(|offer| offer.conversation == owed).unwrap();
    settle(floor, at + 1, owed);
    offer.agent
}

fn settle(floor: &mut Floor, at: i64, id: ConversationId) {
    floor.does(at, "boss", Deed::Resolve { conversation: id }).unwrap();
    floor.turns(at);
}

#[test]
fn who_picked_up_the_telephone_is_asked_first_about_what_comes_next() {
    let mut floor = floor();
    assert_eq!(asked(&mut floor, 100, 1), "cleo", "who had nothing for longest");
    talks(&mut floor, 200, number(1), "102", Direction::Inbound);
    assert_eq!(asked(&mut floor, 300, 1), "bo");
    talks(&mut floor, 400, number(1), "101", Direction::Outbound);
    assert_eq!(asked(&mut floor, 500, 1), "mia", "whoever called whom");
    talks(&mut floor, 600, number(1), "999", Direction::Inbound);
    assert_eq!(asked(&mut floor, 700, 1), "mia", "a telephone of no agent changes nothing");
    assert_ne!(asked(&mut floor, 800, 2), "mia", "another client");
    floor.replays();
}

#[test]
fn of_a_talk_and_an_answer_in_writing_the_later_counts_whichever_was_heard_of_first() {
    let mut floor = floor();
    let mail = floor.mail(100, 1);
    floor.introduce(101, &number(1), "usual", None);
    let (client, absorbed) = (floor.conversation(mail).client.unwrap(), holder(&floor, 1));
    let merge = Deed::Merge { survivor: client, absorbed, reason: "her voice".to_owned() };
    floor.does(102, "boss", merge).unwrap();
    talks(&mut floor, 200, number(1), "102", Direction::Inbound);
    floor.answers(300, "mia", mail);
    assert_eq!(asked(&mut floor, 400, 1), "mia");
    // What was written before her answer is heard of after it.
    floor.answers(290, "cleo", mail);
    assert_eq!(asked(&mut floor, 410, 1), "mia");
    // The talk of before is heard of once more, and a later one.
    for fact in call_at(77, 220, &number(1), "102", Direction::Inbound) {
        floor.hears(fact.event.occurred_at.duration_since(second(0)).as_secs(), 500, fact);
    }
    assert_eq!(asked(&mut floor, 510, 1), "mia", "it was before her answer");
    talks(&mut floor, 600, number(1), "102", Direction::Inbound);
    assert_eq!(asked(&mut floor, 700, 1), "bo");
    floor.replays();
}

fn holder(floor: &Floor, nth: usize) -> contact::ClientId {
    floor.memory.rows.holders[&number(nth).identifier().unwrap()].0
}

#[test]
fn a_telephone_that_only_rang_that_several_have_or_where_a_machine_answered_tells_nothing() {
    let mut floor = floor();
    sits_at(&mut floor, 50, "bo", &["102", "100"]);
    sits_at(&mut floor, 51, "cleo", &["100"]);
    talks(&mut floor, 100, number(1), "101", Direction::Inbound);
    talks(&mut floor, 200, number(1), "100", Direction::Inbound);
    assert_eq!(asked(&mut floor, 300, 1), "mia", "at 100 either of them may have spoken");
    // It rang at Bo's, who was not reached, and then the machine took it.
    let call = floor.next();
    let only = |fact: Arrival, change: CallChange| {
        let mut fact = fact;
        fact.event.content = Content::Call(change);
        told::timed(fact, second(400), second(400))
    };
    let facts = call_at(call, 400, &number(1), "102", Direction::Inbound);
    let rang =
        CallChange { basis: Basis::Person, extension: Some("102".to_owned()), ..CallChange::default() };
    let machine = CallChange {
        basis: Basis::Line,
        state: Some(CallState::Answered),
        outcome: Some(Outcome::Answered),
        ..rang.clone()
    };
    let over = CallChange {
        state: Some(CallState::Ended),
        outcome: Some(Outcome::Voicemail),
        ..CallChange::default()
    };
    for (fact, change) in facts.into_iter().zip([rang, machine, over]) {
        floor.hears(400, 400, only(fact, change));
    }
    assert_eq!(asked(&mut floor, 500, 1), "mia");
    floor.replays();
}

#[test]
fn what_is_waiting_goes_to_who_talked_with_the_client_on_the_telephone_meanwhile() {
    let mut floor = floor();
    for name in ["mia", "bo", "cleo"] {
        floor.appear(50, name, contact::Presence::Away);
    }
    let mail = floor.mail(100, 1);
    floor.introduce(101, &number(1), "usual", None);
    let (client, absorbed) = (floor.conversation(mail).client.unwrap(), holder(&floor, 1));
    let merge = Deed::Merge { survivor: client, absorbed, reason: "her voice".to_owned() };
    floor.does(102, "boss", merge).unwrap();
    floor.turns(103);
    // Calls of ours that belong to no conversation; after the first nobody waits for an answer any more, so the
    // second is heard of by the client alone.
    talks(&mut floor, 110, number(1), "101", Direction::Outbound);
    floor.turns(180);
    talks(&mut floor, 190, number(1), "102", Direction::Outbound);
    for (at, name) in [(290, "cleo"), (291, "mia"), (292, "bo")] {
        floor.appear(at, name, contact::Presence::Available);
    }
    // Another process reads everything anew and finds the same.
    let (mut other, mut anew) = (floor.memory.clone(), Roster::default());
    let policy = std::sync::Arc::clone(&other.policy);
    let mut tx = Turn(&mut other);
    at_once(turn_in(&mut tx, &policy, &mut anew, second(301))).unwrap();
    floor.turns(301);
    let to = |memory: &Memory| -> BTreeSet<String> {
        memory.rows.reservations.values().map(|row| row.agent.clone()).collect()
    };
    assert_eq!((to(&floor.memory), to(&other)), (["bo".to_owned()].into(), ["bo".to_owned()].into()));
}

#[test]
fn whose_telephone_it_was_is_asked_of_those_who_have_it_now() {
    let mut floor = floor();
    talks(&mut floor, 100, number(1), "103", Direction::Inbound);
    assert_eq!(asked(&mut floor, 200, 1), "cleo");
    // Of what waits already too.
    for name in ["cleo", "mia", "bo"] {
        floor.appear(250, name, contact::Presence::Away);
    }
    let owed = floor.missed(260, 1);
    floor.turns(270);
    sits_at(&mut floor, 300, "bo", &["102", "103"]);
    floor.turns(310);
    for (at, name) in [(320, "cleo"), (321, "mia"), (322, "bo")] {
        floor.appear(at, name, contact::Presence::Available);
    }
    floor.turns(330);
    let offer = floor.offers().remove(0);
    assert_eq!((offer.conversation, offer.agent.as_str()), (owed, "bo"));
}

#[test]
fn whose_client_they_are_comes_before_who_spoke_with_them_last() {
    let mut floor = floor();
    let owned = |floor: &mut Floor, at, owner: &str| {
        floor.introduce(at, &number(1), "usual", None);
        let number = floor.next();
        let known_as = Identifier { kind: IdentifierKind::External, value: format!("crm:{number}") };
        let said = Introduction {
            client: holder(floor, 1),
            known_as,
            name: None,
            segment: None,
            value: None,
            owner: Some(owner.to_owned()),
            language: None,
            identifiers: Vec::new(),
        };
        floor.does(at, "crm", Deed::Introduce(said)).unwrap();
    };
    owned(&mut floor, 50, "zoe");
    talks(&mut floor, 100, number(1), "102", Direction::Inbound);
    assert_eq!(asked(&mut floor, 200, 1), "bo", "Zoe is no agent of ours");
    owned(&mut floor, 300, "mia");
    assert_eq!(asked(&mut floor, 400, 1), "mia");
    // Of what waits already it is known when she becomes one, whoever looks.
    owned(&mut floor, 500, "zoe");
    for name in ["cleo", "mia", "bo"] {
        floor.appear(501, name, contact::Presence::Away);
    }
    let owed = floor.missed(510, 1);
    floor.turns(520);
    floor.hire(530, "zoe", &["default"], &[], 9);
    for name in ["cleo", "mia", "bo"] {
        floor.appear(531, name, contact::Presence::Available);
    }
    floor.turns(540);
    assert_eq!(floor.offer_to("zoe").unwrap().conversation, owed);
    floor.replays();
}

#[test]
fn who_talked_with_either_of_two_who_are_one_knows_both_and_after_an_undoing_their_own() {
    let mut floor = floor();
    floor.introduce(50, &number(1), "usual", None);
    floor.introduce(51, &number(2), "usual", None);
    talks(&mut floor, 100, number(1), "101", Direction::Inbound);
    talks(&mut floor, 200, number(2), "102", Direction::Inbound);
    let (survivor, absorbed) = (holder(&floor, 1), holder(&floor, 2));
    let merge = Deed::Merge { survivor, absorbed, reason: "one and the same".to_owned() };
    let merge = floor.does(300, "boss", merge).unwrap().merge;
    assert_eq!(asked(&mut floor, 400, 1), "bo");
    floor.does(500, "boss", Deed::Unmerge { merge, reason: "they are two".to_owned() }).unwrap();
    assert_eq!((asked(&mut floor, 600, 1), asked(&mut floor, 700, 2)), ("mia".to_owned(), "bo".to_owned()));
    floor.replays();
}

proptest! {
    #[test]
    fn talks_are_the_same_in_any_order_and_the_latest_stay(
        talks in prop::collection::vec((0..40u8, 0..1000i64), 0..60), seed in any::<u64>(),
    ) {
        let mut shuffled = talks.clone();
        shuffled.sort_by_key(|(extension, at)| seed.wrapping_mul(u64::from(*extension) * 1000 + *at as u64 + 1));
        let kept = |talks: &[(u8, i64)]| {
            let mut kept = Talks::default();
            talks.iter().for_each(|(extension, at)| kept.add(&format!("{extension:02}"), second(*at)));
            kept
        };
        prop_assert_eq!(kept(&talks), kept(&shuffled));
        let mut last = BTreeMap::new();
        for (extension, at) in talks {
            let when = last.entry(format!("{extension:02}")).or_insert(at);
            *when = at.max(*when);
        }
        let mut last: Vec<_> = last.into_iter().map(|(extension, at)| (at, extension)).collect();
        last.sort();
        let expected: BTreeMap<_, _> =
            last.into_iter().rev().take(Talks::MOST).map(|(at, extension)| (extension, second(at))).collect();
        prop_assert_eq!(serde_json::to_value(kept(&shuffled)).unwrap(), serde_json::to_value(expected).unwrap());
    }
}
