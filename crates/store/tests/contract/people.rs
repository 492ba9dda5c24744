//! Small events and rows to tell scenarios with.

use std::collections::{BTreeMap, BTreeSet};

use contact::{
    Act, Actor, Basis, CallChange, CallState, Channel, ClientId, ContactId, ContactKey, Content,
    ConversationId, Deed, Direction, Email, EntryId, Event, EventKey, Identifier, IdentifierKind, Level,
    MergeId, Order, Outcome, Party, Presence, Profile, ReservationId, SourceName, Trust, content_digest,
};
use jiff::{SignedDuration, Timestamp};
use timeline::chat::Session;
use timeline::{
    Agent, Apart, Arrival, Call, Changes, Chat, ChatLine, Claim, Client, Contact, ContactState, Conversation,
    DeadLetter, Entry, EntryKind, Holder, Merge, Policy, Recorded, Relocation, Reply, ReplyState,
    Reservation, ReservationState, Status, Store, StoreError,
};
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

/// Somebody of ours picked up there.
pub(crate) fn picked_up(call: &str, from: Option<&str>, extension: &str, seconds: i64) -> Arrival {
    let change = CallChange {
        state: Some(CallState::Answered),
        outcome: Some(Outcome::Answered),
        basis: Basis::Person,
        extension: Some(extension.to_owned()),
        ..CallChange::default()
    };
    fact(call, "answered", from, seconds, change)
}

/// The call ended; how, other facts say.
pub(crate) fn ended(call: &str, from: Option<&str>, seconds: i64) -> Arrival {
    fact(call, "over", from, seconds, CallChange { state: Some(CallState::Ended), ..CallChange::default() })
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

/// What we did to the thing of this id.
pub(crate) fn act(thing: impl std::fmt::Display, seconds: i64) -> Arrival {
    let deed = Deed::Resolve { conversation: conversation_id(1) };
    let event = Event {
        key: EventKey { source: "desk/api".parse().unwrap(), id: format!("{thing}:{seconds}") },
        contact: ContactKey(format!("desk/{thing}")),
        occurred_at: at(seconds),
        received_at: at(seconds),
        traceparent: None,
        direction: Direction::Outbound,
        trust: Trust::Verified,
        from: None,
        to: vec![],
        content: Content::Act(Box::new(Act { by: Actor::Agent("mia".to_owned()), deed })),
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

pub(crate) fn client_id(number: u128) -> ClientId {
    ClientId::from_uuid(uuid(number))
}

pub(crate) fn conversation_id(number: u128) -> ConversationId {
    ConversationId::from_uuid(uuid(number))
}

pub(crate) fn contact_id(number: u128) -> ContactId {
    ContactId::from_uuid(uuid(number))
}

pub(crate) fn entry_id(number: u128) -> EntryId {
    EntryId::from_uuid(uuid(number))
}

pub(crate) fn merge_id(number: u128) -> MergeId {
    MergeId::from_uuid(uuid(number))
}

pub(crate) fn client(number: u128, name: Option<&str>) -> Client {
    let name = name.map(str::to_owned);
    Client { name, last_contact_at: at(1), rev: 1, ..Client::new(client_id(number), at(0)) }
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
        contact: Some(ContactId::from_uuid(uuid(number))),
        conversation: None,
        agent: None,
        summary: format!("number {number}"),
        content: "{}".to_owned(),
    }
}

pub(crate) fn conversation(number: u128, client: Option<u128>, status: Status) -> Conversation {
    let (id, client) = (conversation_id(number), client.map(client_id));
    let begun = Conversation::new(id, client, "phone".to_owned(), Channel::Phone, at(0));
    Conversation { status, rev: 1, ..begun }
}

/// Somebody who can take calls and chats, at the telephone of that number.
pub(crate) fn agent(name: &str, extension: &str) -> Agent {
    let profile = Profile {
        queues: BTreeSet::from(["default".to_owned()]),
        skills: BTreeSet::new(),
        capacity: BTreeMap::from([(Channel::Phone, 1), (Channel::Chat, 3)]),
        extensions: BTreeSet::from([extension.to_owned()]),
    };
    Agent { profile: Some(profile), presence: Presence::Available, rev: 1, ..Agent::new(name, at(0)) }
}

pub(crate) fn reservation_id(number: u128) -> ReservationId {
    ReservationId::from_uuid(uuid(number))
}

/// A pending offer, which ends at that second.
pub(crate) fn offer(number: u128, conversation: u128, agent: &str, until: i64) -> Reservation {
    Reservation {
        id: reservation_id(number),
        conversation: conversation_id(conversation),
        agent: agent.to_owned(),
        state: ReservationState::Pending,
        offered_at: at(0),
        until: at(until),
        ended_at: None,
        rests_until: None,
        rev: 1,
    }
}

/// A call, shown by the entry of the same number.
pub(crate) fn call(number: u128, client: Option<u128>) -> Contact {
    Contact {
        id: contact_id(number),
        key: ContactKey::new(&line(), &format!("CA{number}")),
        source: line(),
        direction: Direction::Inbound,
        trust: Trust::Verified,
        client: client.map(client_id),
        conversation: None,
        entry: entry_id(number),
        rev: 1,
        state: ContactState::Call(Call::default()),
        occurred_at: at(0),
        recorded_at: at(0),
    }
}

/// A session of a chat, which no entry need show.
pub(crate) fn session(number: u128, client: Option<u128>) -> Contact {
    let source: SourceName = "chat/site".parse().unwrap();
    Contact {
        key: ContactKey::new(&source, &format!("d{number}/s")),
        source,
        state: ContactState::Chat(Session::default()),
        ..call(number, client)
    }
}

pub(crate) fn claim(client: u128, kind: IdentifierKind, value: &str, reason: &str) -> Claim {
    Claim {
        identifier: Identifier { kind, value: value.to_owned() },
        client: client_id(client),
        reason: reason.to_owned(),
        since: at(0),
    }
}

pub(crate) fn merge(number: u128, survivor: u128, absorbed: u128, seconds: i64) -> Merge {
    Merge {
        id: merge_id(number),
        survivor: client_id(survivor),
        absorbed: client_id(absorbed),
        by: "mia".to_owned(),
        reason: "the same voice".to_owned(),
        at: at(seconds),
        undone_at: None,
    }
}

pub(crate) fn relocation(number: u128, contact: u128, from: Option<u128>, to: u128) -> Relocation {
    let from = from.map(client_id);
    Relocation { id: merge_id(number), contact: contact_id(contact), from, to: client_id(to) }
}

pub(crate) fn apart(lesser: u128, greater: u128) -> Apart {
    let clients = [lesser, greater].map(client_id);
    Apart { clients, by: "mia".to_owned(), reason: "father and son".to_owned(), at: at(0) }
}

pub(crate) fn chat(visitor: &str, client: Option<u128>) -> Chat {
    Chat {
        visitor: visitor.to_owned(),
        source: "chat/site".parse().unwrap(),
        client: client.map(client_id),
        conversation: None,
        seq: 0,
        read: 0,
        session: "s".to_owned(),
        last_at: at(0),
    }
}

pub(crate) fn chat_line(visitor: &str, seq: i64) -> ChatLine {
    ChatLine {
        visitor: visitor.to_owned(),
        seq,
        entry: entry_id(u128::try_from(seq).unwrap()),
        message_id: format!("m{seq}"),
        agent: None,
        text: format!("line {seq}"),
        at: at(seq),
    }
}

/// An answer by mail, due at that second.
pub(crate) fn reply(number: u128, client: Option<u128>, due: Option<i64>) -> Reply {
    let order = Order {
        reply: entry_id(number),
        attempt: 0,
        written_at: at(0),
        to: "olena@example.com".to_owned(),
        name: None,
        agent: Some("mia".to_owned()),
        text: "Добрий день".to_owned(),
        thread: None,
        seq: None,
    };
    Reply {
        id: entry_id(number),
        conversation: conversation_id(number),
        client: client.map(client_id),
        source: "email/support".parse().unwrap(),
        state: ReplyState::Queued,
        attempts: 0,
        doubts: 0,
        due_at: due.map(at),
        order,
        detail: None,
        message_id: None,
        instead_of: None,
        rev: 1,
        recorded_at: at(0),
    }
}

/// Where nothing is configured.
pub(crate) async fn record(
    store: &dyn Store,
    events: Vec<Arrival>,
    letters: Vec<DeadLetter>,
) -> Result<Recorded, StoreError> {
    timeline::record(store, &Policy::default(), events, letters).await
}

pub(crate) async fn write(store: &dyn Store, changes: Changes) {
    let mut tx = store.begin().await.unwrap();
    tx.write(&changes).await.unwrap();
    tx.commit().await.unwrap();
}
