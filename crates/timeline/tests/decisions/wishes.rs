//! What clients want: kept to on every way by which something is sent to them.

use contact::act::Permission;
use contact::{
    Channel, ClientId, ContactHours, ConversationId, Deed, EntryId, Identifier, IdentifierKind, ReplyFate,
};
use jiff::Timestamp;
use timeline::act::{ActError, Refusal};
use timeline::{Reply, ReplyState};

use crate::memory::{Memory, at};
use crate::told::{DENIED, address, deed, line, mail, missed, number, tried, wish};

/// The one client there is.
fn only(memory: &Memory) -> ClientId {
    *memory.rows.clients.keys().next().unwrap()
}

fn place(memory: &Memory) -> ConversationId {
    *memory.rows.conversations.keys().next().unwrap()
}

/// They want to be reached in the morning: at noon, when everything here happens, it is two o'clock there.
fn mornings(memory: &mut Memory, minute: i64) {
    let (name, channels, preferred_channel, language) = (None, Vec::new(), None, None);
    let hours =
        ContactHours { zone: "Europe/Kyiv".to_owned(), from: "09:00".to_owned(), to: "13:00".to_owned() };
    let client = only(memory);
    let said = Deed::Change { client, name, channels, preferred_channel, language, hours: Some(Some(hours)) };
    memory.act(deed(minute, said)).unwrap();
}

fn tomorrow() -> Timestamp {
    "2026-11-22T07:00:00Z".parse().unwrap()
}

fn answer(memory: &mut Memory, minute: i64) -> EntryId {
    let answer = Deed::Reply { conversation: place(memory), text: format!("Answer {minute}") };
    memory.act(deed(minute, answer)).unwrap().entry
}

fn reply(memory: &Memory, id: EntryId) -> &Reply {
    &memory.rows.replies[&id]
}

fn refused(memory: &mut Memory, minute: i64, asked: Deed) -> Refusal {
    match memory.act(deed(minute, asked)) {
        Err(ActError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mail_waits_for_the_clients_hours_unless_they_wrote_a_moment_ago() {
    let mut memory = Memory::default();
    memory.take(vec![mail(0, address(1), &[])]);
    mornings(&mut memory, 1);
    let soon = answer(&mut memory, 30);
    assert_eq!(reply(&memory, soon).due_at, Some(at(30, 2)), "they are there");
    let late = answer(&mut memory, 61);
    assert_eq!(reply(&memory, late).due_at, Some(tomorrow()));
    let shown = &memory.all.entries[&late].content;
    assert!(shown.contains("\"next_try_at\":\"2026-11-22T07:00:00Z\""), "{shown}");
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn the_next_try_waits_for_their_hours_too() {
    let mut memory = Memory::default();
    memory.take(vec![mail(0, address(1), &[])]);
    mornings(&mut memory, 1);
    let id = answer(&mut memory, 2);
    let source = reply(&memory, id).source.clone();
    memory.take(vec![tried(70, id, source, ReplyFate::Deferred)]);
    assert_eq!(
        (reply(&memory, id).state, reply(&memory, id).due_at),
        (ReplyState::Deferred, Some(tomorrow()))
    );
    assert_eq!(memory.replayed().everything(), memory.everything());
}

#[test]
fn a_chat_waits_for_nothing_and_the_mail_instead_of_it_for_the_hours() {
    for (minute, due) in [(20, at(20, 2)), (80, tomorrow())] {
        let mut memory = Memory::default();
        memory.take(vec![line(0, 1, vec![address(1)])]);
        mornings(&mut memory, 1);
        let chat = answer(&mut memory, 2);
        assert_eq!(reply(&memory, chat).due_at, Some(at(2, 2)));
        let site = reply(&memory, chat).source.clone();
        memory.take(vec![tried(3, chat, site, ReplyFate::Sent)]);
        let source = "email/support".parse().unwrap();
        let to = address(1).identifier().unwrap();
        let id = memory.act(deed(minute, Deed::ReplyByMail { reply: chat, source, to })).unwrap().entry;
        assert_eq!(reply(&memory, id).due_at, Some(due), "{minute}");
        assert_eq!(memory.replayed().everything(), memory.everything());
    }
}

#[test]
fn nothing_is_sent_where_it_is_denied() {
    let mut memory = Memory::default();
    memory.take(vec![line(0, 1, vec![address(1)]), mail(1, address(1), &[]), missed(2, number(1))]);
    let chat = memory.rows.conversations.values().find(|row| row.channel == Channel::Chat).unwrap().id;
    let written = memory.rows.conversations.values().find(|row| row.channel == Channel::Email).unwrap().id;
    let id = memory.act(deed(3, Deed::Reply { conversation: chat, text: "Hello".to_owned() })).unwrap().entry;
    memory.take(vec![tried(4, id, "chat/site".parse().unwrap(), ReplyFate::Sent)]);
    let client = memory.rows.conversations[&chat].client.unwrap();
    memory.act(deed(5, wish(client, vec![DENIED, (Channel::Phone, Permission::Deny)]))).unwrap();

    let (source, to) = ("email/support".parse().unwrap(), address(1).identifier().unwrap());
    let no_mail = Refusal::Denied("the client does not want to be reached by email".to_owned());
    assert_eq!(refused(&mut memory, 20, Deed::ReplyByMail { reply: id, source, to }), no_mail);
    let mailed = Deed::Reply { conversation: written, text: "Hello".to_owned() };
    assert_eq!(refused(&mut memory, 21, mailed), no_mail);
    let call = Deed::OweCall { conversation: chat, note: None };
    let no_call = Refusal::Denied("the client does not want to be reached by phone".to_owned());
    assert_eq!(refused(&mut memory, 22, call), no_call);
    memory.act(deed(23, Deed::Reply { conversation: chat, text: "Still here".to_owned() })).unwrap();
}

#[test]
fn who_wants_no_calls_and_calls_us_is_owed_one_all_the_same() {
    let mut memory = Memory::default();
    memory.take(vec![missed(0, number(1))]);
    let client = only(&memory);
    memory.act(deed(1, Deed::Resolve { conversation: place(&memory) })).unwrap();
    memory.act(deed(2, wish(client, vec![(Channel::Phone, Permission::Deny)]))).unwrap();
    assert_eq!(memory.owed(), [] as [&timeline::Callback; 0]);
    memory.take(vec![missed(3, number(1))]);
    assert_eq!(memory.owed().len(), 1);
    assert!(!memory.rows.clients[&client].allows(Channel::Phone));
}

#[test]
fn what_is_let_be_has_failed_unless_it_may_have_arrived() {
    for (fate, state) in [
        (None, ReplyState::Failed),
        (Some(ReplyFate::Deferred), ReplyState::Failed),
        (Some(ReplyFate::Uncertain), ReplyState::Uncertain),
    ] {
        let mut memory = Memory::default();
        memory.take(vec![mail(0, address(1), &[])]);
        let id = answer(&mut memory, 1);
        let source = reply(&memory, id).source.clone();
        memory.take(fate.map(|fate| tried(2, id, source, fate)).into_iter().collect());
        memory.act(deed(3, Deed::LetBe { reply: id, reason: "unwanted".to_owned() })).unwrap();
        let row = reply(&memory, id);
        assert_eq!((row.state, row.due_at, row.detail.as_deref()), (state, None, Some("unwanted")));
        assert_eq!(memory.replayed().everything(), memory.everything());
    }
}

fn known_as(id: &str) -> Identifier {
    Identifier { kind: IdentifierKind::External, value: format!("crm:{id}") }
}

fn introduced(client: ClientId, id: &str, identifiers: Vec<Identifier>) -> Deed {
    Deed::Introduce(contact::Introduction {
        client,
        known_as: known_as(id),
        name: Some("Олена".to_owned()),
        segment: Some("gold".to_owned()),
        value: Some(7),
        owner: Some("mia".to_owned()),
        language: Some("uk".to_owned()),
        identifiers,
    })
}

#[test]
fn an_introduction_is_proof_of_what_nobody_holds_and_a_candidate_of_what_others_do() {
    let mut memory = Memory::default();
    memory.take(vec![missed(0, number(1)), mail(1, address(2), &[])]);
    let whose = |memory: &Memory, identifier: &Identifier| memory.rows.holders[identifier];
    let [caller, mailer] =
        [number(1), address(2)].map(|party| whose(&memory, &party.identifier().unwrap()).0);
    let theirs = [number(1), address(2), number(3)].map(|party| party.identifier().unwrap());
    memory.act(deed(2, introduced(caller, "1", theirs.to_vec()))).unwrap();
    assert_eq!(whose(&memory, &known_as("1")), (caller, contact::Level::Proved));
    assert_eq!(whose(&memory, &theirs[0]), (caller, contact::Level::Proved), "it was only seen before");
    assert_eq!(
        whose(&memory, &theirs[1]),
        (mailer, contact::Level::Observed),
        "nothing is taken from anybody"
    );
    assert_eq!(whose(&memory, &theirs[2]), (caller, contact::Level::Proved));
    let claims: Vec<_> = memory.all.claims.values().map(|row| (&row.identifier, row.client)).collect();
    assert_eq!(claims, [(&theirs[1], caller)]);
    let row = &memory.rows.clients[&caller];
    assert_eq!(
        (row.segment.as_deref(), row.value, row.owner.as_deref()),
        (Some("gold"), Some(7), Some("mia"))
    );
    assert_eq!(row.preferences.language.as_deref(), Some("uk"));
    assert_eq!(memory.replayed().everything(), memory.everything());
    // Whoever is known under that id already is meant.
    let other = introduced(mailer, "1", Vec::new());
    assert!(matches!(refused(&mut memory, 3, other), Refusal::Conflict { .. }));
    assert_eq!(whose(&memory, &known_as("1")).0, caller);
}

#[test]
fn an_introduction_of_a_stranger_makes_a_client_who_then_calls() {
    let mut memory = Memory::default();
    let client: ClientId = "cli_019aa5bd3f9770008f6a2d0c7c2b9e11".parse().unwrap();
    memory.act(deed(0, introduced(client, "1", vec![number(1).identifier().unwrap()]))).unwrap();
    memory.take(vec![missed(1, number(1))]);
    assert_eq!(only(&memory), client);
    assert_eq!((memory.rows.clients.len(), memory.owed().len()), (1, 1));
    assert_eq!(memory.rows.clients[&client].name.as_deref(), Some("Олена"));
    assert_eq!(memory.replayed().everything(), memory.everything());
}
