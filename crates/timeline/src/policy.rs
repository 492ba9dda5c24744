//! What was configured about routing, as the decisions need it.
//!
//! Whatever is decided by it stands in the log, so a replay needs no policy.

use std::fmt;

use contact::{Content, Decision, Direction, Event};
use jiff::Timestamp;
use routing::calendar::Calendars;
use routing::facts::{ClientFacts, EventFacts, Facts, TimeFacts};
use routing::offer::Terms;
use routing::rules::{Rules, RulesConfig};

use crate::model::Client;
use crate::stage::stage;

/// The name under which rules decide; their version is in what they decide.
pub(crate) const RULES: &str = "rules";
/// The rule by which nothing stays with who is not there.
pub(crate) const PRESENCE: &str = "presence/1";

/// Rules, calendars and terms.
pub struct Policy {
    pub rules: Rules,
    pub calendars: Calendars,
    /// The calendar rules ask about the moment; without one, `time` is empty.
    pub calendar: Option<String>,
    /// How agents are asked.
    pub terms: Terms,
}

impl Default for Policy {
    /// Nothing is configured: one queue, one priority, no promise.
    fn default() -> Policy {
        let calendars = Calendars::default();
        let rules = Rules::compile(&RulesConfig::default(), &calendars).expect("no rule is no bad rule");
        Policy { rules, calendars, calendar: None, terms: Terms::default() }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("version", &self.rules.version()).finish_non_exhaustive()
    }
}

impl Policy {
    /// To whom a conversation goes that this event began.
    pub(crate) fn route(&self, event: &Event, client: Option<&Client>, now: Timestamp) -> Decision {
        let calendar = self.calendar.as_deref().and_then(|name| self.calendars.get(name));
        let facts = Facts {
            event: event_facts(event),
            client: client.map(|client| client_facts(client, now)).unwrap_or_default(),
            time: calendar
                .map(|calendar| TimeFacts::from(calendar.moment(event.occurred_at)))
                .unwrap_or_default(),
        };
        self.rules.decide(&facts)
    }
}

fn event_facts(event: &Event) -> EventFacts {
    let value = |party: &contact::Party| party.value.clone();
    let inbound = event.direction == Direction::Inbound;
    let theirs = if inbound { event.from.as_ref() } else { event.to.first() };
    let mut facts = EventFacts {
        channel: Some(event.key.source.channel()),
        source: Some(event.key.source.to_string()),
        direction: Some(event.direction),
        from: theirs.and_then(value),
        to: event.to.iter().filter(|_| inbound).filter_map(value).collect(),
        ..EventFacts::default()
    };
    match &event.content {
        Content::Call(call) => facts.outcome = call.outcome.map(|outcome| outcome.as_str().to_owned()),
        Content::Email(mail) => {
            facts.subject = Some(mail.subject.clone());
            facts.text = Some(mail.text.clone());
            facts.attachments = i64::try_from(mail.attachments.len()).unwrap_or(i64::MAX);
        }
        Content::Chat(change) => {
            if let contact::ChatFact::Line { text, .. } = &change.fact {
                facts.text = Some(text.clone());
            }
        }
        Content::Reply(_) | Content::Act(_) | Content::Unreadable(_) => {}
    }
    facts
}

fn client_facts(client: &Client, now: Timestamp) -> ClientFacts {
    ClientFacts {
        // Made in this transaction, they were not known before.
        known: client.created_at < now,
        segment: client.segment.clone(),
        stage: Some(stage(client, now).as_str().to_owned()),
        value: client.value.unwrap_or(0),
        owner: client.owner.clone(),
        language: client.preferences.language.clone(),
    }
}
