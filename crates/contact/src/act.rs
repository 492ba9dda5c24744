//! What we did ourselves: an agent's act, or a decision a policy of ours took.
//!
//! They stand in the same log as what reached us, so that what was decided once is applied, not decided
//! again, whenever the timeline is made anew.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Channel, SourceName};
use crate::identifier::Identifier;
use crate::ids::{ClientId, ContactId, ConversationId, EntryId, MergeId, ReservationId};
use crate::work::{Deadline, Decision, Notice, OfferEnd, Presence, Profile, PromiseKind};

/// One act of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub by: Actor,
    pub deed: Deed,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person, or a program of ours, by the name of its token.
    Agent(String),
    /// A rule, by its name and version: `signed-token/1`.
    Policy(String),
}

impl Actor {
    pub fn name(&self) -> &str {
        match self {
            Actor::Agent(name) | Actor::Policy(name) => name,
        }
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Deed {
    /// Two clients are one: `absorbed` becomes part of `survivor`.
    Merge {
        survivor: ClientId,
        absorbed: ClientId,
        reason: String,
    },
    /// They were not: everything stands as if the merge had never been.
    Unmerge {
        merge: MergeId,
        reason: String,
    },
    /// They look like one and are not: they are no candidates for each other, and no policy merges them.
    KeepApart {
        clients: [ClientId; 2],
        reason: String,
    },
    /// The contact belongs to another client; without one, to a new one.
    Move {
        contact: ContactId,
        client: Option<ClientId>,
        reason: String,
    },
    /// A word for whoever serves the client next.
    Note {
        client: ClientId,
        conversation: Option<ConversationId>,
        text: String,
    },
    /// An answer to the client.
    Reply {
        conversation: ConversationId,
        text: String,
    },
    /// An answer in a chat that the client has not read goes by mail too.
    ReplyByMail {
        reply: EntryId,
        source: SourceName,
        to: Identifier,
    },
    /// An answer is brought no further: one in a chat that the client has not read stays there alone, and one
    /// that did not arrive yet is not tried again.
    LetBe {
        reply: EntryId,
        reason: String,
    },
    /// Whoever does this answers, if nobody else does.
    Claim {
        conversation: ConversationId,
    },
    /// Who answers; `None` takes it from whoever did.
    Assign {
        conversation: ConversationId,
        /// Whose it must be until then; `None`: whoever's it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        to: Option<String>,
    },
    Resolve {
        conversation: ConversationId,
    },
    Reopen {
        conversation: ConversationId,
    },
    /// It rests until then, or until the client acts.
    Snooze {
        conversation: ConversationId,
        until: Timestamp,
    },
    /// It has rested long enough.
    Wake {
        conversation: ConversationId,
    },
    /// We owe the client a call.
    OweCall {
        conversation: ConversationId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The client was called back, or need not be any more.
    CallDone {
        conversation: ConversationId,
    },
    /// To whom a new conversation goes, how urgent it is and what is promised.
    Route {
        conversation: ConversationId,
        decision: Decision,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        deadlines: Vec<Deadline>,
    },
    /// When a promise warns and when it is due, reckoned anew.
    Reckon {
        conversation: ConversationId,
        deadline: Deadline,
    },
    /// A promise warned or was broken, at that moment.
    Notify {
        conversation: ConversationId,
        promise: PromiseKind,
        notice: Notice,
        at: Timestamp,
    },
    /// It is held for one agent until then.
    Offer {
        conversation: ConversationId,
        agent: String,
        until: Timestamp,
    },
    /// Nobody answered an offer. The agent is not offered the conversation again before `rests_until`.
    EndOffer {
        reservation: ReservationId,
        conversation: ConversationId,
        how: OfferEnd,
        rests_until: Option<Timestamp>,
    },
    Accept {
        reservation: ReservationId,
        conversation: ConversationId,
    },
    Decline {
        reservation: ReservationId,
        conversation: ConversationId,
        rests_until: Option<Timestamp>,
    },
    /// What an agent had waits again, in its old place.
    Return {
        conversation: ConversationId,
        agent: String,
        reason: String,
    },
    /// What an agent can take; `None`: they work here no longer.
    Engage {
        agent: String,
        profile: Option<Profile>,
    },
    /// What an agent says of themselves, or we conclude.
    Appear {
        agent: String,
        presence: Presence,
    },
    /// The agent has a console open through that process of ours, or has none any more.
    Connect {
        agent: String,
        process: String,
        open: bool,
    },
    /// What another system of ours knows of a client.
    Introduce(Introduction),
    /// What the client told us about how to work with them, or how we call them. What is `None` stays.
    Change {
        client: ClientId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Whether we may write or call there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        channels: Vec<(Channel, Permission)>,
        /// By which channel they like to be reached; `Some(None)` forgets it, here and below.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe")]
        preferred_channel: Option<Option<Channel>>,
        /// BCP 47: `uk`
        #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe")]
        language: Option<Option<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe")]
        hours: Option<Option<ContactHours>>,
    },
}

/// When a client wants to be reached, by the clock where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactHours {
    /// IANA: `Europe/Kyiv`
    pub zone: String,
    /// `09:00`
    pub from: String,
    /// `18:00`; before `from` it is the next day's.
    pub to: String,
}

/// A client as another system of ours knows them. What is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Who that is here: whoever holds the id, else one of their numbers or addresses, else somebody new.
    pub client: ClientId,
    /// `<system>:<id>`, of kind external.
    pub known_as: Identifier,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// What they are worth to the company, in whatever unit it counts; the greater the more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// The agent whose client they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Numbers and addresses that system knows to be theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
}

/// Tells "forget it" (null) from "leave it" (absent).
mod maybe {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<Option<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Option::as_ref).unwrap_or_default().serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        Option::<T>::deserialize(deserializer).map(Some)
    }
}

/// Whether the client lets us reach them on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    Allow,
    Deny,
}
