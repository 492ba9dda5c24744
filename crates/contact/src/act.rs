//! What we did ourselves: an agent's act, or a decision a policy of ours took.
//!
//! They stand in the same log as what reached us, so that what was decided once is applied, not decided
//! again, whenever the timeline is made anew.

use serde::{Deserialize, Serialize};

use crate::event::{Channel, SourceName};
use crate::identifier::Identifier;
use crate::ids::{ClientId, ContactId, ConversationId, EntryId, MergeId};

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
    /// An answer in a chat that the client has not read stays there alone.
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
        to: Option<String>,
    },
    Resolve {
        conversation: ConversationId,
    },
    Reopen {
        conversation: ConversationId,
    },
    /// What the client told us about how to work with them, or how we call them. What is `None` stays.
    Change {
        client: ClientId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Whether we may write or call there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        channels: Vec<(Channel, Permission)>,
    },
}

/// Whether the client lets us reach them on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    Allow,
    Deny,
}
