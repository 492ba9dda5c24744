//! What a run of telephone facts makes of the timeline.

use contact::{
    Basis, CallChange, CallState, Channel, ContactKey, Content, Direction, Event, EventKey, IdentifierKind,
    Outcome, Party, SourceName, Trust,
};
use jiff::Timestamp;
use proptest::prelude::*;
use timeline::{Arrival, Callback, ContactState, Status};

use crate::memory::{Memory, at};

pub(crate) const OLENA: Option<&str> = Some("+380441234567");

pub(crate) fn fact(call: &str, from: Option<&str>, when: Timestamp, change: CallChange) -> Arrival {
    fact_of(Direction::Inbound, call, from, when, change)
}

pub(crate) fn fact_of(
    direction: Direction,
    call: &str,
    client: Option<&str>,
    when: Timestamp,
    change: CallChange,
) -> Arrival {
    let source = SourceName::new(Channel::Phone, "main-line").unwrap();
    let party = |value: Option<&str>| Party {
        kind: IdentifierKind::Phone,
        value: value.map(str::to_owned),
        raw: value.unwrap_or("anonymous").to_owned(),
        name: None,
    };
    let ours = party(None);
    let (from, to) = match direction {
        Direction::Inbound => (party(client), ours),
        Direction::Outbound => (ours, party(client)),
    };
    let event = Event {
        key: EventKey {
            source: source.clone(),
            id: format!("{call}:{when}:{direction:?}:{client:?}:{change:?}"),
        },
        contact: ContactKey::new(&source, call),
        occurred_at: when,
        received_at: when,
        traceparent: None,
        direction,
        trust: Trust::Verified,
        from: Some(from),
        to: vec![to],
        content: Content::Call(change),
        raw: None,
    };
    let payload = String::from_utf8(event.to_json()).unwrap();
    Arrival { event, payload, recorded_at: when }
}

pub(crate) fn ringing() -> CallChange {
    CallChange { state: Some(CallState::Ringing), ..CallChange::default() }
}

pub(crate) fn ended(outcome: Outcome, talked_s: u32) -> CallChange {
    CallChange {
        state: Some(CallState::Ended),
        outcome: Some(outcome),
        talked_s: Some(talked_s),
        ..CallChange::default()
    }
}

fn missed(call: &str, from: Option<&str>, minute: i64) -> Vec<Arrival> {
    vec![
        fact(call, from, at(minute, 0), ringing()),
        fact(call, from, at(minute, 21), ended(Outcome::Missed, 0)),
    ]
}

fn answered(call: &str, from: Option<&str>, minute: i64) -> Vec<Arrival> {
    vec![
        fact(call, from, at(minute, 0), ringing()),
        fact(call, from, at(minute, 50), ended(Outcome::Answered, 40)),
    ]
}

#[test]
fn a_missed_call_is_one_entry_and_one_open_conversation_with_a_callback() {
    let mut memory = Memory::default();
    memory.take(missed("CA1", OLENA, 0));
    let (clients, contacts, conversations, entries, _) = memory.projections();
    assert_eq!((clients.len(), contacts.len(), conversations.len(), entries.len()), (1, 1, 1, 1));
    assert_eq!(entries[0].summary, "Missed call, rang 21 s");
    assert_eq!((entries[0].rev, entries[0].occurred_at), (2, at(0, 0)));
    assert_eq!(entries[0].client, Some(clients[0].id));
    assert_eq!(entries[0].conversation, Some(conversations[0].id));
    assert_eq!(conversations[0].status, Status::Open);
    assert_eq!(
        conversations[0].callback,
        Some(Callback {
            attempts: 0,
            missed: 1,
            since: at(0, 0),
            last: Some(at(0, 21)),
            done_at: None,
            given_up: false
        })
    );
    let content: serde_json::Value = serde_json::from_str(&entries[0].content).unwrap();
    assert_eq!(content["call_id"], "CA1");
    assert_eq!(
        (&content["outcome"], &content["rang_s"], &content["talked_s"]),
        (&"missed".into(), &21.into(), &0.into())
    );
}

#[test]
fn five_missed_calls_are_one_callback_and_a_talk_settles_it() {
    let mut memory = Memory::default();
    for nth in 0..5 {
        memory.take(missed(&format!("CA{nth}"), OLENA, nth));
    }
    assert_eq!(memory.open().len(), 1);
    assert_eq!(
        memory.owed(),
        [&Callback {
            attempts: 0,
            missed: 5,
            since: at(0, 0),
            last: Some(at(4, 21)),
            done_at: None,
            given_up: false
        }]
    );

    let busy = fact_of(Direction::Outbound, "out1", OLENA, at(10, 0), ended(Outcome::Busy, 0));
    memory.take(vec![busy]);
    assert_eq!(memory.owed()[0].attempts, 1, "a call of ours that reached nobody is an attempt");

    memory.take(vec![fact_of(Direction::Outbound, "out2", OLENA, at(20, 0), ended(Outcome::Answered, 60))]);
    assert!(memory.owed().is_empty() && memory.open().is_empty(), "reached: nothing waits");

    memory.take(missed("CA9", OLENA, 30));
    assert_eq!(
        memory.owed(),
        [&Callback {
            attempts: 0,
            missed: 1,
            since: at(30, 0),
            last: Some(at(30, 21)),
            done_at: None,
            given_up: false
        }]
    );
}

#[test]
fn a_missed_call_that_is_told_after_a_later_talk_owes_nothing() {
    let mut memory = Memory::default();
    memory.take(answered("CA2", OLENA, 5));
    memory.take(missed("CA1", OLENA, 0));
    assert!(memory.owed().is_empty() && memory.open().is_empty());
    memory.take(missed("CA3", OLENA, 9));
    assert_eq!(memory.owed().len(), 1);
}

#[test]
fn a_call_that_was_answered_after_all_is_forgiven() {
    let mut memory = Memory::default();
    memory.take(missed("CA1", OLENA, 0));
    let person = CallChange {
        outcome: Some(Outcome::Answered),
        basis: Basis::Person,
        talked_s: Some(9),
        ..CallChange::default()
    };
    memory.take(vec![fact("CA1", OLENA, at(0, 30), person)]);
    assert!(memory.owed().is_empty() && memory.open().is_empty());
    assert_eq!(memory.projections().3[0].summary, "Answered call, talked 9 s");
}

#[test]
fn withheld_callers_make_nobody_and_stay_apart() {
    let mut memory = Memory::default();
    memory.take(missed("CA1", None, 0));
    memory.take(missed("CA2", None, 1));
    let (clients, _, conversations, entries, _) = memory.projections();
    assert_eq!((clients.len(), conversations.len(), entries.len()), (0, 2, 2));
    assert!(entries.iter().all(|entry| entry.client.is_none()));
}

#[test]
fn a_call_whose_caller_is_told_late_joins_what_its_client_has_open() {
    let mut memory = Memory::default();
    memory.take(missed("CA1", OLENA, 0));
    memory.take(missed("CA2", None, 1));
    assert_eq!((memory.open().len(), memory.owed().len()), (2, 2));
    memory.take(vec![fact("CA2", OLENA, at(1, 5), ringing())]);
    assert_eq!(memory.open().len(), 1, "one open conversation a client and thread");
    assert_eq!(
        memory.owed(),
        [&Callback {
            attempts: 0,
            missed: 2,
            since: at(0, 0),
            last: Some(at(1, 21)),
            done_at: None,
            given_up: false
        }]
    );
}

#[test]
fn an_event_that_comes_twice_changes_nothing() {
    let mut memory = Memory::default();
    let call = missed("CA1", OLENA, 0);
    memory.take([call.clone(), call.clone()].concat());
    let (rows, feed) = (memory.projections(), memory.feed.clone());
    memory.take(call);
    assert_eq!((memory.projections(), &memory.feed), (rows, &feed));
}

/// A handful of calls of a few callers, as a provider might tell them.
fn story() -> impl Strategy<Value = Vec<Arrival>> {
    let change = (
        prop::option::of(prop::sample::select(vec![
            CallState::Ringing,
            CallState::Answered,
            CallState::Ended,
        ])),
        prop::option::of(prop::sample::select(vec![Outcome::Answered, Outcome::Missed, Outcome::Voicemail])),
        any::<bool>(),
        prop::option::of(0..100u32),
    )
        .prop_map(|(state, outcome, person, talked_s)| CallChange {
            state,
            outcome,
            basis: if person { Basis::Person } else { Basis::Line },
            talked_s,
            ..CallChange::default()
        });
    let one = (0..4usize, any::<bool>(), 0..30i64, any::<bool>(), change).prop_map(
        |(call, told, minute, outbound, change)| {
            let number = format!("+38044123456{}", call / 2);
            let direction = if outbound && call == 3 { Direction::Outbound } else { Direction::Inbound };
            fact_of(direction, &format!("CA{call}"), told.then_some(number.as_str()), at(minute, 0), change)
        },
    );
    prop::collection::vec(one, 1..25)
}

proptest! {
    #[test]
    fn a_call_is_the_same_in_any_order_and_number(facts in story(), seed in any::<u64>()) {
        let mut shuffled = [facts.clone(), facts.iter().take(5).cloned().collect()].concat();
        let count = shuffled.len() as u64;
        shuffled.sort_by_cached_key(|fact| seed.wrapping_mul(fact.payload.len() as u64 + 7) % count);
        let calls = |facts: &[Arrival]| {
            let mut memory = Memory::default();
            memory.take(facts.to_vec());
            let mut states: Vec<_> = memory
                .rows
                .contacts
                .values()
                .map(|row| (row.key.clone(), row.state.clone(), row.direction, row.occurred_at))
                .collect();
            states.sort_by(|a, b| a.0.cmp(&b.0));
            states
        };
        prop_assert_eq!(calls(&facts), calls(&shuffled));
    }

    #[test]
    fn the_cut_into_batches_decides_nothing_and_a_replay_finds_the_same(facts in story(), cut in 1..6usize) {
        let mut whole = Memory::default();
        whole.take(facts.clone());
        let mut parts = Memory::default();
        for chunk in facts.chunks(cut) {
            parts.take(chunk.to_vec());
        }
        prop_assert_eq!(whole.projections(), parts.projections());
        prop_assert_eq!(&whole.feed, &parts.feed);
        prop_assert_eq!(whole.replayed().projections(), whole.projections());
    }

    #[test]
    fn a_client_has_one_open_conversation_and_owed_calls_are_in_open_ones(facts in story()) {
        let mut memory = Memory::default();
        for fact in facts {
            memory.take(vec![fact]);
            let mut owners: Vec<_> = memory.open().iter().filter_map(|row| row.client).collect();
            owners.sort_unstable();
            let count = owners.len();
            owners.dedup();
            prop_assert_eq!(owners.len(), count);
            for row in memory.rows.conversations.values() {
                let pending = row.callback.as_ref().is_some_and(|callback| callback.done_at.is_none());
                prop_assert!(!pending || row.status == Status::Open);
            }
            for contact in memory.rows.contacts.values() {
                let ContactState::Call(call) = &contact.state else { panic!("only calls were told") };
                let reached = contact.client.and_then(|id| memory.rows.clients[&id].reached_at);
                if call.is_owed() && reached.is_none() {
                    let conversation = &memory.rows.conversations[&contact.conversation.unwrap()];
                    prop_assert!(conversation.callback.is_some(), "a missed call nobody will return");
                }
            }
        }
    }
}
