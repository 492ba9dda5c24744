//! Processes that take turns: they see one desk, whoever followed and whoever is new.

use contact::{Channel, ConversationId, Deed, Presence};
use routing::desk::{Desk, Standing};
use timeline::turn::Roster;

use crate::floor::Floor;
use crate::offers::floor;

/// What two desks say of the same rows.
pub(crate) fn differing(one: &Desk, other: &Desk) -> Vec<String> {
    let (one, other) = (contents(one), contents(other));
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    let mut lines = only(&one, &other);
    lines.extend(only(&other, &one).into_iter().map(|line| format!("other: {line}")));
    if lines.is_empty() && one != other {
        lines.push("they wait in another order".to_owned());
    }
    lines
}

fn contents(desk: &Desk) -> Vec<String> {
    let work = desk.all().map(|work| {
        let standing = match &work.standing {
            Standing::Offered { agent, until } => format!("offered to {agent} until {until}"),
            other => format!("{other:?}"),
        };
        // Rest that is over is none.
        let resting: Vec<_> = work.resting.iter().filter(|(_, until)| **until > desk.now()).collect();
        format!("{:?} {standing} {} {resting:?}", work.arrival, work.waits_since)
    });
    let line = desk.waiting().map(|work| format!("waits {}", work.arrival.place.conversation));
    let ends = desk.offers().map(|(until, id)| format!("ends {until} {id}"));
    let agents = desk.agents().map(|(name, agent)| {
        let load = Channel::ALL.map(|channel| agent.load(channel));
        format!("{name} {:?} load {load:?}", agent.seat)
    });
    let (mut work, mut agents): (Vec<_>, Vec<_>) = (work.collect(), agents.collect());
    work.sort();
    agents.sort();
    work.into_iter().chain(line).chain(ends).chain(agents).collect()
}

#[test]
fn processes_that_take_turns_see_one_desk_and_never_offer_twice() {
    let mut floor = floor();
    let (mut one, mut two) = (Roster::default(), Roster::default());
    for (at, name) in [(0, "anna"), (1, "ben"), (2, "cleo")] {
        floor.hire(at, name, &["default", "key-accounts"], &["uk"], 2);
    }
    let none: [String; 0] = [];
    let mut at = 10;
    for step in 0..180_usize {
        match step % 12 {
            0 | 4 | 7 => drop(floor.line(at, step % 10)),
            1 => drop(floor.missed(at, step % 5)),
            2 => drop(floor.mail(at, step % 5)),
            3 => floor.connect(at, "ben", crate::floor::HERE, step % 24 == 3),
            5 | 9 => {
                if let Some(offer) = floor.offers().first().cloned() {
                    drop(floor.accept(at, &offer.agent));
                }
            }
            6 => {
                if let Some(offer) = floor.offers().last().cloned() {
                    drop(floor.decline(at, &offer.agent, at + 100));
                }
            }
            8 => {
                let mine =
                    floor.memory.open().into_iter().find(|row| row.assignee.is_some()).map(|row| row.id);
                if let Some(id) = mine {
                    floor.answers_if_can(at, id);
                    floor.does(at, "boss", Deed::Resolve { conversation: id }).unwrap();
                }
            }
            10 => {
                floor.appear(at, "cleo", if step % 24 == 10 { Presence::Away } else { Presence::Available })
            }
            _ => {}
        }
        // Now the one looks, now the other, now the one far behind, now both in the same second.
        let first = if step % 3 == 0 { &mut one } else { &mut two };
        floor.turn_of(first, at);
        if step % 5 == 0 {
            let second = if step % 3 == 0 { &mut two } else { &mut one };
            assert_eq!(floor.turn_of(second, at).decisions, 0, "step {step}: it was all done");
            let mut fresh = Roster::default();
            assert_eq!(floor.turn_of(&mut fresh, at).decisions, 0);
            assert_eq!(differing(one.desk(), two.desk()), none, "step {step}");
            assert_eq!(differing(one.desk(), fresh.desk()), none, "step {step}");
        }
        at += 7;
    }
    assert!(floor.asked().len() > 30, "{} offers", floor.asked().len());
    floor.replays();
}

impl Floor {
    /// Where somebody can be answered in writing.
    fn answers_if_can(&mut self, at: i64, id: ConversationId) {
        if self.conversation(id).channel != Channel::Phone {
            self.answers(at, "dora", id);
        }
    }
}

#[test]
fn who_was_answered_in_one_conversation_is_known_in_all_others_and_every_process_sees_it() {
    let mut floor = floor();
    for (at, name) in [(0, "anna"), (1, "ben")] {
        floor.hire(at, name, &["default"], &[], 1);
    }
    let (chat, mail) = (floor.line(10, 1), floor.mail(10, 1));
    let [survivor, absorbed] = [chat, mail].map(|id| floor.conversation(id).client.unwrap());
    floor.does(11, "boss", Deed::Merge { survivor, absorbed, reason: "one".to_owned() }).unwrap();
    // The mail wants a skill nobody has; the chat waits behind two others.
    let busy = [floor.line(12, 2), floor.line(12, 3)];
    for (name, id) in ["anna", "ben"].into_iter().zip(busy) {
        floor.does(13, name, Deed::Claim { conversation: id }).unwrap();
    }
    floor.turn(14);
    assert_eq!(floor.offers(), []);
    floor.answers(20, "ben", mail);
    floor.turn(20);
    let mut fresh = Roster::default();
    floor.turn_of(&mut fresh, 21);
    floor.turn(21);
    let none: [String; 0] = [];
    assert_eq!(differing(floor.roster.desk(), fresh.desk()), none);
    let known = fresh.desk().work(chat).unwrap().arrival.knows.clone();
    assert_eq!(known.map(|name| name.0).as_deref(), Some("ben"));
}
