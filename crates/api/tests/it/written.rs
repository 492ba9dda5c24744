//! What channels tell of people who write: mails and chat lines.

use contact::chat::visitor;
use contact::email::Attachment;
use contact::{
    Channel, ChatChange, ChatFact, ContactKey, Content, Direction, Email, Event, EventKey, IdentifierKind,
    Party, RawBytes, SourceName, Trust,
};

use crate::house::noon;

pub(crate) const ADDRESS: &str = "olena@example.com";

/// A mail to `support`, so many seconds after noon.
pub(crate) fn mail(id: &str, from: &str, at: i64, attachments: Vec<Attachment>) -> Event {
    let source: SourceName = "email/support".parse().unwrap();
    let email = Email {
        message_id: Some(format!("{id}@example.com")),
        subject: "Saturday?".to_owned(),
        text: "Are you open on Saturday?".to_owned(),
        attachments,
        ..Email::default()
    };
    Event {
        key: EventKey { source, id: format!("{id}:00000000") },
        contact: ContactKey::shared(Channel::Email, &format!("{id}@example.com:1")),
        occurred_at: noon(at),
        received_at: noon(at),
        traceparent: None,
        direction: Direction::Inbound,
        trust: Trust::Verified,
        from: Some(party(IdentifierKind::Email, from)),
        to: vec![party(IdentifierKind::Email, "help@desk.example")],
        content: Content::Email(Box::new(email)),
        raw: Some(
            RawBytes::new("message/rfc822", format!("Message-ID: <{id}@example.com>\r\n\r\n")).inline(),
        ),
    }
}

/// A line of a visitor of `site`, who says what their address is.
pub(crate) fn line(id: &str, claimed: &str, at: i64) -> Event {
    let source: SourceName = "chat/site".parse().unwrap();
    let digest = "ab".repeat(32);
    let fact = ChatFact::Line { message_id: id.to_owned(), text: "Hello?".to_owned() };
    let claimed = vec![party(IdentifierKind::Email, claimed)];
    Event {
        key: EventKey { source: source.clone(), id: id.to_owned() },
        contact: ContactKey::new(&source, &format!("{digest}/1")),
        occurred_at: noon(at),
        received_at: noon(at),
        traceparent: None,
        direction: Direction::Inbound,
        trust: Trust::Verified,
        from: Some(party(IdentifierKind::Visitor, &visitor(&source, &digest).value)),
        to: Vec::new(),
        content: Content::Chat(Box::new(ChatChange { fact, proved: Vec::new(), claimed, page: None })),
        raw: None,
    }
}

fn party(kind: IdentifierKind, value: &str) -> Party {
    Party { kind, value: Some(value.to_owned()), raw: value.to_owned(), name: None }
}
