//! The contact event and the words it is made of.

use std::fmt;
use std::str::FromStr;

use jiff::{Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::act::Act;
use crate::call::CallChange;
use crate::chat::ChatChange;
use crate::email::Email;
use crate::identifier::Party;
use crate::raw::Raw;
use crate::reply::ReplyChange;

/// A fact about one contact: somebody reached us (or we them), on some channel, at some moment.
///
/// It says what happened, not what we did about it; that is the timeline's business. Immutable once
/// published. On the wire it is CloudEvents 1.0 JSON, see [`crate::envelope`].
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The same fact delivered twice has the same key, for ever.
    pub key: EventKey,
    /// The contact this fact belongs to: one mail, one call, one chat session of that source.
    pub contact: ContactKey,
    /// When it happened, by the channel's clock, in microseconds. Orders the timeline; never in the
    /// future of `received_at`.
    pub occurred_at: Timestamp,
    /// When it crossed our threshold, by ours, in microseconds. Measures ourselves.
    pub received_at: Timestamp,
    /// W3C Trace Context of the request that brought it.
    pub traceparent: Option<String>,
    pub direction: Direction,
    /// Whether the channel proved who sent it.
    pub trust: Trust,
    /// Who reached out; `None` where the channel does not say at all.
    pub from: Option<Party>,
    pub to: Vec<Party>,
    pub content: Content,
    /// What arrived, byte for byte, so that a better normaliser can be run over it later.
    pub raw: Option<Raw>,
}

impl Event {
    /// The party on the client's side: the caller of an inbound call, the called one of an outbound.
    pub fn client_party(&self) -> Option<&Party> {
        match self.direction {
            Direction::Inbound => self.from.as_ref(),
            Direction::Outbound => self.to.first(),
        }
    }
}

/// What the event says. The variant is the CloudEvents `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// `frontdesk.call.v1`
    Call(CallChange),
    /// `frontdesk.email.v1`
    Email(Box<Email>),
    /// `frontdesk.chat.v1`
    Chat(Box<ChatChange>),
    /// `frontdesk.reply.v1`: what became of an answer of ours.
    Reply(ReplyChange),
    /// `frontdesk.act.v1` by an agent, `frontdesk.decision.v1` by a policy: what we did ourselves.
    Act(Box<Act>),
    /// `frontdesk.unreadable.v1`: verified, but not understood. Kept as a dead letter.
    Unreadable(Unreadable),
}

/// Why a verified input could not be normalised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// A sentence for a person.
    pub reason: String,
    /// The field at fault, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Email,
    Phone,
    Chat,
    /// Ourselves: what agents and policies do.
    Desk,
}

impl Channel {
    pub const ALL: [Channel; 4] = [Channel::Email, Channel::Phone, Channel::Chat, Channel::Desk];

    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Phone => "phone",
            Channel::Chat => "chat",
            Channel::Desk => "desk",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Channel {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Channel::ALL
            .into_iter()
            .find(|channel| channel.as_str() == text)
            .ok_or_else(|| Invalid(format!("`{text}` is no channel; it is email, phone, chat or desk")))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

/// Whether the request that brought the event was proved genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Its signature, token or secret path was right.
    Verified,
    /// Released from quarantine by a person without a valid signature.
    Unverified,
}

impl Trust {
    pub fn as_str(self) -> &'static str {
        match self {
            Trust::Verified => "verified",
            Trust::Unverified => "unverified",
        }
    }
}

/// One configured mailbox, line or widget, as `channel/name`: `phone/main-line`.
///
/// The name matches `[a-z][a-z0-9-]{0,39}`, so it is also a NATS token, a path segment and (with `_`
/// for `-`) part of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName {
    channel: Channel,
    text: String,
}

impl SourceName {
    pub fn new(channel: Channel, name: &str) -> Result<Self, Invalid> {
        let mut letters = name.chars();
        let good = letters.next().is_some_and(|c| c.is_ascii_lowercase())
            && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && name.len() <= 40;
        if !good {
            return Err(Invalid(format!(
                "`{name}` is no name: it starts with a-z, goes on with a-z, 0-9 and -, and has at most 40 letters"
            )));
        }
        Ok(Self { channel, text: format!("{channel}/{name}") })
    }

    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// The part after the channel: `main-line`.
    pub fn name(&self) -> &str {
        self.text.split_once('/').map_or("", |(_, name)| name)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for SourceName {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (channel, name) = text
            .split_once('/')
            .ok_or_else(|| Invalid(format!("`{text}` is no source; it reads channel/name")))?;
        SourceName::new(channel.parse()?, name)
    }
}

impl TryFrom<String> for SourceName {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<SourceName> for String {
    fn from(source: SourceName) -> String {
        source.text
    }
}

/// A value that is not of the kind it was taken for; the text is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// What makes a fact the same fact: CloudEvents `source` + `id`, both from the channel, never from us.
///
/// `id` is the provider's id + state + 8 hex digits of [`crate::content_digest`], so that a changed
/// retry is one more fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    pub source: SourceName,
    pub id: String,
}

impl EventKey {
    /// 128 bits of SHA-256 over source and id: what the unique index of the log holds.
    pub fn digest(&self) -> [u8; 16] {
        short_hash(&[self.source.as_str(), &self.id])
    }
}

/// Which contact a fact belongs to (CloudEvents `subject`): `phone/main-line/CA5ef8…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContactKey(pub String);

impl ContactKey {
    pub fn new(source: &SourceName, id: &str) -> Self {
        Self(format!("{source}/{id}"))
    }

    /// A contact that is the same whichever source brought it, and so may have several destinations: one
    /// mail in two of our mailboxes. `email/<id>` with `/` as `%2F` and `%` as `%25`, because a stranger
    /// may have chosen the id: having one `/`, it is no contact of any source.
    pub fn shared(channel: Channel, id: &str) -> Self {
        Self(format!("{channel}/{}", id.replace('%', "%25").replace('/', "%2F")))
    }

    pub fn digest(&self) -> [u8; 16] {
        short_hash(&[&self.0])
    }
}

fn short_hash(parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        // A separator that no part can hold keeps ("ab","c") and ("a","bc") apart.
        hash.update([0]);
    }
    let full: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(&full[..16]);
    short
}

/// The moment cut to microseconds, the finest both stores keep.
pub fn micros(at: Timestamp) -> Timestamp {
    at.round(TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Trunc)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_name_is_a_token_everywhere() {
        for good in ["a", "main-line", "l2", &format!("a{}", "b".repeat(39))] {
            let source = SourceName::new(Channel::Phone, good).unwrap();
            assert_eq!(source.name(), good);
            assert_eq!(source.as_str().parse::<SourceName>().unwrap(), source);
        }
        for bad in ["", "2a", "A", "a.b", "a_b", "a b", "a/b", "ä", &"a".repeat(41)] {
            assert!(SourceName::new(Channel::Phone, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_shared_contact_is_no_sources_contact() {
        let shared = ContactKey::shared(Channel::Email, "support/x%2Fy@z:1");
        assert_eq!(shared.0, "email/support%2Fx%252Fy@z:1");
        assert_eq!(ContactKey::shared(Channel::Email, "a@z:1").0, "email/a@z:1");
    }

    #[test]
    fn the_digest_tells_parts_apart() {
        let key =
            |source: &str, id: &str| EventKey { source: source.parse().unwrap(), id: id.into() }.digest();
        assert_ne!(key("phone/a", "1"), key("phone/a", "2"));
        assert_ne!(key("phone/a", "1"), key("phone/a1", ""));
        assert_eq!(key("phone/a", "1"), key("phone/a", "1"));
    }
}
