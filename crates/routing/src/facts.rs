//! What rules may ask about: a contact, its client, and the moment.
//!
//! Every field is always there, so a rule needs no `has(…)`; what is not known is `null`, false or empty. All
//! texts are strangers' texts and all are bounded, because the cost of a rule is the size of what it reads.

use contact::{Channel, Direction};
use serde::Serialize;

use crate::calendar::Moment;

/// The characters of a text a rule sees; what is longer is cut.
pub const MOST_TEXT: usize = 4_000;
/// The members of a list a rule sees; the rest are left out.
pub const MOST_MEMBERS: usize = 50;

/// In CEL: `event`, `client` and `time`, with the fields of these types.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    pub event: EventFacts,
    pub client: ClientFacts,
    pub time: TimeFacts,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EventFacts {
    /// `email`, `phone` or `chat`.
    pub channel: Option<Channel>,
    /// `phone/main-line`
    pub source: Option<String>,
    pub direction: Option<Direction>,
    /// Of a call that ended: `answered`, `missed`, … Rules are asked when a conversation begins, and most calls are
    /// ringing then: of them it is `null`.
    pub outcome: Option<String>,
    pub subject: Option<String>,
    pub text: Option<String>,
    /// The client's address, in its canonical form.
    pub from: Option<String>,
    /// Ours, which they wrote to or called.
    pub to: Vec<String>,
    pub attachments: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClientFacts {
    /// They were known before this contact.
    pub known: bool,
    pub segment: Option<String>,
    /// `new`, `active`, `loyal`, `at_risk`, `lost`, `won_back`
    pub stage: Option<String>,
    /// What they are worth, as another system of ours counts it; 0 where none does.
    pub value: i64,
    /// The agent whose client they are.
    pub owner: Option<String>,
    /// BCP 47: `uk`, where they said so.
    pub language: Option<String>,
}

/// The moment of the contact, by the calendar the wiring chose.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimeFacts {
    pub open: bool,
    /// `mon` to `sun`; empty where there is no calendar.
    pub weekday: String,
    pub hour: i64,
    pub minute: i64,
}

impl From<Moment> for TimeFacts {
    fn from(moment: Moment) -> TimeFacts {
        TimeFacts {
            open: moment.open,
            weekday: moment.weekday.to_owned(),
            hour: moment.hour.into(),
            minute: moment.minute.into(),
        }
    }
}

impl Facts {
    /// The same, with every text and list cut to its bound.
    pub(crate) fn bounded(&self) -> Facts {
        let event = &self.event;
        Facts {
            event: EventFacts {
                channel: event.channel,
                source: cut(&event.source),
                direction: event.direction,
                outcome: cut(&event.outcome),
                subject: cut(&event.subject),
                text: cut(&event.text),
                from: cut(&event.from),
                to: event.to.iter().take(MOST_MEMBERS).map(|to| cut_text(to)).collect(),
                attachments: event.attachments,
            },
            client: ClientFacts {
                known: self.client.known,
                segment: cut(&self.client.segment),
                stage: cut(&self.client.stage),
                value: self.client.value,
                owner: cut(&self.client.owner),
                language: cut(&self.client.language),
            },
            time: TimeFacts { weekday: cut_text(&self.time.weekday), ..self.time.clone() },
        }
    }
}

fn cut(text: &Option<String>) -> Option<String> {
    text.as_deref().map(cut_text)
}

fn cut_text(text: &str) -> String {
    text.chars().take(MOST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_reads_is_bounded() {
        let long = "ї".repeat(MOST_TEXT + 5);
        let mut facts = Facts::default();
        facts.event.text = Some(long.clone());
        facts.event.to = vec![long.clone(); MOST_MEMBERS + 5];
        let bounded = facts.bounded();
        assert_eq!(bounded.event.text.unwrap().chars().count(), MOST_TEXT);
        assert_eq!(bounded.event.to.len(), MOST_MEMBERS);
        assert_eq!(bounded.event.to[0].chars().count(), MOST_TEXT);
    }
}
