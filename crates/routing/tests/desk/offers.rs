//! Offers as agents live through them, and then in any order there is.

use std::collections::BTreeMap;

use crate::world::{Act, Told, World, arrival, id, name, profile, second};
use contact::Channel;
use proptest::prelude::*;
use routing::agent::Presence;
use routing::desk::{Arrival, Change, Desk, Ended, Standing, Work};
use routing::offer::Terms;

fn ended(changes: &[Change]) -> Vec<Ended> {
    changes
        .iter()
        .filter_map(|change| match change {
            Change::OfferEnded { how, .. } => Some(*how),
            _ => None,
        })
        .collect()
}

#[test]
fn the_one_idle_for_longest_is_asked_and_has_it_once_they_accept() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 2);
    world.hire(5, "leo", 2);
    world.arrive(10, 1);
    assert_eq!(world.asked(1).as_deref(), Some("mia"));
    assert_eq!(world.desk.next_deadline(&world.terms), Some(second(30)));
    world.answer(12, 1, true);
    assert_eq!(world.owner(1).as_deref(), Some("mia"));
    world.arrive(20, 2);
    assert_eq!(world.asked(2).as_deref(), Some("leo"), "nothing new came to them since 5");
}

#[test]
fn what_comes_together_is_spread_over_who_is_here_and_each_is_asked_one_thing_at_a_time() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 3);
    world.hire(5, "leo", 3);
    for number in [1, 2, 3] {
        world.arrive(10, number);
    }
    let asked = |world: &World| [1, 2, 3].map(|number| world.asked(number));
    assert_eq!(asked(&world), [Some("mia".into()), Some("leo".into()), None]);
    world.tell(11, Act::Arrives(Arrival { channel: Channel::Phone, ..arrival(4, "desk", 50, 11) }));
    assert_eq!(world.asked(4).as_deref(), Some("mia"), "another channel does not wait for her answer");
    world.answer(12, 2, true);
    assert_eq!(asked(&world), [Some("mia".into()), None, Some("leo".into())]);
    assert_eq!(world.desk.offers().map(|(until, _)| until).last(), Some(second(32)), "for the whole time");
}

#[test]
fn many_offers_are_made_in_turns() {
    let mut world = World::new(Terms::default());
    for number in 0..300 {
        world.arrive(number, number.unsigned_abs());
    }
    for number in 0..260 {
        let agent = name(&format!("agent-{number}"));
        world.happen(second(300), Act::CanTake(agent.clone(), profile(&["desk"], &[], 1)));
        world.happen(second(300), Act::Appears(agent.clone(), Presence::Available));
        world.happen(second(300), Act::Connects(agent, true));
    }
    let offers = |told: Told| (told.changes.len(), told.more);
    assert_eq!(offers(world.pass(300)), (256, true));
    assert!(world.asked(255).is_some() && world.asked(256).is_none(), "the first of the list first");
    assert_eq!(offers(world.pass(300)), (4, false), "and everybody is asked something");
}

#[test]
fn an_agent_without_room_queue_or_skill_is_not_asked() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 1);
    world.arrive(1, 1);
    world.arrive(2, 2);
    assert_eq!(world.asked(2), None, "an offer takes room");
    world.tell(3, Act::Arrives(arrival(3, "elsewhere", 50, 3)));
    let mut skilled = arrival(4, "desk", 50, 4);
    skilled.skills.insert("uk".into());
    world.tell(4, Act::Arrives(skilled));
    world.tell(5, Act::CanTake(name("leo"), profile(&["desk"], &["uk"], 1)));
    world.come(6, "leo");
    assert_eq!((world.asked(2), world.asked(3), world.asked(4)), (Some("leo".into()), None, None));
    world.answer(7, 2, true);
    world.tell(8, Act::Leaves(id(2)));
    assert_eq!(world.asked(4).as_deref(), Some("leo"), "room came back");
    assert_eq!(world.asked(3), None);
}

#[test]
fn who_declines_is_not_asked_again_before_the_others() {
    let mut world = World::new(Terms { rest_s: 60, ..Terms::default() });
    for (at, agent) in [(0, "mia"), (1, "leo"), (2, "zoe")] {
        world.hire(at, agent, 1);
    }
    world.arrive(10, 1);
    assert_eq!(world.asked(1).as_deref(), Some("mia"));
    world.answer(11, 1, false);
    assert_eq!(world.asked(1).as_deref(), Some("leo"));
    world.answer(12, 1, false);
    assert_eq!(world.asked(1).as_deref(), Some("zoe"));
    world.answer(13, 1, false);
    assert_eq!(world.asked(1), None, "all three rest from it");
    // They do not rest from anything else.
    world.arrive(14, 2);
    assert!(world.asked(2).is_some());
    assert_eq!(world.desk.next_deadline(&world.terms), Some(second(34)), "the offer of the second");
    world.answer(15, 2, true);
    assert_eq!(world.desk.next_deadline(&world.terms), Some(second(71)));
    world.pass(71);
    assert!(world.asked(1).is_none() || world.asked(1).as_deref() == Some("mia"));
    world.pass(73);
    assert!(world.asked(1).is_some(), "and their rest has an end");
}

#[test]
fn an_offer_ends_at_its_moment_and_an_answer_after_it_is_too_late() {
    let terms = Terms { offer_s: BTreeMap::from([(Channel::Chat, 30)]), ..Terms::default() };
    let mut world = World::new(terms);
    world.hire(0, "mia", 1);
    world.arrive(10, 1);
    let late = world.answer(40, 1, true);
    assert!(!late.done);
    assert_eq!(ended(&late.changes), [Ended::TimedOut], "though nobody had noticed it");
    assert_eq!((world.asked(1), world.owner(1)), (None, None));
}

#[test]
fn who_does_not_answer_at_all_counts_as_away() {
    let mut world = World::new(Terms { missed_offers: 2, ..Terms::default() });
    world.hire(0, "mia", 3);
    world.arrive(1, 1);
    world.pass(21);
    assert_eq!(world.presence("mia"), Presence::Available);
    world.arrive(22, 2);
    world.tell(23, Act::Arrives(Arrival { channel: Channel::Phone, ..arrival(3, "desk", 50, 23) }));
    let missed = world.pass(42);
    assert_eq!(world.presence("mia"), Presence::Away);
    assert_eq!(
        ended(&missed.changes),
        [Ended::TimedOut, Ended::Rescinded],
        "what else she was asked goes on"
    );
    world.arrive(50, 4);
    assert_eq!(world.asked(4), None);
    world.tell(51, Act::Appears(name("mia"), Presence::Available));
    assert!(world.asked(4).is_some() || world.asked(3).is_some(), "until she says she is back");
}

#[test]
fn who_vanishes_returns_the_offer_at_once_and_the_work_after_a_grace() {
    let mut world = World::new(Terms { grace_s: 60, ..Terms::default() });
    world.hire(0, "mia", 2);
    world.hire(1, "leo", 0);
    world.arrive(10, 1);
    world.answer(11, 1, true);
    world.arrive(12, 2);
    assert_eq!(world.asked(2).as_deref(), Some("mia"));
    let gone = world.tell(13, Act::Connects(name("mia"), false));
    assert_eq!(ended(&gone.changes), [Ended::Rescinded]);
    assert_eq!((world.asked(2), world.owner(1).as_deref()), (None, Some("mia")));
    assert_eq!(world.desk.next_deadline(&world.terms), Some(second(73)));
    // Back in time, nothing happened.
    world.tell(72, Act::Connects(name("mia"), true));
    assert_eq!((world.asked(2).as_deref(), world.owner(1).as_deref()), (Some("mia"), Some("mia")));
    world.tell(80, Act::Connects(name("mia"), false));
    world.tell(100, Act::Appears(name("mia"), Presence::Offline));
    world.pass(139);
    assert_eq!(world.owner(1).as_deref(), Some("mia"), "gone since 80, whatever else she says");
    let returned = world.pass(140);
    assert!(returned.changes.iter().any(|change| matches!(change, Change::Returned { .. })));
    assert_eq!(world.owner(1), None);
    let first = world.desk.waiting().next().unwrap();
    assert_eq!(first.arrival.place.conversation, id(1), "in its old place");
}

#[test]
fn away_keeps_the_work_and_takes_no_more() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 2);
    world.arrive(1, 1);
    world.answer(2, 1, true);
    world.arrive(3, 2);
    world.tell(4, Act::Appears(name("mia"), Presence::Away));
    assert_eq!(world.asked(2), None);
    world.pass(10_000);
    assert_eq!(world.owner(1).as_deref(), Some("mia"));
}

#[test]
fn who_spoke_with_the_client_last_is_asked_first_and_waited_for_a_little() {
    let mut world = World::new(Terms { hold_s: 10, ..Terms::default() });
    world.hire(0, "mia", 1);
    world.hire(1, "leo", 1);
    let knows_leo = |number: u64, at: i64| {
        let mut known = arrival(number, "desk", 50, at);
        known.knows = Some(name("leo"));
        Act::Arrives(known)
    };
    world.tell(10, knows_leo(1, 10));
    assert_eq!(world.asked(1).as_deref(), Some("leo"), "though mia is idle for longer");
    world.answer(11, 1, true);
    world.tell(20, knows_leo(2, 20));
    assert_eq!(world.asked(2), None, "leo is here and may be done soon");
    assert_eq!(world.desk.next_deadline(&world.terms), Some(second(30)));
    world.pass(30);
    assert_eq!(world.asked(2).as_deref(), Some("mia"), "not for ever");
    world.answer(31, 2, true);
    world.tell(40, Act::Leaves(id(2)));
    world.tell(41, Act::Appears(name("leo"), Presence::Away));
    world.tell(42, knows_leo(3, 42));
    assert_eq!(world.asked(3).as_deref(), Some("mia"), "who is not here is not waited for");
}

#[test]
fn what_is_claimed_is_asked_about_no_more() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 1);
    world.hire(1, "leo", 1);
    world.arrive(10, 1);
    assert_eq!(world.asked(1).as_deref(), Some("mia"));
    world.tell(11, Act::Claims(id(1), name("leo")));
    assert_eq!((world.asked(1), world.owner(1).as_deref()), (None, Some("leo")));
    world.arrive(12, 2);
    assert_eq!(world.asked(2).as_deref(), Some("mia"), "her room is free again");
}

#[test]
fn who_is_not_known_is_asked_nothing() {
    let mut desk = Desk::default();
    let (arrival, standing) =
        (arrival(1, "desk", 50, 0), Standing::Offered { agent: name("eve"), until: second(20) });
    desk.place(Work { arrival, standing, waits_since: second(0), resting: BTreeMap::new() });
    assert_eq!(ended(&desk.decide(&Terms::default(), second(1)).changes), [Ended::Rescinded]);
}

#[test]
fn a_higher_priority_moves_what_waits_and_not_what_is_taken() {
    let mut world = World::new(Terms::default());
    world.arrive(0, 1);
    world.arrive(1, 2);
    world.tell(2, Act::Arrives(arrival(2, "desk", 90, 1)));
    let order: Vec<_> = world.desk.waiting().map(|work| work.arrival.place.conversation).collect();
    assert_eq!(order, [id(2), id(1)]);
    world.hire(3, "mia", 1);
    assert_eq!(world.asked(2).as_deref(), Some("mia"));
    world.tell(4, Act::Arrives(arrival(1, "desk", 100, 0)));
    assert_eq!(world.asked(2).as_deref(), Some("mia"), "who is asked is asked");
}

#[test]
fn time_does_not_go_back() {
    let mut world = World::new(Terms::default());
    world.hire(100, "mia", 1);
    world.arrive(50, 1);
    assert_eq!(world.desk.now(), second(100));
    assert_eq!(world.desk.next_deadline(&world.terms), Some(second(120)));
}

fn any_act() -> impl Strategy<Value = Act> {
    let conversation = || (0u64..6).prop_map(id);
    let agent = || prop::sample::select(vec!["mia", "leo", "zoe"]).prop_map(name);
    let presence = prop::sample::select(vec![
        Presence::Available,
        Presence::Available,
        Presence::Away,
        Presence::Offline,
    ]);
    let arrives = (
        0u64..6,
        prop::sample::select(vec!["desk", "back"]),
        0i32..100,
        0i64..100,
        any::<bool>(),
        prop::option::of(agent()),
    )
        .prop_map(|(number, queue, priority, since, skilled, knows)| {
            let mut made = arrival(number, queue, priority, since);
            made.skills.extend(skilled.then(|| "uk".to_owned()));
            made.knows = knows;
            Act::Arrives(made)
        });
    prop_oneof![
        4 => arrives,
        1 => conversation().prop_map(Act::Leaves),
        3 => (conversation(), agent()).prop_map(|(conversation, agent)| Act::Accepts(conversation, agent)),
        2 => (conversation(), agent()).prop_map(|(conversation, agent)| Act::Declines(conversation, agent)),
        2 => (conversation(), agent()).prop_map(|(conversation, agent)| Act::Claims(conversation, agent)),
        3 => (agent(), presence).prop_map(|(agent, presence)| Act::Appears(agent, presence)),
        3 => (agent(), any::<bool>()).prop_map(|(agent, connected)| Act::Connects(agent, connected)),
        2 => (agent(), any::<bool>()).prop_map(|(agent, skilled)| {
            let skills: &[&str] = if skilled { &["uk"] } else { &[] };
            Act::CanTake(agent, profile(&["desk", "back"], skills, 2))
        }),
        3 => Just(Act::Nothing),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// [`World`] checks every promise after every step.
    #[test]
    fn no_order_of_acts_breaks_a_promise(steps in prop::collection::vec((0i64..15, any_act()), 1..80)) {
        let mut world = World::new(Terms::default());
        for (at, agent) in [(0, "mia"), (0, "leo"), (0, "zoe")] {
            world.hire(at, agent, 2);
        }
        let mut at = 0;
        for (wait, act) in steps {
            at += wait;
            world.tell(at, act);
            let deadline = world.desk.next_deadline(&world.terms);
            prop_assert!(deadline.is_none_or(|deadline| deadline > second(at)), "a deadline that has passed");
        }
    }
}
