//! Facts and acts as the tests about people tell them: the minute is the key.

use contact::act::Permission;
use contact::{
    Act, Actor, CallChange, CallState, Channel, ChatChange, ChatFact, ClientId, ContactKey, Content, Deed,
    Direction, Email, EntryId, Event, EventKey, IdentifierKind, Outcome, Party, ReplyChange, ReplyFate,
    SourceName, Trust, chat,
};
use jiff::Timestamp;
use timeline::Arrival;
use timeline::act::subject;

use crate::memory::at;

pub(crate) fn number(nth: usize) -> Party {
    party(IdentifierKind::Phone, &format!("+38044123456{nth}"))
}

pub(crate) fn address(nth: usize) -> Party {
    party(IdentifierKind::Email, &format!("person{nth}@example.com"))
}

pub(crate) fn phone(number: &str) -> Party {
    party(IdentifierKind::Phone, number)
}

/// A visitor of the site.
pub(crate) fn visitor(nth: usize) -> Party {
    let identifier = chat::visitor(&source(Channel::Chat, "site"), &format!("{nth:0>64}"));
    party(identifier.kind, &identifier.value)
}

fn party(kind: IdentifierKind, value: &str) -> Party {
    Party { kind, value: Some(value.to_owned()), raw: value.to_owned(), name: None }
}

pub(crate) fn named(name: &str, party: Party) -> Party {
    Party { name: Some(name.to_owned()), ..party }
}

fn source(channel: Channel, name: &str) -> SourceName {
    SourceName::new(channel, name).unwrap()
}

pub(crate) fn arrival(
    key: EventKey,
    contact: ContactKey,
    minute: i64,
    from: Option<Party>,
    content: Content,
) -> Arrival {
    let direction = match content {
        Content::Act(_) | Content::Reply(_) => Direction::Outbound,
        _ => Direction::Inbound,
    };
    let event = Event {
        key,
        contact,
        occurred_at: at(minute, 0),
        received_at: at(minute, 1),
        traceparent: None,
        direction,
        trust: Trust::Verified,
        from,
        to: Vec::new(),
        content,
        raw: None,
    };
    let payload = String::from_utf8(event.to_json()).unwrap();
    Arrival { event, payload, recorded_at: at(minute, 2) }
}

/// The same at another moment, heard of then or later.
pub(crate) fn timed(arrival: Arrival, happened: Timestamp, heard: Timestamp) -> Arrival {
    let event = Event { occurred_at: happened, received_at: heard, ..arrival.event };
    let payload = String::from_utf8(event.to_json()).unwrap();
    Arrival { event, payload, recorded_at: heard }
}

/// A call that ended so; `None` is a call that rings.
pub(crate) fn call(minute: i64, call: &str, from: Option<Party>, outcome: Option<Outcome>) -> Arrival {
    let source = source(Channel::Phone, "main-line");
    let change = CallChange {
        state: Some(if outcome.is_some() { CallState::Ended } else { CallState::Ringing }),
        outcome,
        ..CallChange::default()
    };
    let from = from.unwrap_or(Party {
        kind: IdentifierKind::Phone,
        value: None,
        raw: "anonymous".to_owned(),
        name: None,
    });
    let key = EventKey { source: source.clone(), id: format!("{call}:{minute}") };
    arrival(key, ContactKey::new(&source, call), minute, Some(from), Content::Call(change))
}

pub(crate) fn missed(minute: i64, from: Party) -> Arrival {
    call(minute, &format!("call{minute}"), Some(from), Some(Outcome::Missed))
}

/// A mail, known as `mail<minute>`, that answers the mail of another minute or one of these ids.
pub(crate) fn mail(minute: i64, from: Party, answers: &[String]) -> Arrival {
    mail_under(&format!("mail{minute}@example.com"), minute, from, answers)
}

/// The same under an id that others may have chosen too.
pub(crate) fn mail_under(message_id: &str, minute: i64, from: Party, answers: &[String]) -> Arrival {
    let email = Email {
        message_id: Some(message_id.to_owned()),
        in_reply_to: answers.last().cloned(),
        references: answers.to_vec(),
        subject: format!("Mail {minute}"),
        text: "Добрий день".to_owned(),
        ..Email::default()
    };
    let key = EventKey { source: source(Channel::Email, "support"), id: format!("{message_id}:{minute}") };
    let contact = ContactKey::shared(Channel::Email, &key.id);
    arrival(key, contact, minute, Some(from), Content::Email(Box::new(email)))
}

/// Something of a chat: of this visitor, in this session.
pub(crate) fn chat(minute: i64, visitor: usize, session: &str, change: ChatChange) -> Arrival {
    let source = source(Channel::Chat, "site");
    let digest = format!("{visitor:0>64}");
    let identifier = chat::visitor(&source, &digest);
    let key = EventKey { source: source.clone(), id: format!("{visitor}:{minute}") };
    let contact = ContactKey::new(&source, &format!("{digest}/{session}"));
    arrival(
        key,
        contact,
        minute,
        Some(party(identifier.kind, &identifier.value)),
        Content::Chat(Box::new(change)),
    )
}

/// A line, with what a token proves.
pub(crate) fn line(minute: i64, visitor: usize, proved: Vec<Party>) -> Arrival {
    let fact = ChatFact::Line { message_id: format!("m{minute}"), text: format!("Line {minute}") };
    chat(minute, visitor, "s1", ChatChange { fact, proved, claimed: Vec::new(), page: None })
}

/// The visitor types who they are.
pub(crate) fn states(minute: i64, visitor: usize, claimed: Vec<Party>) -> Arrival {
    let fact = ChatFact::Identified;
    chat(minute, visitor, "s1", ChatChange { fact, proved: Vec::new(), claimed, page: None })
}

/// The client said so about these channels.
pub(crate) fn wish(client: ClientId, channels: Vec<(Channel, Permission)>) -> Deed {
    let (name, preferred_channel, language, hours) = (None, None, None, None);
    Deed::Change { client, name, channels, preferred_channel, language, hours }
}

pub(crate) fn deed(minute: i64, deed: Deed) -> Arrival {
    let key = EventKey { source: source(Channel::Desk, "api"), id: format!("act{minute}") };
    let contact = subject(&deed);
    let act = Act { by: Actor::Agent("mia".to_owned()), deed };
    arrival(key, contact, minute, None, Content::Act(Box::new(act)))
}

pub(crate) fn tried(minute: i64, reply: EntryId, source: SourceName, fate: ReplyFate) -> Arrival {
    let message_id = (source.channel() == Channel::Email).then(|| format!("answer{minute}@example.org"));
    let change = ReplyChange { reply, attempt: 1, fate, detail: None, message_id };
    let key = EventKey { source, id: format!("{reply}:{minute}") };
    arrival(key, ContactKey(format!("desk/{reply}")), minute, None, Content::Reply(change))
}

pub(crate) const DENIED: (Channel, Permission) = (Channel::Email, Permission::Deny);
