//! Addresses that are nobody's, or several people's.
//!
//! A switchboard's number or our own mailbox must never be a client, and a shared number never proves who
//! speaks. What is configured today is applied before an event is kept, so that the event itself says what was
//! decided, and a timeline made again decides the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use connector::{Intake, IntakeError};
use connector_email::address::canonical;
use contact::{Content, Direction, Event, IdentifierKind, Party, RawBytes};

use crate::config;
use crate::sources::Sources;

/// The addresses, each in its canonical form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nobodys {
    /// Nobody is known by them.
    blocked: BTreeSet<String>,
    /// Whoever holds them, they prove nothing about anybody else.
    shared: BTreeSet<String>,
}

impl Nobodys {
    /// As configured, with every number and address of our own sources.
    pub(crate) fn read(config: &config::Identity, sources: &Sources) -> Self {
        let ours =
            sources.lines.values().flat_map(|line| line.own_numbers().map(str::to_owned)).chain(
                sources.mailboxes.values().flat_map(|source| source.mailbox().addresses.iter().cloned()),
            );
        let listed = |list: &[String]| list.iter().filter_map(|text| address(text)).collect::<BTreeSet<_>>();
        let mut blocked = listed(&config.blocked);
        blocked.extend(ours);
        Self { blocked, shared: listed(&config.shared) }
    }

    /// The event as it may be kept.
    fn apply(&self, event: &mut Event) {
        // The client's side alone: that it was our number they called is no harm.
        let theirs = match event.direction {
            Direction::Inbound => event.from.as_mut(),
            Direction::Outbound => event.to.first_mut(),
        };
        if let Some(party) = theirs.filter(|party| self.is_blocked(party)) {
            party.value = None;
        }
        if let Content::Chat(change) = &mut event.content {
            change.proved.retain(|party| !self.is_blocked(party));
            change.claimed.retain(|party| !self.is_blocked(party));
            let shared =
                |party: &Party| party.value.as_ref().is_some_and(|value| self.shared.contains(value));
            let (doubted, proved) = std::mem::take(&mut change.proved).into_iter().partition(shared);
            change.proved = proved;
            change.claimed.extend::<Vec<_>>(doubted);
        }
    }

    fn is_blocked(&self, party: &Party) -> bool {
        let known = matches!(party.kind, IdentifierKind::Phone | IdentifierKind::Email);
        known && party.value.as_ref().is_some_and(|value| self.blocked.contains(value))
    }
}

/// A number in E.164 or an e-mail address, in its canonical form.
pub(crate) fn address(text: &str) -> Option<String> {
    let text = text.trim();
    let is_number =
        |digits: &str| (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    match text.strip_prefix('+') {
        Some(digits) => is_number(digits).then(|| text.to_owned()),
        None => canonical(text),
    }
}

/// An intake behind which nobody is taken for a client who must not be.
pub(crate) struct Careful {
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) nobodys: Arc<Nobodys>,
}

#[async_trait]
impl Intake for Careful {
    async fn accept(&self, mut event: Event, raw: RawBytes) -> Result<(), IntakeError> {
        self.nobodys.apply(&mut event);
        self.intake.accept(event, raw).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connector::testing::MemoryIntake;
    use contact::{ChatChange, ChatFact, ContactKey, EventKey, Trust};

    fn party(kind: IdentifierKind, value: &str) -> Party {
        Party { kind, value: Some(value.to_owned()), raw: value.to_owned(), name: None }
    }

    #[tokio::test]
    async fn a_blocked_address_is_nobodys_and_a_shared_one_proves_nothing() {
        let nobodys = Nobodys {
            blocked: ["+380800500500".to_owned(), "help@example.org".to_owned()].into(),
            shared: ["+380441112233".to_owned()].into(),
        };
        let memory = Arc::new(MemoryIntake::default());
        let careful = Careful { intake: memory.clone(), nobodys: Arc::new(nobodys) };
        let source = "chat/site".parse::<contact::SourceName>().unwrap();
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let phone = |value| party(IdentifierKind::Phone, value);
        let event = Event {
            key: EventKey { source: source.clone(), id: "1".into() },
            contact: ContactKey::new(&source, "v/s"),
            occurred_at: now,
            received_at: now,
            traceparent: None,
            direction: Direction::Inbound,
            trust: Trust::Verified,
            from: Some(phone("+380800500500")),
            to: vec![phone("+380800500500")],
            content: Content::Chat(Box::new(ChatChange {
                fact: ChatFact::Identified,
                proved: vec![
                    phone("+380441112233"),
                    phone("+380501234567"),
                    party(IdentifierKind::Email, "help@example.org"),
                ],
                claimed: vec![phone("+380800500500")],
                page: None,
            })),
            raw: None,
        };
        careful.accept(event, RawBytes::new("text/plain", "x")).await.unwrap();
        let (kept, _) = memory.accepted().remove(0);
        assert_eq!(kept.from.unwrap().value, None, "a switchboard is nobody");
        assert_eq!(kept.to[0].value.as_deref(), Some("+380800500500"), "which number of ours it was");
        let Content::Chat(change) = kept.content else { panic!("a chat") };
        assert_eq!(change.proved, [phone("+380501234567")]);
        assert_eq!(change.claimed, [phone("+380441112233")], "the shared number is a candidate's reason");
    }

    #[test]
    fn an_address_is_a_number_or_a_mailbox() {
        assert_eq!(address(" +380441234567 ").as_deref(), Some("+380441234567"));
        assert_eq!(address("NoReply@Example.ORG").as_deref(), Some("noreply@example.org"));
        for wrong in ["", "0441234567", "+38044x", "example.org"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
