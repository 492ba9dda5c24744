//! Small events and rows to tell scenarios with.

use contact::{
    Basis, CallChange, CallState, Channel, ClientId, ContactId, ContactKey, Content, ConversationId,
    Direction, Email, EntryId, Event, EventKey, Identifier, IdentifierKind, Level, Outcome, Party,
    SourceName, Trust, content_digest,
};
use jiff::{SignedDuration, Timestamp};
use timeline::{Arrival, Changes, Client, Conversation, Entry, EntryKind, Holder, Status, Store};
use uuid::Uuid;

pub(crate) fn line() -> SourceName {
    "phone/main-line".parse().unwrap()
}

/// So many seconds after a certain morning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    "2026-11-21T08:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// Somebody rings; `None` withholds the number.
pub(crate) fn ringing(call: &str, from: Option<&str>, seconds: i64) -> Arrival {
    let change = CallChange { state: Some(CallState::Ringing), ..CallChange::default() };
    fact(call, "ringing", from, seconds, change)
}

/// The call ended and nobody had answered.
pub(crate) fn missed(call: &str, from: Option<&str>, seconds: i64) -> Arrival {
    let change = CallChange {
        state: Some(CallState::Ended),
        outcome: Some(Outcome::Missed),
        basis: Basis::Line,
        rang_s: Some(21),
        ..CallChange::default()
    };
    fact(call, "ended", from, seconds, change)
}

/// A mail from `from`, which says it answers `answers`.
pub(crate) fn mail(mailbox: &str, id: &str, from: &str, answers: &[&str], seconds: i64) -> Arrival {
    let source = SourceName::new(Channel::Email, mailbox).unwrap();
    let email = Email {
        message_id: Some(id.to_owned()),
        references: answers.iter().map(|&id| id.to_owned()).collect(),
        subject: format!("Питання {id}"),
        text: "Добрий день".to_owned(),
        ..Email::default()
    };
    let from =
        Party { kind: IdentifierKind::Email, value: Some(from.to_owned()), raw: from.to_owned(), name: None };
    let name = format!("{id}:{}", content_digest([from.raw.as_bytes()]));
    let event = Event {
        contact: ContactKey::shared(Channel::Email, &name),
        key: EventKey { source, id: name },
        occurred_at: at(seconds),
        received_at: at(seconds),
        traceparent: None,
        direction: Direction::Inbound,
        trust: Trust::Verified,
        from: Some(from),
        to: vec![],
        content: Content::Email(Box::new(email)),
        raw: None,
    };
    let payload = String::from_utf8(event.to_json()).unwrap();
    Arrival { event, payload, recorded_at: at(seconds) }
}

fn fact(call: &str, state: &str, from: Option<&str>, seconds: i64, change: CallChange) -> Arrival {
    let party = |value: Option<&str>| Party {
        kind: IdentifierKind::Phone,
        value: value.map(str::to_owned),
        raw: value.unwrap_or("anonymous").to_owned(),
        name: None,
    };
    let event = Event {
        key: EventKey { source: line(), id: format!("{call}:{state}:00000000") },
        contact: ContactKey::new(&line(), call),
        occurred_at: at(seconds),
        received_at: at(seconds),
        traceparent: None,
        direction: Direction::Inbound,
        trust: Trust::Verified,
        from: Some(party(from)),
        to: vec![party(Some("+380800500500"))],
        content: Content::Call(change),
        raw: None,
    };
    let payload = String::from_utf8(event.to_json()).unwrap();
    Arrival { event, payload, recorded_at: at(seconds) }
}

pub(crate) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

pub(crate) fn client(number: u128, name: Option<&str>) -> Client {
    Client {
        id: ClientId::from_uuid(uuid(number)),
        name: name.map(str::to_owned),
        segment: None,
        created_at: at(0),
        last_contact_at: at(1),
        reached_at: None,
        rev: 1,
    }
}

pub(crate) fn holder(client: u128, kind: IdentifierKind, value: &str, level: Level) -> Holder {
    Holder {
        identifier: Identifier { kind, value: value.to_owned() },
        client: ClientId::from_uuid(uuid(client)),
        level,
        since: at(0),
    }
}

pub(crate) fn entry(number: u128, client: Option<u128>, channel: Channel, seconds: i64) -> Entry {
    Entry {
        id: EntryId::from_uuid(uuid(number)),
        kind: EntryKind::Contact,
        channel,
        direction: Direction::Inbound,
        source: SourceName::new(channel, "desk").unwrap(),
        trust: Trust::Verified,
        rev: 1,
        occurred_at: at(seconds),
        recorded_at: at(seconds),
        client: client.map(|number| ClientId::from_uuid(uuid(number))),
        contact: ContactId::from_uuid(uuid(number)),
        conversation: None,
        agent: None,
        summary: format!("number {number}"),
        content: "{}".to_owned(),
    }
}

pub(crate) fn conversation(number: u128, client: Option<u128>, status: Status) -> Conversation {
    Conversation {
        id: ConversationId::from_uuid(uuid(number)),
        status,
        client: client.map(|number| ClientId::from_uuid(uuid(number))),
        thread: "phone".to_owned(),
        channel: Channel::Phone,
        queue: "default".to_owned(),
        priority: 50,
        assignee: None,
        opened_at: at(0),
        updated_at: at(0),
        due_at: None,
        callback: None,
        last_entry: None,
        rev: 1,
    }
}

pub(crate) async fn write(store: &dyn Store, changes: Changes) {
    let mut tx = store.begin().await.unwrap();
    tx.write(&changes).await.unwrap();
    tx.commit().await.unwrap();
}
