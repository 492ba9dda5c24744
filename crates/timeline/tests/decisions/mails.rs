//! What a run of mails makes of the timeline.

use contact::email::{Automatic, AutomaticKind, Sender};
use contact::{
    CallChange, Channel, ContactKey, Content, Direction, Email, Event, EventKey, IdentifierKind, Party,
    SourceName, Trust,
};
use proptest::prelude::*;
use timeline::{Arrival, Contact, Conversation, Entry, Status};

use crate::memory::{Memory, at};

const OLENA: &str = "olena@example.com";
const STRANGER: &str = "stranger@example.net";

/// A mail of a person, about nothing else.
fn mail(id: &str) -> Email {
    Email {
        message_id: Some(format!("{id}@example.com")),
        subject: format!("About {id}"),
        text: "Добрий день".to_owned(),
        ..Email::default()
    }
}

/// A mail that says it answers these.
fn answer(id: &str, to: &[&str]) -> Email {
    let references: Vec<_> = to.iter().map(|id| format!("{id}@example.com")).collect();
    Email { in_reply_to: references.last().cloned(), references, ..mail(id) }
}

fn automatic(kind: AutomaticKind, email: Email) -> Email {
    Email { automatic: Some(Automatic { kind, reason: "Auto-Submitted".to_owned() }), ..email }
}

fn party(value: Option<&str>) -> Party {
    Party {
        kind: IdentifierKind::Email,
        value: value.map(str::to_owned),
        raw: value.unwrap_or("undisclosed").to_owned(),
        name: value.map(|_| "Олена".to_owned()),
    }
}

fn to(mailbox: &str, from: &str, minute: i64, email: Email) -> Arrival {
    arrival(mailbox, party(Some(from)), minute, email)
}

fn arrival(mailbox: &str, from: Party, minute: i64, email: Email) -> Arrival {
    let source = SourceName::new(Channel::Email, mailbox).unwrap();
    // As the connector names it: by Message-ID and a digest of what it says, whichever mailbox it is in.
    let said =
        contact::content_digest([email.subject.as_bytes(), email.text.as_bytes(), from.raw.as_bytes()]);
    let id = format!("{}:{said}", email.message_id.as_deref().unwrap_or("nameless"));
    let event = Event {
        contact: ContactKey::shared(Channel::Email, &id),
        key: EventKey { source, id },
        occurred_at: at(minute, 0),
        received_at: at(minute, 1),
        traceparent: None,
        direction: Direction::Inbound,
        trust: Trust::Verified,
        from: Some(from),
        to: vec![party(Some("help@example.org"))],
        content: Content::Email(Box::new(email)),
        raw: None,
    };
    let payload = String::from_utf8(event.to_json()).unwrap();
    Arrival { event, payload, recorded_at: at(minute, 2) }
}

fn told(events: Vec<Arrival>) -> Memory {
    let mut memory = Memory::default();
    memory.take(events);
    memory
}

fn entry_of(memory: &Memory, subject: &str) -> Entry {
    memory.projections().3.into_iter().find(|entry| entry.summary == subject).unwrap()
}

fn content(entry: &Entry) -> serde_json::Value {
    serde_json::from_str(&entry.content).unwrap()
}

/// What a person does in the console, for which there is no event yet.
fn set(memory: &mut Memory, status: Status) {
    for conversation in memory.rows.conversations.values_mut() {
        conversation.status = status;
    }
}

#[test]
fn a_mail_is_one_entry_of_its_sender_and_opens_a_conversation() {
    let memory = told(vec![to("support", OLENA, 0, Email { quoted: Some("> hi".into()), ..mail("m1") })]);
    let (clients, contacts, conversations, entries, messages) = memory.projections();
    assert_eq!((clients.len(), contacts.len(), conversations.len(), entries.len()), (1, 1, 1, 1));
    assert_eq!((clients[0].name.as_deref(), clients[0].last_contact_at), (Some("Олена"), at(0, 0)));
    assert_eq!((entries[0].channel, entries[0].rev, entries[0].occurred_at), (Channel::Email, 1, at(0, 0)));
    assert_eq!((entries[0].summary.as_str(), entries[0].client), ("About m1", Some(clients[0].id)));
    assert_eq!((conversations[0].status, conversations[0].channel), (Status::Open, Channel::Email));
    assert_eq!((&conversations[0].callback, conversations[0].last_entry), (&None, Some(entries[0].id)));
    assert_eq!((messages[0].client, messages[0].conversation), (clients[0].id, conversations[0].id));
    let content = content(&entries[0]);
    assert_eq!((&content["message_id"], &content["subject"]), (&"m1@example.com".into(), &"About m1".into()));
    assert_eq!((&content["text"], &content["quoted"]), (&"Добрий день".into(), &"> hi".into()));
    assert_eq!((&content["from"]["value"], &content["html"]), (&OLENA.into(), &serde_json::Value::Null));
    assert_eq!(content["to"][0]["value"], "help@example.org");
    assert_eq!((&content["attachments"], &content["cc"]), (&serde_json::json!([]), &serde_json::json!([])));
}

#[test]
fn one_mail_in_two_mailboxes_is_one_entry_with_two_destinations() {
    let mut memory = told(vec![to("support", OLENA, 1, mail("m1"))]);
    set(&mut memory, Status::Resolved);
    memory.take(vec![to("sales", OLENA, 0, mail("m1"))]);
    let (_, contacts, conversations, entries, _) = memory.projections();
    assert_eq!((contacts.len(), conversations.len(), entries.len()), (1, 1, 1));
    assert_eq!((entries[0].rev, entries[0].occurred_at), (2, at(0, 0)));
    assert_eq!(content(&entries[0])["destinations"], serde_json::json!(["email/sales", "email/support"]));
    assert_eq!(conversations[0].status, Status::Resolved, "it is no new mail");
}

#[test]
fn two_mails_under_one_id_are_two_and_answers_find_the_first() {
    let other = Email { text: "Something else".into(), subject: "Other".into(), ..mail("m1") };
    let memory = told(vec![to("support", OLENA, 0, mail("m1")), to("support", OLENA, 1, other)]);
    assert_eq!((memory.projections().1.len(), memory.open().len()), (2, 2));
    let mut memory = memory;
    memory.take(vec![to("support", OLENA, 2, answer("m2", &["m1"]))]);
    assert_eq!(entry_of(&memory, "About m2").conversation, entry_of(&memory, "About m1").conversation);
}

#[test]
fn an_answer_joins_and_reopens_the_conversation_it_answers() {
    let mut memory = told(vec![to("support", OLENA, 0, mail("m1")), to("support", OLENA, 1, mail("m2"))]);
    assert_eq!(memory.open().len(), 2, "two matters");
    for status in [Status::Resolved, Status::Pending, Status::Snoozed] {
        set(&mut memory, status);
        let id = format!("a-{status}");
        memory.take(vec![to("support", OLENA, 2, answer(&id, &["lost", "m1", "unknown"]))]);
        let joined = entry_of(&memory, &format!("About {id}"));
        let open = memory.open().into_iter().find(|row| row.status == Status::Open).unwrap();
        assert_eq!((Some(open.id), open.last_entry), (joined.conversation, Some(joined.id)), "{status}");
        assert_eq!(joined.conversation, entry_of(&memory, "About m1").conversation);
        assert_eq!(memory.rows.conversations.len(), 2, "nothing new was opened");
    }
    memory.take(vec![to("support", OLENA, 3, answer("m9", &["m1", "m2"]))]);
    let nearest = entry_of(&memory, "About m9").conversation;
    assert_eq!(nearest, entry_of(&memory, "About m2").conversation, "the nearest of those it answers");
}

#[test]
fn a_stranger_who_quotes_an_id_joins_nothing() {
    let mut memory = told(vec![to("support", OLENA, 0, mail("m1"))]);
    // The same id as Olena's mail, an answer to it, and an answer from nobody.
    memory.take(vec![
        to("support", STRANGER, 1, Email { subject: "Mine".into(), ..mail("m1") }),
        to("support", STRANGER, 2, answer("s2", &["m1"])),
        arrival("support", party(None), 3, answer("n3", &["m1", "s2"])),
    ]);
    let olenas = entry_of(&memory, "About m1").conversation;
    assert_eq!(memory.rows.conversations[&olenas.unwrap()].rev, 1, "it was not touched");
    assert_eq!(entry_of(&memory, "About s2").conversation, entry_of(&memory, "Mine").conversation);
    let nobodys = entry_of(&memory, "About n3");
    assert_eq!((nobodys.client, memory.open().len()), (None, 3));
    memory.take(vec![to("support", OLENA, 4, answer("m4", &["m1"]))]);
    assert_eq!(entry_of(&memory, "About m4").conversation, olenas, "the stranger's mail took no id away");
}

#[test]
fn machine_mail_is_recorded_and_opens_nothing() {
    let mut memory = told(vec![to("support", OLENA, 0, mail("m1"))]);
    set(&mut memory, Status::Resolved);
    let before = memory.projections();
    let kinds = [
        AutomaticKind::AutoReply,
        AutomaticKind::Bounce,
        AutomaticKind::Delivered,
        AutomaticKind::Receipt,
        AutomaticKind::Complaint,
        AutomaticKind::Bulk,
        AutomaticKind::Notice,
    ];
    for (minute, kind) in (1..).zip(kinds) {
        let machine = automatic(kind, answer(&format!("{kind:?}"), &["m1"]));
        memory.take(vec![to("support", OLENA, minute, machine)]);
        let entry = entry_of(&memory, &format!("About {kind:?}"));
        assert_eq!((entry.conversation, entry.client), (None, Some(before.0[0].id)), "{kind:?}");
        assert!(content(&entry)["automatic"]["reason"] == "Auto-Submitted");
    }
    let after = memory.projections();
    assert_eq!((after.2, after.4), (before.2, before.4), "no conversation heard of it");
    assert_eq!(after.0[0].last_contact_at, at(0, 0), "a machine is not the client");
    assert!(memory.owed().is_empty());
}

#[test]
fn what_was_there_before_us_is_history_and_waits_for_nobody_until_it_comes_live() {
    let before = |id| Email { imported: true, ..mail(id) };
    let mut memory = told(vec![to("support", OLENA, 0, before("m1"))]);
    let (clients, contacts, conversations, entries, _) = memory.projections();
    assert_eq!((clients.len(), conversations.len(), entries[0].conversation), (1, 0, None));
    assert_eq!((entries[0].client, clients[0].last_contact_at), (Some(clients[0].id), at(0, 0)));
    // The same mail in another mailbox, where it came live; who hears of it first does not matter.
    memory.take(vec![to("sales", OLENA, 5, mail("m1"))]);
    let [open] = memory.open()[..] else { panic!("it waits") };
    assert_eq!((open.waiting_since, open.rank.is_some()), (Some(at(5, 0)), true));
    assert_eq!(entry_of(&memory, "About m1").conversation, Some(open.id));
    assert_eq!(memory.projections().1.len(), contacts.len());
    memory.take(vec![to("other", OLENA, 6, before("m1")), to("support", OLENA, 7, answer("m2", &["m1"]))]);
    assert_eq!((memory.open().len(), entry_of(&memory, "About m1").occurred_at), (1, at(5, 0)));
    assert_eq!(memory.replayed().projections(), memory.projections());
}

#[test]
fn a_robot_and_we_ourselves_are_nobodys_address() {
    let ours = automatic(AutomaticKind::Own, mail("own"));
    let robot = Email { sender: Sender::Robot, ..mail("form") };
    let memory = told(vec![to("support", "help@example.org", 0, ours), to("support", "noreply@x", 1, robot)]);
    assert_eq!(memory.projections().0, []);
    assert_eq!(entry_of(&memory, "About own").conversation, None);
    assert!(entry_of(&memory, "About form").conversation.is_some(), "a person wrote through a form");
}

#[test]
fn what_one_mailbox_knows_to_be_a_persons_is_a_persons() {
    let machine = || to("sales", OLENA, 0, automatic(AutomaticKind::Notice, mail("m1")));
    let person = || to("support", OLENA, 1, mail("m1"));
    for story in [vec![machine(), person()], vec![person(), machine()]] {
        let memory = told(story);
        let (clients, _, conversations, entries, messages) = memory.projections();
        assert_eq!((conversations.len(), messages.len()), (1, 1));
        assert_eq!(entries[0].conversation, Some(conversations[0].id));
        assert_eq!(content(&entries[0])["automatic"], serde_json::Value::Null);
        assert_eq!(clients[0].last_contact_at, at(1, 0));
    }
}

#[test]
fn a_mail_without_a_subject_is_known_by_its_first_words() {
    let text = "\n \n  Коли ви відчинені?  \nДякую".to_owned();
    let mut memory = told(vec![to("support", OLENA, 0, Email { text, ..Email::default() })]);
    assert_eq!(memory.projections().3[0].summary, "Коли ви відчинені?");
    memory.take(vec![to("support", OLENA, 1, Email::default())]);
    assert_eq!(entry_of(&memory, "Mail without words").rev, 1);
}

#[test]
fn a_fact_of_another_channel_under_its_name_changes_nothing() {
    let first = to("support", OLENA, 0, mail("m1"));
    let mut forged = first.clone();
    forged.event.key.id = "forged".to_owned();
    forged.event.content = Content::Call(CallChange::default());
    let mut memory = told(vec![first]);
    let before = memory.projections();
    memory.take(vec![forged]);
    assert_eq!((memory.projections(), memory.rows.log_position), (before, 2));
}

/// A few mails of a few people about each other, some by machines, some in two mailboxes.
fn story() -> impl Strategy<Value = Vec<Arrival>> {
    let one = (
        0..6usize,
        prop::collection::vec(0..6usize, 0..3),
        prop::sample::select(vec![Some(OLENA), Some(STRANGER), None]),
        any::<bool>(),
        0..8u8,
        0..30i64,
    )
        .prop_map(|(id, answers, from, sales, kind, minute)| {
            let name = |id: usize| format!("m{id}");
            let answers: Vec<String> = answers.into_iter().map(name).collect();
            let email = answer(&name(id), &answers.iter().map(String::as_str).collect::<Vec<_>>());
            let email = if kind == 0 { automatic(AutomaticKind::AutoReply, email) } else { email };
            arrival(if sales { "sales" } else { "support" }, party(from), minute, email)
        });
    prop::collection::vec(one, 1..25)
}

/// What the order in which mails come does not change.
fn read(memory: &Memory) -> Vec<(Contact, serde_json::Value)> {
    let (_, contacts, _, entries, _) = memory.projections();
    let told = contacts.iter().map(|contact| {
        let entry = entries.iter().find(|entry| entry.id == contact.entry).unwrap();
        assert_eq!((entry.rev, entry.conversation), (contact.rev, contact.conversation));
        (contact.clone(), content(entry))
    });
    let mut told: Vec<_> = told.collect();
    told.sort_by(|a, b| a.0.key.cmp(&b.0.key));
    told
}

proptest! {
    #[test]
    fn a_mail_is_the_same_in_any_order_and_number(mails in story(), seed in any::<u64>()) {
        // The same key is the same fact: of two that differ the first would stay.
        let mut once: Vec<Arrival> = Vec::new();
        for mail in mails {
            if !once.iter().any(|known| known.event.key == mail.event.key) {
                once.push(mail);
            }
        }
        let mut shuffled = [once.clone(), once.iter().take(5).cloned().collect()].concat();
        let count = shuffled.len() as u64;
        shuffled.sort_by_cached_key(|mail| seed.wrapping_mul(mail.payload.len() as u64 + 7) % count);
        let (straight, shuffled) = (read(&told(once)), read(&told(shuffled)));
        prop_assert_eq!(straight.len(), shuffled.len());
        for ((one, shown), (other, shown_too)) in straight.iter().zip(&shuffled) {
            prop_assert_eq!((&one.key, one.rev, one.occurred_at), (&other.key, other.rev, other.occurred_at));
            prop_assert_eq!((&one.state, shown), (&other.state, shown_too));
            prop_assert_eq!(one.conversation.is_some(), other.conversation.is_some());
            prop_assert_eq!(one.client.is_some(), other.client.is_some());
        }
    }

    #[test]
    fn the_cut_into_batches_decides_nothing_and_a_replay_finds_the_same(mails in story(), cut in 1..6usize) {
        let whole = told(mails.clone());
        let mut parts = Memory::default();
        for chunk in mails.chunks(cut) {
            parts.take(chunk.to_vec());
        }
        prop_assert_eq!(whole.projections(), parts.projections());
        prop_assert_eq!(&whole.feed, &parts.feed);
        prop_assert_eq!(whole.replayed().projections(), whole.projections());
    }

    #[test]
    fn nobody_is_in_anothers_conversation_and_machines_are_in_none(mails in story()) {
        let memory = told(mails);
        let mut placed = 0;
        for (contact, shown) in read(&memory) {
            prop_assert_eq!(shown["automatic"].is_null(), contact.conversation.is_some());
            let Some(id) = contact.conversation else { continue };
            let conversation: &Conversation = &memory.rows.conversations[&id];
            prop_assert_eq!(conversation.client, contact.client);
            prop_assert!(contact.client.is_some() || conversation.thread == contact.key.0, "nobody's is alone");
            placed += 1;
        }
        prop_assert!(memory.rows.conversations.len() <= placed, "a conversation without a mail");
    }
}
