//! The event as CloudEvents 1.0 structured JSON (`application/cloudevents+json`).
//!
//! The version is in the `type`. Specimens of every version ever published live in `history/`, and a
//! test reads them all.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::act::{Act, Actor};
use crate::call::CallChange;
use crate::chat::ChatChange;
use crate::email::Email;
use crate::event::{ContactKey, Content, Direction, Event, EventKey, SourceName, Trust, Unreadable, micros};
use crate::identifier::Party;
use crate::raw::Raw;
use crate::reply::ReplyChange;

/// The media type of what [`Event::to_json`] gives.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";

const CALL: &str = "frontdesk.call.v1";
const EMAIL: &str = "frontdesk.email.v1";
const CHAT: &str = "frontdesk.chat.v1";
const REPLY: &str = "frontdesk.reply.v1";
const ACT: &str = "frontdesk.act.v1";
const DECISION: &str = "frontdesk.decision.v1";
const UNREADABLE: &str = "frontdesk.unreadable.v1";

/// Bytes that are no event of ours. It will never succeed; keep it as a dead letter.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    #[error("it is no contact event: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its type `{0}` is not known to this version")]
    UnknownType(String),
    #[error("its type is `{0}`, but its data has no such part")]
    MissingPart(&'static str),
    #[error("its specversion `{0}` is not 1.0")]
    SpecVersion(String),
}

/// As it is read.
#[derive(Deserialize)]
struct Envelope {
    specversion: String,
    r#type: String,
    source: SourceName,
    id: String,
    subject: ContactKey,
    time: Timestamp,
    #[serde(default)]
    traceparent: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    direction: Direction,
    received_at: Timestamp,
    trust: Trust,
    from: Option<Party>,
    to: Vec<Party>,
    #[serde(default)]
    call: Option<CallChange>,
    #[serde(default)]
    email: Option<Box<Email>>,
    #[serde(default)]
    chat: Option<Box<ChatChange>>,
    #[serde(default)]
    reply: Option<ReplyChange>,
    #[serde(default)]
    act: Option<Box<Act>>,
    #[serde(default)]
    unreadable: Option<Unreadable>,
    raw: Option<Raw>,
}

/// As it is written: the same, borrowed, because every contact passes here.
#[derive(Serialize)]
struct Written<'a> {
    specversion: &'static str,
    r#type: &'static str,
    source: &'a str,
    id: &'a str,
    subject: &'a str,
    time: Timestamp,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: WrittenData<'a>,
}

#[derive(Serialize)]
struct WrittenData<'a> {
    direction: Direction,
    received_at: Timestamp,
    trust: Trust,
    from: Option<&'a Party>,
    to: &'a [Party],
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a CallChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat: Option<&'a ChatChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a ReplyChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Act>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<&'a Unreadable>,
    raw: Option<&'a Raw>,
}

impl Content {
    /// The CloudEvents `type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Content::Call(_) => CALL,
            Content::Email(_) => EMAIL,
            Content::Chat(_) => CHAT,
            Content::Reply(_) => REPLY,
            Content::Act(act) => match act.by {
                Actor::Agent(_) => ACT,
                Actor::Policy(_) => DECISION,
            },
            Content::Unreadable(_) => UNREADABLE,
        }
    }
}

impl Event {
    /// As it is journalled, published and logged.
    pub fn to_json(&self) -> Vec<u8> {
        let mut data = WrittenData {
            direction: self.direction,
            received_at: self.received_at,
            trust: self.trust,
            from: self.from.as_ref(),
            to: &self.to,
            call: None,
            email: None,
            chat: None,
            reply: None,
            act: None,
            unreadable: None,
            raw: self.raw.as_ref(),
        };
        match &self.content {
            Content::Call(change) => data.call = Some(change),
            Content::Email(email) => data.email = Some(email),
            Content::Chat(change) => data.chat = Some(change),
            Content::Reply(change) => data.reply = Some(change),
            Content::Act(act) => data.act = Some(act),
            Content::Unreadable(why) => data.unreadable = Some(why),
        }
        let written = Written {
            specversion: "1.0",
            r#type: self.content.type_name(),
            source: self.key.source.as_str(),
            id: &self.key.id,
            subject: &self.contact.0,
            time: self.occurred_at,
            datacontenttype: "application/json",
            traceparent: self.traceparent.as_deref(),
            data,
        };
        serde_json::to_vec(&written).expect("an envelope has no map with keys that are not text")
    }

    /// Reads any version ever published. Fields it does not know are ignored, so that an older reader
    /// gets by beside a newer writer.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Undecodable> {
        let envelope: Envelope = serde_json::from_slice(bytes)?;
        if envelope.specversion != "1.0" {
            return Err(Undecodable::SpecVersion(envelope.specversion));
        }
        let data = envelope.data;
        let content = match envelope.r#type.as_str() {
            CALL => Content::Call(data.call.ok_or(Undecodable::MissingPart(CALL))?),
            EMAIL => Content::Email(data.email.ok_or(Undecodable::MissingPart(EMAIL))?),
            CHAT => Content::Chat(data.chat.ok_or(Undecodable::MissingPart(CHAT))?),
            REPLY => Content::Reply(data.reply.ok_or(Undecodable::MissingPart(REPLY))?),
            ACT => Content::Act(data.act.ok_or(Undecodable::MissingPart(ACT))?),
            DECISION => Content::Act(data.act.ok_or(Undecodable::MissingPart(DECISION))?),
            UNREADABLE => Content::Unreadable(data.unreadable.ok_or(Undecodable::MissingPart(UNREADABLE))?),
            _ => return Err(Undecodable::UnknownType(envelope.r#type)),
        };
        Ok(Self {
            key: EventKey { source: envelope.source, id: envelope.id },
            contact: envelope.subject,
            occurred_at: micros(envelope.time),
            received_at: micros(data.received_at),
            traceparent: envelope.traceparent,
            direction: data.direction,
            trust: data.trust,
            from: data.from,
            to: data.to,
            content,
            raw: data.raw,
        })
    }
}
