//! What was made one can be two again, whatever happened before, between and after.

use std::collections::BTreeSet;

use contact::act::Permission;
use contact::{Channel, ChatChange, ChatFact, ClientId, Content, Deed, Level, Outcome, Party, ReplyFate};
use proptest::prelude::*;
use timeline::attach::{Mode, attach, wanted};
use timeline::{Arrival, EntryKind};

use crate::memory::{Everything, Memory, at};
use crate::told::{address, call, chat, deed, mail, named, number, tried, wish};

/// One thing that happens. Numbers point at whom or what there is, counted round.
#[derive(Clone, Debug)]
enum Step {
    Call { call: usize, from: Option<usize>, outcome: Option<Outcome> },
    Mail { from: usize, answers: Option<usize> },
    Chat { visitor: usize, session: usize, kind: u8, proved: Vec<usize>, claimed: Vec<usize> },
    Answer { conversation: usize },
    Tried { reply: usize, fate: ReplyFate },
    Touch { conversation: usize, kind: u8 },
    Note { client: usize, conversation: Option<usize> },
    Deny { client: usize },
    Merge { one: usize, other: usize },
    Apart { one: usize, other: usize },
    Undo { merge: usize },
    Move { contact: usize, client: Option<usize> },
}

/// What reaches us; of everything else it says who they are.
fn facts() -> impl Strategy<Value = Step> {
    let outcome = prop::option::of(prop::sample::select(vec![Outcome::Missed, Outcome::Answered]));
    prop_oneof![
        (0..8usize, prop::option::weighted(0.8, 0..3usize), outcome)
            .prop_map(|(call, from, outcome)| Step::Call { call, from, outcome }),
        (0..3usize, prop::option::of(0..6usize)).prop_map(|(from, answers)| Step::Mail { from, answers }),
        (
            0..3usize,
            0..2usize,
            0..4u8,
            prop::collection::vec(0..6usize, 0..3),
            prop::collection::vec(0..6usize, 0..2)
        )
            .prop_map(|(visitor, session, kind, proved, claimed)| {
                Step::Chat { visitor, session, kind, proved, claimed }
            }),
    ]
}

/// What we do about people.
fn about_people() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..9usize, 0..9usize).prop_map(|(one, other)| Step::Merge { one, other }),
        1 => (0..9usize).prop_map(|merge| Step::Undo { merge }),
        1 => (0..9usize).prop_map(|client| Step::Note { client, conversation: None }),
        1 => (0..9usize).prop_map(|client| Step::Deny { client }),
    ]
}

/// What we do besides.
fn about_work() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..9usize).prop_map(|conversation| Step::Answer { conversation }),
        (0..9usize, prop::sample::select(vec![ReplyFate::Sent, ReplyFate::Failed, ReplyFate::Deferred]))
            .prop_map(|(reply, fate)| Step::Tried { reply, fate }),
        (0..9usize, 0..3u8).prop_map(|(conversation, kind)| Step::Touch { conversation, kind }),
        (0..9usize, 0..9usize).prop_map(|(client, talk)| Step::Note { client, conversation: Some(talk) }),
        (0..9usize, 0..9usize).prop_map(|(one, other)| Step::Apart { one, other }),
        (0..9usize, prop::option::of(0..9usize)).prop_map(|(contact, client)| Step::Move { contact, client }),
    ]
}

fn any_story() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![4 => facts(), 2 => about_people(), 2 => about_work()], 1..40)
}

fn story_of_people() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![4 => facts(), 2 => about_people()], 1..40)
}

fn who(nth: usize) -> Party {
    let party = if nth < 3 { number(nth) } else { address(nth - 3) };
    named(&format!("Person {nth}"), party)
}

/// The fact a step tells, if it is one.
fn fact(step: &Step, minute: i64) -> Option<Arrival> {
    Some(match step {
        Step::Call { call: nth, from, outcome } => {
            // A call is of one number, which may be told late.
            call(minute, &format!("c{nth}"), from.map(|_| named("Caller", number(nth % 3))), *outcome)
        }
        Step::Mail { from, answers } => {
            let answers: Vec<_> =
                answers.iter().map(|back| format!("mail{}@example.com", minute - *back as i64)).collect();
            mail(minute, named(&format!("Mailer {from}"), address(*from)), &answers)
        }
        Step::Chat { visitor, session, kind, proved, claimed } => {
            let fact = match kind {
                0 => ChatFact::Identified,
                1 => ChatFact::Read { seq: 2 },
                _ => ChatFact::Line { message_id: format!("m{minute}"), text: format!("Line {minute}") },
            };
            let parties = |whom: &[usize]| whom.iter().map(|nth| who(*nth)).collect();
            let change = ChatChange { fact, proved: parties(proved), claimed: parties(claimed), page: None };
            chat(minute, *visitor, &format!("s{session}"), change)
        }
        _ => return None,
    })
}

/// What a step of ours is, as things stand.
fn ours(step: &Step, minute: i64, memory: &Memory) -> Option<Arrival> {
    let (clients, contacts, conversations, ..) = memory.projections();
    let client = |nth: &usize| clients.get(nth % clients.len().max(1)).map(|row| row.id);
    let conversation = |nth: &usize| conversations.get(nth % conversations.len().max(1)).map(|row| row.id);
    let reason = || "as told".to_owned();
    Some(deed(
        minute,
        match step {
            Step::Answer { conversation: nth } => {
                Deed::Reply { conversation: conversation(nth)?, text: format!("Answer {minute}") }
            }
            Step::Tried { reply: nth, fate } => {
                let replies: Vec<_> = memory.everything().replies.into_values().collect();
                let reply = replies.get(nth % replies.len().max(1))?;
                return Some(tried(minute, reply.id, reply.source.clone(), *fate));
            }
            Step::Touch { conversation: nth, kind } => {
                let conversation = conversation(nth)?;
                match kind {
                    0 => Deed::Resolve { conversation },
                    1 => Deed::Reopen { conversation },
                    _ => Deed::Assign { conversation, from: None, to: Some("ben".to_owned()) },
                }
            }
            Step::Note { client: nth, conversation: talk } => Deed::Note {
                client: client(nth)?,
                conversation: talk.as_ref().and_then(conversation),
                text: format!("Note {minute}"),
            },
            Step::Deny { client: nth } => {
                let channels = vec![(Channel::Phone, Permission::Deny)];
                wish(client(nth)?, channels)
            }
            Step::Merge { one, other } => {
                Deed::Merge { survivor: client(one)?, absorbed: client(other)?, reason: reason() }
            }
            Step::Apart { one, other } => {
                Deed::KeepApart { clients: [client(one)?, client(other)?], reason: reason() }
            }
            Step::Undo { merge: nth } => {
                let merges: Vec<_> = memory.everything().merges.into_keys().collect();
                Deed::Unmerge { merge: *merges.get(nth % merges.len().max(1))?, reason: reason() }
            }
            Step::Move { contact: nth, client: to } => {
                let contact = contacts.get(nth % contacts.len().max(1))?.id;
                Deed::Move { contact, client: to.as_ref().and_then(client), reason: reason() }
            }
            _ => return None,
        },
    ))
}

/// Lives through a story. Facts come in batches of this many; what is refused did not happen.
fn lived(story: &[Step], cut: usize, mut after_each: impl FnMut(&Memory)) -> Memory {
    let mut memory = Memory::default();
    let mut batch = Vec::new();
    for (minute, step) in (0..).zip(story) {
        if let Some(fact) = fact(step, minute) {
            batch.push(fact);
            if batch.len() < cut {
                continue;
            }
        }
        memory.take(std::mem::take(&mut batch));
        if let Some(act) = ours(step, minute, &memory) {
            match act.event.content {
                Content::Act(_) => drop(memory.act(act)),
                _ => memory.take(vec![act]),
            }
        }
        after_each(&memory);
    }
    memory.take(batch);
    memory
}

/// Undoes every merge that stands, the oldest or the newest first, until none does: where a proof says that
/// one is two others, and a person that they are not one, it joins the one when it may not join the other.
fn undo_all(memory: &mut Memory, backwards: bool) {
    let stands = |memory: &Memory| {
        let merges = memory.rows.merges.values().filter(|row| row.undone_at.is_none()).map(|row| row.id);
        if backwards { merges.max() } else { merges.min() }
    };
    for minute in 100.. {
        let Some(merge) = stands(memory) else { return };
        memory.act(deed(minute, Deed::Unmerge { merge, reason: "all".to_owned() })).unwrap();
    }
}

/// Without what tells of the way: how often a row changed, what we told of merging, what only leads on.
fn said(memory: &Memory) -> Everything {
    let mut all = memory.everything();
    let (clients, contacts, conversations, entries, _) = &mut all.projections;
    clients.retain(|row| row.merged_into.is_none());
    conversations.retain(|row| row.continued_in.is_none());
    entries.retain(|row| row.kind != EntryKind::Change);
    clients.iter_mut().for_each(|row| row.rev = 0);
    contacts.iter_mut().for_each(|row| row.rev = 0);
    entries.iter_mut().for_each(|row| row.rev = 0);
    all.replies.values_mut().for_each(|row| row.rev = 0);
    conversations.iter_mut().for_each(|row| (row.rev, row.updated_at) = (0, at(0, 0)));
    all.rows.entries.clear();
    all.rows.aparts.clear();
    all.merges.clear();
    all
}

/// The same log without its merges, which were never made: whom they joined was merely kept apart from when
/// the merge was undone.
fn without_merges(memory: &Memory) -> Memory {
    let mut plain = Memory::default();
    for arrival in &memory.log {
        let mut arrival = arrival.clone();
        if let Content::Act(act) = &mut arrival.event.content {
            match &act.deed {
                Deed::Merge { .. } => continue,
                Deed::Unmerge { merge, reason } => {
                    let row = &memory.rows.merges[merge];
                    let clients = [row.survivor, row.absorbed];
                    act.deed = Deed::KeepApart { clients, reason: reason.clone() };
                }
                _ => {}
            }
        }
        let events = vec![arrival];
        let changes = attach(plain.read(&wanted(&events)), events, Mode::Replay);
        plain.apply(changes);
    }
    plain
}

fn check(memory: &Memory) {
    let mut open = BTreeSet::new();
    for row in memory.open() {
        if let Some(client) = row.client {
            assert!(open.insert((client, row.thread.clone())), "two open conversations of one thread");
        }
        assert_eq!(row.continued_in, None);
    }
    let stands =
        |client: ClientId| memory.rows.clients.get(&client).is_some_and(|row| row.merged_into.is_none());
    for row in memory.rows.clients.values() {
        assert!(row.merged_into.is_none_or(stands), "a chain, or nobody");
    }
    for (identifier, (client, level)) in &memory.rows.holders {
        assert!(stands(*client), "{identifier} is held by nobody");
        let row = &memory.all.holders[identifier];
        assert_eq!((row.client, row.level), (*client, *level));
    }
    let (_, contacts, conversations, entries, messages) = memory.projections();
    assert!(contacts.iter().all(|row| row.client.is_none_or(stands)));
    assert!(entries.iter().all(|row| row.client.is_none_or(stands)));
    assert!(conversations.iter().all(|row| row.client.is_none_or(stands)));
    assert!(messages.iter().all(|row| stands(row.client)));
    assert!(memory.rows.replies.values().all(|row| row.client.is_none_or(stands)));
    for row in conversations.iter().filter_map(|row| row.continued_in) {
        assert!(memory.rows.conversations.contains_key(&row), "it goes on nowhere");
    }
    for row in &contacts {
        let place = row.conversation.map(|id| &memory.rows.conversations[&id]);
        assert!(place.is_none_or(|place| place.client == row.client), "a contact in another's conversation");
    }
    // Whoever follows the feed sees what changes last.
    for row in memory.rows.replies.values() {
        assert_eq!(
            (row.rev, row.client),
            (memory.all.entries[&row.id].rev, memory.all.entries[&row.id].client)
        );
    }
}

fn same(one: &Everything, other: &Everything) -> Result<(), TestCaseError> {
    let none: [String; 0] = [];
    prop_assert_eq!(one.differs_from(other), none);
    Ok(())
}

proptest! {
    #[test]
    fn undoing_every_merge_is_never_having_merged(story in story_of_people(), backwards in any::<bool>()) {
        let mut memory = lived(&story, 1, |_| {});
        undo_all(&mut memory, backwards);
        check(&memory);
        let (mut memory, mut plain) = (said(&memory), said(&without_merges(&memory)));
        for all in [&mut memory, &mut plain] {
            // What of a token is only a claim, but for a person's word, and what it makes sure, depends on who
            // was joined when it came. Another test compares them.
            all.rows.claims.clear();
            all.rows.holders.values_mut().for_each(|row| (row.level, row.since) = (Level::Observed, at(0, 0)));
        }
        same(&memory, &plain)?;
    }

    #[test]
    fn the_order_of_undoing_decides_nothing(story in any_story()) {
        let mut one = lived(&story, 1, |_| {});
        let mut other = one.clone();
        undo_all(&mut one, false);
        undo_all(&mut other, true);
        same(&said(&one), &said(&other))?;
    }

    #[test]
    fn whatever_happens_clients_and_conversations_stay_in_order(story in any_story()) {
        let memory = lived(&story, 1, check);
        same(&memory.replayed().everything(), &memory.everything())?;
    }

    #[test]
    fn the_cut_into_batches_decides_nothing_about_people(story in any_story(), cut in 2..6usize) {
        let (whole, parts) = (lived(&story, 1, |_| {}), lived(&story, cut, |_| {}));
        same(&whole.everything(), &parts.everything())?;
        prop_assert_eq!(whole.feed, parts.feed);
    }

    #[test]
    fn what_is_sent_to_a_client_is_sent_to_nobody_else(story in any_story()) {
        let mut memory = lived(&story, 1, |_| {});
        let orders = |memory: &Memory| -> Vec<_> {
            let replies = memory.everything().replies.into_values();
            replies.map(|row| (row.order, row.source, row.state, row.attempts, row.due_at, row.detail)).collect()
        };
        let before = orders(&memory);
        undo_all(&mut memory, false);
        prop_assert_eq!(orders(&memory), before);
    }
}
