//! From what a visitor said to a [`contact::Event`]; pure.

use contact::chat::{ChatChange, ChatFact, Page};
use contact::{
    ContactKey, Content, Direction, Event, EventKey, Identifier, Party, SourceName, Trust, content_digest,
    micros,
};
use jiff::Timestamp;

use crate::visitor::Visitor;

/// Who says it.
#[derive(Clone, Debug)]
pub struct Author {
    pub source: SourceName,
    pub visitor: Visitor,
    /// As a token or, failing that, the visitor says.
    pub name: Option<String>,
    /// What a token proves of them.
    pub proved: Vec<Party>,
    /// Where they are.
    pub page: Option<Page>,
}

/// What they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saying {
    Line { message_id: String, text: String },
    Claims(Vec<Party>),
    Read { seq: i64 },
}

impl Saying {
    /// What tells this saying of a visitor from every other; the same when it is said again.
    ///
    /// Of a line: its id, and a digest of id and text, so that an id used again with another text is a line
    /// of its own.
    fn key(&self) -> String {
        match self {
            Saying::Line { message_id, text } => {
                format!("{message_id}:{}", content_digest([message_id.as_bytes(), text.as_bytes()]))
            }
            Saying::Claims(parties) => format!("identify:{}", claims_digest(parties)),
            Saying::Read { seq } => format!("read:{seq}"),
        }
    }

    /// What a session that begins with this saying is called.
    pub fn session(&self) -> String {
        match self {
            Saying::Line { message_id, .. } => message_id.clone(),
            other => other.key().replace(':', "-"),
        }
    }
}

/// The event: its contact is the session, and its `raw` is filled in by the intake. The same saying of the
/// same visitor has the same key, whenever it is said and whatever session it is put into.
pub fn event(author: &Author, saying: Saying, session: &str, received_at: Timestamp) -> Event {
    let at = micros(received_at);
    let id = format!("{}:{}", author.visitor.short(), saying.key());
    let Identifier { kind, value } = contact::chat::visitor(&author.source, author.visitor.digest());
    let (fact, claimed) = match saying {
        Saying::Line { message_id, text } => (ChatFact::Line { message_id, text }, Vec::new()),
        Saying::Claims(parties) => (ChatFact::Identified, parties),
        Saying::Read { seq } => (ChatFact::Read { seq }, Vec::new()),
    };
    let page = author.page.clone().filter(|_| !matches!(fact, ChatFact::Read { .. }));
    Event {
        key: EventKey { source: author.source.clone(), id },
        contact: ContactKey::new(&author.source, &format!("{}/{session}", author.visitor.digest())),
        occurred_at: at,
        received_at: at,
        traceparent: None,
        direction: Direction::Inbound,
        // The secret or the token is the proof that it is this visitor.
        trust: Trust::Verified,
        from: Some(Party { kind, raw: value.clone(), value: Some(value), name: author.name.clone() }),
        to: Vec::new(),
        content: Content::Chat(Box::new(ChatChange { fact, proved: author.proved.clone(), claimed, page })),
        raw: None,
    }
}

fn claims_digest(parties: &[Party]) -> String {
    let words = parties.iter().flat_map(|party| {
        let known = party.value.as_deref().unwrap_or(&party.raw);
        [party.kind.as_str(), known, party.name.as_deref().unwrap_or("")]
    });
    content_digest(words.map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;

    fn author() -> Author {
        let source: SourceName = "chat/site".parse().unwrap();
        Author {
            visitor: Visitor::of_secret(&source, "secret"),
            source,
            name: Some("Olena".into()),
            proved: vec![address::email("olena@client.example", None)],
            page: Some(Page { url: Some("https://shop.example/".into()), title: None }),
        }
    }

    fn line(id: &str, text: &str) -> Saying {
        Saying::Line { message_id: id.into(), text: text.into() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_line_becomes_its_event() {
        let event = event(&author(), line("m1", "Добрий день"), "s1", at("2026-11-21T10:15:02.123456789Z"));
        let digest = author().visitor.digest().to_owned();
        let short = digest.get(..16).unwrap();
        assert_eq!(event.key.id, format!("{short}:m1:{}", content_digest([b"m1", "Добрий день".as_bytes()])));
        assert_eq!(event.contact.0, format!("chat/site/{digest}/s1"));
        assert_eq!(event.occurred_at, at("2026-11-21T10:15:02.123456Z"));
        let from = event.from.as_ref().unwrap();
        assert_eq!(
            (from.value.clone().unwrap(), from.name.as_deref()),
            (format!("site:{digest}"), Some("Olena"))
        );
        let Content::Chat(chat) = &event.content else { panic!("{event:?}") };
        assert_eq!(chat.proved, author().proved);
        assert_eq!(chat.page, author().page);
        assert_eq!(Event::from_json(&event.to_json()).unwrap(), event);
    }

    #[test]
    fn said_again_it_is_the_same_and_changed_it_is_another() {
        let key = |saying: Saying, session: &str, when: &str| event(&author(), saying, session, at(when)).key;
        let first = key(line("m1", "a"), "s1", "2026-11-21T10:00:00Z");
        assert_eq!(first, key(line("m1", "a"), "s2", "2026-11-22T10:00:00Z"));
        assert_ne!(first, key(line("m1", "b"), "s1", "2026-11-21T10:00:00Z"));
        assert_ne!(first, key(line("m2", "a"), "s1", "2026-11-21T10:00:00Z"));
        let claims = |name: &str| Saying::Claims(vec![address::email("a@b.example", Some(name.into()))]);
        assert_eq!(claims("x").key(), claims("x").key());
        assert_ne!(claims("x").key(), claims("y").key());
        assert!(crate::frame::is_id(&claims("x").session()), "a session is a token");
    }
}
