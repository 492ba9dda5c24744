//! The desk: everything that waits, is offered or is being worked on, and the agents around it.
//!
//! It changes by [`Change`]s and in no other way, so a desk made again from the changes of a log is the same.
//! [`crate::offer`] decides which changes there are.

use std::collections::{BTreeMap, BTreeSet};

use contact::{Channel, ConversationId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agent::{Agent, AgentName, Presence, Profile};
use crate::order::Place;

/// A conversation that needs an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    pub channel: Channel,
    pub queue: String,
    pub skills: BTreeSet<String>,
    /// Which conversation, and where it stands: [`crate::order::Ageing::place`].
    pub place: Place,
    /// Who spoke with the client last.
    pub knows: Option<AgentName>,
}

/// What happens to the desk. Written to the log as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// It waits, or what it needs has changed.
    Waits(Arrival),
    /// It is held for one agent, until that moment.
    Offered {
        conversation: ConversationId,
        agent: AgentName,
        number: u64,
        until: Timestamp,
    },
    /// It waits again. The agent is not offered it before `rests_until`.
    OfferEnded {
        conversation: ConversationId,
        agent: AgentName,
        number: u64,
        how: Ended,
        rests_until: Option<Timestamp>,
    },
    Assigned {
        conversation: ConversationId,
        agent: AgentName,
    },
    /// What an agent had waits again, in its old place.
    Returned {
        conversation: ConversationId,
        agent: AgentName,
        rests_until: Option<Timestamp>,
    },
    /// Nobody needs to do anything about it any more.
    Left {
        conversation: ConversationId,
    },
    Profiled {
        agent: AgentName,
        profile: Profile,
    },
    Appears {
        agent: AgentName,
        presence: Presence,
        connected: bool,
    },
    Removed {
        agent: AgentName,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Declined,
    TimedOut,
    /// Somebody else took it, or the agent is not to be asked any more.
    Rescinded,
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    Offered { agent: AgentName, number: u64, until: Timestamp },
    Assigned { agent: AgentName },
}

/// A conversation on the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    pub arrival: Arrival,
    pub standing: Standing,
    /// Since when it waits this time; how long who knows the client is waited for counts from there.
    pub waits_since: Timestamp,
    /// Agents who passed, and until when they are not asked again.
    pub resting: BTreeMap<AgentName, Timestamp>,
}

impl Work {
    pub fn rests(&self, agent: &AgentName, at: Timestamp) -> bool {
        self.resting.get(agent).is_some_and(|until| *until > at)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desk {
    agents: BTreeMap<AgentName, Agent>,
    work: BTreeMap<ConversationId, Work>,
    /// What waits and is not offered, in order.
    line: BTreeSet<Place>,
    /// What is offered, by its end.
    ends: BTreeSet<(Timestamp, ConversationId)>,
    /// The number of the latest offer.
    offers: u64,
    now: Timestamp,
}

impl Desk {
    pub fn agent(&self, name: &AgentName) -> Option<&Agent> {
        self.agents.get(name)
    }

    pub fn agents(&self) -> impl Iterator<Item = (&AgentName, &Agent)> {
        self.agents.iter()
    }

    pub fn work(&self, conversation: ConversationId) -> Option<&Work> {
        self.work.get(&conversation)
    }

    /// Everything on the desk, in no order of meaning.
    pub fn all(&self) -> impl Iterator<Item = &Work> {
        self.work.values()
    }

    /// What waits and is not offered, the first first.
    pub fn waiting(&self) -> impl Iterator<Item = &Work> {
        self.line.iter().filter_map(|place| self.work.get(&place.conversation))
    }

    /// Open offers, the first to end first.
    pub fn offers(&self) -> impl Iterator<Item = (Timestamp, ConversationId)> {
        self.ends.iter().copied()
    }

    /// The moment of the latest change. The desk's time does not go back.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.offers.saturating_add(1)
    }

    /// An open offer whose time is over.
    pub(crate) fn ended_by(&self, at: Timestamp) -> Option<ConversationId> {
        self.ends.first().filter(|(until, _)| *until <= at).map(|(_, conversation)| *conversation)
    }

    pub(crate) fn first_after(&self, place: Option<Place>) -> Option<Place> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.line.range((place.map_or(Unbounded, Excluded), Unbounded)).next().copied()
    }

    /// Lets time go on, if nothing else happened.
    pub fn pass(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
    }

    /// Lets a change be. One that fits nothing that is there changes nothing.
    pub fn apply(&mut self, at: Timestamp, change: &Change) {
        self.pass(at);
        match change {
            Change::Waits(arrival) => self.waits(arrival, at),
            Change::Offered { conversation, agent, number, until } => {
                self.offers = self.offers.max(*number);
                let standing = Standing::Offered { agent: agent.clone(), number: *number, until: *until };
                self.stand(*conversation, standing, at);
            }
            Change::OfferEnded { conversation, agent, how, rests_until, .. } => {
                self.rest(*conversation, agent, *rests_until, at);
                self.stand(*conversation, Standing::Waiting, at);
                if let Some(known) = self.agents.get_mut(agent) {
                    match how {
                        // Their turn is over: without this they would be asked first again.
                        Ended::TimedOut => {
                            (known.missed, known.idle_since) = (known.missed.saturating_add(1), at)
                        }
                        Ended::Declined => known.missed = 0,
                        Ended::Rescinded => {}
                    }
                }
            }
            Change::Assigned { conversation, agent } => {
                self.stand(*conversation, Standing::Assigned { agent: agent.clone() }, at);
                if let Some(work) = self.work.get_mut(conversation) {
                    work.resting.clear();
                }
                if let Some(known) = self.agents.get_mut(agent) {
                    (known.missed, known.idle_since) = (0, at);
                }
            }
            Change::Returned { conversation, agent, rests_until } => {
                self.rest(*conversation, agent, *rests_until, at);
                self.stand(*conversation, Standing::Waiting, at);
                if let Some(work) = self.work.get_mut(conversation) {
                    (work.waits_since, work.arrival.knows) = (at, Some(agent.clone()));
                }
            }
            Change::Left { conversation } => {
                self.stand(*conversation, Standing::Waiting, at);
                if let Some(work) = self.work.remove(conversation) {
                    self.line.remove(&work.arrival.place);
                }
            }
            Change::Profiled { agent, profile } => match self.agents.get_mut(agent) {
                Some(known) => known.profile = profile.clone(),
                None => {
                    self.agents.insert(agent.clone(), Agent::new(profile.clone(), at));
                }
            },
            Change::Appears { agent, presence, connected } => {
                if let Some(known) = self.agents.get_mut(agent) {
                    known.appear(*presence, *connected, at);
                }
            }
            Change::Removed { agent } => {
                self.agents.remove(agent);
            }
        }
    }

    fn waits(&mut self, arrival: &Arrival, at: Timestamp) {
        let new = || Work {
            arrival: arrival.clone(),
            standing: Standing::Waiting,
            waits_since: at,
            resting: BTreeMap::new(),
        };
        let work = self.work.entry(arrival.place.conversation).or_insert_with(new);
        self.line.remove(&work.arrival.place);
        if work.standing == Standing::Waiting {
            self.line.insert(arrival.place);
        }
        // The channel stays: the load of whoever has it is counted by it.
        let channel = work.arrival.channel;
        work.arrival = Arrival { channel, ..arrival.clone() };
    }

    /// Moves a conversation, and the load of whoever had it and has it, so that the two never differ.
    fn stand(&mut self, conversation: ConversationId, standing: Standing, at: Timestamp) {
        let Some(work) = self.work.get_mut(&conversation) else {
            return;
        };
        let channel = work.arrival.channel;
        match &work.standing {
            Standing::Waiting => {
                self.line.remove(&work.arrival.place);
            }
            Standing::Offered { agent, until, .. } => {
                self.ends.remove(&(*until, conversation));
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.drop(channel);
                }
            }
            Standing::Assigned { agent } => {
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.drop(channel);
                    agent.idle_since = at;
                }
            }
        }
        match &standing {
            Standing::Waiting => {
                self.line.insert(work.arrival.place);
            }
            Standing::Offered { agent, until, .. } => {
                self.ends.insert((*until, conversation));
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.take(channel);
                }
            }
            Standing::Assigned { agent } => {
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.take(channel);
                }
            }
        }
        work.standing = standing;
    }

    fn rest(
        &mut self,
        conversation: ConversationId,
        agent: &AgentName,
        until: Option<Timestamp>,
        at: Timestamp,
    ) {
        if let Some(work) = self.work.get_mut(&conversation) {
            work.resting.retain(|_, until| *until > at);
            work.resting.extend(until.map(|until| (agent.clone(), until)));
        }
    }
}
