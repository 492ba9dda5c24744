//! From a provider's reading to [`contact::Event`]s; shared by all providers, and pure.

use connector::number::{Region, e164};
use contact::{
    ContactKey, Content, Direction, Event, EventKey, IdentifierKind, Party, RawBytes, Trust, Unreadable,
    micros,
};
use jiff::Timestamp;

use crate::config::Line;
use crate::provider::{Answer, Fact, Number};
use crate::request::Verified;

/// What an agent is shown of a number, in characters; the raw request keeps all of it.
const SHOWN: usize = 100;

/// When a request was received, whether it was proved, and whose trace it belongs to.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub received_at: Timestamp,
    pub trust: Trust,
    pub traceparent: Option<String>,
}

impl Receipt {
    /// Of a request at the door.
    pub fn of(request: &Verified) -> Self {
        Self {
            received_at: request.received_at(),
            trust: request.trust(),
            traceparent: request.traceparent().map(str::to_owned),
        }
    }
}

/// A text from outside, fit to be kept and shown: on one line, without control characters (PostgreSQL
/// takes no NUL), trimmed, and cut after `longest` characters.
pub fn clean(text: &str, longest: usize) -> String {
    let kept: String = text
        .chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
        .filter(|c| !c.is_control())
        .collect();
    let cut: String = kept.trim().chars().take(longest).collect();
    cut.trim_end().to_owned()
}

/// One side of a call. Its value is `None` when the number is withheld, invalid, or no number at all
/// (`client:mia`, `sip:101@…`); the raw text is kept for the eyes of an agent.
pub fn party(raw: &str, name: Option<String>, region: Region) -> Party {
    Party { kind: IdentifierKind::Phone, value: e164(raw, region), raw: clean(raw, SHOWN), name }
}

/// What a request says, as events in our language, and what its system wants to hear. Their `raw` is
/// filled in by the intake.
///
/// # Errors
/// When the provider's file cannot read it.
pub fn normalise(line: &Line, raw: &RawBytes, receipt: &Receipt) -> Result<(Vec<Event>, Answer), Unreadable> {
    let read = line.provider.read(line, raw)?;
    let events = read.facts.into_iter().map(|fact| event(line, fact, receipt)).collect();
    Ok((events, read.answer))
}

fn event(line: &Line, fact: Fact, receipt: &Receipt) -> Event {
    let received_at = micros(receipt.received_at);
    let side = |number: Number| party(&number.raw, number.name, line.region);
    Event {
        key: EventKey {
            source: line.source.clone(),
            id: format!("{}:{}:{}", fact.id, fact.kind, fact.digest),
        },
        contact: ContactKey::new(&line.source, &fact.call),
        // A clock that runs ahead of ours must not put a call into the future.
        occurred_at: fact.at.map_or(received_at, |at| micros(at).min(received_at)),
        received_at,
        traceparent: receipt.traceparent.clone(),
        direction: fact.direction,
        trust: receipt.trust,
        from: fact.from.map(side),
        to: fact.to.into_iter().map(side).collect(),
        content: Content::Call(fact.change),
        raw: None,
    }
}

/// The dead letter of a request that could not be read: a contact of its own, by its content.
pub fn unreadable(line: &Line, raw: &RawBytes, why: Unreadable, receipt: &Receipt) -> Event {
    let digest: String = raw.reference().sha256.chars().take(16).collect();
    let id = format!("unreadable:{digest}");
    let received_at = micros(receipt.received_at);
    Event {
        contact: ContactKey::new(&line.source, &id),
        key: EventKey { source: line.source.clone(), id },
        occurred_at: received_at,
        received_at,
        traceparent: receipt.traceparent.clone(),
        direction: Direction::Inbound,
        trust: receipt.trust,
        from: None,
        to: Vec::new(),
        content: Content::Unreadable(why),
        raw: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cleaned_and_cut_by_characters() {
        assert_eq!(clean("  A\u{0}C\nME ЄС ", 100), "AC ME ЄС");
        assert_eq!(clean("ЄЄ ЄЄ", 3), "ЄЄ");
        assert_eq!(clean("\u{0}", 3), "");
    }
}
