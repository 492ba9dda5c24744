//! Two calls of one client at once: the one that is over leaves the other its conversation.

use contact::{Basis, CallChange, CallState, Direction, Outcome};
use timeline::{Arrival, Status};

use crate::calls::{OLENA, ended, fact, fact_of, ringing};
use crate::memory::{Memory, at};

fn picked_up() -> CallChange {
    CallChange {
        state: Some(CallState::Answered),
        outcome: Some(Outcome::Answered),
        basis: Basis::Person,
        ..CallChange::default()
    }
}

/// They talk from the tenth second to the end of the second minute.
fn talk() -> Vec<Arrival> {
    vec![
        fact("A", OLENA, at(0, 0), ringing()),
        fact("A", OLENA, at(0, 10), picked_up()),
        fact("A", OLENA, at(2, 0), ended(Outcome::Answered, 110)),
    ]
}

/// Beside it, from the first minute on.
fn beside(minute: i64, outcome: Outcome) -> Vec<Arrival> {
    let talked_s = if outcome == Outcome::Answered { 30 } else { 0 };
    vec![fact("B", OLENA, at(1, 0), ringing()), fact("B", OLENA, at(minute, 30), ended(outcome, talked_s))]
}

/// Every order of these.
fn orders(facts: &[Arrival]) -> Vec<Vec<Arrival>> {
    if facts.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (nth, first) in facts.iter().enumerate() {
        let rest: Vec<_> = [&facts[..nth], &facts[nth + 1..]].concat();
        all.extend(orders(&rest).into_iter().map(|order| [vec![first.clone()], order].concat()));
    }
    all
}

/// Told one by one in every order, they leave so many conversations open and so many callbacks owed; told at
/// once and at a replay it is the same.
fn leaves(facts: &[Arrival], open: usize, owed: usize) {
    for order in orders(facts) {
        let mut memory = Memory::default();
        order.iter().for_each(|fact| memory.take(vec![fact.clone()]));
        let told: Vec<_> = order.iter().map(|fact| fact.event.key.id.clone()).collect();
        assert_eq!((memory.open().len(), memory.owed().len()), (open, owed), "{told:#?}");
        assert!(memory.owed().iter().all(|callback| callback.missed == 1), "{told:#?}");
        let waits = memory.rows.conversations.values().filter(|row| row.waits()).count();
        assert_eq!(waits, owed, "{told:#?}");
        assert!(memory.rows.conversations.values().all(|row| row.on_line.is_empty()), "{told:#?}");
        let mut at_once = Memory::default();
        at_once.take(order);
        assert_eq!(at_once.everything(), memory.everything());
        assert_eq!(memory.replayed().everything(), memory.everything());
    }
}

#[test]
fn a_talk_that_ends_leaves_the_conversation_to_the_call_that_still_rings() {
    let mut memory = Memory::default();
    let (talk, beside) = (talk(), beside(3, Outcome::Missed));
    memory.take(vec![talk[0].clone(), beside[0].clone(), talk[1].clone(), talk[2].clone()]);
    let [place] = memory.open()[..] else { panic!("one conversation") };
    assert_eq!((place.status, place.on_line.len(), memory.owed().len()), (Status::Open, 1, 0));
    let id = place.id;
    memory.take(vec![beside[1].clone()]);
    let place = &memory.rows.conversations[&id];
    assert_eq!((place.status, memory.open().len(), memory.owed().len()), (Status::Open, 1, 1));
    assert_eq!(memory.rows.contacts.len(), 2);
    assert!(memory.rows.contacts.values().all(|row| row.conversation == Some(id)));
}

#[test]
fn a_talk_that_settles_what_was_owed_leaves_the_conversation_to_the_call_that_still_rings() {
    let mut memory = Memory::default();
    memory.take(vec![fact("before", OLENA, at(-9, 0), ended(Outcome::Missed, 0))]);
    let id = memory.open()[0].id;
    memory.take(
        [talk()[..2].to_vec(), beside(3, Outcome::Missed)[..1].to_vec(), talk()[2..].to_vec()].concat(),
    );
    assert_eq!((memory.open().len(), memory.open()[0].id, memory.owed().len()), (1, id, 0));
    memory.take(beside(3, Outcome::Missed)[1..].to_vec());
    assert_eq!((memory.open().len(), memory.open()[0].id, memory.owed()[0].missed), (1, id, 1));
    memory.take(vec![
        fact("after", OLENA, at(9, 0), picked_up()),
        fact("after", OLENA, at(9, 30), ended(Outcome::Answered, 30)),
    ]);
    assert_eq!((memory.open().len(), memory.owed().len()), (0, 0));
}

#[test]
fn who_is_not_reached_beside_a_talk_is_owed_a_call_if_they_waited_beyond_it() {
    leaves(&[talk(), beside(3, Outcome::Missed)].concat(), 1, 1);
}

#[test]
fn who_gave_up_before_the_talk_was_over_was_talked_to() {
    leaves(&[talk(), beside(1, Outcome::Missed)].concat(), 0, 0);
}

#[test]
fn two_talks_at_once_leave_nothing_open() {
    leaves(&[talk(), beside(1, Outcome::Answered)].concat(), 0, 0);
    leaves(&[talk(), beside(3, Outcome::Answered)].concat(), 0, 0);
}

#[test]
fn a_call_that_rings_on_at_another_telephone_after_a_talk_is_owed_when_it_is_over() {
    let leg = CallChange { outcome: Some(Outcome::Missed), basis: Basis::Person, ..CallChange::default() };
    let mut facts = [talk(), beside(3, Outcome::Missed)].concat();
    facts.push(fact("B", OLENA, at(1, 20), leg));
    leaves(&facts, 1, 1);
}

#[test]
fn a_call_of_ours_that_still_rings_keeps_the_conversation_too() {
    let ours = |minute, change| fact_of(Direction::Outbound, "out", OLENA, at(minute, 0), change);
    let mut memory = Memory::default();
    memory.take(talk()[..2].to_vec());
    memory.take(vec![ours(1, ringing())]);
    memory.take(talk()[2..].to_vec());
    assert_eq!(memory.open().len(), 1);
    memory.take(vec![ours(3, ended(Outcome::NoAnswer, 0))]);
    assert_eq!((memory.open().len(), memory.owed().len()), (0, 0));
}

#[test]
fn a_call_whose_end_is_never_told_is_not_waited_for_for_ever() {
    for (hours, open) in [(11, 1), (12, 0)] {
        let mut memory = Memory::default();
        memory.take(vec![fact("lost", OLENA, at(0, 0), ringing())]);
        memory.take(vec![fact("A", OLENA, at(60 * hours - 5, 0), ringing())]);
        memory.take(vec![fact("A", OLENA, at(60 * hours, 0), ended(Outcome::Answered, 10))]);
        assert_eq!(memory.open().len(), open, "after {hours} hours");
    }
}

#[test]
fn many_calls_at_once_are_looked_after_up_to_a_bound() {
    let mut memory = Memory::default();
    let rings = (0..200).map(|nth| fact(&format!("C{nth}"), OLENA, at(0, nth), ringing()));
    memory.take(rings.collect());
    let [place] = memory.open()[..] else { panic!("one conversation") };
    assert_eq!(place.on_line.len(), 32);
    assert!(place.on_line.values().all(|began_at| *began_at >= at(0, 168)), "the latest");
}
