//! Any story under rules and promises, with agents, turns of the clock, and facts that come late: what is kept
//! follows from the log, however it is cut and whoever looks.

use contact::{ClientId, ConversationId, Deed, Outcome, Presence};
use proptest::prelude::*;
use serde_json::json;
use timeline::turn::Roster;
use timeline::{Arrival, Status};

use crate::desks::differing;
use crate::floor::{Floor, policy, second};
use crate::told;

/// One thing that happens, so many seconds after the one before. Numbers point at whom or what there is, counted
/// round; a fact is heard of so many seconds late.
#[derive(Clone, Debug)]
struct Step {
    after: i64,
    late: i64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Call { call: usize, outcome: Option<Outcome> },
    Mail { from: usize, answers: Option<i64> },
    Line { visitor: usize, proves: bool },
    Answer { talk: usize },
    Touch { talk: usize, kind: u8 },
    Rest { talk: usize, until: i64 },
    Merge { one: usize, other: usize },
    Undo,
    Connect { agent: usize, open: bool },
    Appear { agent: usize, there: bool },
    Reply { agent: usize, takes: bool },
    Look,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop::option::of(prop::sample::select(vec![Outcome::Missed, Outcome::Answered]));
    let what = prop_oneof![
        3 => (0..6usize, outcome).prop_map(|(call, outcome)| What::Call { call, outcome }),
        2 => (0..3usize, prop::option::of(1..5i64)).prop_map(|(from, answers)| What::Mail { from, answers }),
        3 => (0..3usize, any::<bool>()).prop_map(|(visitor, proves)| What::Line { visitor, proves }),
        2 => (0..9usize).prop_map(|talk| What::Answer { talk }),
        3 => (0..9usize, 0..7u8).prop_map(|(talk, kind)| What::Touch { talk, kind }),
        1 => (0..9usize, 1..400i64).prop_map(|(talk, until)| What::Rest { talk, until }),
        1 => (0..9usize, 0..9usize).prop_map(|(one, other)| What::Merge { one, other }),
        1 => Just(What::Undo),
        1 => (0..3usize, any::<bool>()).prop_map(|(agent, open)| What::Connect { agent, open }),
        1 => (0..3usize, any::<bool>()).prop_map(|(agent, there)| What::Appear { agent, there }),
        3 => (0..3usize, any::<bool>()).prop_map(|(agent, takes)| What::Reply { agent, takes }),
        4 => Just(What::Look),
    ];
    let late = prop_oneof![3 => Just(0), 1 => 0..200i64];
    let step = (0..120i64, late, what).prop_map(|(after, late, what)| Step { after, late, what });
    prop::collection::vec(step, 1..40)
}

const AGENTS: [&str; 3] = ["anna", "ben", "cleo"];

fn house() -> Floor {
    let rules = json!({
        "segments": { "vip": 30 },
        "otherwise": { "promises": {
            "first_response": { "within_s": 120 },
            "next_response": { "within_s": 60 },
            "callback": { "within_s": 300, "calendar": "office" },
        } },
        "rules": {
            "broken": { "order": 1, "when": "event.subject > 1" },
            "letters": { "order": 2, "when": "event.channel == 'email'", "skills": ["uk"], "priority": 30 },
        },
    });
    // Open for most of a story, and not at its beginning.
    let office = json!({ "office": { "zone": "UTC", "week": { "sat": ["12:05-12:20", "12:21-14:00"], "sun": ["09:00-10:00"] } } });
    let terms = json!({ "offer_s": { "chat": 20, "phone": 40, "email": 60 }, "rest_s": 50, "grace_s": 60 });
    let mut floor = Floor::new(policy(rules, office, terms));
    floor.introduce(0, &told::number(0), "vip", None);
    for (name, skills) in AGENTS.into_iter().zip([&["uk"][..], &[], &["uk"]]) {
        floor.hire(0, name, &["default"], skills, 2);
    }
    floor
}

/// The fact a step tells, if it is one.
fn fact(what: &What, number: i64) -> Option<Arrival> {
    Some(match what {
        What::Call { call, outcome } => {
            let from = told::number(call % 3);
            told::call(number, &format!("c{call}"), Some(from), *outcome)
        }
        What::Mail { from, answers } => {
            let answers: Vec<_> =
                answers.iter().map(|back| format!("mail{}@example.com", number - back)).collect();
            told::mail(number, told::address(*from), &answers)
        }
        What::Line { visitor, proves } => {
            let proved = if *proves { vec![told::number(*visitor)] } else { Vec::new() };
            told::line(number, *visitor, proved)
        }
        _ => return None,
    })
}

/// What a step of ours is, as things stand.
fn deed(what: &What, floor: &Floor, now: i64) -> Option<Deed> {
    let (clients, _, conversations, ..) = floor.memory.projections();
    let talk = |nth: &usize| -> Option<ConversationId> {
        conversations.get(nth % conversations.len().max(1)).map(|row| row.id)
    };
    let client =
        |nth: &usize| -> Option<ClientId> { clients.get(nth % clients.len().max(1)).map(|row| row.id) };
    let reason = || "as told".to_owned();
    Some(match what {
        What::Answer { talk: nth } => Deed::Reply { conversation: talk(nth)?, text: "Good day".to_owned() },
        What::Touch { talk: nth, kind } => {
            let conversation = talk(nth)?;
            match kind {
                0 => Deed::Resolve { conversation },
                1 => Deed::Reopen { conversation },
                2 => Deed::Assign { conversation, from: None, to: Some("ben".to_owned()) },
                3 => Deed::Assign { conversation, from: None, to: None },
                4 => Deed::OweCall { conversation, note: None },
                5 => Deed::CallDone { conversation },
                _ => Deed::Claim { conversation },
            }
        }
        What::Rest { talk: nth, until } => {
            Deed::Snooze { conversation: talk(nth)?, until: second(now + until) }
        }
        What::Merge { one, other } => {
            Deed::Merge { survivor: client(one)?, absorbed: client(other)?, reason: reason() }
        }
        What::Undo => {
            let merges = floor.memory.rows.merges.values();
            let merge = merges.filter(|row| row.undone_at.is_none()).map(|row| row.id).min()?;
            Deed::Unmerge { merge, reason: reason() }
        }
        What::Connect { agent, open } => {
            let process = crate::floor::HERE.to_owned();
            Deed::Connect { agent: AGENTS[*agent].to_owned(), process, open: *open }
        }
        What::Appear { agent, there } => {
            let presence = if *there { Presence::Available } else { Presence::Offline };
            Deed::Appear { agent: AGENTS[*agent].to_owned(), presence }
        }
        What::Reply { agent, takes } => {
            let offer = floor.offer_to(AGENTS[*agent])?;
            let (reservation, conversation) = (offer.id, offer.conversation);
            match takes {
                true => Deed::Accept { reservation, conversation },
                false => {
                    let rests_until = Some(second(now + 50));
                    Deed::Decline { reservation, conversation, rests_until }
                }
            }
        }
        _ => return None,
    })
}

/// Lives through a story. Facts come in batches of this many; what is refused did not happen.
fn lived(story: &[Step], cut: usize) -> (Floor, i64) {
    let mut floor = house();
    let (mut now, mut batch) = (0, Vec::new());
    for step in story {
        now += step.after;
        if let Some(fact) = fact(&step.what, floor.next()) {
            batch.push(told::timed(fact, second(now - step.late), second(now)));
            if batch.len() < cut {
                continue;
            }
        }
        floor.takes(std::mem::take(&mut batch));
        if matches!(step.what, What::Look) {
            floor.turn(now);
        } else if let Some(deed) = deed(&step.what, &floor, now) {
            let agent = match step.what {
                What::Reply { agent, .. } | What::Connect { agent, .. } => AGENTS[agent],
                _ => "mia",
            };
            drop(floor.does(now, agent, deed));
        }
    }
    floor.takes(batch);
    (floor, now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_replay_by_other_rules_finds_what_was_decided_and_a_new_process_sees_what_the_old_one_sees(story in steps()) {
        let (mut floor, now) = lived(&story, 1);
        floor.replays();
        floor.turns(now + 1);
        let mut fresh = Roster::default();
        prop_assert_eq!(floor.turn_of(&mut fresh, now + 1).decisions, 0, "it was all done");
        let none: [String; 0] = [];
        prop_assert_eq!(differing(floor.roster.desk(), fresh.desk()), none);
        floor.replays();
    }

    #[test]
    fn the_cut_into_batches_decides_nothing_about_work(story in steps(), cut in 2..6usize) {
        let ((whole, _), (parts, _)) = (lived(&story, 1), lived(&story, cut));
        let none: [String; 0] = [];
        prop_assert_eq!(whole.memory.everything().differs_from(&parts.memory.everything()), none);
        prop_assert_eq!(&whole.memory.feed, &parts.memory.feed);
    }

    #[test]
    fn a_day_after_any_story_everything_due_was_told_once(story in steps()) {
        let (mut floor, now) = lived(&story, 1);
        let mut at = now;
        while let Some(next) = floor.turns(at).filter(|_| at < now + 300_000) {
            at = (next.duration_since(second(0)).as_secs() + 1).max(at + 1);
        }
        let told: usize =
            floor.memory.rows.conversations.values().flat_map(|row| row.clocks.values()).map(|clock| clock.told().len()).sum();
        let notices = floor.notices();
        // Of a conversation that went on elsewhere the clocks are there, or ended with it.
        prop_assert!(told <= notices, "{} stand, {} were told", told, notices);
        for row in floor.memory.rows.conversations.values() {
            prop_assert!(row.wake_at.is_none(), "{:?} sleeps on", row);
            prop_assert!(row.status != Status::Snoozed, "{:?} rests for ever", row.id);
        }
        floor.replays();
    }
}
