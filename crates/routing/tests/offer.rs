//! Offers as agents live through them, and then in any order there is.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::collections::BTreeMap;

use contact::Channel;
use proptest::prelude::*;
use routing::agent::Presence;
use routing::desk::{Change, Ended};
use routing::happening::{Happening, Refusal};
use routing::offer::{Decided, Terms};
use world::{World, arrival, id, name, profile, second};

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
fn many_offers_are_made_in_turns() {
    let mut world = World::new(Terms::default());
    for number in 0..600 {
        world.arrive(number, number.unsigned_abs());
    }
    world.tell(600, Happening::Profiled { agent: name("mia"), profile: profile(&["desk"], &[], 520) });
    world.tell(600, Happening::Presence { agent: name("mia"), presence: Presence::Available });
    let offers = |decided: Decided| (decided.changes.len(), decided.more);
    let connected = Happening::Connected { agent: name("mia"), connected: true };
    assert_eq!(offers(world.tell(600, connected)), (1 + 256, true));
    assert!(world.asked(255).is_some() && world.asked(256).is_none(), "the first of the list first");
    assert_eq!(offers(world.tell(600, Happening::Passed)), (256, true));
    assert_eq!(offers(world.tell(600, Happening::Passed)), (8, false), "and nobody has room any more");
}

#[test]
fn an_agent_without_room_queue_or_skill_is_not_asked() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 1);
    world.arrive(1, 1);
    world.arrive(2, 2);
    assert_eq!(world.asked(2), None, "an offer takes room");
    world.tell(3, Happening::Arrived(arrival(3, "elsewhere", 50, 3)));
    let mut skilled = arrival(4, "desk", 50, 4);
    skilled.skills.insert("uk".into());
    world.tell(4, Happening::Arrived(skilled));
    world.tell(5, Happening::Profiled { agent: name("leo"), profile: profile(&["desk"], &["uk"], 1) });
    world.come(6, "leo");
    assert_eq!((world.asked(2), world.asked(3), world.asked(4)), (Some("leo".into()), None, None));
    world.answer(7, 2, true);
    world.tell(8, Happening::Left(id(2)));
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
    world.tell(71, Happening::Passed);
    assert!(world.asked(1).is_none() || world.asked(1).as_deref() == Some("mia"));
    world.tell(73, Happening::Passed);
    assert!(world.asked(1).is_some(), "and their rest has an end");
}

#[test]
fn an_offer_ends_at_its_moment_and_an_answer_after_it_is_too_late() {
    let terms = Terms { offer_s: BTreeMap::from([(Channel::Chat, 30)]), ..Terms::default() };
    let mut world = World::new(terms);
    world.hire(0, "mia", 1);
    world.arrive(10, 1);
    let late = world.answer(40, 1, true);
    assert_eq!(late.refused, Some(Refusal::Over));
    assert_eq!(ended(&late.changes), [Ended::TimedOut], "though nobody had noticed it");
    assert_eq!((world.asked(1), world.owner(1)), (None, None));
}

#[test]
fn who_does_not_answer_at_all_counts_as_away() {
    let mut world = World::new(Terms { missed_offers: 2, ..Terms::default() });
    world.hire(0, "mia", 3);
    world.arrive(1, 1);
    world.tell(21, Happening::Passed);
    assert_eq!(world.desk.agent(&name("mia")).unwrap().presence, Presence::Available);
    world.arrive(22, 2);
    world.arrive(23, 3);
    let missed = world.tell(42, Happening::Passed);
    assert_eq!(world.desk.agent(&name("mia")).unwrap().presence, Presence::Away);
    assert_eq!(
        ended(&missed.changes),
        [Ended::TimedOut, Ended::Rescinded],
        "what else she was asked goes on"
    );
    world.arrive(50, 4);
    assert_eq!(world.asked(4), None);
    world.tell(51, Happening::Presence { agent: name("mia"), presence: Presence::Available });
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
    let gone = world.tell(13, Happening::Connected { agent: name("mia"), connected: false });
    assert_eq!(ended(&gone.changes), [Ended::Rescinded]);
    assert_eq!((world.asked(2), world.owner(1).as_deref()), (None, Some("mia")));
    assert_eq!(world.desk.next_deadline(&world.terms), Some(second(73)));
    // Back in time, nothing happened.
    world.tell(72, Happening::Connected { agent: name("mia"), connected: true });
    assert_eq!((world.asked(2).as_deref(), world.owner(1).as_deref()), (Some("mia"), Some("mia")));
    world.tell(80, Happening::Connected { agent: name("mia"), connected: false });
    world.tell(100, Happening::Presence { agent: name("mia"), presence: Presence::Offline });
    world.tell(139, Happening::Passed);
    assert_eq!(world.owner(1).as_deref(), Some("mia"), "gone since 80, whatever else she says");
    let returned = world.tell(140, Happening::Passed);
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
    world.tell(4, Happening::Presence { agent: name("mia"), presence: Presence::Away });
    assert_eq!(world.asked(2), None);
    world.tell(10_000, Happening::Passed);
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
        Happening::Arrived(known)
    };
    world.tell(10, knows_leo(1, 10));
    assert_eq!(world.asked(1).as_deref(), Some("leo"), "though mia is idle for longer");
    world.answer(11, 1, true);
    world.tell(20, knows_leo(2, 20));
    assert_eq!(world.asked(2), None, "leo is here and may be done soon");
    assert_eq!(world.desk.next_deadline(&world.terms), Some(second(30)));
    world.tell(30, Happening::Passed);
    assert_eq!(world.asked(2).as_deref(), Some("mia"), "not for ever");
    world.answer(31, 2, true);
    world.tell(40, Happening::Left(id(2)));
    world.tell(41, Happening::Presence { agent: name("leo"), presence: Presence::Away });
    world.tell(42, knows_leo(3, 42));
    assert_eq!(world.asked(3).as_deref(), Some("mia"), "who is not here is not waited for");
}

#[test]
fn a_claim_has_one_winner() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 1);
    world.hire(1, "leo", 1);
    world.arrive(10, 1);
    let claim =
        |agent: &str, number: u64| Happening::Claimed { conversation: id(number), agent: name(agent) };
    let won = world.tell(11, claim("leo", 1));
    assert_eq!((won.refused, ended(&won.changes)), (None, vec![Ended::Rescinded]), "mia was asked");
    assert_eq!(world.tell(12, claim("mia", 1)).refused, Some(Refusal::Taken { by: name("leo") }));
    assert_eq!(world.tell(12, claim("leo", 1)).refused, None, "saying it twice is saying it once");
    world.arrive(13, 2);
    assert_eq!(world.tell(14, claim("leo", 2)).refused, Some(Refusal::Full { agent: name("leo") }));
    assert_eq!(world.tell(15, claim("mia", 2)).refused, None, "what she is asked she may also claim");
    assert_eq!(world.tell(16, claim("leo", 9)).refused, Some(Refusal::NotHere));
    assert_eq!(world.tell(16, claim("eve", 1)).refused, Some(Refusal::NotAtWork { agent: name("eve") }));
    world.tell(17, Happening::Connected { agent: name("leo"), connected: false });
    assert_eq!(world.tell(18, claim("leo", 2)).refused, Some(Refusal::NotAtWork { agent: name("leo") }));
}

#[test]
fn an_answer_counts_once_and_only_to_its_own_offer() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 1);
    world.arrive(1, 1);
    let accept = |number| Happening::Accepted { conversation: id(1), agent: name("mia"), number };
    assert_eq!(world.tell(2, accept(7)).refused, Some(Refusal::Over), "another offer's number");
    assert_eq!(world.tell(3, accept(1)).refused, None);
    let again = world.tell(4, accept(1));
    assert_eq!((again.refused, again.changes), (None, vec![]));
    let other = Happening::Declined { conversation: id(1), agent: name("leo"), number: 1 };
    assert_eq!(world.tell(5, other).refused, Some(Refusal::Taken { by: name("mia") }));
}

#[test]
fn what_is_given_back_goes_to_somebody_else() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 1);
    world.hire(1, "leo", 1);
    world.arrive(2, 1);
    world.answer(3, 1, true);
    let back = |agent: &str| Happening::GivenBack { conversation: id(1), agent: name(agent) };
    assert_eq!(world.tell(4, back("leo")).refused, Some(Refusal::Taken { by: name("mia") }));
    world.tell(5, back("mia"));
    assert_eq!(world.asked(1).as_deref(), Some("leo"), "though mia knows the client");
}

#[test]
fn a_removed_agent_leaves_nothing_behind() {
    let mut world = World::new(Terms::default());
    world.hire(0, "mia", 2);
    world.arrive(1, 1);
    world.answer(2, 1, true);
    world.arrive(3, 2);
    world.tell(4, Happening::Removed(name("mia")));
    assert_eq!(world.desk.waiting().count(), 2);
    world.hire(5, "leo", 2);
    assert_eq!((world.asked(1).as_deref(), world.asked(2).as_deref()), (Some("leo"), Some("leo")));
}

#[test]
fn a_higher_priority_moves_what_waits_and_not_what_is_taken() {
    let mut world = World::new(Terms::default());
    world.arrive(0, 1);
    world.arrive(1, 2);
    world.tell(2, Happening::Arrived(arrival(2, "desk", 90, 1)));
    let order: Vec<_> = world.desk.waiting().map(|work| work.arrival.place.conversation).collect();
    assert_eq!(order, [id(2), id(1)]);
    world.hire(3, "mia", 1);
    assert_eq!(world.desk.next_for(&name("mia")), None, "her room is kept for an offer");
    world.answer(4, 2, true);
    let ignored = world.tell(5, Happening::Arrived(arrival(2, "desk", 10, 1)));
    assert_eq!((ignored.changes, world.owner(2).as_deref()), (vec![], Some("mia")));
    world.tell(6, Happening::Presence { agent: name("mia"), presence: Presence::Away });
    world.tell(7, Happening::Left(id(2)));
    assert_eq!(world.desk.next_for(&name("mia")), Some(id(1)), "away, she may still take what she likes");
}

#[test]
fn time_does_not_go_back() {
    let mut world = World::new(Terms::default());
    world.hire(100, "mia", 1);
    world.arrive(50, 1);
    assert_eq!(world.desk.now(), second(100));
    assert_eq!(world.desk.next_deadline(&world.terms), Some(second(120)));
}

fn any_happening() -> impl Strategy<Value = Happening> {
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
            Happening::Arrived(made)
        });
    prop_oneof![
        4 => arrives,
        1 => conversation().prop_map(Happening::Left),
        3 => (conversation(), agent(), 1u64..12).prop_map(|(conversation, agent, number)| Happening::Accepted { conversation, agent, number }),
        2 => (conversation(), agent(), 1u64..12).prop_map(|(conversation, agent, number)| Happening::Declined { conversation, agent, number }),
        2 => (conversation(), agent()).prop_map(|(conversation, agent)| Happening::Claimed { conversation, agent }),
        1 => (conversation(), agent()).prop_map(|(conversation, agent)| Happening::GivenBack { conversation, agent }),
        3 => (agent(), presence).prop_map(|(agent, presence)| Happening::Presence { agent, presence }),
        3 => (agent(), any::<bool>()).prop_map(|(agent, connected)| Happening::Connected { agent, connected }),
        1 => agent().prop_map(Happening::Removed),
        2 => (agent(), any::<bool>()).prop_map(|(agent, skilled)| {
            let skills: &[&str] = if skilled { &["uk"] } else { &[] };
            Happening::Profiled { agent, profile: profile(&["desk", "back"], skills, 2) }
        }),
        3 => Just(Happening::Passed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// [`World`] checks every promise after every step.
    #[test]
    fn no_order_of_happenings_breaks_a_promise(steps in prop::collection::vec((0i64..15, any_happening()), 1..80)) {
        let mut world = World::new(Terms::default());
        for (at, agent) in [(0, "mia"), (0, "leo"), (0, "zoe")] {
            world.hire(at, agent, 2);
        }
        let mut at = 0;
        for (wait, happening) in steps {
            at += wait;
            world.tell(at, happening);
            let deadline = world.desk.next_deadline(&world.terms);
            prop_assert!(deadline.is_none_or(|deadline| deadline > second(at)), "a deadline that has passed");
        }
    }
}
