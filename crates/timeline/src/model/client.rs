//! Whose timeline it is, by which identifiers we know them, and who was made one with whom.

use std::collections::BTreeMap;

use contact::{Channel, ClientId, ContactHours, ContactId, Identifier, Level, MergeId, Permission};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::agent::Agent;

/// The person or organisation a timeline belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub id: ClientId,
    pub name: Option<String>,
    pub segment: Option<String>,
    /// What they are worth to the company, as another system of ours counts it; the greater the more.
    pub value: Option<i64>,
    /// The agent whose client they are, as another system of ours knows.
    pub owner: Option<String>,
    /// The agent who wrote to them last, and when.
    pub known_by: Option<String>,
    pub wrote_at: Option<Timestamp>,
    pub talks: Talks,
    pub created_at: Timestamp,
    /// The latest moment they reached us or we them.
    pub last_contact_at: Timestamp,
    /// When they came back after they seemed lost.
    pub won_back_at: Option<Timestamp>,
    /// The end of the latest talk: what was owed before it is owed no more.
    pub reached_at: Option<Timestamp>,
    pub preferences: Preferences,
    /// They turned out to be this client, who holds everything of theirs; never one who is merged too.
    pub merged_into: Option<ClientId>,
    pub rev: i64,
}

impl Client {
    /// Of whom nothing is known yet.
    pub fn new(id: ClientId, at: Timestamp) -> Client {
        Client {
            id,
            name: None,
            segment: None,
            value: None,
            owner: None,
            known_by: None,
            wrote_at: None,
            talks: Talks::default(),
            created_at: at,
            last_contact_at: at,
            won_back_at: None,
            reached_at: None,
            preferences: Preferences::default(),
            merged_into: None,
            rev: 0,
        }
    }

    /// Whether we may write to them or call them there.
    pub fn allows(&self, channel: Channel) -> bool {
        self.preferences.channels.get(&channel).is_none_or(|wish| wish.permission != Permission::Deny)
    }

    /// Who of these knows them: whose client they are, else who spoke with them or wrote to them last.
    ///
    /// Whose telephone it was is asked of the agents as they are now. A telephone that nobody has, or that
    /// several have, tells nothing of who spoke.
    pub fn acquaintance<'a>(&'a self, agents: &'a [Agent]) -> Option<&'a str> {
        let owns = |agent: &&Agent| agent.profile.is_some() && self.owner.as_ref() == Some(&agent.name);
        if let Some(owner) = agents.iter().find(owns) {
            return Some(&owner.name);
        }
        let wrote = self.known_by.as_deref().map(|name| (self.wrote_at.unwrap_or(Timestamp::MIN), name));
        let spoke = self.talks.0.iter().filter_map(|(extension, at)| {
            let mut whose = agents.iter().filter(|agent| agent.has(extension));
            let agent = whose.next().filter(|_| whose.next().is_none())?;
            Some((*at, agent.name.as_str()))
        });
        spoke.chain(wrote).max_by_key(|(at, _)| *at).map(|(_, name)| name)
    }
}

/// At which telephones of ours somebody talked with a client, and when last: the latest of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talks(BTreeMap<String, Timestamp>);

impl Talks {
    /// So many are kept, so that a client who is passed on all day long costs no more than another.
    pub const MOST: usize = 16;

    /// Somebody talked with them there. The order in which talks are heard of does not matter.
    pub fn add(&mut self, extension: &str, at: Timestamp) {
        let last = self.0.entry(extension.to_owned()).or_insert(at);
        *last = at.max(*last);
        if self.0.len() > Self::MOST
            && let Some(first) = self.0.iter().min_by_key(|(extension, at)| (**at, *extension))
        {
            let first = first.0.clone();
            self.0.remove(&first);
        }
    }

    /// They and another are one.
    pub(crate) fn join(&mut self, other: &Talks) {
        other.0.iter().for_each(|(extension, at)| self.add(extension, *at));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How a client wants to be worked with; what is not said is free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Whether they may be reached there; where nothing was said, they may.
    pub channels: BTreeMap<Channel, Wish>,
    pub preferred_channel: Option<Channel>,
    /// BCP 47: `uk`
    pub language: Option<String>,
    pub hours: Option<ContactHours>,
}

/// What was said about a channel, by whom and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub permission: Permission,
    /// Who of us wrote it down.
    pub by: String,
    pub at: Timestamp,
}

words!(
    /// How a relation with a client stands.
    Stage, "stage of a relation" {
        New = "new",
        Active = "active",
        Loyal = "loyal",
        AtRisk = "at_risk",
        Lost = "lost",
        WonBack = "won_back",
    }
);

/// An identifier and the one client who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub identifier: Identifier,
    pub client: ClientId,
    pub level: Level,
    pub since: Timestamp,
}

/// An identifier that somebody merely says is theirs, or that a rule did not dare to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub identifier: Identifier,
    /// Whose claim it is.
    pub client: ClientId,
    /// Why it is no more than a claim, for a person.
    pub reason: String,
    pub since: Timestamp,
}

/// Two clients made one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    pub id: MergeId,
    /// As they were when it was decided; both may have been merged further since.
    pub survivor: ClientId,
    pub absorbed: ClientId,
    /// The agent or the policy, by name.
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
    pub undone_at: Option<Timestamp>,
}

/// A contact that a person gave to another client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    pub id: MergeId,
    pub contact: ContactId,
    pub from: Option<ClientId>,
    pub to: ClientId,
}

/// Two clients who look like one and are not. The lesser id first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    pub clients: [ClientId; 2],
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
}
